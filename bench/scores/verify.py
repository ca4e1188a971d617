"""Is a stored run still what the program made, and were its scores given by today's metrics? No torch, unless the
metrics' source has changed.

Hashes tell what was changed by hand or by accident; they are no defence against somebody who computes them anew.
"""

import json
import re
from pathlib import Path
from typing import Any

from hydra.utils import get_class
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from bench.edits.folder import Store
from bench.edits.identity import kind
from bench.files.hashing import rounded, sha256, sha256_of
from bench.files.paths import ROOT

RECORD = "made_with.json"
"""Beside stored columns: `columns`, metric -> hash of all that decides its numbers; `files`, name -> SHA-256 as
written; `pictures`, id -> SHA-256 of the edit and the mask that were scored."""
PROFILE_KEYS = ("name", "backbone", "plot", "table", "size", "resample", "jpeg", "weights")
"""Keys of a metric profile that are no metric."""


def altered(folder: Path, profile: str | None) -> list[str]:
    """One sentence for each thing in a run's folder that is not as the program left it: pictures against the journal,
    identity against the folder's name, configuration, per-image scores, summary and stored columns of a profile
    (such as `pie-v1`; None: of no profile, since they are to be scored again) against the hashes taken when they were
    written. What is not there is not altered, and pictures that `unchecked` counts are passed by.

    Not told: a journal whose costs were changed, and an identity in a folder that was renamed.
    """
    if not any(file for name in ("identity.json", "edits-*", "summary.*") for file in folder.glob(name)):
        return []  # not begun; another shard may be about to
    scored = [*scores(folder, profile), *_columns(folder / "scores" / profile)] if profile else []
    return [*_pictures(Store(folder)), *_identity(folder), *scored]


def unchecked(folder: Path) -> tuple[int, int]:
    """Number of edits whose journal entry has no hash (an older version of this program made them), and of all."""
    made = [entry for entry in Store(folder).journal().values() if "error" not in entry]
    return sum("edit_sha256" not in entry for entry in made), len(made)


def _pictures(store: Store) -> list[str]:
    changed = store.changed(store.journal())
    if not changed:
        return []
    more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    count, total = unchecked(store.folder)
    passed_by = f"; {count} of {total} edits have no hash and were not checked" if count else ""
    return [
        f"{changed[0]}{more}: not the pictures that the method made (their SHA-256 is not the journal's); delete the "
        f"edits and run the same command, which makes them anew{passed_by}"
    ]


def _identity(folder: Path) -> list[str]:
    """The identity against the folder's name, and the configuration against the identity."""
    file = folder / "identity.json"
    try:
        identity = json.loads(file.read_text())
        found = [] if _named_by(folder, identity) else [f"{file}: not that of the run's key, which names the folder"]
        config = OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))
        if differ := _contradictions(config, identity):
            found.append(f"{folder / 'config.yaml'}: {', '.join(differ)} differ from identity.json")
    except (OSError, ValueError, KeyError, TypeError, YAMLError, OmegaConfBaseException) as error:
        return [f"{folder}: identity.json or config.yaml is missing or cannot be read ({type(error).__name__})"]
    again = "; move the folder away and run again"
    return [sentence + again for sentence in found]


def _named_by(folder: Path, identity: dict[str, Any]) -> bool:
    key = re.search(r"-([0-9a-f]{10})$", folder.resolve().name)
    return not key or sha256_of(identity).startswith(key[1])


def _contradictions(config: dict[str, Any], identity: dict[str, Any]) -> list[str]:
    """Knobs whose configured value is not the one that decided the pixels."""
    pairs = {
        f"method.{name}": (config["method"].get(name), value)
        for name, value in identity["method"].items()
        if not isinstance(value, dict) and name != "root"  # networks and pictures are identified by content
    }
    pairs["data"] = kind("data", config["data"]), identity["data"]["name"]
    if identity["seed"] is not None:
        pairs["seed"] = config["seed"], identity["seed"]
    if identity["model"]:
        pairs["model.dtype"] = config["model"]["dtype"], identity["model"]["dtype"]
    return [name for name, (configured, known) in pairs.items() if rounded(configured) != rounded(known)]


def seal(summary: dict[str, Any]) -> dict[str, Any]:
    """The summary with the hash of all its other entries as `seal`."""
    return summary | {"seal": _seal_of(summary)}


def _seal_of(summary: dict[str, Any]) -> str:
    return sha256_of({name: value for name, value in summary.items() if name != "seal"})


def scores(folder: Path, profile: str) -> list[str]:
    """The part of `altered` that is about a summary and what it has hashes of; empty where there is no summary."""
    file = folder / f"summary.{profile}.json"
    if not file.exists():
        return []
    again = f"score again with `python -m bench.score run={folder}`"
    try:
        summary = json.loads(file.read_text())
        if "seal" not in summary:
            return [f"{file}: has no seal (an older version of this program wrote it, or it was taken off); {again}"]
        found = [] if summary["seal"] == _seal_of(summary) else [f"{file}: changed since it was written; {again}"]
    except (ValueError, TypeError):
        return [f"{file}: cannot be read any more; {again}"]
    for key, name in (("per_image", f"per_image.{profile}.csv"), ("config", "config.yaml")):
        if not (folder / name).exists():
            found.append(f"{folder / name}: is missing; {again}")
        elif sha256(folder / name) != summary.get(key):
            found.append(f"{folder / name}: changed since the run was scored; {again}")
    return found


def _columns(folder: Path) -> list[str]:
    """Stored columns of a profile that are not as they were written; the next scoring computes them again."""
    known = record(folder)["files"]
    changed = [name for name, digest in known.items() if (folder / name).exists() and sha256(folder / name) != digest]
    return [f"{folder / name}: changed since it was written; the next scoring computes it again" for name in changed]


def record(folder: Path) -> dict[str, dict[str, Any]]:
    """What is known of the stored columns in a folder (`RECORD`); empty where nothing is, so that none is trusted."""
    empty: dict[str, dict[str, Any]] = {"columns": {}, "files": {}, "pictures": {}}
    try:
        known = json.loads((folder / RECORD).read_text())
    except (OSError, ValueError):
        return empty
    return known if isinstance(known, dict) and known.keys() == empty.keys() else empty


def code() -> str:
    """Hash of the metrics' source, so that a new version of a metric is noticed without importing it."""
    return sha256_of([sha256(file) for file in sorted((ROOT / "metrics").glob("*.py"))])


def stale(summary: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Metric -> (version that scored it, version now) where they differ; version 0 stands for a metric that the profile
    has now and the summary has not. Metrics that the profile does not have now (a user's own) are passed by.

    The metrics are imported only if their source is not what it was, or one is missing.
    """
    file = ROOT / "conf/metrics" / f"{summary['profile'].rsplit('-v', 1)[0]}.yaml"
    if not file.is_file():
        return {}
    nodes = {name: node for name, node in OmegaConf.load(file).items() if name not in PROFILE_KEYS}
    facts = summary["metrics"]
    scored = {name: facts.get(name) or facts.get(f"{name}_random") for name in nodes}
    if summary.get("code") == code() and all(scored.values()):
        return {}
    versions = {
        name: (fact["version"] if (fact := scored[name]) else 0, get_class(node["_target_"]).version)
        for name, node in nodes.items()
    }
    return {name: (then, now) for name, (then, now) in versions.items() if then != now}
