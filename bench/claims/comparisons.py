"""What two sides of a claim show: each test gives differences, each with the region that the claim puts it in. No
torch."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise, product
from math import erfc, inf, isnan, nan
from typing import Any

import numpy as np
import pandas as pd

from bench.claims.evidence import Group
from bench.claims.file import Claim, Claims
from bench.claims.sample import Sample, Untestable, fact_of
from bench.report import words
from bench.scores.best_of import aligned, best_of
from bench.scores.stored import Fact, Scored
from bench.statistics import curves
from bench.statistics.intervals import half_sample_interval, mean_interval, sign_flip_p

LEVEL = 0.05
FEWEST = 8
"""Pictures or classes that half-samples need for their spread to mean something."""
STAGNANT = 0.1
"""Share of another curve's whole gain below which a last step is none."""


@dataclass
class Row:
    """One difference and what it shows.

    Attributes:
        metric: name of the metric.
        compared: the two sides, first - second.
        difference, lo, hi: with its 95 % interval; NaN where it cannot be tested.
        n: samples of both sides.
        shows: `as claimed`, `against` (before the correction for several comparisons), or `open`.
        why: for one that is open.
        p: two-sided, of the true difference lying on the nearest border of the region that the claim puts it in.
        notices: what must be said beside it.
        unit: of the metric.
    """

    metric: str
    compared: str
    difference: float = nan
    lo: float = nan
    hi: float = nan
    n: int = 0
    shows: str = "open"
    why: str = ""
    p: float = nan
    notices: tuple[str, ...] = ()
    unit: str = ""

    @property
    def interval(self) -> str:
        """The difference with its interval, as text; empty where there is none."""
        return words.between(self.difference, self.lo, self.hi, sign="+")


def rows(claim: Claim, name: str, chosen: tuple[Group, ...], claims: Claims, profile: str) -> list[Row]:
    """The rows of one test for one pair of groups (or a single group).

    Args:
        name: of the test.
    """
    test, along = claim.tests[name], (claim.along(name) or [""])[0]
    shown = {role: found[profile] for role, found in claims.roles.items() if profile in found}
    label = " - ".join(group.label for group in chosen)
    runs = [run for group in chosen for run in group.runs]
    made: list[tuple[str, str, Callable[[], Row]]] = []  # metric, what is compared, how
    if name == "cost":
        made = [("nfe", label, partial(_cost, chosen, test))]
    elif name in ("worsens", "improves"):
        for metric, group in product((shown[role] for role in test["roles"]), chosen):
            for runs_of, values in zip(pairwise(group.runs), pairwise(group.along), strict=True):
                compared = f"{group.label} at {along} = {values[0]:g} - {values[1]:g}"
                made.append((metric, compared, partial(_stepping, runs_of, metric, name)))
    elif name == "trade_off":
        x, y = shown[test["equal"]], shown[test["compare"]]
        made = [(y, f"{label} at equal {x}", partial(_trade_off, chosen, x, y))]
    elif name == "stagnates":
        metric, (first, second) = shown[test["role"]], chosen
        gain = f"last gain of {first.label} - {STAGNANT:.0%} of the gain of {second.label}"
        made = [
            (metric, f"{label} at the largest {along} of both", partial(_floor, chosen, metric)),
            (metric, gain, partial(_last_gain, chosen, metric)),
        ]
    else:
        metrics = [shown[role] for role in test]
        made = [(m, label, partial(_paired, chosen, m, name, claims.margins.get(m, 0.0))) for m in metrics]
    found = []
    for metric, compared, make in made:
        fact = next((fact for run in runs if (fact := run.summary.fact(metric))), None)
        try:
            row = make()
        except Untestable as reason:
            row = Row(metric, compared, why=str(reason))
        row.metric, row.unit, row.compared = fact.name if fact else metric, fact.unit if fact else "", compared
        row.notices = tuple(words.notices(run.summary for run in runs))
        found.append(row)
    return found


def _region(fact: Fact, test: str, margin: float) -> tuple[float, float]:
    """Where the claim puts the difference."""
    if test == "close":
        return -margin, margin
    allowed = margin if test == "as_good" else 0.0
    return (0.0 - allowed, inf) if fact.higher_is_better else (-inf, allowed)


def _judged(row: tuple[float, float, float, int], region: tuple[float, float], p_at: Callable[[float], float]) -> Row:
    """The row of a difference, lower, upper and n, against the region of the claim.

    Args:
        p_at: p of the true difference being this number.
    """
    difference, lo, hi, n = row
    made = Row("", "", difference, lo, hi, n)
    if isnan(lo) or isnan(hi):
        made.why = "too few pictures for an interval"
        return made
    borders = [border for border in region if np.isfinite(border)]
    made.p = max(p_at(border) for border in borders)
    if region[0] < lo and hi < region[1] and made.p < LEVEL:
        made.shows = "as claimed"
    elif hi < region[0] or region[1] < lo:
        made.shows = "against"
    else:
        held = [f"{border:g}" for border in borders if lo <= border <= hi]
        made.why = (
            f"the interval holds {' and '.join(held)}" if held else f"yet p = {made.p:.2g}: few pictures carry it"
        )
    return made


def _paired(chosen: tuple[Group, ...], metric: str, test: str, margin: float) -> Row:
    fact = fact_of([run for group in chosen for run in group.runs], metric)
    region = _region(fact, test, margin)
    if fact.kind != "set":
        return _of_pairs(*(_scores(group, metric) for group in chosen), region)
    if any(group.best for group in chosen):
        raise Untestable(f"{metric} is of whole sets, of which there is no best for each image")
    sample = Sample([[group.runs[0]] for group in chosen], [metric], least=1)
    ((first,), (second,)) = ([sample.value(run, metric) for run in side] for side in sample.sides)
    return _resampled(first[0] - second[0], first[1] - second[1], sample, region)


def _stepping(pair: tuple[Scored, Scored], metric: str, test: str) -> Row:
    """Neighbouring values of a knob, lower - higher."""
    fact = fact_of(list(pair), metric)
    low, high = _region(fact, "better", 0.0)
    if fact.kind == "set":
        raise Untestable(f"{metric} is of whole sets; expected a metric of single images")
    region = (low, high) if test == "worsens" else (0.0 - high, 0.0 - low)
    return _of_pairs(*(_column(run, metric) for run in pair), region)


def _scores(group: Group, metric: str) -> pd.DataFrame:
    """Values of each image and its group, of the group's run or of the best of its runs."""
    tables = [_column(run, metric) for run in group.runs]
    if not group.best:
        return tables[0]
    best = best_of(tables, {"v": fact_of(group.runs, metric).higher_is_better})
    return best.assign(group=tables[0].group)


def _column(run: Scored, metric: str) -> pd.DataFrame:
    return run.table[[fact_of([run], metric).name, "group"]].set_axis(["v", "group"], axis=1)


def _of_pairs(first: pd.DataFrame, second: pd.DataFrame, region: tuple[float, float]) -> Row:
    """Mean of first - second over the images that both have with a finite value, clustered by source picture."""
    tables = aligned([first, second])
    values = [table.v.to_numpy(np.float64) for table in tables]
    finite = np.isfinite(values[0]) & np.isfinite(values[1])
    change, groups = (values[0] - values[1])[finite], tables[0].group[finite].tolist()
    if not len(change):
        raise Untestable("no image has a finite value in both")
    return _judged(mean_interval(change, groups), region, lambda border: sign_flip_p(change - border, groups))


def _cost(chosen: tuple[Group, ...], test: str) -> Row:
    """Network evaluations an image, counted and not estimated: without an interval."""
    if any("nfe" not in run.table or run.table.nfe.isna().any() for group in chosen for run in group.runs):
        raise Untestable("the cost of pictures made elsewhere is not known")
    first, second = (group.runs[0].table.nfe for group in chosen)
    common = first.index.intersection(second.index)
    if common.empty:
        raise Untestable("the two sides have no image in common")
    difference = float((first[common] - second[common]).mean())
    holds = {"no_more": difference <= 0, "less": difference < 0, "more": difference > 0}[test]
    shows = "as claimed" if holds else "against"
    return Row("nfe", "", difference, difference, difference, len(common), shows, p=0.0)


def _trade_off(chosen: tuple[Group, ...], x: str, y: str) -> Row:
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
    row = _resampled(gap.value, gap.halves, sample, _region(fact, "better", 0.0))
    row.why = "; ".join(filter(None, [row.why, f"over {x} {gap.range[0]:.3g} to {gap.range[1]:.3g}"]))
    return row


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


def _floor(chosen: tuple[Group, ...], metric: str) -> Row:
    """The first stays worse than the second where both are strongest."""
    (first, second), sample, sign = _common_points(chosen, metric)
    difference, halves = (sign * (a - b) for a, b in zip(first[-1], second[-1], strict=True))
    return _resampled(difference, halves, sample, (-inf, 0.0) if sign > 0 else (0.0, inf))


def _last_gain(chosen: tuple[Group, ...], metric: str) -> Row:
    """What the first gains from its second-last point to its last is less than a share of what the second gains in
    all."""
    (first, second), sample, _ = _common_points(chosen, metric)
    difference, halves = (
        (first[-1][part] - first[-2][part]) - STAGNANT * (second[-1][part] - second[0][part]) for part in (0, 1)
    )
    return _resampled(difference, halves, sample, (-inf, 0.0))


def _resampled(difference: float, halves: np.ndarray, sample: Sample, region: tuple[float, float]) -> Row:
    """The row of a difference with its values on half-samples (delete-half jackknife)."""
    row = Row("", "", difference, n=len(sample.ids))
    if (few := len(set(sample.units))) < FEWEST:
        row.why = f"too few {'classes' if sample.of == 'class' else 'pictures'} for an interval: {few}"
        return row
    if not len(halves):
        row.why = "the shared range is so narrow that many half-samples have none"
        return row
    lo, hi = half_sample_interval(difference, halves, sample.units)
    spread = (hi - lo) / (2 * 1.959964)

    def p_at(border: float) -> float:
        if spread == 0:
            return 1.0 if difference == border else 0.0
        return erfc(abs(difference - border) / spread / 2**0.5)

    return _judged((difference, lo, hi, len(sample.ids)), region, p_at)
