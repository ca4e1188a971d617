"""Calls of code that may be the user's own: what goes wrong there is said with its file and line. No torch."""

import functools
import inspect
import os
import signal
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.diffusion.memory import exhausted
from bench.errors import BadSample, UserError
from bench.files.paths import ROOT
from bench.files.sources import PROJECT
from bench.types import Undefined


class BrokenCode(UserError):
    """An error in code that a run calls, in a sentence; `traceback` has the rest."""

    def __init__(self, message: str, error: BaseException):
        super().__init__(message)
        self.traceback = "".join(traceback.format_exception(error))


class BrokenSample(BadSample):
    """The same, of one sample."""

    def __init__(self, error: BaseException):
        super().__init__(told(error))
        self.traceback = "".join(traceback.format_exception(error))


@contextmanager
def guard(what: str, made: Any = None) -> Iterator[None]:
    """What happens inside is said of `what`, such as `method=mine`.

    Args:
        made: the class that is called, where it is known: an error without a place of the user's is said to be there.

    Raises:
        BrokenCode: for every error, and for an exit, but what the caller has to deal with: a `UserError`, `BadSample`
            or `Undefined`, too little memory, what a signal raised.
    """
    try:
        yield
    except (UserError, BadSample, Undefined):
        raise
    except (Exception, SystemExit) as error:
        if exhausted(error) or by_signal(error):
            raise
        raise BrokenCode(f"{what}: {told(error, made)}", error) from error


def by_signal(error: BaseException) -> bool:
    """Whether the handler of a signal has raised it, whatever was running then: a cluster's time limit, not a fault."""
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    codes = {code for one in handlers if (code := getattr(getattr(one, "__func__", one), "__code__", None))}
    return any(frame.f_code in codes for frame, _ in traceback.walk_tb(error.__traceback__))


def told(error: BaseException, made: Any = None) -> str:
    """An error in a line: its kind, what it says, and the last line of the user's own code that it went through."""
    return said(error) + place(error, made)


def said(error: BaseException) -> str:
    """Its kind and what it says."""
    if isinstance(error, SystemExit):
        return f"it calls exit({error.code!r})"
    text = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    return ": ".join(filter(None, [type(error).__name__, text]))


def place(error: BaseException, made: Any = None) -> str:
    """` (<file>, line <number>)` of the user's own code, empty where it has no part in it."""
    found = _place(error) or (_definition(made) if made is not None else None)
    return f" ({found[0]}, line {found[1]})" if found else ""


def _place(error: BaseException) -> tuple[str, int] | None:
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, error.lineno or 1
    frames = traceback.extract_tb(error.__traceback__)
    return next(((frame.filename, frame.lineno) for frame in reversed(frames) if _is_own(frame.filename)), None)


def _definition(made: Any) -> tuple[str, int] | None:
    try:
        file, line = inspect.getsourcefile(made), inspect.getsourcelines(made)[1]
    except (OSError, TypeError):
        return None
    return (file, line) if file and _is_own(file) else None


def _is_own(file: str) -> bool:
    """Whether a file is neither the project's, nor Python's, nor of an installed package."""
    return os.path.isabs(file) and not os.path.realpath(file).startswith(_others())


@functools.cache
def _others() -> tuple[str, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = [*(sysconfig.get_path(name) for name in names), *(ROOT / name for name in PROJECT)]
    return tuple(os.path.join(os.path.realpath(folder), "") for folder in folders)
