"""A value, the published one beside it, and what may be said of the two. No torch."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from bench.report import words
from bench.reproduce import published
from bench.reproduce.items import Item
from bench.scores.stored import Fact

MATCHES, DIFFERS, INCOMPARABLE, NOT_RUN = "matches", "differs", "not comparable", "not run"
PRINTED = "as printed"


@dataclass
class Cell:
    """One value: the columns of `tables/<item>.csv`.

    Attributes:
        kind: pair (a mean over images), set, cost, knob, derived (from other rows), reduction (in percent) or measured
            (theory, counts).
        ours, lo, hi, n, n_expected: value, 95 % interval, images it is of, images asked for.
        groups: source pictures (or classes) that the interval is over.
        source: where `published` is printed.
        difference: ours - published.
        tolerance: by how much ours may miss the published value beside its rounding, see `bench.reproduce.tolerance`;
            None where that is not measured.
        tolerated: what the tolerance is of, or why there is none.
        verdict: matches, differs, not comparable, not run, or empty where nothing is published; of a row that a paper
            prints and nothing here is to make, as printed.
        why: of the verdict.
        apart: why it does not compare with most rows of its column, which were scored otherwise.
        run: its folder below `out`.
    """

    item: str
    title: str
    row: str
    point: str
    metric: str
    heading: str = ""
    higher_is_better: bool | None = None
    kind: str = "pair"
    ours: float | None = None
    lo: float | None = None
    hi: float | None = None
    n: int | None = None
    n_expected: int | None = None
    published: str = ""
    source: str = ""
    difference: float | None = None
    tolerance: float | None = None
    tolerated: str = ""
    verdict: str = ""
    why: str = ""
    run: str = ""
    notice: str = ""
    data: str = ""
    profile: str = ""
    groups: int | None = None
    apart: str = ""

    @classmethod
    def new(cls, item: Item, row: str, point: str, column: str, facts: dict[str, Fact]) -> "Cell":
        """An empty cell that knows what its column is; `facts` by the profile's name of the metric."""
        name = item.headings.get(column)
        cell = cls(
            item.name, item.title, row, point, column, heading=words.COSTS.get(column, name or words.called(column))
        )
        if column in facts:
            cell.heading = words.printed(facts[column], name)
            cell.higher_is_better = facts[column].higher_is_better
        elif column in words.COSTS:
            cell.higher_is_better = False
        return cell


class Shown(NamedTuple):
    """What an item shows beside its runs.

    Attributes:
        header: what tables must say of it.
        problems: a sentence for each thing that is missing on this machine; the cells concerned say it too.
    """

    cells: list[Cell]
    files: list[Path]
    header: list[str]
    problems: list[str]


def frame(cells: list[Cell]) -> pd.DataFrame:
    """One line a cell, in the order of the attributes."""
    return pd.DataFrame([asdict(cell) for cell in cells], columns=list(Cell.__dataclass_fields__))


def notices(cells: list[Cell]) -> list[str]:
    """What must be said beside values: each thing once, with the rows that it is of where some have none of it."""
    shown = {cell.row for cell in cells if cell.ours is not None}
    return words.borne(((cell.row, cell.notice) for cell in cells), shown)


def judge(item: Item, cell: Cell, reasons: list[str]) -> None:
    """Puts the published value and the verdict into a cell.

    Args:
        reasons: why it cannot be compared, if anything.
    """
    if cell.kind == "knob" or (found := _published(item, cell)) is None:
        return
    cell.published, cell.source = found.text, found.source
    cell.verdict, why = verdict(cell, found, reasons)
    cell.why = "; ".join(filter(None, [cell.why, why]))
    if cell.ours is not None:
        cell.difference = cell.ours - found.value


def verdict(cell: Cell, found: published.Published, reasons: list[str]) -> tuple[str, str]:
    """*matches* if ours is the published value but for its rounding and the cell's tolerance; and why not, in words.

    The paper scored the same images, so that an interval over images says nothing of agreement; that the published
    value lies in it is told of one that *differs*.

    Args:
        found: the published value.
        reasons: why the two cannot be compared, if anything.
    """
    if cell.ours is None or not math.isfinite(cell.ours):
        return NOT_RUN, ""
    if reasons:
        return INCOMPARABLE, "; ".join(reasons)
    apart = abs(cell.ours - found.value)
    if apart <= (found.rounding + (cell.tolerance or 0.0)) * (1 + 1e-9):
        return MATCHES, ""
    said = [f"{words.number(apart)} away, rounding explains {found.rounding:g}"]
    said[0] += f" and {cell.tolerated} {words.number(cell.tolerance)}" if cell.tolerance else ""
    said += [cell.tolerated] if cell.tolerance is None and cell.tolerated else []
    if cell.lo is not None and cell.hi is not None and cell.lo <= found.value <= cell.hi:
        said.append("within sampling: the published value lies in our 95 % interval over images")
    return DIFFERS, "; ".join(said)


def _published(item: Item, cell: Cell) -> published.Published | None:
    """What is printed for a cell; of a difference of which only the two sides are printed, their difference."""
    if (found := _printed(item, cell.row, cell)) or cell.row not in item.differences:
        return found
    first, second = (_printed(item, row, cell) for row in item.differences[cell.row])
    return first.minus(second) if first and second else None


def _printed(item: Item, row: str, cell: Cell) -> published.Published | None:
    said = item.published
    rows = said.get("rows", {})
    entry = rows.get(f"{row}, {cell.point}", rows.get(row, {})) or {}
    where = {key: entry.get(key, said.get(key)) for key in ("paper", "item")}
    return published.lookup(
        where["paper"] or item.paper,
        where["item"] or item.name.split("/")[1],
        entry.get("method", row),
        entry.get("settings"),
        {**said.get("metrics", {}), **entry.get("metrics", {})}.get(cell.metric, cell.metric),
    )
