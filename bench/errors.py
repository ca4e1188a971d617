"""Errors that are the user's to mend."""

import re
from difflib import get_close_matches

from hydra.errors import CompactHydraException


class UserError(CompactHydraException):
    """What went wrong, what was expected and what to do, in a sentence; never shown with a stack trace.

    Several missing things are several sentences, one a line.
    """


class UnfitSize(UserError):
    """A model or a method cannot work on pictures of this size. Where pictures are of their own sizes each, others may
    do."""


class SourcesLost(UserError):
    """Sources of edited pictures that cannot be read any more, and why not, by id."""

    def __init__(self, ids: dict[str, str]):
        id_, why = next(iter(ids.items()))
        super().__init__(
            f"{len(ids)} edited samples are not scored, since their sources cannot be read any more; the first is "
            f"{id_!r}: {why}"
        )
        self.ids = ids


class BadSample(Exception):
    """A sample that cannot be read or edited; it is recorded and the run goes on.

    A method that finds several in a batch before it starts names them all: `ids` maps each to its message, and the
    rest of the batch is edited without them.
    """

    def __init__(self, message: str, ids: dict[str, str] | None = None):
        super().__init__(message)
        self.ids = ids or {}


class NotFinite(Exception):
    """Numbers that stand for a picture, a mask or latents are NaN or infinite: to show them would be a wrong picture
    without a word.

    Args:
        what: they are, such as `pixels`.
        rows: of the batch that have such numbers.
        count: rows of the whole batch.
        values: what was found there.
    """

    def __init__(self, what: str, rows: list[int], count: int, values: str):
        super().__init__(f"its {what} are not finite: {values}; try model.dtype=float32 or bfloat16, or less guidance")
        self.rows, self.count = rows, count


def one_line(error: Exception) -> str:
    """A library's message of several lines as one."""
    return " ".join(str(error).split())


def shown(value: object) -> str:
    """A value as one types it; text that looks like a number is in quotes."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str) and re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?", value):
        return f'"{value}" (text)'
    return str(value)


def short(value: object) -> str:
    """A value of a wrong kind in a message: `a list, [1, 2]`, cut off where it is long."""
    text = " ".join(str(value).split())
    return f"a {type(value).__name__}, {text[:60]}{'...' if len(text) > 60 else ''}"


def close(name: str, valid: list[str]) -> list[str]:
    """Valid names like `name`, in capitals or not, the closest first; at most three."""
    folded = {one.lower(): one for one in valid}
    return [folded[one] for one in get_close_matches(name.lower(), list(folded), n=3, cutoff=0.5)]


MOST = 24
"""Names that a message lists."""


def nearest(name: str, valid: list[str]) -> str:
    """The part of a message that offers valid names close to `name`, or all of them."""
    if near := close(name, valid):
        return "did you mean " + " or ".join(near) + "?"
    more = f" and {len(valid) - MOST} more" if len(valid) > MOST else ""
    return f"one of: {', '.join(sorted(valid)[:MOST])}{more}"
