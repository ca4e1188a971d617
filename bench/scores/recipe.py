"""What the columns of a profile are made with, and which of them a summary holds already. No torch."""

from typing import Any

from bench.config import profile as profiles
from bench.files import sources, weights
from bench.files.hashing import sha256_of
from bench.scores.stored import Fact, Summary

MIXED = "not the same for all columns"


class Recipe:
    """
    Args:
        profile: resolved, with the columns that are wanted.

    Attributes:
        hashes: SHA-256 of each of its weights.
        doubts: of these weights.
        facts: column -> `made_with`, a hash of all that decides its numbers, and of it `weights` and `prepared`.
    """

    def __init__(self, profile: dict[str, Any]):
        self.hashes, self.doubts = weights.fingerprints(profile), weights.doubts(profile)
        self.prepared = {key: profile.get(key) for key in profiles.PREPARATION}
        self.facts = {name: self._facts(node) for name, node in profiles.columns(profile).items()}

    def _facts(self, node: dict[str, Any]) -> dict[str, Any]:
        used = {weight: self.hashes[weight] for weight in sorted(profiles.backbones(node))}
        made_with = sha256_of([node, self.prepared, used, *sources.stamps(node)])
        return {"made_with": made_with, "weights": used, "prepared": self.prepared}

    @property
    def made_with(self) -> dict[str, str]:
        """Column -> hash."""
        return {name: fact["made_with"] for name, fact in self.facts.items()}

    def is_in(self, summary: Summary) -> bool:
        """Whether a summary has all these columns, made with the same."""
        known = {name: fact.made_with for name, fact in summary.metrics.items() if name in self.facts}
        doubts = [summary.doubts.get(name) in (self.doubts.get(name), MIXED) for name in self.hashes]
        return known == self.made_with and all(doubts)

    def others(self, summary: Summary) -> dict[str, Fact]:
        """Columns of a summary that are not wanted now; one is the same with random weights and without."""
        wanted = {name.removesuffix(profiles.RANDOM) for name in self.facts}
        return {n: fact for n, fact in summary.metrics.items() if n.removesuffix(profiles.RANDOM) not in wanted}

    def beside(self, others: dict[str, Fact], before: Summary) -> dict[str, Any]:
        """`weights` and `doubts` of these columns and others of an earlier summary."""
        used = [pair for fact in others.values() for pair in fact.weights.items()]
        kept = {name: why for name, why in before.doubts.items() if name in dict(used)}
        mixed = {name: MIXED for name, digest in used if self.hashes.get(name, digest) != digest}
        return {"weights": before.weights | self.hashes, "doubts": kept | self.doubts | mixed}

    def note(self, fact: Fact) -> str | None:
        """How the pictures of another column were prepared, where that was not as it is now."""
        other = {key: value for key, value in fact.prepared.items() if self.prepared.get(key) != value}
        words = ", ".join(f"metrics.{key}={'null' if value is None else value}" for key, value in other.items())
        return f"scored with {words}, unlike other columns" if words else None
