"""Entry points: they say what they are for, and what the operating system refuses them is a sentence. No Hydra, no
torch."""

import errno
import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.config import options, words
from bench.errors import UserError
from bench.files.refused import why

Main = Callable[[list[str] | None], int]
HELP = ("-h", "--help")


class Terminated(KeyboardInterrupt):
    """SIGTERM, by which schedulers ask a process to end: it ends as by Ctrl-C."""


def command(main: Main) -> Main:
    """An entry point that answers `--help` with the docstring and `OPTIONS` of its module (a dict, or what gives one),
    and is guarded."""
    module = sys.modules[main.__module__]

    @functools.wraps(main)
    def wrapped(argv: list[str] | None = None) -> int:
        typed = sys.argv[1:] if argv is None else argv
        if not any(word in HELP for word in typed):
            try:
                words.check_spaces(typed)
            except UserError as error:
                print(f"error: {error}", file=sys.stderr)
                return 2
            return main(argv)
        known = getattr(module, "OPTIONS", {})
        print(options.told(module.__doc__, known() if callable(known) else known))
        return 0

    return guarded(wrapped)


def guarded(main: Main) -> Main:
    """An entry point that never shows the stack trace of an interrupt (Ctrl-C, SIGTERM) or of an `OSError`, also where
    what it prints cannot be written: to a full disk, or to a reader that has read enough (`| head`)."""

    @functools.wraps(main)
    def wrapped(argv: list[str] | None = None) -> int:
        try:
            with _terminating():
                status = main(argv)
            sys.stdout.flush()
            return status
        except KeyboardInterrupt as stop:
            print("stopped; the same command goes on from here", file=sys.stderr)
            return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)
        except BrokenPipeError:
            _print_no_more()
            return 141  # as of a program that the signal ended
        except OSError as error:
            print(f"error: {refusal(error)}", file=sys.stderr)
            if _is_of_printing(error):
                _print_no_more()
            return 2

    return wrapped


@contextmanager
def _terminating() -> Iterator[None]:
    """SIGTERM raises `Terminated`, unless somebody else handles it; only a main thread can."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def end(*_: object) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def refusal(error: OSError) -> UserError:
    """What an error that nobody expected means, and where it was."""
    if error.filename is not None:
        place = Path(os.fsdecode(error.filename))
        return UserError(f"{place}: {why(error, place)}")
    what = "cannot write what is printed: " if _is_of_printing(error) else ""
    return UserError(f"{what}{why(error, Path())}")


def _is_of_printing(error: OSError) -> bool:
    """Whatever writes files says their names."""
    return error.filename is None and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EPIPE)


def _print_no_more() -> None:
    """Python tries once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
