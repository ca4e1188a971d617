"""The one place where files and folders are written: whole or not at all, and told in a sentence where that fails.

Everything here raises `bench.files.refused.NotWritten`, a UserError. What a killed process was writing lies under a
name of its own; the next process that writes into that folder deletes it. No torch.
"""

import io
import json
import os
import shutil
import sys
import tempfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from PIL import Image

from bench.files.lock import holding, take
from bench.files.refused import NotWritten, writing

_START, _END = ".edit-bench-", ".tmp"
_swept: set[Path] = set()
_sweeping = threading.Lock()
_given_up: set[Path] = set()


def make_folder(path: Path) -> Path:
    """Creates a folder, with those above it, unless it is there; returns it."""
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def check_writable(folder: Path) -> None:
    """Raises NotWritten if nothing could be written into a folder, which is created."""
    with writing(make_folder(folder)), tempfile.TemporaryFile(dir=folder):
        pass


@contextmanager
def atomic(file: Path) -> Iterator[Path]:
    """A temporary path that replaces `file` when the block succeeds; folders that `file` lacks are created."""
    with _beside(file):
        handle, name = tempfile.mkstemp(_END, _START, file.parent)
        try:
            with holding(handle):
                take(handle)  # so that no other process takes it for a leftover
                yield Path(name)
                os.chmod(name, 0o644)
                os.replace(name, file)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise


@contextmanager
def aside(beside: Path) -> Iterator[Path]:
    """A temporary folder beside `beside`, to be renamed to it when all is in it; deleted at the end if it is not."""
    with _beside(beside):
        name = tempfile.mkdtemp(_END, _START, beside.parent)
        try:
            with holding(handle := os.open(name, os.O_RDONLY)):
                take(handle)
                yield Path(name)
        finally:
            shutil.rmtree(name, ignore_errors=True)


@contextmanager
def _beside(place: Path) -> Iterator[None]:
    """Something is written beside `place`, in a folder that is there and holds no leftovers."""
    make_folder(place.parent)
    with writing(place):
        _sweep(place.parent)
        yield


def _sweep(place: Path) -> None:
    """Deletes what killed processes were writing there: nobody holds it any more."""
    with _sweeping:  # other threads write there once it is done, so that nothing of theirs is taken for a leftover
        if place in _swept:
            return
        _swept.add(place)
        for left in place.glob(f"{_START}*{_END}"):
            try:
                with holding(handle := os.open(left, os.O_RDONLY if left.is_dir() else os.O_RDWR)):
                    if take(handle):
                        shutil.rmtree(left) if left.is_dir() else left.unlink()
            except OSError:
                continue  # another process was faster, or owns it


def write(file: Path, content: str | bytes) -> None:
    """Writes a file atomically; text as UTF-8."""
    with atomic(file) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def write_png(file: Path, picture: Image.Image) -> bytes:
    """Writes a picture as PNG, atomically; returns the content of the file.

    Compressed by runs alone: photographs of 512 px take 12 to 17 ms, by Pillow's default 46 to 72 ms for 95 to 101 % of
    the size (five of them; `scripts.bench_pipeline` measures it).
    """
    stream = io.BytesIO()
    picture.save(stream, format="PNG", compress_type=zlib.Z_RLE)
    write(file, stream.getvalue())
    return stream.getvalue()


def keep(file: Path, content: bytes) -> None:
    """Writes what can be made again (a cache). That it cannot be written is told once a folder, and costs nothing
    else."""
    if file.parent in _given_up:
        return
    try:
        write(file, content)
    except NotWritten as error:
        _given_up.add(file.parent)
        print(f"{error}; it is a cache, and the work goes on without", file=sys.stderr, flush=True)


def append(file: Path, entries: list[dict[str, Any]]) -> None:
    """Adds lines of JSON to a file that no other process adds to: all of them, or none."""
    lines = "".join(json.dumps(entry) + "\n" for entry in entries).encode()
    with writing(file), open(file, "a+b", buffering=0) as stream:
        lines = _mended(stream) + lines
        size = stream.seek(0, os.SEEK_END)
        try:
            while lines:
                lines = lines[stream.write(lines) :]
        except BaseException:
            stream.truncate(size)
            raise


def _mended(stream: IO[bytes]) -> bytes:
    """Takes off a last line that a killed process left torn; returns the end of line that a whole one lacks."""
    if not (size := stream.seek(0, os.SEEK_END)):
        return b""
    stream.seek(size - 1)
    if stream.read(1) == b"\n":
        return b""
    stream.seek(0)
    before, end, last = stream.read().rpartition(b"\n")
    try:
        json.loads(last)
    except ValueError:
        stream.truncate(len(before + end))
        return b""
    return b"\n"
