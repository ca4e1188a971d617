"""Words `name=value` of the commands that compose no configuration. No Hydra, no torch."""

import re
import shlex
import textwrap
from typing import Any, NamedTuple

import yaml

from bench.config import words
from bench.errors import UserError, nearest

NAMES = ("data", "profile", "kind", "device")
"""Options whose value is text, also where it looks like a number."""
WIDTH = 100
"""Columns of what `--help` prints."""


class Option(NamedTuple):
    """What an option is when it is not typed, and what it means, for `--help`.

    With `several` it takes texts between commas, with or without brackets around them.
    """

    default: Any
    meaning: str
    several: bool = False


def parse(typed: list[str], known: dict[str, Any]) -> dict[str, Any]:
    """The defaults with what the words set: paths and names as typed, numbers, switches and lists as in YAML.

    Args:
        known: each an `Option`, or its default.

    Raises:
        UserError: a word that is no option, with the nearest that are, or that cannot be read.
    """
    defaults = {name: one.default if isinstance(one, Option) else one for name, one in known.items()}
    given = {}
    for one in typed:
        name, is_option, value = one.partition("=")
        if not is_option or name not in defaults:
            raise UserError(f"unknown option {name if is_option else one!r}; {nearest(name, list(defaults))}")
        given[name] = _several(name, value) if _takes_several(known[name]) else _value(name, value, defaults[name])
    return defaults | given


def _takes_several(known: Any) -> bool:
    return isinstance(known, Option) and known.several


def _several(name: str, value: str) -> list[str] | None:
    """Texts between commas; a path that exists is one, commas or not."""
    if value.lower() == "null":
        return None
    words.check_value(name, value)
    return words.paths(value[1:-1] if re.fullmatch(r"\[.*\]", value) else value, f"{name}=")


def _value(name: str, value: str, default: Any) -> Any:
    if name not in words.PATHS:
        words.check_value(name, value)
    if value.lower() == "null":
        return None
    if name in words.PATHS and not isinstance(default, bool):  # `run` is a switch, too
        return words.path(value, f"{name}=")
    try:
        read = yaml.safe_load(value)
    except yaml.YAMLError:
        quoted = shlex.quote(f"""{name}=["{value.strip("[]")}"]""")
        raise UserError(f"{name}={value} cannot be read; in a list, put each name in quotes: {quoted}") from None
    return value if name in NAMES and not isinstance(read, list | str) else read


def told(doc: str, known: dict[str, Option]) -> str:
    """What `--help` prints: a docstring, whose indented lines stay as they are, and a line or more for each option."""
    paragraphs = doc.strip().split("\n\n")
    parts = [p if p.startswith(" ") else textwrap.fill(p, WIDTH, break_on_hyphens=False) for p in paragraphs]
    heads = {name: f"{name}={_shown(option.default)}" for name, option in known.items()}
    start = max(map(len, heads.values()), default=0) + 2
    lines = []
    for name, head in heads.items():
        lines += textwrap.wrap(
            known[name].meaning, WIDTH, initial_indent=head.ljust(start), subsequent_indent=" " * start
        )
    return "\n\n".join([*parts, "\n".join(lines)]).rstrip()


def _shown(default: Any) -> str:
    """A default as one types it."""
    if default is None:
        return "null"
    return str(default).lower() if isinstance(default, bool) else str(default)
