"""Locks between processes, which end with the process that holds them, however it ends. No torch.

Not by filelock: where a file system has no locks it writes marks instead, or fails.
"""

import errno
import fcntl
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from bench.files.refused import writing

_open: set[int] = set()
"""Descriptors that hold a lock. A child shares its parent's, so that one that outlives it would keep the lock."""


def _let_go() -> None:
    for handle in _open:
        os.close(handle)
    _open.clear()


os.register_at_fork(after_in_child=_let_go)


class Busy(Exception):
    """Another process holds the lock: `by` it, as ` (process 4711 on node7)`, or empty where it did not say."""

    def __init__(self, by: str):
        super().__init__(by)
        self.by = by


@contextmanager
def lock(file: Path, wait: bool) -> Iterator[None]:
    """Holds a lock file, which stays. A file system without locks is told once, and nothing is held.

    Args:
        wait: for another process that holds it.

    Raises:
        Busy: another process holds it.
        NotWritten: there can be no such file.
    """
    with writing(file):
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    with holding(handle):
        if (taken := take(handle, wait)) is None:
            _tell(file.parent)
        elif not taken:
            holder = os.pread(handle, 300, 0).decode(errors="replace").strip()
            raise Busy(f" ({holder})" if holder else "")
        else:
            with suppress(OSError):  # a full disk; it is only for messages
                os.ftruncate(handle, 0)
                os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        yield


@contextmanager
def holding(handle: int) -> Iterator[None]:
    """Closes a descriptor at the end, and before that in every child of this process."""
    _open.add(handle)
    try:
        yield
    finally:
        if handle in _open:  # in a child it is closed, and the number may be another file's
            _open.remove(handle)
            os.close(handle)


def take(handle: int, wait: bool = False) -> bool | None:
    """Locks an open file; False: another process holds it, None: this file system has no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        return False if error.errno in (errno.EAGAIN, errno.EACCES) else None
    return True


@lru_cache(1)
def _tell(folder: Path) -> None:
    print(
        f"the file system of {folder} has no locks; going on without: two commands that work on one run make its "
        "edits twice",
        file=sys.stderr,
        flush=True,
    )
