"""Rows that are made of other rows: the best of them for each image, their differences, and by how much the mean of one
is below another's. No torch."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from bench.errors import UserError, nearest
from bench.report.words import COSTS, finite, notices
from bench.reproduce import tolerance
from bench.reproduce.items import Item
from bench.reproduce.outcomes import Point
from bench.reproduce.verdicts import INCOMPARABLE, Cell, judge
from bench.scores import protocol
from bench.scores.best_of import aligned, best_of
from bench.scores.stored import Fact
from bench.statistics.intervals import half_sample_interval, mean_interval, reduction_interval

MEAN = "mean"
"""The point of a difference that is its mean over the others."""
_NO_IMAGES = "a metric of whole sets has no value for each image"


@dataclass
class Sources:
    """What derived rows are made of.

    Attributes:
        points: of the runs; rows of the best of them are added, so that differences can be made of these, too.
        facts: of each metric, by the profile's name of it.
        reasons, notices: why a point's values cannot be compared, and what must be said beside them, by its id.
    """

    item: Item
    points: list[Point]
    columns: list[str]
    facts: dict[str, Fact]
    reasons: dict[int, list[str]]
    notices: dict[int, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.points = list(self.points)
        self.notices |= {id(point): notices([point.summary] if point.summary else []) for point in self.points}

    def common(self, label: str, names: list[str]) -> dict[str, list[Point]]:
        """The points that all rows of these names have, by what the points are called.

        Raises:
            UserError: a row that does not exist.
        """
        known = sorted({point.row for point in self.points})
        if unknown := [name for name in names if name not in known]:
            where = f"conf/paper/{self.item.name}.yaml: {label} is made of {unknown[0]!r}"
            raise UserError(f"{where}; {nearest(unknown[0], known)}")
        sides = [{point.name: point for point in self.points if point.row == name} for name in names]
        return {name: [side[name] for side in sides] for name in sides[0] if all(name in side for side in sides)}

    def said(self, found: dict[int, list[str]], points: list[Point]) -> list[str]:
        """The reasons or notices of several points, each once."""
        return list(dict.fromkeys(line for point in points for line in found[id(point)]))


class Value(NamedTuple):
    """What a derived cell holds; empty for the reason `why`."""

    ours: float | None = None
    lo: float | None = None
    hi: float | None = None
    n: int | None = None
    why: str = ""
    groups: int | None = None


def rows(of: Sources) -> list[Cell]:
    """The cells of every row that the item derives from its runs.

    Raises:
        UserError: one that is made of a row that does not exist.
    """
    cells = []
    for label, names in of.item.best_of.items():
        for name, points in of.common(label, names).items():
            best = _best(of, label, name, points)
            of.points.append(best)
            for column in of.columns:
                fact = of.facts.get(column)
                whole = Value(why=_NO_IMAGES if fact and fact.kind != "pair" else "")
                value = _mean(best, fact) if fact and fact.kind == "pair" else whole
                cells.append(_cell(of, label, name, column, [points], value))
    for label, names in of.item.differences.items():
        common = of.common(label, names)
        for name, pair in common.items():
            cells += [_cell(of, label, name, c, [pair], _difference(pair, c, of.facts.get(c))) for c in of.columns]
        if len(common) > 1:
            pairs = list(common.values())
            found = [(c, _mean_difference(pairs, of.facts.get(c))) for c in of.columns]
            cells += [_cell(of, label, MEAN, c, pairs, value) for c, value in found]
    for label, names in of.item.reductions.items():
        for name, pair in of.common(label, names).items():
            for column in of.columns:
                value = _reduction(pair, of.facts.get(column))
                cells.append(_cell(of, label, name, column, [pair], value, "reduction"))
    return cells


def _cell(
    of: Sources, label: str, name: str, column: str, sets: list[list[Point]], value: Value, kind: str = "derived"
) -> Cell:
    """A cell made of some points, or the mean of several such."""
    points = [point for one in sets for point in one]
    cell = Cell.new(of.item, label, name, column, of.facts)
    unlike = protocol.unlike_among([run for point in points if (run := point.scored)], column)
    cell.kind, (cell.ours, cell.lo, cell.hi, cell.n, cell.why, cell.groups) = kind, Value() if unlike else value
    cell.n_expected, cell.notice = cell.n, "; ".join(of.said(of.notices, points))
    cell.data, cell.profile = points[0].cfg["data"]["name"], points[0].cfg["metrics"]["name"]
    if kind == "derived":
        cell.tolerance, cell.tolerated = tolerance.together(sets, column, added=label in of.item.differences)
    judge(of.item, cell, of.said(of.reasons, points))
    if unlike:
        cell.verdict, cell.why = INCOMPARABLE, f"its rows are scored with {unlike}"
    return cell


def _best(of: Sources, label: str, name: str, points: list[Point]) -> Point:
    """A point whose scores are the best of the others' for each image and metric."""
    best = Point(label, name, points[0].cfg, {})
    of.reasons[id(best)], of.notices[id(best)] = (of.said(found, points) for found in (of.reasons, of.notices))
    if lacking := [point for point in points if point.scores is None]:
        best.why = lacking[0].why
        return best
    tables = aligned([point.scores for point in points])
    pairs = {fact.name: fact.higher_is_better for fact in of.facts.values() if fact.kind == "pair"}
    better = {metric: higher for metric, higher in pairs.items() if all(metric in table for table in tables)}
    best.scores = best_of(tables, better).assign(group=tables[0].group)
    return best


def _pairwise(pair: list[Point], fact: Fact | None, value: Callable[[pd.Series, pd.Series, list[str]], tuple]) -> Value:
    """A value of two rows' scores of the images that both have; `value` gives it, its ends and n."""
    if not fact or fact.kind != "pair":
        return Value(why=_NO_IMAGES if fact else "")
    if lacking := [point for point in pair if point.scores is None]:
        return Value(why=lacking[0].why or "")
    tables = aligned([point.scores for point in pair])
    columns, group = [table[fact.name] for table in tables], tables[0].group
    mean, low, high, n = value(*columns, group.tolist())
    groups = group[np.isfinite(columns).all(0)].nunique()
    return Value(*map(finite, (mean, low, high)), n, groups=groups)


def _mean(point: Point, fact: Fact) -> Value:
    return _pairwise([point, point], fact, lambda values, _, groups: mean_interval(values.to_numpy(), groups))


def _reduction(pair: list[Point], fact: Fact | None) -> Value:
    return _pairwise(pair, fact, lambda a, b, groups: reduction_interval(a.to_numpy(), b.to_numpy(), groups))


def _difference(pair: list[Point], column: str, fact: Fact | None) -> Value:
    """First minus second: of each image, of whole sets with half-samples in common, or of what an edit costs."""
    if fact and fact.kind == "pair":
        return _pairwise(pair, fact, lambda a, b, groups: mean_interval((a - b).to_numpy(), groups))
    if column in COSTS:
        costs = [finite(point.cost(column)) for point in pair]
        return (
            Value(why=next((p.why or "" for p in pair if p.why), "")) if None in costs else Value(costs[0] - costs[1])
        )
    if not fact:
        return Value()
    if lacking := [point for point in pair if point.summary is None]:
        return Value(why=lacking[0].why or _NO_IMAGES)
    found = [point.summary.fact(column) for point in pair]
    if lacking := [one.reason or "" for one in found if one.value is None]:
        return Value(why=lacking[0])
    first, second = (point.summary for point in pair)
    if first.ids != second.ids:
        return Value(why="distances of sets of different samples do not compare")
    difference, low, high, groups = of_sets(*found, pair[0].scores)
    return Value(difference, finite(low), finite(high), first.n, groups=groups)


def of_sets(first: Fact, second: Fact, scores: pd.DataFrame) -> tuple[float, float, float, int | None]:
    """First minus second of a metric of whole sets, with its 95 % interval from the half-samples that both have and the
    number of groups that these are of; NaN and None where they are not the same.

    Args:
        scores: of the images of either.
    """
    difference, halves = first.value - second.value, [np.array(one.halves) for one in (first, second)]
    if len(halves[0]) != len(halves[1]) or first.halves_of is None:
        return difference, float("nan"), float("nan"), None
    units = scores[first.halves_of].fillna("").tolist()
    return difference, *half_sample_interval(difference, halves[0] - halves[1], units), len(set(units))


def _mean_difference(pairs: list[list[Point]], fact: Fact | None) -> Value:
    """The mean over points of the differences, of the images that all points have."""
    if not fact or fact.kind != "pair":
        return Value()
    if lacking := [point for pair in pairs for point in pair if point.scores is None]:
        return Value(why=lacking[0].why or "")
    tables = [aligned([point.scores for point in pair]) for pair in pairs]
    changes = [first[fact.name] - second[fact.name] for first, second in tables]
    values = pd.concat(changes, axis=1, join="inner").mean(axis=1, skipna=False)
    group = tables[0][0].group[values.index]
    mean, low, high, n = mean_interval(values.to_numpy(), group.tolist())
    return Value(*map(finite, (mean, low, high)), n, groups=group[np.isfinite(values)].nunique())
