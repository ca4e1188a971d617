"""Weights of metric backbones: where they are sought, whether they are the right ones, how to get them. No torch."""

import os
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.files import architectures, hub, parts, tensors
from bench.files.hashing import sha256, sha256_of
from bench.files.paths import files_under, find

RANDOM = "random"
"""What `metrics.weights.<name>.path` is set to for seeded random weights."""


def is_random(entry: dict[str, Any]) -> bool:
    """Whether random weights were asked for."""
    return entry.get("path") == RANDOM


def missing(profile: dict[str, Any], key: str = "metrics.weights.{}.path") -> list[str]:
    """One sentence for each backbone of a metric profile that is not here, or not whole."""
    problems = []
    for name, entry in (profile.get("weights") or {}).items():
        try:
            _files(locate(name, entry, key), entry)
        except UserError as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(f"{error.filename} cannot be read ({error.strerror})")
    return problems


def located(profile: dict[str, Any]) -> dict[str, Path]:
    """File or folder of each backbone of a metric profile. Raises: UserError: one is not there."""
    return {name: locate(name, entry) for name, entry in (profile.get("weights") or {}).items()}


def networks(profile: dict[str, Any]) -> dict[str, str]:
    """The network of each backbone that is a file of open_clip. Raises: UserError: there is no such network."""
    entries = {name: entry for name, entry in (profile.get("weights") or {}).items() if entry.get("open_clip")}
    return {
        name: architectures.resolved(entry["open_clip"], f"metrics.weights.{name}.open_clip")
        for name, entry in entries.items()
    }


def fingerprints(profile: dict[str, Any]) -> dict[str, str]:
    """SHA-256 of each backbone of a metric profile; of a folder, that of the names and hashes of the files that are
    read; of a file of open_clip, also of its network."""

    def of(path: Path, entry: dict[str, Any]) -> str:
        if named := entry.get("open_clip"):
            found = find(named) if named.endswith(".json") else None
            return sha256_of([sha256(found) if found else named, sha256(path)])
        if path == Path(RANDOM) or path.is_file():
            return RANDOM if path == Path(RANDOM) else sha256(path)
        return sha256_of([[str(file.relative_to(path)), sha256(file)] for file in sorted(_files(path, entry))])

    return {name: of(path, profile["weights"][name]) for name, path in located(profile).items()}


def digest(place: str) -> str:
    """SHA-256 of a file, or of all the files of a folder or of a hub id's; `missing` where there is none."""
    path = Path(place) if Path(place).exists() else hub.snapshot(place, "config.json")
    if path is None:
        return "missing"
    if path.is_file():
        return sha256(path)
    found = sorted(file for file in files_under(path) if file.is_file())
    return sha256_of([[str(file.relative_to(path)), sha256(file)] for file in found])


def _files(path: Path, entry: dict[str, Any]) -> list[Path]:
    """What is read of a backbone, looked at: of a folder that is no CLIP model, every file.

    Raises:
        UserError: a file is missing or not whole.
    """
    if path == Path(RANDOM):
        return []
    if path.is_file():
        if entry.get("open_clip"):
            (tensors.header if path.suffix == ".safetensors" else tensors.check_torch)(path)
            return [path]
        if entry.get("hub"):
            raise UserError(
                f"{path} is a file; expected a folder such as that of {entry['hub']}, or name the network of the "
                "file as open_clip does (+metrics.weights.<name>.open_clip=ViT-H-14)"
            )
        if entry.get("file"):
            tensors.check_torch(path)
        else:
            tensors.check_start(path)
        return [path]
    if entry.get("hub"):
        return parts.clip_tower(path) if "_target_" in entry else parts.clip(path)
    files = [file for file in files_under(path) if file.is_file()]
    for file in files:
        if file.suffix == ".safetensors":
            tensors.header(file)
        elif file.suffix == ".json":
            tensors.configuration(file)
    return files


def locate(name: str, entry: dict[str, Any], key: str = "metrics.weights.{}.path") -> Path:
    """File or folder of one backbone.

    Args:
        name: its key under `metrics.weights`.
        entry: `path` (a local file or folder, or null), and one of `file` (its official name, sought in `folder` or
            else torch's hub folder; its `sha256`, or the hash that ends its name unless `hashed` is false, is
            verified) and `hub` (a Hugging Face id, sought in the hub cache); `source` says where it comes from;
            `open_clip`, its name of the network that the file at `path` is of; `random`, that metrics can do with
            seeded random weights instead, asked for as path `random`.
        key: the knob that names it, for messages.

    Raises:
        UserError: it is not there, or is not what its official hash says.
    """
    key = key.format(name)
    if entry.get("open_clip"):
        architectures.resolved(entry["open_clip"], f"{key.removesuffix('path')}open_clip")
    if is_random(entry):
        if not entry.get("random"):
            raise UserError(f"{key}=random: {name} cannot be random, it is more than a network; name a local one")
        return Path(RANDOM)
    if entry.get("path"):
        found = find(entry["path"])
        if found is None:
            official = entry.get("file") or entry.get("hub")
            expected = f"; expected {official}, or null to seek it where it is usually kept" if official else ""
            raise UserError(f"{key}={entry['path']} does not exist{expected}")
        if (named := entry.get("open_clip")) and not found.is_file():
            raise UserError(f"{key}={entry['path']} is a folder; expected a file of open_clip's {named}")
        if entry.get("file") and not found.is_file():
            raise UserError(f"{key}={entry['path']} is a folder; expected a file such as {entry['file']}")
        return found
    if entry.get("open_clip"):
        raise UserError(f"{key}=null, but open_clip's {entry['open_clip']} is read from a file; set {key}=<local file>")
    if entry.get("hub"):
        return _in_hub_cache(entry, key)
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    torchs = Path(os.environ.get("TORCH_HOME") or Path(cache, "torch"), "hub/checkpoints")
    folder = Path(entry.get("folder") or torchs).expanduser()
    file = folder / entry["file"]
    if not file.is_file():
        raise UserError(
            f"{name} is missing: {entry['file']} was sought in {folder}; get it with "
            f"`curl -L --create-dirs -o {file} {entry['source']}` or set {key}=<local file>"
        )
    if not sha256(file).startswith(official := _official_hash(entry)):
        raise UserError(
            f"{file} is not the official file: its SHA-256 does not start with {official}; download it again, or name "
            f"it outright with {key}="
        )
    return file


def _official_hash(entry: dict[str, Any]) -> str:
    """How the SHA-256 of the official file starts: stated, or the end of its name; empty where it is unknown."""
    if not entry.get("hashed", True) or "file" not in entry:
        return ""
    return entry.get("sha256") or Path(entry["file"]).stem.rsplit("-", 1)[-1]


def doubts(profile: dict[str, Any]) -> dict[str, str]:
    """Backbone -> why its numbers may not compare with others': it is random, is not the official file, or was named
    outright where no official hash is known."""
    found = {}
    for name, entry in (profile.get("weights") or {}).items():
        if is_random(entry):
            found[name] = "random"
        elif entry.get("path") and (official := _official_hash(entry)):
            if not sha256(locate(name, entry)).startswith(official):
                found[name] = "not the official file"
        elif entry.get("path") and ("hub" in entry or "file" in entry):
            found[name] = "named outright and not verified"
    return found


def _in_hub_cache(entry: dict[str, Any], key: str) -> Path:
    if (folder := hub.snapshot(entry["hub"], "config.json")) is None:
        raise UserError(
            f"{entry['hub']} is missing: sought in the hub cache {hub.place()}; get it with "
            f"`hf download {entry['hub']}` or set {key}=<local folder>"
        )
    return folder
