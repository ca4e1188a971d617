"""What of a claim's runs a result is of: the quantity that the paper states, and beside it what a world knows of its
own edits, or what we count; all edits, and those that change the whole frame apart from local ones. No torch."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from bench.claims.claim import Claim, Claims
from bench.scores.stored import Scored

STATED, TRUTH, COUNTED = "the paper's quantity", "the world's truth", "our own count"
ALL = "all edits"


@dataclass(frozen=True)
class View:
    """One way to look at the runs of a data set and profile.

    Attributes:
        by: whose quantity the metrics are.
        metrics: role -> metric; `cost` -> what counts evaluations.
        runs: with the scores of those edits alone that it is of.
        edits: which these are.
        about: roles of which a comparison must have one; empty: any.
    """

    by: str
    metrics: dict[str, str]
    runs: list[Scored]
    edits: str = ALL
    about: frozenset[str] = field(default_factory=frozenset)

    @property
    def main(self) -> bool:
        """Whether the claim itself is tested on it, and does not stand beside."""
        return self.by == STATED and self.whole

    @property
    def whole(self) -> bool:
        """Whether it is of all edits."""
        return self.edits == ALL

    def shows(self, *roles: str) -> bool:
        """Whether a comparison of these roles belongs to it."""
        return self.metrics.keys() >= set(roles) and (not self.about or bool(self.about & set(roles)))


def views(claim: Claim, claims: Claims, profile: str, runs: list[Scored]) -> Iterator[View]:
    """The claim's own view first."""
    stated = {role: found[profile] for role, found in claims.roles.items() if profile in found}
    truth = {role: found[profile] for role, found in claims.truth.items() if profile in found}
    whole = [View(STATED, stated | {"cost": "published_nfe"}, runs)]
    if about := frozenset(truth.keys() & claim.roles):
        whole.append(View(TRUTH, stated | truth, runs, about=about))
    if "cost" in claim.tests:
        whole.append(View(COUNTED, {"cost": "nfe"}, runs))
    parts = _apart(claims, runs) if claim.roles else {}
    for view in whole:
        yield view
        needed = {view.metrics[role] for roles in claim.comparisons if view.shows(*roles) for role in roles}
        for kind, own in parts.items():
            if not any(_of_sets(metric, own) for metric in needed):
                yield replace(view, runs=own, edits=kind)


def _apart(claims: Claims, runs: list[Scored]) -> dict[str, list[Scored]]:
    """Kind of edit -> the runs with the scores of these alone, where the runs have several kinds."""
    found = {kind: [part for run in runs if (part := _part(run, types))] for kind, types in claims.apart.items()}
    present = {kind: own for kind, own in found.items() if own}
    return present if len(present) > 1 else {}


def _part(run: Scored, types: list[str]) -> Scored | None:
    table = run.table[run.table.type.isin(types)]
    if table.empty:
        return None
    part = Scored(run.folder, run.summary)
    part.table = table
    return part


def _of_sets(metric: str, runs: list[Scored]) -> bool:
    """Whether a metric is of whole sets: of some of their pictures it has no value."""
    return any((fact := run.summary.fact(metric)) is not None and fact.kind == "set" for run in runs)
