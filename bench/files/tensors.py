"""Weights in safetensors and torch files, and configurations in JSON, looked at without loading them. No torch.

What is no such file (a pointer, a web page, half a download) is told in a sentence that names it.
"""

import json
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

from bench.errors import UserError

_LARGEST_HEADER = 100_000_000  # the format's own limit


def header(file: Path, again: str = "download it again") -> tuple[dict[str, dict[str, Any]], int]:
    """Name -> `dtype`, `shape`, `data_offsets` of each tensor, and where the data starts in the file.

    Args:
        again: what to do about one that is not whole.

    Raises:
        UserError: it is no safetensors file, or not all of one.
    """
    size = file.stat().st_size
    with open(file, "rb") as stream:
        start = stream.read(64)
        check_text(file, start, again)
        length = int.from_bytes(start[:8], "little")
        if size < 8 or length > min(size - 8, _LARGEST_HEADER):
            raise UserError(_torn(file, f"{size:,} bytes, which is not even its table of contents", again))
        stream.seek(8)
        try:
            tensors: dict[str, dict[str, Any]] = json.loads(stream.read(length))
            tensors.pop("__metadata__", None)
            end = max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UserError(f"{file} is no safetensors file (its table of contents cannot be read); {again}") from None
    if size != 8 + length + end:
        raise UserError(_torn(file, f"{size:,} of {8 + length + end:,} bytes", again))
    return tensors, 8 + length


def configuration(file: Path, keys: tuple[str, ...] = (), again: str = "download it again") -> dict[str, Any]:
    """A JSON file that holds an object.

    Args:
        keys: that it must have.
        again: what to do about one that is missing or not whole.

    Raises:
        UserError: it is missing, cannot be read, or lacks one of the keys.
    """
    if not file.is_file():
        raise UserError(f"{file} is missing; {again}")
    data = file.read_bytes()
    check_text(file, data[:64], again)
    try:
        found = json.loads(data)
    except ValueError:
        raise UserError(f"{file} is no JSON, or only a part of it; {again}") from None
    if not isinstance(found, dict):
        raise UserError(f"{file} holds a {type(found).__name__}; expected names and values")
    if lacking := [key for key in keys if key not in found]:
        raise UserError(f"{file} has no {', '.join(lacking)}; expected the configuration that the model came with")
    return found


def check_torch(file: Path) -> None:
    """Raises UserError if a file is not one that torch has saved, or not all of one."""
    start = check_start(file)
    if start.startswith(b"PK"):
        if not is_zipfile(file):  # its table of contents is at its end
            raise UserError(_torn(file, f"{file.stat().st_size:,} bytes, without its table of contents"))
    elif not start.startswith(b"\x80"):  # a pickle, as torch wrote until 1.6
        raise UserError(f"{file} is no file of torch weights; download it again")


def check_start(file: Path) -> bytes:
    """A file's first bytes, which have passed `check_text`."""
    with open(file, "rb") as stream:
        start = stream.read(64)
    check_text(file, start)
    return start


def check_text(file: Path, start: bytes, again: str = "download it again") -> None:
    """Raises UserError if a file, by its first bytes, is empty, a pointer or a web page in place of what its name
    says."""
    if not start:
        raise UserError(_torn(file, "it is empty", again))
    if start.startswith(b"version https://git-lfs"):
        raise UserError(f"{file} is a Git LFS pointer, not the file itself; run `git lfs pull`, or {again}")
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise UserError(f"{file} is a web page, saved in place of the file (a login may have been asked for); {again}")


def _torn(file: Path, has: str, again: str = "download it again") -> str:
    return f"{file} is not whole ({has}); {again}"
