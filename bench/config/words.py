"""Words `knob=value` as they are typed, and the paths among them: in a path no character has a meaning but a leading
`~`. No Hydra, no torch."""

import os
import re
import shlex
from typing import NamedTuple

from bench.errors import UserError

PATHS = ("out", "root", "path", "folder", "file", "captions", "bison", "annotations", "run", "to", "images", "weights")
"""Knobs, by the last part of their names, that name a file or folder. A value that starts like a path is one too."""
_WORD = re.compile(r"(\+{0,2})([^\s=+~][^\s=]*)=(.*)", re.DOTALL)
_QUOTED = r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'"""


class Word(NamedTuple):
    """`<mark><knob>=<value>`; the mark is one of "", "+" and "++"."""

    mark: str
    knob: str
    value: str

    @property
    def names_path(self) -> bool:
        """Whether the value is a path."""
        if self.knob.startswith("hydra") or self.value.lower() == "null":
            return False
        if self.knob.split(".")[-1] in PATHS:
            return not self.value.startswith("{")  # `weights={...}` is a table of them
        return self.value.startswith(("/", "~/", "./", "../")) and "${" not in self.value


def word(typed: str) -> Word | None:
    """The parts of a word; None where it has not this form."""
    found = _WORD.fullmatch(typed)
    return Word(*found.groups()) if found else None


def knob(typed: str) -> str:
    """The knob that a word sets, without its mark; empty for what sets none."""
    found = word(typed)
    return found.knob if found else ""


def of_shards(argv: list[str]) -> list[str]:
    """The words that say which share of the samples a process edits."""
    return [typed for typed in argv if knob(typed).split(".")[0] == "shard"]


def check_spaces(argv: list[str]) -> None:
    """Raises UserError where a space stands around a `=` or after a comma: the shell makes two words of that."""
    for first, second, *more in zip(argv, argv[1:], [*argv[2:], ""], strict=False):
        if _exists(first):
            continue
        before = first.endswith(("=", ",")) and "=" not in second and re.match("[^-]", second)
        if second == "=" and more[0]:
            meant = [first, second, more[0]]
        elif before or (second.startswith("=") and "=" not in first):
            meant = [first, second]
        else:
            continue
        raise UserError(f"{' '.join(meant)}: a space ends a word; type {shlex.quote(''.join(meant))}")


def check_value(knob: str, value: str) -> None:
    """Raises UserError where nothing is typed after a `=`, or Python's word for nothing."""
    if not value.strip():
        raise UserError(f"{knob}= has no value; type one after the =, or leave the word out")
    if value == "None":
        raise UserError(f"{knob}=None: None is Python's word for no value; type {knob}=null")


def path(typed: str, what: str) -> str:
    """A path as typed: what exists under it, else without the quotes around it, if there are any. A leading `~` is the
    home folder.

    Args:
        what: it is called in messages, such as `out=`.

    Raises:
        UserError: nothing is typed, or no text.
    """
    text = typed if _exists(typed) else _unquoted(typed)
    if not text:
        raise UserError(f"{what} is empty; expected a path (a variable of the shell that is not set?)")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(f"{what}{text!a} is not UTF-8; rename the file or folder") from None
    return os.path.expanduser(text)


def paths(typed: str, what: str) -> list[str]:
    """The paths that a sweep is over: one where it exists with its commas, else those between commas, of which one with
    commas of its own stands in quotes."""
    parts = re.findall(rf"(?:{_QUOTED}|[^,])+", typed, re.DOTALL)
    if _exists(typed) or ",".join(parts) != typed:
        parts = [typed]
    return [path(part.strip() if len(parts) > 1 else part, what) for part in parts]


def listed(typed: str) -> str | None:
    """What stands in the brackets of a list of paths, `[a,b]`; None where that is no list, or a path that exists."""
    found = re.fullmatch(r"\[(.*,.*)\]", typed, re.DOTALL)
    return found[1] if found and not _exists(typed) else None


def _exists(typed: str) -> bool:
    return os.path.lexists(os.path.expanduser(typed))


def _unquoted(typed: str) -> str:
    """What Hydra would read: quotes around it and what is escaped in them, or escaped characters of what exists."""
    if re.fullmatch(_QUOTED, typed, re.DOTALL):
        escaped = rf"(\\+)(?={typed[0]}|$|\$\{{)"
        return re.sub(escaped, lambda found: found[1][: len(found[1]) // 2], typed[1:-1])
    meant = re.sub(r"\\(.)", r"\1", typed)
    return meant if _exists(meant) else typed
