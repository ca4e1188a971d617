"""What decides the pixels of a run, composed; its hash is the run's key. No torch."""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from bench.config import cli, files, validate
from bench.data.results import Results
from bench.files import sources
from bench.files.hashing import rounded, sha256_of
from bench.types import EditData

IDENTITY_VERSION = 2
"""Raised when code changes what pixels any configuration means, or how identities are composed."""


def compose(
    cfg: dict[str, Any],
    data: EditData,
    model: dict[str, Any] | None,
    networks: dict[str, str],
    results: Results | None,
) -> dict[str, Any]:
    """Everything that decides pixels, and no path.

    Args:
        cfg: resolved, of one operating point.
        model: what tells the checkpoint from others; None for a method that uses no model.
        networks: SHA-256 of the weights of each knob of the method that is a network of its own.
        results: pictures made elsewhere, for a method that uses them.

    Raises:
        UserError: a class of the project without a version, or one from elsewhere that is not there.
    """
    method = cfg["method"]
    content = {name: {"weights": digest} for name, digest in networks.items()}
    content |= {"root": results.identity()} if results else {}
    identity = {
        "identity_version": IDENTITY_VERSION,
        "data": of_data(cfg["data"], data),
        "model": model and {**model, "dtype": cfg["model"]["dtype"], **_edited_at(cfg), **_foreign(cfg["model"])},
        "pictures": data.pool() if "pictures" in method["uses"] else None,
        "method": _knobs(method) | content,
        "code": {role: _stamp(role, target, method) for role, target in _classes(method)},
        "seed": cfg["seed"] if "noise" in method["uses"] else None,
    }
    return json.loads(json.dumps(rounded(identity), sort_keys=True))  # as it is read again from the run's folder


_SIZE = "edited at"


def model_size(folder: Path) -> int | None:
    """Pixels a side that a stored run was edited at, where those are not its data's. Its configuration does not tell:
    earlier ones have the size there that the model was made for."""
    return edited_at(json.loads((folder / "identity.json").read_text()))


def edited_at(identity: dict[str, Any]) -> int | None:
    """The same of a run's identity."""
    return (identity.get("model") or {}).get(_SIZE)


def _edited_at(cfg: dict[str, Any]) -> dict[str, int]:
    """Runs whose two sizes are one have the key that they had before there was a choice."""
    return {_SIZE: cfg["model"]["size"]} if cfg["model"]["size"] else {}


def of_data(node: dict[str, Any], data: EditData) -> dict[str, Any]:
    """The part of an identity that is the data's; `node` is its resolved configuration."""
    return rounded({"name": kind("data", node), **_foreign(node), **data.identity()})


def kind(group: str, node: dict[str, Any]) -> str:
    """What identities call the class of a configuration, whatever its user does: as the file of `conf/<group>/` that
    names it, or, if it lies outside the project, by its own name."""
    target, name = node["_target_"], node["name"]
    if sources.is_foreign(target):
        return sources.class_name(target)
    names = _files(group).get(target, [name])
    return name if name in names else names[0]


def foreign(cfg: dict[str, Any]) -> list[str]:
    """Dotted names of the classes outside the project that decide a run's pixels."""
    found = [target for _, target in _classes(cfg["method"]) if sources.is_foreign(target)]
    return [*found, *sources.foreign(cfg["model"]), *sources.foreign(cfg["data"])]


def told(identity: dict[str, Any]) -> dict[str, Any]:
    """What tells a run from others of its method on its data beside knobs and seed, the method's files too; hashes by
    their first digits."""
    roles = ["method", *(role for role in ("control", "tower") if identity["method"].get(role))]
    code = identity.get("code", {role: {"version": 1} for role in roles})  # earlier identities lack it
    parts = {"data": identity["data"], "model": identity["model"] or {}}
    found = {f"{part}.{name}": _short(value) for part, facts in parts.items() for name, value in facts.items()}
    if f"model.{_SIZE}" in found:
        found["model.size"] = found.pop(f"model.{_SIZE}")
    named = {name: value for name, value in identity["method"].items() if isinstance(value, dict)}
    found |= {name: _short(value) for name, value in named.items() if name == "root" or "weights" in value}
    for role, facts in code.items():
        name = "version" if "version" in facts else "code"
        found[name if role == "method" else f"{role}.{name}"] = _short(facts.get("version") or facts["sha256"])
    return {"identity": identity["identity_version"], **found}


def _short(value: Any) -> Any:
    if isinstance(value, dict | list):
        value = sha256_of(value)
    return value[:6] if isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) else value


def earlier(out: Path) -> list[Path]:
    """Folders of runs whose key an earlier version of this program made: today's commands do not find them."""
    found = []
    for file in sorted(out.glob("*/*/*/identity.json")):
        version = re.search(r'^ "identity_version": (\d+)', file.read_text(), re.MULTILINE)
        if version and int(version[1]) < IDENTITY_VERSION:
            found.append(file.parent)
    return found


@lru_cache
def _files(group: str) -> dict[str, list[str]]:
    """Class -> files of `conf/<group>/` that name it."""
    found: dict[str, list[str]] = {}
    for name in cli.names(group):
        node = files.read(cli.CONF / group / f"{name}.yaml")
        found.setdefault(node.get("_target_"), []).append(name)
    return found


def _foreign(node: dict[str, Any]) -> dict[str, Any]:
    """The project's data and models are told apart by content alone."""
    return {"_target_": stamps} if (stamps := sources.stamps(node)) else {}


def _classes(method: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Role and dotted name of each class of a method: its own (`method`), and those that its knobs name."""
    yield from _targets(method)
    for knob, spelling in method.get("classes", {}).items():
        if name := method[knob]:
            yield knob, name if "." in name else spelling.format(name)


def _targets(node: Any, *path: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield ".".join(path) or "method", node["_target_"]
        for name, value in node.items():
            yield from _targets(value, *path, name)


def _stamp(role: str, target: str, method: dict[str, Any]) -> dict[str, Any]:
    if sources.is_foreign(target):
        return sources.stamp(target)
    name = kind("method", method) if role == "method" else sources.class_name(target)
    return {"name": name, "version": sources.class_version(target)}


def _knobs(method: dict[str, Any]) -> dict[str, Any]:
    """The method's knobs without the names of classes: where those lie may change."""
    named = {knob for knob, value in method.items() if knob in method.get("classes", {}) and "." in str(value)}
    return _plain({name: value for name, value in validate.knobs(method).items() if name not in named})


def _plain(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    return {name: _plain(value) for name, value in node.items() if name != "_target_"}
