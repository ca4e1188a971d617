"""SHA-256 of files, remembered by size and time of change."""

import hashlib
import json
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

from bench.files.write import keep

_BLOB = re.compile("[0-9a-f]{64}")
_MOST = 500_000
"""Entries that the cache holds, the latest; some 200 bytes each."""
_added: dict[str, list] = {}


def sha256(file: Path) -> str:
    """Hex digest of a file's bytes; a file that kept its size and time of change is not read again, and a large one of
    the hub's cache, which is named by its digest, not at all."""
    place = file.resolve()
    if _BLOB.fullmatch(place.name) and place.parent.name == "blobs":
        return place.name
    stat = file.stat()
    stamp, known = [stat.st_size, stat.st_mtime_ns], _remembered()
    entry = known.get(str(place))
    if entry and entry[:2] == stamp:
        return entry[2]
    digest = _digest(file)
    known[str(place)] = _added[str(place)] = [*stamp, digest]
    return digest


def sha256_if_readable(file: Path) -> str | None:
    """The same; None for a file that cannot be read, which is the failure of its sample and not of the data set."""
    try:
        return sha256(file)
    except (OSError, RuntimeError):  # a loop of links
        return None


def sha256_of_files(files: dict[str, Path]) -> str:
    """Hex digest of the content of named files, wherever they lie; remembered for all of them together, so that ten
    thousands of pictures cost one look at their sizes and times of change. What cannot be read has no content."""
    places = {name: os.path.abspath(file) for name, file in files.items()}
    unique = list(dict.fromkeys(places.values()))
    stamp, known = sha256_of([places, [_stamp(file) for file in unique]]), _remembered()
    if entry := known.get(stamp):
        return entry[0]
    if len(unique) > 5000:
        print(f"hashing {len(unique)} files, once ...", file=sys.stderr, flush=True)
    with ThreadPoolExecutor(4) as pool:
        digests = dict(zip(unique, pool.map(_digest_if_readable, unique), strict=True))
    digest = sha256_of({name: digests[place] for name, place in places.items()})
    if None not in digests.values():
        known[stamp] = _added[stamp] = [digest]
    return digest


def _stamp(file: str) -> list:
    try:
        stat = os.stat(file)
    except OSError:
        return [file, None, None]
    return [file, stat.st_size, stat.st_mtime_ns]


def _digest_if_readable(file: str) -> str | None:
    try:
        return _digest(Path(file))
    except OSError:
        return None


def sha256_of(value: object) -> str:
    """Hex digest of the canonical JSON of a value; floats are rounded to 8 digits, since Hydra's range(0.3,0.9,0.2)
    yields 0.7000000000000001."""
    return hashlib.sha256(json.dumps(rounded(value), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def rounded(value: object) -> object:
    """`value` with every float rounded to 8 digits, whole ones as int: `guidance=5` and `guidance=5.0` are one run."""
    if isinstance(value, float):
        value = round(value, 8)
        return int(value) if value.is_integer() else value
    if isinstance(value, dict):
        return {str(k): rounded(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(v) for v in value]
    return value


def remember() -> None:
    """Adds what was hashed to the user's cache, beside what other processes added meanwhile; a cache that cannot be
    written is no reason to fail."""
    if _added:
        entries = {key: entry for key, entry in _stored().items() if key not in _added} | _added
        keep(_cache_file(), json.dumps(dict(list(entries.items())[-_MOST:])).encode())
        _added.clear()


def _digest(file: Path) -> str:
    with open(file, "rb") as stream:
        if hasattr(hashlib, "file_digest"):
            return hashlib.file_digest(stream, "sha256").hexdigest()
        digest = hashlib.sha256()  # Python 3.10
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def cache_folder() -> Path:
    """Where this user's machine keeps what is worth remembering; need not exist."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edit-bench"


def _cache_file() -> Path:
    return cache_folder() / "sha256.json"


@lru_cache(1)
def _remembered() -> dict[str, list]:
    return _stored()


def _stored() -> dict[str, list]:
    try:
        return json.loads(_cache_file().read_text())
    except (OSError, ValueError):
        return {}
