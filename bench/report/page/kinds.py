"""Scores of each edit type, with intervals. No torch."""

from typing import Any

import numpy as np

from bench.report import words
from bench.report.page.answers import Groups
from bench.report.page.contenders import contenders
from bench.report.seeds import Alike
from bench.report.tables import UNLIKE
from bench.scores import protocol
from bench.scores.stored import Fact, Scored
from bench.statistics.intervals import FEW, mean_intervals


def kinds(found: Groups, index: dict[str, int]) -> list[dict[str, Any]]:
    """For each data set and profile `title` and `choices`: metric -> a table with a row for each operating point and a
    column for each edit type. Nothing for samples without types."""
    made = [(name, _choices(runs, index)) for name, runs in found]
    return [{"title": name, "choices": choices} for name, choices in made if choices]


def _choices(runs: list[Scored], index: dict[str, int]) -> dict[str, Any]:
    facts = [fact for fact in words.facts(run.summary.shown for run in runs).values() if fact.kind == "pair"]
    points = [(one.name, point) for one in contenders(runs) for point in one.points]
    means = _means([point for _, point in points], facts)
    types = sorted({kind for of_point in means.values() for kind, _ in of_point})
    made = {}
    for fact in facts:
        apart = protocol.apart(runs, fact.name)
        rows, counts = [], {}
        for name, point in points:
            cells = [means[point].get((kind, fact.name)) for kind in types]
            if not any(cell and np.isfinite(cell[0]) for cell in cells):
                continue
            for kind, cell in zip(types, cells, strict=True):
                counts.setdefault(kind, set()).add(cell[3:] if cell else (0, 0))
            mark = f" {UNLIKE}" if point.runs[0] in apart else ""
            rows.append((name, point, cells, mark))
        if not types or not rows:
            continue
        shared = {kind: found.pop() if len(found) == 1 else None for kind, found in counts.items()}
        made[words.of(fact)] = _table(fact, types, rows, shared, runs, index) | {
            "remarks": [f"{UNLIKE} scored otherwise: {why}" for why in dict.fromkeys(apart.values())]
        }
    return made


Mean = tuple[float, float, float, int, int]
"""Value, lower, upper, finite values, and the source pictures that these are of."""


def _means(points: list[Alike], facts: list[Fact]) -> dict[Alike, dict[tuple[str, str], Mean]]:
    """For each point (edit type, metric) -> mean over the pictures of that type, of the means over seeds."""
    found: dict[Alike, dict[tuple[str, str], Mean]] = {point: {} for point in points}
    alike: dict[tuple[str, ...], list[Alike]] = {}  # points of the same pictures share the resamples
    for point in points:
        alike.setdefault(tuple(point.runs[0].table.index), []).append(point)
    for of_pictures in alike.values():
        columns = {}
        for point in of_pictures:
            tables = [run.table for run in point.runs]
            own = [fact.name for fact in facts if all(fact.name in table for table in tables)]
            values = np.mean([table.loc[tables[0].index, own].to_numpy(np.float64) for table in tables], axis=0)
            columns |= {(point, name): column for name, column in zip(own, values.T, strict=True)}
        first = of_pictures[0].runs[0].table
        for kind in first["type"].dropna().unique():
            of_kind = (first["type"] == kind).to_numpy()
            parts, groups_ = [column[of_kind] for column in columns.values()], first.group[of_kind].to_numpy()
            ends = mean_intervals(parts, groups_.tolist())
            for (point, name), end, part in zip(columns, ends, parts, strict=True):
                found[point][kind, name] = (*end, len(set(groups_[np.isfinite(part)])))
    return found


def _table(
    fact: Fact,
    types: list[str],
    rows: list[tuple[str, Alike, list[Mean | None], str]],
    shared: dict[str, tuple[int, int] | None],
    runs: list[Scored],
    index: dict[str, int],
) -> dict[str, Any]:
    """What all cells of a column share, how many pictures and whether few, stands in its title."""
    heads = [f"{kind}, n={shared[kind][0]}{_few(shared[kind][1])}" if shared[kind] else kind for kind in types]
    lines = []
    for name, point, cells, mark in rows:
        texts = [
            {"text": _text(cell, shared[kind] is None, mark), "key": cell[0] if cell and np.isfinite(cell[0]) else ""}
            for kind, cell in zip(types, cells, strict=True)
        ]
        r = words.knob(point.shown.summary.knobs.get("r"))
        lines.append({"cells": [name, r, *texts], "run": index[str(point.runs[0].folder)]})
    lead = f"{words.of(fact)} of each edit type; {words.INTERVALS} over source pictures"
    lead += f" (few: of fewer than {FEW}, by Student's t)" if any("few" in head for head in heads) else ""
    notices = words.notices(run.summary for run in runs)
    return {"lead": [f"{lead}.", *notices], "columns": ["method", "r", *heads], "rows": lines}


def _text(cell: Mean | None, counted: bool, mark: str) -> str:
    if not cell or not np.isfinite(cell[0]):
        return ""
    value, low, high, n, groups_ = cell
    return words.value(value, low, high) + (f" (n={n}{_few(groups_)})" if counted else "") + mark


def _few(groups_: int) -> str:
    return ", few" if words.few(groups_) else ""
