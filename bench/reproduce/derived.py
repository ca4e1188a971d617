"""Rows that are made of other rows, image by image: the best of them, their differences. No torch."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.errors import UserError, nearest
from bench.report.words import finite, notices
from bench.reproduce import tolerance
from bench.reproduce.items import Item
from bench.reproduce.outcomes import Point
from bench.reproduce.verdicts import INCOMPARABLE, Cell, judge
from bench.scores import protocol
from bench.scores.best_of import aligned, best_of
from bench.scores.stored import Fact
from bench.statistics.intervals import mean_interval

Combine = Callable[[list[pd.DataFrame], Fact], pd.Series]


def best(tables: list[pd.DataFrame], fact: Fact) -> pd.Series:
    return best_of(tables, {fact.name: fact.higher_is_better})[fact.name]


def difference(tables: list[pd.DataFrame], fact: Fact) -> pd.Series:
    first, second = (table[fact.name] for table in tables)
    return first - second


@dataclass
class Sources:
    """What derived rows are made of.

    Attributes:
        facts: of each metric, by the profile's name of it.
        reasons: why a point's values cannot be compared, by the point's id.
    """

    item: Item
    points: list[Point]
    columns: list[str]
    facts: dict[str, Fact]
    reasons: dict[int, list[str]]


def rows(of: Sources, label: str, names: list[str], combine: Combine) -> list[Cell]:
    """The cells of a row for each point that all the named rows have and, of differences at several points, of their
    mean, which is what stands beside a published difference.

    Raises:
        UserError: a row that does not exist.
    """
    known = sorted({point.row for point in of.points})
    if unknown := [name for name in names if name not in known]:
        raise UserError(
            f"conf/paper/{of.item.name}.yaml: {label} is made of {unknown[0]!r}; {nearest(unknown[0], known)}"
        )
    sides = [{point.name: point for point in of.points if point.row == name} for name in names]
    common = {name: [side[name] for side in sides] for name in sides[0] if all(name in side for side in sides)}
    averaged = combine is difference and len(common) > 1
    made = {name: [points] for name, points in common.items()} | ({"mean": list(common.values())} if averaged else {})
    cells = []
    for name, sets in made.items():
        points = [point for one in sets for point in one]
        for column in of.columns:
            cell = Cell.new(of.item, label, name, column, of.facts)
            cell.kind = "derived"
            unlike = _unlike(points, column)
            if not unlike:
                _fill(cell, sets, of.facts.get(column), combine)
                cell.tolerance, cell.tolerated = tolerance.together(sets, column, added=combine is difference)
            if not averaged or name == "mean":
                judge(of.item, cell, list(dict.fromkeys(why for point in points for why in of.reasons[id(point)])))
            if unlike:
                cell.verdict, cell.why = INCOMPARABLE, f"its rows are scored with {unlike}"
            cells.append(cell)
    return cells


def _unlike(points: list[Point], metric: str) -> str:
    """Why values of points do not compare, as far as they have any; empty where they do."""
    first, *others = [run for point in points if (run := point.scored)] or [None]
    known = [other for other in others if first.summary.fact(metric) and other.summary.fact(metric)]
    return next((why for other in known if (why := protocol.unlike(first, other, metric))), "")


def _fill(cell: Cell, sets: list[list[Point]], fact: Fact | None, combine: Combine) -> None:
    """Computes a cell: the mean over sets of points of what is combined of the images that all points of a set have."""
    points = [point for one in sets for point in one]
    if not fact or fact.kind != "pair":
        cell.why = "a metric of whole sets has no value for each image" if fact else ""
    elif lacking := [point for point in points if point.scores is None]:
        cell.why = lacking[0].why or ""
    else:
        scores = [aligned([point.scores for point in one]) for one in sets]
        values = pd.concat([combine(one, fact) for one in scores], axis=1, join="inner").mean(axis=1, skipna=False)
        mean, low, high, cell.n = mean_interval(values.to_numpy(), scores[0][0].group[values.index].tolist())
        cell.ours, cell.lo, cell.hi = map(finite, (mean, low, high))
        cell.groups = scores[0][0].group[values.index[np.isfinite(values)]].nunique()
        cell.n_expected, cell.notice = len(values), "; ".join(notices(point.summary for point in points))
        cell.data, cell.profile = points[0].cfg["data"]["name"], points[0].cfg["metrics"]["name"]
