"""The runs of one data set and profile as a table for a paper: names and units for people, the best in bold, a group of
columns for each value of a knob. No torch."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal

import pandas as pd

from bench.report import published, tables, words
from bench.report.best import NONE, RULE, Value, best
from bench.report.published import Row
from bench.report.seeds import Alike, alike
from bench.report.write import Table
from bench.reproduce.published import settings_of
from bench.scores import labels
from bench.scores.stored import Fact


@dataclass(eq=False)
class _Entry:
    """A line under one group of columns.

    Attributes:
        line: method and r, as they are called; whether it is printed.
        group: value of the knob.
        texts: metric -> cell.
        values: metric -> what may be the best.
    """

    line: tuple[str, str, bool]
    group: str
    texts: dict[str, str]
    values: dict[str, Value]


def table(part: pd.DataFrame, pivot: str | None = None, printed: Sequence[Row] = ()) -> Table:
    """See above.

    Args:
        part: rows of `tables.collect`, of one data set and profile.
        pivot: the knob that has a group of columns for each of its values; None: each operating point is a line.
        printed: lines below, ruled off; the best may be one only where it compares with all runs.
    """
    runs, points = list(part.scored), alike(list(part.scored))
    summaries = [point.shown.summary for point in points]
    facts = tables.with_values(summaries)
    entries, marked = _own(points, facts, pivot)
    others, notes = published.labelled(printed, [fact.name for fact, _ in facts], runs)
    entries += [_printed(name, row, pivot, all(map(row.compares, runs))) for name, row in others.items()]
    groups = sorted({entry.group for entry in entries}, key=_order)
    cells: dict[tuple, dict[tuple[str, str], str]] = {entry.line: {} for entry in entries}
    bold = {(best(_column(entries, group, fact), fact), fact.name) for group in groups for fact, _ in facts}
    for entry in entries:
        for name, text in entry.texts.items():
            is_best = (entry.values.get(name), name) in bold and name in entry.values
            cells[entry.line][entry.group, name] = f"**{text}**" if is_best else text
    shown = {
        (group, fact.name): _heading(pivot, group, words.printed(fact))
        for group in groups
        for fact, _ in facts
        if any(line.get((group, fact.name)) for line in cells.values())
    }
    lines = [
        {"method": name, "r": r} | {heading: line.get(place, "") for place, heading in shown.items()}
        for (name, r, _), line in cells.items()
    ]
    frame = pd.DataFrame(lines)
    own = sum(not is_printed for *_, is_printed in cells)
    remarks = [
        *tables.reasons(points, _told(pivot)),
        *tables.marked_lines(marked),
        *(f"{words.printed(fact)}: {', '.join(common)}" for fact, common in facts if common),
        *tables.cautions(summaries, [fact for fact, _ in facts]),
        RULE if any(found for found, _ in bold) else NONE,
        *notes,
    ]
    title = f"Edits of {summaries[0].data}, scored by {summaries[0].profile}"
    frame = frame if any(frame.r) else frame.drop(columns="r")
    return Table(frame, title, tables.lead(summaries), remarks, own if own < len(cells) else None)


def _told(pivot: str | None) -> Collection[str]:
    """Knobs that have a place of their own in the table."""
    return {"r", pivot} - {None}


def _own(
    points: list[Alike], facts: list[tuple[Fact, list[str]]], pivot: str | None
) -> tuple[list[_Entry], dict[str, list[str]]]:
    """The lines of runs; and those whose values do not compare with their column, by why."""
    apart = tables.unlike([run for point in points for run in point.runs])
    names = labels.labels([point.shown for point in points], _told(pivot))
    ((usual, _),) = Counter(point.shown.summary.ids for point in points).most_common(1)
    entries, marked = [], {}
    for point, variant in zip(points, names, strict=True):
        run, unlike = point.shown.summary, apart[point.runs[0]]
        seeds = f"({len(point.runs)} seeds)" if len(point.runs) > 1 else ""
        lacking = "" if run.n == run.n_expected and not run.n_failed else f"({words.extent(run.n, run.n_expected)})"
        name = " ".join(filter(None, [run.method, variant, seeds, lacking]))
        r = words.knob(run.knobs.get("r")) if pivot != "r" else ""
        entry = _Entry((name, r, False), words.knob(run.knobs.get(pivot)) if pivot else "", {}, {})
        for fact, common in facts:
            found = run.metrics.get(fact.name)
            text = tables.cell_of(found, run.n, ", ".join(["", *common]), point.spread.get(fact.name))
            entry.texts[fact.name] = f"{text} {tables.UNLIKE}" if text and fact.name in unlike else text
            if text and fact.name not in unlike and run.ids == usual:
                entry.values[fact.name] = Value(found.value, found.lo, found.hi, point)
        for metric, why in unlike.items():
            marked.setdefault(f"{metric}: {why}", []).append(name)
        entries.append(entry)
    return entries, marked


def _printed(name: str, row: Row, pivot: str | None, compares: bool) -> _Entry:
    """The line of a row that a paper prints."""
    group = settings_of(row.settings).get(pivot, "") if pivot else ""
    values = {}
    for metric, text in row.values.items() if compares else ():
        half = 0.5 * 10.0 ** Decimal(text).as_tuple().exponent
        values[metric] = Value(float(text), float(text) - half, float(text) + half)
    return _Entry((name, "", True), group, dict(row.values), values)


def _column(entries: list[_Entry], group: str, fact: Fact) -> list[Value]:
    return [entry.values[fact.name] for entry in entries if entry.group == group and fact.name in entry.values]


def _heading(pivot: str | None, group: str, heading: str) -> str:
    """A column's, with its group before it."""
    return f"{pivot} = {group}, {heading}" if group else f"no {pivot}, {heading}" if pivot else heading


def _order(group: str) -> tuple[bool, float, str]:
    """Numbers by size, then names, and what has none last."""
    number = words.finite(group)
    return group == "", float("inf") if number is None else number, group
