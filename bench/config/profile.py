"""Metric profiles: which metrics, on which weights, under which names. No torch."""

from pathlib import Path
from typing import Any

from bench.config import files
from bench.config.knobs import names
from bench.errors import UserError, nearest
from bench.files import weights
from bench.files.paths import ROOT

NEEDED = ("name", "backbone", "plot", "table", "size")
"""Keys that every profile has."""
KEYS = (*NEEDED, "resample", "jpeg", "weights", "columns", "batch_size", "adapters", "mean")
"""Keys of a profile that are no metric."""
PREPARATION = ("size", "resample", "jpeg")
"""Those of them that say how pictures are prepared for every metric."""
RANDOM = "_random"
"""End of the name of a column whose backbone has random weights."""


def stem(name: str) -> str:
    """What one types for a profile of this name and version: `pie` for `pie-v2`, and `recommended_v1` for
    `recommended-v1`, an earlier version that is kept. Of one that is not kept, the current one."""
    base, _, number = name.rpartition("-v")
    return f"{base}_v{number}" if _file(f"{base}_v{number}").is_file() else base or name


def standing(name: str) -> dict[str, Any] | None:
    """The metrics of the profile's file, by their names; None where there is none."""
    file = _file(stem(name))
    return metrics(files.read(file)) if file.is_file() else None


def _file(named: str) -> Path:
    return ROOT / "conf/metrics" / f"{named}.yaml"


def own(profile: str, columns: list[str]) -> list[str]:
    """Those of some columns that the profile's file does not have: a user's own."""
    known = standing(profile)
    return [] if known is None else [name for name in columns if name.removesuffix(RANDOM) not in known]


def metrics(profile: dict[str, Any]) -> dict[str, Any]:
    """The profile's own name of each metric -> its configuration."""
    return {name: node for name, node in profile.items() if name not in KEYS}


def chosen(profile: dict[str, Any]) -> dict[str, Any]:
    """A resolved profile with the columns that `metrics.columns` names (null: all) and the backbones that these use.

    Raises:
        UserError: a column that it has not, or none; weights or a key that every profile needs are gone.
    """
    if gone := [key for key in NEEDED if key not in profile]:
        raise UserError(f"metrics.{gone[0]} is no column and cannot be dropped; the columns are {_listed(profile)}")
    known, wanted = metrics(profile), profile.get("columns")
    wanted = list(known) if wanted is None else wanted if isinstance(wanted, list) else [wanted]
    names = [name if name in known else str(name).removesuffix(RANDOM) for name in wanted]  # as tables print it
    for name, typed in zip(names, wanted, strict=True):
        if name not in known:
            where = "".join(f"; metrics={other} has it" for other in _with(name)[:1])
            raise UserError(
                f"metrics.columns={typed}, but {profile['name']} has no such column{where}; {_listed(profile)}"
            )
    if not names:
        raise UserError(f"no column of {profile['name']} is left to score; leave metrics.columns= and ~metrics. out")
    used = set().union(*(backbones(known[name]) for name in names))
    entries = {name: entry for name, entry in (profile.get("weights") or {}).items() if name in used}
    kept = {key: value for key, value in profile.items() if key not in known or key in names}
    found = {key: value for key, value in kept.items() if key != "columns"} | {"weights": entries}
    columns(found)  # which says what weights are not known
    return found


def _with(column: str) -> list[str]:
    """Profiles that have a column."""
    return [name for name in names("metrics") if column in metrics(files.read(_file(name)))]


def _listed(profile: dict[str, Any]) -> str:
    return f"those there are: {', '.join(metrics(profile))}"


def without_weights(profile: dict[str, Any]) -> list[str]:
    """Columns that need no weights."""
    return [name for name, node in metrics(profile).items() if not backbones(node)]


def columns(profile: dict[str, Any]) -> dict[str, Any]:
    """Column name -> configuration of its metric, of a resolved profile, in the order of `metrics`. The name of a
    metric whose backbone has random weights ends in `_random`. Raises UserError for weights that it has not, and for a
    column that names no class."""
    entries, found = profile.get("weights") or {}, {}
    for name, node in metrics(profile).items():
        if not isinstance(node, dict) or not isinstance(node.get("_target_"), str):
            raise UserError(f"metrics.{name}={node}, expected a metric, metrics.{name}._target_=<module>.<class>")
        used = backbones(node)
        if unknown := sorted(used - entries.keys()):
            raise UserError(f"metrics.{name} names weights={unknown[0]}; {nearest(unknown[0], list(entries))}")
        found[name + RANDOM * any(weights.is_random(entries[weight]) for weight in used)] = node
    return found


def backbones(node: Any) -> set[str]:
    """Names of the weights that a metric's configuration uses, at any depth."""
    if not isinstance(node, dict):
        return set()
    own = {node["weights"]} if isinstance(node.get("weights"), str) else set()
    return own.union(*map(backbones, node.values()))
