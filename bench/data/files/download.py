"""Fetching the files that have an open, official address; only `bench.prepare download=true` comes here."""

import os
import shutil
import urllib.error
import urllib.request
import zipfile
import zlib
from http.client import HTTPException
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from bench.data.base import Source
from bench.errors import UserError, one_line
from bench.files.hashing import sha256
from bench.files.refused import writing
from bench.files.write import aside, make_folder

_BLOCK = 1 << 20
_TIMEOUT = 60  # seconds without a byte


def fetch(source: Source) -> None:
    """Downloads an open source to its place; what an interrupted download left is completed, not fetched again.

    Raises:
        UserError: offline, the server fails, the disk is too small, or what came is not the official file.
    """
    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        raise UserError(f"HF_HUB_OFFLINE is set, so {source.what} is not fetched; unset it and run again")
    if source.hub:
        return _from_hub(source)
    folder = source.place.parent
    make_folder(folder)
    if source.unpack is None:
        return _download(source, source.place)
    archive = folder / PurePosixPath(source.url).name
    if not archive.exists():
        _download(source, archive)
    _unpack(archive, source)
    with writing(archive):
        archive.unlink()


def _from_hub(source: Source) -> None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        snapshot_download(source.hub, repo_type="dataset", local_dir=source.place, allow_patterns=source.include)
    except (HfHubHTTPError, OSError, ValueError, RuntimeError) as error:
        raise UserError(f"{source.hub} cannot be fetched ({one_line(error)}); run again to go on") from None


def _download(source: Source, file: Path) -> None:
    part = file.with_name(f"{file.name}.part")
    have = part.stat().st_size if part.exists() else 0
    if source.size is not None:
        free = shutil.disk_usage(file.parent).free
        if free < (due := (source.size - have) + (source.size if source.unpack else 0)):
            raise UserError(f"{file.parent} has {free / 1e9:.1f} GB free and {source.what} takes {due / 1e9:.1f} GB")
    if source.size is None or have < source.size:
        try:
            _stream(source, part, have)
        except (urllib.error.URLError, HTTPException, OSError) as error:
            kept = part.stat().st_size if part.exists() else 0
            raise UserError(
                f"{source.url} failed ({one_line(error)}); the {kept:,} bytes that came are kept, run again to go on"
            ) from None
    _check(source, part)
    with writing(file):
        os.replace(part, file)


def _stream(source: Source, part: Path, have: int) -> None:
    request = urllib.request.Request(source.url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
        more = have and answer.status == 206  # else the server sends all of it again
        done = have if more else 0
        with writing(part):
            part.touch()
        with (
            open(part, "ab" if more else "wb") as stream,
            tqdm(total=source.size, initial=done, unit="B", unit_scale=True, desc=source.what, disable=None) as bar,
        ):
            while block := answer.read(_BLOCK):
                with writing(part):
                    stream.write(block)
                    stream.flush()
                bar.update(len(block))


def _check(source: Source, part: Path) -> None:
    size = part.stat().st_size
    if source.size is not None and size < source.size:
        raise UserError(f"{source.url} broke off at {size:,} of {source.size:,} bytes; run again to go on")
    if source.sha256 is not None and (digest := sha256(part)) != source.sha256:
        with writing(part):
            part.unlink()
        raise UserError(
            f"{source.url} gave a file whose SHA-256 is {digest[:12]}..., not the official "
            f"{source.sha256[:12]}...; it was deleted, run again"
        )


def _unpack(archive: Path, source: Source) -> None:
    """Takes the members under `source.unpack` out, all or none."""
    base = source.place
    for _ in PurePosixPath(source.unpack).parts:
        base = base.parent
    if base / source.unpack != source.place:
        raise UserError(f"{source.what} unpacks to .../{source.unpack}, not {source.place}; change {source.knob}")
    with aside(source.place) as unpacked:
        try:
            with zipfile.ZipFile(archive) as content:
                members = [name for name in content.namelist() if name.startswith(source.unpack)]
                for name in members:
                    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                        raise UserError(f"{archive} names {name!r}, which leaves the folder; nothing was unpacked")
                content.extractall(unpacked, tqdm(members, unit="file", desc=archive.name, disable=None))
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise UserError(f"{archive} cannot be unpacked ({one_line(error)}); delete it and run again") from None
        if not members:
            raise UserError(f"{archive} holds no {source.unpack}; delete it and run again")
        os.replace(unpacked / source.unpack, source.place)
