"""Metric profiles: which metrics, on which weights, under which names. No torch."""

from typing import Any

from bench.errors import UserError, nearest
from bench.files import weights

KEYS = ("name", "backbone", "plot", "table", "size", "resample", "jpeg", "weights")
"""Keys of a profile that are no metric."""
PREPARATION = ("size", "resample", "jpeg")
"""Those of them that say how pictures are prepared for every metric."""


def metrics(profile: dict[str, Any]) -> dict[str, Any]:
    """The profile's own name of each metric -> its configuration."""
    return {name: node for name, node in profile.items() if name not in KEYS}


def columns(profile: dict[str, Any]) -> dict[str, Any]:
    """Column name -> configuration of its metric, of a resolved profile, in the order of `metrics`. The name of a
    metric whose backbone has random weights ends in `_random`. Raises UserError for weights that it has not."""
    entries, found = profile.get("weights") or {}, {}
    for name, node in metrics(profile).items():
        used = backbones(node)
        if unknown := sorted(used - entries.keys()):
            raise UserError(f"metrics.{name} names weights={unknown[0]}; {nearest(unknown[0], list(entries))}")
        found[name + "_random" * any(weights.is_random(entries[weight]) for weight in used)] = node
    return found


def backbones(node: dict[str, Any]) -> set[str]:
    """Names of the weights that a metric's configuration uses, at any depth."""
    inner = [backbones(value) for value in node.values() if isinstance(value, dict)]
    return set().union({node["weights"]} if isinstance(node.get("weights"), str) else set(), *inner)
