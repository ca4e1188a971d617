"""Rows that papers print for an item's data set, below the item's own: as printed, not measured here. No torch."""

from bench.report import published
from bench.reproduce.items import Item
from bench.reproduce.outcomes import Point
from bench.reproduce.verdicts import PRINTED, Cell
from bench.scores.stored import Fact


def rows(item: Item, points: list[Point], columns: list[str], facts: dict[str, Fact]) -> list[Cell]:
    """A cell for each column of each row whose backbone is one of `item.printed`; each says of its row where it is
    printed, by which protocol, and what of that is not known."""
    data, profile = points[0].cfg["data"]["name"], points[0].cfg["metrics"]["name"]
    found = []
    for row in published.rows(data, profile):
        if row.protocol["backbone"] not in item.printed or not row.values.keys() & set(columns):
            continue
        for column in columns:
            cell = Cell.new(item, f"{row.paper}: {row.label}", "", column, facts)
            cell.published, cell.verdict, cell.why = row.values.get(column, ""), PRINTED, row.note
            found.append(cell)
    return found
