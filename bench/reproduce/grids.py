"""Qualitative figures: samples that an item names, edited by each of its runs."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.errors import UserError
from bench.report import sheets
from bench.reproduce.items import GRID, Item
from bench.reproduce.outcomes import Point
from bench.types import EditData, EditSample


class Pictured(NamedTuple):
    """A picture of a sample that no run saved, uint8 `[3, H, W]`; without a `row` a label under those of its column."""

    id: str
    row: str
    column: str
    pixels: np.ndarray | None = None
    label: str = ""


def select(item: Item, limit: int | None) -> Callable[[EditData], list[str]]:
    """How to choose the samples that the grid shows, without any score: by id, by prompt, or the first of each type.

    Args:
        limit: only among the first so many samples; None: all.

    Returns:
        a function of the data set that gives their ids. It raises UserError if there is none.
    """
    grid = GRID | item.grid

    def ids(data: EditData) -> list[str]:
        if grid["ids"]:
            found = [str(id_) for id_ in grid["ids"] if str(id_) in data.ids]
        elif grid["prompts"]:
            wanted = [_letters(prompt) for prompt in grid["prompts"]]
            named = {_letters(sample.target): sample.id for sample in sheets.samples(data, data.ids[:limit])}
            found = [named[prompt] for prompt in wanted if prompt in named]
        else:
            found = [sample.id for sample in _of_types(sheets.samples(data, data.ids[:limit]), grid)]
        if not found:
            raise UserError(f"{item.name}: the data set has none of the samples that it shows")
        return found

    return ids


def _of_types(samples, grid: dict) -> list[EditSample]:
    counts: dict[str | None, int] = {}
    found = []
    for sample in samples:
        wanted = grid["types"] is None or sample.type in grid["types"]
        if wanted and counts.get(sample.type, 0) < grid["per_type"]:
            counts[sample.type] = counts.get(sample.type, 0) + 1
            found.append(sample)
        if grid["types"] is not None and all(counts.get(kind, 0) == grid["per_type"] for kind in grid["types"]):
            break
    return sorted(found, key=lambda sample: list(counts).index(sample.type))


def _letters(prompt: object) -> str:
    """Printed prompts differ from the data set's in spaces, brackets and capitals."""
    return re.sub(r"[^a-z0-9]", "", str(prompt).lower())


def worst(item: Item, points: list[Point]) -> list[str]:
    """The ids with the lowest scores of the first run, so many of each type."""
    grid, first = GRID | item.grid, points[0]
    fact = first.summary.fact(grid["by"])
    if fact is None or fact.name not in first.scores:
        raise UserError(f"{item.name}: grid.by={grid['by']} is no metric of profile {first.summary.profile}")
    table = first.scores[first.scores[fact.name].notna()]
    table = table.sort_values(fact.name, ascending=fact.higher_is_better, kind="stable")
    if grid["types"] is not None:
        table = table[table.type.isin(grid["types"])]
    return table.groupby(table.type.fillna(""), sort=True).head(grid["per_type"]).sort_values("type").index.tolist()


def draw(
    item: Item,
    points: list[Point],
    ids: list[str],
    header: list[str],
    stem: Path,
    beside: list[Pictured] | None = None,
) -> list[Path]:
    """Writes `<stem>.png` and `.pdf`; returns them, or nothing if no picture is there.

    Args:
        ids: samples, in the order shown.
        beside: pictures that no run saved, in rows before those of the runs, and what stands under pictures.
    """
    grid, beside = GRID | item.grid, beside or []
    made = [point for point in points if point.run and point.why is None and point.run.store.journal()]
    if not made:
        return []
    data, missing = made[0].run.data, [point for point in points if point not in made]
    size = sheets.cell_of(data)
    sweep, masks = grid["layout"] == "sweep", grid["masks"]
    stores = {(p.row, p.name) if sweep else ("", ", ".join(filter(None, [p.row, p.name]))): p.run.store for p in made}
    shown = {(one.row, one.column, one.id): one for one in beside}
    keys = [*dict.fromkeys((one.row, one.column) for one in beside if one.row), *stores]
    rows, columns = (list(dict.fromkeys(key[i] for key in keys)) for i in (0, 1))
    lines, heads = [], []
    for sample in sheets.samples(data, ids):
        start = sheets.start(sample, size, masks)
        heads = [*([""] if sweep else []), *start, *columns]
        for row in rows:
            own = [shown.get((row, column, sample.id)) for column in columns]
            kept = [stores.get((row, column)) for column in columns]
            edits = [
                sheets.picture(one.pixels, size) if one else store and sheets.edit(store, sample.id, size, masks)
                for one, store in zip(own, kept, strict=True)
            ]
            under = [shown.get(("", column, sample.id)) for column in columns] if row == rows[-1] else []
            first = [*start.values()] if row == rows[0] else [None] * len(start)
            name = [row] if sweep else []
            labels = [""] * (len(name) + len(start)) + [one.label if one else "" for one in under]
            words = sheets.caption(sample) if row == rows[0] else []
            lines.append(sheets.Line(words, [*name, *first, *edits], tuple(labels) if any(labels) else ()))
    if not lines:
        return []
    outlines = [sheets.OUTLINES] if masks else []
    gone = [f"not shown: {point.row}" for point in missing]
    gone += [f"absent: {row} {why}" for row, why in item.absent.items()]
    notices = sorted({notice for point in made if (notice := point.run.notice)})
    notes = [*header, *notices, *outlines, sheets.CHANGED, *dict.fromkeys(gone), *item.notes]
    return sheets.save(sheets.sheet(item.title, heads, lines, notes, size), stem, ["png", "pdf"])
