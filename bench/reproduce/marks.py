"""What a table marks: rows of other pictures than the rest, and the best and second value of a column. No torch."""

from collections import Counter
from collections.abc import Iterable

from bench.report import words
from bench.report.words import finite
from bench.reproduce.items import Item
from bench.reproduce.verdicts import PRINTED, Cell

Place = tuple[str, str]
"""A row and its point."""


def counts(cells: Iterable[Cell]) -> dict[Place, int]:
    """How many samples each row and point is of, where anything is known of it."""
    found: dict[Place, int] = {}
    for cell in cells:
        if cell.n is not None and cell.metric != "seconds":  # clocked on a few of them
            found[cell.row, cell.point] = max(cell.n, found.get((cell.row, cell.point), 0))
    return found


def usual(found: dict[Place, int]) -> int | None:
    """The number of samples that most rows are of, of several the largest; None: no row has any."""
    often = Counter(found.values())
    return max(often, key=lambda n: (often[n], n)) if often else None


def apart(cells: Iterable[Cell]) -> list[str]:
    """A line that says which rows are of other pictures than most, and of how many; none where all are of as many."""
    n_of = counts(cells)
    most, others = usual(n_of), {}
    for (row, point), n in n_of.items():
        if n != most:
            others.setdefault((row, n), []).append(point)
    rows = [row for row, _ in n_of]
    names = [
        f"{row if rows.count(row) == len(points) else ', '.join([row, *points])} (n = {n})"
        for (row, n), points in others.items()
    ]
    return [f"of other pictures than the rest: {words.some(names)}"] if names else []


def best(item: Item, cells: list[Cell], values: str) -> dict[tuple[str, str, str], int]:
    """The best (1) and second (2) value of each column, by row, point and metric.

    Not marked are rows that are no method (the best of several, differences), rows of other pictures than most, values
    that were scored otherwise than most or that papers print by protocols of their own, what an edit costs, and tables
    of trade-offs, where the best of one metric is the worst of another.

    Args:
        values: `ours` or `published`.
    """
    if item.panels:
        return {}
    no_methods = {*item.best_of, *item.differences, *item.reductions}
    n_of, marked = counts(cells), {}
    n = usual(n_of)
    better = {cell.metric: cell.higher_is_better for cell in cells if cell.higher_is_better is not None}
    columns: dict[tuple[str, str], list[tuple[float, Cell]]] = {}
    for cell in cells:
        value, of = _shown(cell, values), n_of.get((cell.row, cell.point))
        alike = values == "published" or (of == n and not cell.apart)
        if (
            cell.verdict == PRINTED
            or value is None
            or cell.row in no_methods
            or cell.metric not in better
            or cell.kind == "cost"
            or not alike
        ):
            continue
        columns.setdefault((cell.metric, cell.point), []).append((value if better[cell.metric] else -value, cell))
    for column in columns.values():
        ranked = sorted({value for value, _ in column}, reverse=True)[:2]
        if len(column) < 2 or len(ranked) < 2:
            continue
        for value, cell in column:
            if value in ranked:
                marked[cell.row, cell.point, cell.metric] = 1 + ranked.index(value)
    return marked


def _shown(cell: Cell, values: str) -> float | None:
    """A value as far as the table shows its digits: what reads alike is equally good."""
    if values == "published" or finite(cell.ours) is None:
        return finite(getattr(cell, values))
    return finite(words.value(cell.ours, cell.lo, cell.hi).split(" ")[0])
