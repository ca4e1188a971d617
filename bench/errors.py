"""Errors that are the user's to mend."""

from difflib import get_close_matches

from hydra.errors import CompactHydraException


class UserError(CompactHydraException):
    """What went wrong, what was expected and what to do, in a sentence; never shown with a stack trace.

    Several missing things are several sentences, one a line.
    """


class BadSample(Exception):
    """A sample that cannot be read or edited; it is recorded and the run goes on.

    A method that finds several in a batch before it starts names them all: `ids` maps each to its message, and the
    rest of the batch is edited without them.
    """

    def __init__(self, message: str, ids: dict[str, str] | None = None):
        super().__init__(message)
        self.ids = ids or {}


def one_line(error: Exception) -> str:
    """A library's message of several lines as one."""
    return " ".join(str(error).split())


def nearest(name: str, valid: list[str]) -> str:
    """The part of a message that offers valid names close to `name`, or all of them."""
    close = get_close_matches(name, valid, n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(close) + "?"
    return "one of: " + ", ".join(sorted(valid))
