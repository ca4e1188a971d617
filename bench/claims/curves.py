"""The tests over several operating points of a side: trade-offs, best points, stagnation. No torch."""

from math import inf, isnan
from typing import Any

import numpy as np

from bench.claims.evidence import Group
from bench.claims.judging import Row, paired, region, resampled
from bench.claims.sample import Sample, Untestable, fact_of
from bench.report import words
from bench.statistics import curves
from bench.statistics.intervals import half_samples

STAGNANT = 0.1
"""Share of another curve's whole gain below which a last step is none."""


def trade_off(chosen: tuple[Group, ...], x: str, y: str, shows: str = "better", margin: float = 0.0) -> Row:
    """The mean gap of two curves in `y` over the range of `x` that both reach."""
    first, second = chosen
    fact = fact_of(first.runs + second.runs, y)
    if min(len(first.runs), len(second.runs)) < 2:
        raise Untestable("a curve needs two points, and a side has one")
    sample = Sample([first.runs, second.runs], [x, y], least=2)
    made = []
    for runs in sample.sides:
        points = [[sample.value(run, metric) for run in runs] for metric in (x, y)]
        values = [np.array([value for value, _ in axis]) for axis in points]
        halves = [np.stack([half for _, half in axis], 1) for axis in points]
        made.append(curves.Curve(*values, *halves))
    gap = curves.gap(*made)
    if isnan(gap.value):
        ends = " and ".join(f"{curve.x.min():.3g} to {curve.x.max():.3g}" for curve in made)
        raise Untestable(f"no shared range of {x}: {ends}")
    row = resampled(gap.value, gap.halves, sample, region(fact, shows, margin))
    return row.add(f"over {x} {gap.range[0]:.3g} to {gap.range[1]:.3g}")


def at_best(chosen: tuple[Group, ...], metric: str, shows: str, margin: float) -> Row:
    """Each side at its best point: chosen on one half of the source pictures and compared on the other. A distance of
    sets is not known of the other half, so that its points are chosen on all pictures, and that is said."""
    fact = fact_of([run for group in chosen for run in group.runs], metric)
    sample = Sample([group.runs for group in chosen], [metric], least=1)
    better = np.argmax if fact.higher_is_better else np.argmin
    if fact.kind == "set":
        values = [[sample.value(run, metric) for run in side] for side in sample.sides]
        best = [int(better([value for value, _ in side])) for side in values]
        (first, first_halves), (second, second_halves) = (side[i] for side, i in zip(values, best, strict=True))
        row = resampled(first - second, first_halves - second_halves, sample, region(fact, shows, margin))
        how = "chosen on these pictures"
    else:
        tables = [[run.table.loc[sample.ids] for run in side] for side in sample.sides]
        groups = np.array(tables[0][0].group)
        if not len(halves := half_samples(groups.tolist())):
            raise Untestable(f"too few pictures to choose a point on half of them: {len(set(groups))}")
        chosen_on = halves[0]
        values = [[table[fact.name].to_numpy(np.float64) for table in side] for side in tables]
        best = [int(better([scores[chosen_on].mean() for scores in side])) for side in values]
        first, second = (side[i][~chosen_on] for side, i in zip(values, best, strict=True))
        row = paired(first - second, groups[~chosen_on].tolist(), region(fact, shows, margin))
        how = "chosen on the other half of the pictures"
    points = [group.along[group.runs.index(side[i])] for group, side, i in zip(chosen, sample.sides, best, strict=True)]
    named = [
        f"{group.knob} = {words.knob(point)}" if group.knob else "its only point"
        for group, point in zip(chosen, points, strict=True)
    ]
    return row.add(f"at {' and '.join(named)}, {how}")


def _common_points(chosen: tuple[Group, ...], metric: str) -> tuple[list[list[Any]], Sample, int]:
    """Values of both sides at the points that both have, in the order of the knob, better is more."""
    fact = fact_of([run for group in chosen for run in group.runs], metric)
    by_point = [dict(zip(group.along, group.runs, strict=True)) for group in chosen]
    points = [point for point in chosen[0].along if point in by_point[1]]
    if len(points) < 2:
        raise Untestable(f"both sides must have two points in common, and have {len(points)}")
    sample = Sample([[side[point] for point in points] for side in by_point], [metric], least=2, together=True)
    sign = 1 if fact.higher_is_better else -1
    values = [[tuple(sign * part for part in sample.value(run, metric)) for run in side] for side in sample.sides]
    return values, sample, sign


def floor(chosen: tuple[Group, ...], metric: str) -> Row:
    """The first stays worse than the second where both are strongest."""
    (first, second), sample, sign = _common_points(chosen, metric)
    difference, halves = (sign * (a - b) for a, b in zip(first[-1], second[-1], strict=True))
    return resampled(difference, halves, sample, (-inf, 0.0) if sign > 0 else (0.0, inf))


def last_gain(chosen: tuple[Group, ...], metric: str) -> Row:
    """What the first gains from its second-last point to its last is less than a share of what the second gains in
    all."""
    (first, second), sample, _ = _common_points(chosen, metric)
    difference, halves = (
        (first[-1][part] - first[-2][part]) - STAGNANT * (second[-1][part] - second[0][part]) for part in (0, 1)
    )
    return resampled(difference, halves, sample, (-inf, 0.0))
