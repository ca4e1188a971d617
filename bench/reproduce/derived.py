"""Rows that are made of other rows, image by image: the best of them, their differences. No torch."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bench.errors import UserError, nearest
from bench.report.tables import notice
from bench.reproduce.items import Item
from bench.reproduce.outcomes import Point
from bench.reproduce.verdicts import Cell, judge
from bench.scores.best_of import best_of
from bench.statistics.intervals import mean_interval

Combine = Callable[[list[pd.DataFrame], dict[str, Any]], pd.Series]


def best(tables: list[pd.DataFrame], fact: dict[str, Any]) -> pd.Series:
    return best_of(tables, {fact["column"]: fact})[fact["column"]]


def difference(tables: list[pd.DataFrame], fact: dict[str, Any]) -> pd.Series:
    first, second = (table[fact["column"]] for table in tables)
    return first - second


@dataclass
class Sources:
    """What derived rows are made of.

    Attributes:
        facts: of each metric, by the profile's name of it, with `column`, its name in the scores.
        reasons: why a point's values cannot be compared, by the point's id.
    """

    item: Item
    points: list[Point]
    columns: list[str]
    facts: dict[str, dict[str, Any]]
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
    cells, values = [], []
    for name, points in common.items():
        for column in of.columns:
            cell = Cell.new(of.item, label, name, column, of.facts)
            cell.kind = "derived"
            values.append((column, _fill(cell, points, of.facts.get(column), combine)))
            if not averaged:
                judge(of.item, cell, _reasons(of, points))
            cells.append(cell)
    for column in of.columns if averaged else []:
        cell = Cell.new(of.item, label, "mean", column, of.facts)
        cell.kind = "derived"
        found = [table for name, table in values if name == column and table is not None]
        if len(found) == len(common):
            table = pd.concat([one["value"] for one in found], axis=1, join="inner").mean(axis=1, skipna=False)
            _mean(cell, table, found[0].loc[table.index, "group"])
        judge(of.item, cell, _reasons(of, [point for points in common.values() for point in points]))
        cells.append(cell)
    return cells


def _reasons(of: Sources, points: list[Point]) -> list[str]:
    return list(dict.fromkeys(reason for point in points for reason in of.reasons[id(point)]))


def _fill(cell: Cell, points: list[Point], fact: dict[str, Any] | None, combine: Combine) -> pd.DataFrame | None:
    """Computes a cell from the images that all points have; returns value and group of each image."""
    if not fact or fact["kind"] != "pair":
        cell.why = "a metric of whole sets has no value for each image" if fact else ""
        return None
    if lacking := [point for point in points if point.scores is None]:
        cell.why = lacking[0].why or ""
        return None
    ids = [i for i in points[0].scores.index if all(i in point.scores.index for point in points)]
    values = combine([point.scores.loc[ids] for point in points], fact)
    table = points[0].scores.loc[ids, ["group"]].assign(value=values)
    cell.notice = "; ".join(sorted({notice(point.summary) or "" for point in points} - {""}))
    cell.data, cell.profile = points[0].cfg["data"]["name"], points[0].cfg["metrics"]["name"]
    _mean(cell, table["value"], table["group"])
    return table


def _mean(cell: Cell, values: pd.Series, groups: pd.Series) -> None:
    mean, low, high, cell.n = mean_interval(values.to_numpy(np.float64), groups.tolist())
    cell.n_expected = len(values)
    cell.ours, cell.lo, cell.hi = (float(v) if math.isfinite(v) else None for v in (mean, low, high))
