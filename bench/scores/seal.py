"""Are a run's stored scores still what the program wrote, and were they given by today's metrics? No torch, unless the
metrics' source has changed.

Hashes tell what was changed by hand or by accident; they are no defence against somebody who computes them anew.
"""

import json
from pathlib import Path
from typing import Any

from hydra.utils import get_class

from bench.config import files
from bench.config import profile as profiles
from bench.files.hashing import sha256, sha256_of
from bench.files.paths import ROOT
from bench.scores.stored import Summary, summary_file

RECORD = "made_with.json"
"""Beside stored columns: `columns`, metric -> hash of all that decides its numbers; `files`, name -> SHA-256 as
written; `pictures`, id -> SHA-256 of the edit and the mask that were scored."""


def seal(summary: dict[str, Any]) -> dict[str, Any]:
    """The summary with the hash of all its other entries as `seal`."""
    return summary | {"seal": _seal_of(summary)}


def _seal_of(summary: dict[str, Any]) -> str:
    return sha256_of({name: value for name, value in summary.items() if name != "seal"})


def altered(folder: Path, profile: str) -> list[str]:
    """One sentence for each thing in a run's folder that is not as scoring by a profile (such as `pie-v2`) left it:
    `broken`, and stored columns. What is not there is not altered."""
    place = folder / "scores" / profile
    columns = {place / name: digest for name, digest in record(place)["files"].items()}
    changed = [file for file, digest in columns.items() if file.exists() and sha256(file) != digest]
    said = "changed since it was written; the next scoring computes it again"
    return [*broken(folder, profile), *(f"{file}: {said}" for file in changed)]


def broken(folder: Path, profile: str) -> list[str]:
    """The part of `altered` that is about a summary and what it has hashes of; empty where there is no summary."""
    file = summary_file(folder, profile)
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


def stale(summary: Summary) -> dict[str, tuple[int, int]]:
    """Metric -> (version that scored it, version now) where they differ. Metrics that the profile does not have now (a
    user's own) are passed by, and so are those that were not scored.

    The metrics are imported only if their source is not what it was.
    """
    file = ROOT / "conf/metrics" / f"{summary.profile.rsplit('-v', 1)[0]}.yaml"
    if not file.is_file():
        return {}
    if summary.code == code():
        return {}
    nodes = profiles.metrics(files.read(file))
    versions = {
        name: (fact.version, get_class(node["_target_"]).version)
        for name, node in nodes.items()
        if (fact := summary.fact(name))
    }
    return {name: (then, now) for name, (then, now) in versions.items() if then != now}
