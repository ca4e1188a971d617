"""Curves against each other at an equal second metric, where they meet. No torch."""

from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from bench.claims.judging import Row, region, resampled
from bench.claims.sample import Sample, Untestable
from bench.report import words
from bench.report.page.contenders import Contender
from bench.report.pairs import LEVEL
from bench.scores import protocol
from bench.scores.stored import Fact, Scored
from bench.statistics import curves
from bench.statistics.flips import holm


@dataclass(eq=False)
class Meeting:
    """Two curves over the range of x that both reach: first - second in y.

    Attributes:
        better: the one that is ahead beyond noise, None for neither.
    """

    first: Contender
    second: Contender
    over: tuple[float, float]
    row: Row
    p_holm: float = float("nan")
    better: Contender | None = None


@dataclass(eq=False)
class Crossings:
    """All curves of two metrics.

    Attributes:
        x, y: headings, `x` of what is held equal.
        curves: that were compared.
        meetings: pairs that share a range of x.
        why: why nothing was compared; empty where something was.
    """

    x: str
    y: str
    curves: list[Contender] = field(default_factory=list)
    meetings: list[Meeting] = field(default_factory=list)
    why: str = ""

    def record(self, one: Contender) -> tuple[int, int, int]:
        """Curves that one is ahead of beyond noise, behind, and that it meets."""
        own = [meeting for meeting in self.meetings if one in (meeting.first, meeting.second)]
        better = [meeting.better for meeting in own]
        return better.count(one), sum(other not in (one, None) for other in better), len(own)

    def score(self, one: Contender) -> dict[str, Any] | str:
        """The cell of one contender."""
        if one not in self.curves:
            return ""
        ahead, behind, met = self.record(one)
        if not met:
            return "meets no other curve"
        return {"text": f"ahead of {ahead}, behind {behind}, of {met}", "key": ahead - behind}


def crossings(contenders: list[Contender], x: str, y: str) -> Crossings:
    """Each two curves, over the samples that all curves share; of runs that differ in the seed alone, one."""
    runs = [point.runs[0] for one in contenders for point in one.points]
    facts = {name: next((fact for run in runs if (fact := run.summary.fact(name))), None) for name in (x, y)}
    made = Crossings(*(words.printed(fact) if fact else words.called(name) for name, fact in facts.items()))
    apart = {run for name in (x, y) for run in protocol.apart(runs, name)}
    sides = {
        one: [run for point in one.points if _has(run := point.runs[0], x, y) and run not in apart]
        for one in contenders
    }
    sides = {one: own for one, own in sides.items() if len(own) > 1}
    if len(sides) < 2:
        made.why = "fewer than two methods have two operating points with both values"
        return made
    try:
        sample = Sample(list(sides.values()), [x, y], least=2)
    except Untestable as reason:
        made.why = str(reason)
        return made
    made.curves = list(sides)
    drawn = [_curve(sample, own, x, y) for own in sample.sides]
    for (first, one), (second, other) in combinations(zip(sides, drawn, strict=True), 2):
        found = curves.gap(one, other)
        if not np.isnan(found.value):
            row = resampled(found.value, found.halves, sample, region(facts[y], "better", 0.0))
            made.meetings.append(Meeting(first, second, found.range, row))
    _judge(made, facts[y])
    return made


def _has(run: Scored, *metrics: str) -> bool:
    return all((fact := run.summary.fact(name)) and fact.value is not None for name in metrics)


def _curve(sample: Sample, runs: list[Scored], x: str, y: str) -> curves.Curve:
    points = [[sample.value(run, metric) for run in runs] for metric in (x, y)]
    values = [np.array([value for value, _ in axis]) for axis in points]
    return curves.Curve(*values, *(np.stack([half for _, half in axis], 1) for axis in points))


def _judge(made: Crossings, fact: Fact) -> None:
    for meeting, p in zip(made.meetings, holm([meeting.row.p for meeting in made.meetings]), strict=True):
        meeting.p_holm = p
        if p < LEVEL:
            first = (meeting.row.difference > 0) == bool(fact.higher_is_better)
            meeting.better = meeting.first if first else meeting.second


def against(met: Crossings) -> str:
    """Which curve is ahead of most others."""
    if met.why:
        return f"At equal {met.x}: nothing to compare, {met.why}."
    if not met.meetings:
        return f"At equal {met.x}: nothing to compare, no two curves reach a common range of it."
    records = {one: met.record(one) for one in met.curves}
    best = max(ahead - behind for ahead, behind, _ in records.values())
    leading = [one for one, (ahead, behind, _) in records.items() if ahead - behind == best and ahead]
    if not leading:
        pairs = "1 pair meets" if len(met.meetings) == 1 else f"{len(met.meetings)} pairs meet"
        return f"At equal {met.x}: no curve is ahead of another beyond noise in {met.y} ({pairs})."
    said = []
    for one in leading:
        ahead, behind, count = records[one]
        those = (
            "the one curve" if count == 1 else f"all {count} curves" if ahead == count else f"{ahead} of {count} curves"
        )
        said.append(f"{one.name} is ahead of {those} that it meets" + (f" and behind {behind}" if behind else ""))
    return f"At equal {met.x}, beyond noise in {met.y}: {'; '.join(said)}."


def curve_table(met: Crossings, notices: list[str]) -> list[dict[str, Any]]:
    """The table of all pairs that meet, if any do."""
    rows = []
    for meeting in met.meetings:
        row = meeting.row
        verdict = f"{meeting.better.name} is better, beyond noise" if meeting.better else "no difference beyond noise"
        cells = [
            meeting.first.name,
            meeting.second.name,
            " to ".join(map(words.number, meeting.over)),
            {"text": words.between(row.difference, row.lo, row.hi, sign="+"), "key": row.difference},
            ", ".join(filter(None, [str(row.n), words.few(row.groups)])),
            words.number(meeting.p_holm),
            verdict if np.isfinite(row.p) else row.why,
        ]
        rows.append({"cells": cells})
    lead = f"Mean difference of two curves over the range of {met.x} that both reach; 95 % intervals and p from "
    lead += "half-samples of the pictures that all curves share, p after Holm over all pairs."
    return [
        {
            "title": f"Curve against curve at equal {met.x}",
            "lead": [lead, *notices],
            "columns": ["first", "second", f"over {met.x}", f"first - second, {met.y}", "n", "p (Holm)", "verdict"],
            "rows": rows,
        }
    ] * bool(rows)
