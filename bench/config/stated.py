"""What a method's configuration states of it beside its knobs, for a run with certain values of these. No torch.

given: {query: true, caption: [{reference: caption}]}      always; where the knobs meet any of the conditions,
                                                           of a table one of its values
published_nfe: [{is: 5 * steps, where: {control: p2p}}]    the first of which the knobs meet the conditions
"""

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


def given(method: str, knobs: dict[str, Any]) -> list[str] | None:
    """What a method is told of each sample beside the picture: query, caption, blend words, mask, instruction, class.
    None of a class of the user's own and of pictures made elsewhere, of which it is not known."""
    if (told := _stated(method).get("given")) is None:
        return None
    return [name for name, cases in told.items() if cases is True or any(_met(case, knobs) for case in cases)]


def _met(case: dict[str, Any], knobs: dict[str, Any]) -> bool:
    return all(any(matches(one, wanted) for one in _held(knobs, knob)) for knob, wanted in case.items())


def _held(knobs: dict[str, Any], knob: str) -> list[Any]:
    """A knob's value; of a table, such as a pipeline's arguments, all that is in it."""
    return [value for name, value in knobs.items() if name.startswith(f"{knob}.")] or [knobs.get(knob)]


def _cases(method: str, key: str, knobs: dict[str, Any]) -> Iterator[Any]:
    """What `key` states under the conditions that the knobs meet, the first one first."""
    for case in _stated(method).get(key, []):
        if _met(case.get("where", {}), knobs):
            yield case["is"]


@lru_cache
def _stated(method: str) -> dict[str, Any]:
    """The method's file; nothing for a class of the user's own."""
    if method not in cli.names("method"):
        return {}
    return OmegaConf.to_container(cli.jobs([f"method={method}"])[0].method)
