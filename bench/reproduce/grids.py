"""Qualitative figures: samples that an item names, edited by each of its runs."""

import re
import textwrap
from collections.abc import Callable
from pathlib import Path

from bench.errors import BadSample, UserError
from bench.files.write import atomic
from bench.report import sheets
from bench.reproduce.items import GRID, Item
from bench.reproduce.outcomes import Point
from bench.types import EditData, EditSample


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
            named = {_letters(sample.target): sample.id for sample in _samples(data, limit)}
            found = [named[prompt] for prompt in wanted if prompt in named]
        else:
            found = [sample.id for sample in _of_types(_samples(data, limit), grid)]
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


def _samples(data: EditData, limit: int | None):
    for index in range(len(data.ids[:limit])):
        try:
            yield data[index]
        except BadSample:
            continue


def _letters(prompt: object) -> str:
    """Printed prompts differ from the data set's in spaces, brackets and capitals."""
    return re.sub(r"[^a-z0-9]", "", str(prompt).lower())


def worst(item: Item, points: list[Point]) -> list[str]:
    """The ids with the lowest scores of the first run, so many of each type."""
    grid, first = GRID | item.grid, points[0]
    name = next((name for name in (grid["by"], f"{grid['by']}_random") if name in first.scores), None)
    if name is None:
        raise UserError(f"{item.name}: grid.by={grid['by']} is no metric of profile {first.summary['profile']}")
    better = first.summary["metrics"][name]["higher_is_better"]
    table = first.scores[first.scores[name].notna()].sort_values(name, ascending=better, kind="stable")
    if grid["types"] is not None:
        table = table[table.type.isin(grid["types"])]
    return table.groupby(table.type.fillna(""), sort=True).head(grid["per_type"]).sort_values("type").index.tolist()


def draw(item: Item, points: list[Point], ids: list[str], header: list[str], to: Path) -> list[Path]:
    """Writes `<to>/figures/<item>.png` and `.pdf`; returns them, or nothing if no picture is there.

    Args:
        ids: samples, in the order shown.
    """
    grid = GRID | item.grid
    made = [point for point in points if point.run and point.why is None and point.run.store.journal()]
    if not made:
        return []
    data, missing = made[0].run.data, [point for point in points if point not in made]
    size = sheets.CELL if data.size <= sheets.CELL else 160
    lines, heads = [], []
    for id_ in ids:
        try:
            sample = data[data.ids.index(id_)]
        except (BadSample, ValueError):
            continue
        start = [sheets.outlined(sheets.picture(sample.image, size), sample.mask if grid["masks"] else None)]
        heads = ["source"]
        if sample.truth is not None:
            start, heads = [*start, sheets.picture(sample.truth, size)], ["source", "truth"]
        words = f"{sample.id}  {sample.type or ''}:  {sample.source} → {sample.target}"
        if grid["layout"] == "runs":
            edits = [sheets.edit(point.run.store, id_, size, grid["masks"]) for point in made]
            lines.append((words, [*start, *edits]))
            heads += [_head(", ".join(filter(None, [point.row, point.name])), size) for point in made]
            continue
        names = list(dict.fromkeys(point.name for point in made))
        heads += [_head(name, size) for name in names]
        for row in (rows := list(dict.fromkeys(point.row for point in made))):
            mine = {p.name: sheets.edit(p.run.store, id_, size, grid["masks"]) for p in made if p.row == row}
            edits = [mine.get(name) for name in names]
            first = row == rows[0]
            lines.append(
                (f"{row}      {words}" if first else row, [*(start if first else [None] * len(start)), *edits])
            )
    if not lines:
        return []
    outlines = ["outlines: true mask on the source, the method's own mask on its edit"] if grid["masks"] else []
    gone = [f"not shown: {point.row}" for point in missing]
    gone += [f"absent: {row} {why}" for row, why in item.absent.items()]
    notices = sorted({notice for point in made if (notice := point.run.notice)})
    notes = [item.title, *header, *notices, *outlines, *dict.fromkeys(gone), *item.notes]
    image = sheets.sheet(heads, lines, notes, size)
    stem = to / "figures" / item.name
    stem.parent.mkdir(parents=True, exist_ok=True)
    files = [stem.with_name(stem.name + suffix) for suffix in (".png", ".pdf")]
    for file in files:
        with atomic(file) as temporary:
            image.save(temporary, format=file.suffix[1:].upper())
    return files


def _head(words: str, size: int) -> str:
    return "\n".join(textwrap.wrap(words, max(8, size // 7)))
