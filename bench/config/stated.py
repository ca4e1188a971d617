"""What a method's configuration states of it beside its knobs, for a run with certain values of these. No torch."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from omegaconf import OmegaConf

from bench.config import cli
from bench.config.matching import matches
from bench.errors import UserError

_FORMULA = re.compile(r"(?:(\d+) \* )?(\d+|steps)")


def published_nfe(method: str, knobs: dict[str, Any]) -> int | None:
    """Network evaluations of an edit as the paper counts them; None where it does not.

    Raises:
        UserError: a formula that is no number, no `steps` and no multiple of them.
    """
    for formula in _cases(method, "published_nfe", knobs):
        if not (read := _FORMULA.fullmatch(str(formula))):
            raise UserError(
                f"conf/method/{method}.yaml: published_nfe {formula!r}, expected a formula such as 5 * steps"
            )
        times, of = read.groups()
        return int(times or 1) * (knobs["steps"] if of == "steps" else int(of))
    return None


def _cases(method: str, key: str, knobs: dict[str, Any]) -> Iterator[Any]:
    """What `key` states under the conditions that the knobs meet, the first one first."""
    for case in _stated(method).get(key, []):
        if all(matches(knobs.get(knob), wanted) for knob, wanted in case.get("where", {}).items()):
            yield case["is"]


@lru_cache
def _stated(method: str) -> dict[str, Any]:
    """The method's file; nothing for a class of the user's own."""
    if method not in cli.names("method"):
        return {}
    return OmegaConf.to_container(cli.jobs([f"method={method}"])[0].method)
