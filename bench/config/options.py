"""Words `name=value` of the commands that compose no configuration. No Hydra, no torch."""

import shlex
from typing import Any

import yaml

from bench.config import words
from bench.errors import UserError, nearest

NAMES = ("data", "profile", "kind", "device")
"""Options whose value is text, also where it looks like a number."""


def parse(typed: list[str], defaults: dict[str, Any]) -> dict[str, Any]:
    """The defaults with what the words set: paths and names as typed, numbers, switches and lists as in YAML.

    Raises:
        UserError: a word that is no option, with the nearest that are, or that cannot be read.
    """
    given = {}
    for one in typed:
        name, is_option, value = one.partition("=")
        if not is_option or name not in defaults:
            raise UserError(f"unknown option {name if is_option else one!r}; {nearest(name, list(defaults))}")
        given[name] = _value(name, value, defaults[name])
    return defaults | given


def _value(name: str, value: str, default: Any) -> Any:
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
