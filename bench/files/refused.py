"""What an operating system refuses, in a sentence. No torch."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import UserError

_AGAIN = "the same command then goes on"
_ELSEWHERE = "choose another place (out=, to=)"
_SAID = {
    errno.ENOSPC: f"the disk is full; make room, {_AGAIN}",
    errno.EDQUOT: f"the disk is full for you (your quota is used up); make room, {_AGAIN}",
    errno.EROFS: f"the file system is read-only; {_ELSEWHERE}",
    errno.EACCES: f"permission denied; {_ELSEWHERE}, or have it made writable",
    errno.EPERM: f"it is not permitted; {_ELSEWHERE}, or have it made writable",
    errno.ENAMETOOLONG: f"the name is too long for this file system; {_ELSEWHERE}, or a shorter name",
    errno.EIO: f"the device failed (input/output error); see to the disk, {_AGAIN}",
    errno.EISDIR: "a folder of that name is there, expected a file; move it away",
    errno.ENOTEMPTY: "a folder of that name is there and holds something; move it away",
    errno.EMFILE: f"too many files are open; raise the limit (ulimit -n), {_AGAIN}",
    errno.ENFILE: f"too many files are open on this machine; close some programs, {_AGAIN}",
    errno.ESTALE: f"the network file system lost it (stale file handle); mount it again, {_AGAIN}",
    errno.EPIPE: "nobody reads it any more",
    errno.EFBIG: f"the file is larger than this file system takes; {_ELSEWHERE}",
    errno.ENOENT: f"its folder is gone; see who removes it, {_AGAIN}",
}


class NotWritten(UserError):
    """Something could not be written; `why` is the reason without what to do."""

    def __init__(self, place: Path, said: str):
        super().__init__(f"cannot write {place}: {said}")
        self.why = said.partition(";")[0]


def why(error: OSError, place: Path) -> str:
    """What an error at a place means and what to do, without the place itself."""
    if error.errno in (errno.ENOTDIR, errno.EEXIST) and (part := _in_the_way(place)):
        what = "a file" if part.exists() else "a link that leads nowhere"
        return f"{part} is {what}, expected a folder; {_ELSEWHERE}"
    return _SAID.get(error.errno, error.strerror or " ".join(str(error).split()) or type(error).__name__)


def _in_the_way(place: Path) -> Path | None:
    return next((part for part in (place, *place.parents) if os.path.lexists(part) and not part.is_dir()), None)


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """What fails in the block is `NotWritten`, if the operating system refused it."""
    try:
        yield
    except Exception as error:
        if (refused := _refused(error)) is None:
            raise
        raise NotWritten(place, why(refused, place)) from error


def _refused(error: Exception) -> OSError | None:
    """The operating system's error behind one; safetensors hands it on in its message only."""
    if isinstance(error, OSError):
        return error
    number = re.search(r"\(os error (\d+)\)", str(error))
    return OSError(int(number[1]), os.strerror(int(number[1]))) if number else None
