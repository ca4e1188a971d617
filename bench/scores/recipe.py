"""What the columns of a profile are made with, and which of them a summary holds already. No torch."""

import re
from pathlib import Path
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
        facts: column -> `made_with`, a hash of all that decides its numbers, and of it `weights`, `prepared` and
            `files`, places that its class reads by itself.
    """

    def __init__(self, profile: dict[str, Any]):
        self.hashes, self.doubts = weights.fingerprints(profile), weights.doubts(profile)
        self.prepared = {key: profile.get(key) for key in profiles.PREPARATION}
        self.nodes = profiles.columns(profile)
        self.facts = {name: self._facts(node) for name, node in self.nodes.items()}

    def _facts(self, node: dict[str, Any]) -> dict[str, Any]:
        used = {weight: self.hashes[weight] for weight in sorted(profiles.backbones(node))}
        made_with = sha256_of([node, self.prepared, used, *sources.stamps(node)])
        return {"made_with": made_with, "weights": used, "prepared": self.prepared, "files": []}

    def reads(self, name: str, files: list[str]) -> None:
        """The class of a column reads files of its own choice: they are of its stamp."""
        self.facts[name] = self._with_files(name, files)
        for file in files:
            place, digest = Path(file).name, self.facts[name]["weights"][Path(file).name]
            self.hashes[place] = digest
            if (official := re.search(r"-([0-9a-f]{8,})\.\w+$", place)) and not digest.startswith(official[1]):
                self.doubts[place] = "not the official file"

    def _with_files(self, name: str, files: list[str]) -> dict[str, Any]:
        base = self._facts(self.nodes[name])
        if not files:
            return base
        digests = {Path(file).name: weights.digest(file) for file in files}
        made_with = sha256_of([base["made_with"], sorted(digests.values())])
        return base | {"made_with": made_with, "weights": base["weights"] | digests, "files": files}

    @property
    def made_with(self) -> dict[str, str]:
        """Column -> hash."""
        return {name: fact["made_with"] for name, fact in self.facts.items()}

    def is_in(self, summary: Summary) -> bool:
        """Whether a summary has all these columns, made with the same."""
        facts = {name: fact for name, fact in summary.metrics.items() if name in self.facts}
        now = {name: self._with_files(name, facts[name].files if name in facts else []) for name in self.facts}
        doubts = [summary.doubts.get(name) in (self.doubts.get(name), MIXED) for name in self.hashes]
        same = [name in facts and facts[name].made_with == now[name]["made_with"] for name in now]
        return all(same) and all(doubts)

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
