"""One item made: its runs as far as they are missing, its table, its figures."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from bench.config.words import path
from bench.reproduce import cells, grids, order, outcomes, tables, timing
from bench.reproduce.items import Item, knob_of
from bench.reproduce.outcomes import Point
from bench.reproduce.verdicts import Cell, Shown


class Made(NamedTuple):
    """What was written of an item, a sentence for each thing that went wrong, edits that wait for other shards."""

    files: list[Path]
    problems: list[str]
    waiting: int = 0


def samples_of(item: Item) -> outcomes.Choice | None:
    """How the samples of an item are chosen that shows pictures alone; None: it takes all, and shows scores."""
    return partial(grids.select, item) if item.grid and not item.scored else None


def reproduce(item: Item, words: list[str], settings: dict[str, Any], edited: bool = True) -> Made:
    """Makes one item: its runs as far as they are missing, its table, its figures. While edits wait for other shards,
    no table and no figure is written.

    Args:
        edited: whether edits may be made; otherwise the table says which lack.

    Raises:
        UserError: words that the item does not take, or a file of it that does not fit together.
    """
    rows = outcomes.compose(item, words)
    points = [point for row in rows for point in row.points]
    only = samples_of(item)
    problems = outcomes.fill(rows, settings["run"], settings["rescore"], only, edited)
    if waiting := sum({point.run.key: point.waiting for point in points if point.waiting}.values()):
        print(
            f"{item.name}: this shard is done, {waiting} edits wait for other shards; the last one to finish writes "
            "tables and figures, or this command, given again",
            flush=True,
        )
        return Made([], list(dict.fromkeys(problems)), waiting)
    clocked = timing.clock(item, rows, settings["run"])
    problems += clocked.problems
    item_cells = [] if only else cells.of_item(item, rows, words)
    head, to = [*_header(points), *clocked.header], Path(settings["to"] or out_of(words))
    files: list[Path] = []
    parts: list[Shown] = []
    if item.theory:
        from bench.reproduce import theory

        parts.append(theory.make(item, words, to, settings["run"]))
    if item.listing:
        from bench.reproduce import listings

        parts.append(listings.make(item, words, to))
    for part in parts:
        item_cells += part.cells
        files += part.files
        head += part.header
        problems += part.problems
    if item_cells:
        chosen = [f"{label} is chosen image by image, on these pictures" for label in item.best_of]
        noted = replace(item, notes=[*order.sentences(item, rows, item_cells), *chosen, *item.notes])
        print(tables.readable(noted, item_cells, head).text(), end="\n\n", flush=True)
        files = tables.write_all(noted, item_cells, head, to) + files
    files += _figures(item, points, item_cells, head, to, words, settings["run"])
    return Made(files, list(dict.fromkeys(problems)))


def _figures(
    item: Item, points: list[Point], item_cells: list[Cell], head: list[str], to: Path, words: list[str], may_run: bool
) -> list[Path]:
    files, stem = [], to / "figures" / item.name
    ready = [point for point in points if point.run and not point.why]
    if item.grid and ready:
        if item.grid.get("choose") == "lowest":
            ids = grids.worst(item, ready)
        elif not item.scored:
            ids = ready[0].run.ids  # chosen before they were edited
        else:
            ids = grids.select(item, ready[0].cfg["limit"])(ready[0].run.data)
        if item.grid.get("layout") == "stages":  # which edits once more, under watch
            if not may_run:
                return files
            from bench.reproduce import stages

            return files + stages.draw(item, ready, ids, head, stem)
        beside = []
        if item.theory:  # its curves are the figure of the item's name
            from bench.reproduce import theory

            beside, stem = theory.pictures(item, words), stem.with_name(f"{stem.name}_pictures")
        files += grids.draw(item, points, ids, head, stem, beside)
    elif item_cells and item.runs:
        from bench.reproduce import plots

        draw = plots.curves if item.panels else plots.dots
        files += draw(item, item_cells, head, stem)
    return files


def _header(points: list[Point]) -> list[str]:
    """Data, model, metric profile and versions, as every table and figure says them."""
    if not points:
        return []
    cfgs = [point.cfg for point in points]
    data = ", ".join(sorted({cfg["data"]["name"] for cfg in cfgs}))
    models = ", ".join(sorted({cfg["model"]["name"] for cfg in cfgs if "model" in cfg["method"]["uses"]})) or "none"
    profile = cfgs[0]["metrics"]
    line = f"data {data}; model {models}; profile {profile['name']} ({profile['backbone']})"
    numbers = {number for point in points if point.summary for number in point.summary.versions.values()}
    return [line + (f"; metric versions {', '.join(map(str, sorted(numbers)))}" if numbers else "")]


def out_of(words: list[str]) -> str:
    """The folder of the runs that the words name."""
    typed = [word.partition("=")[2] for word in words if knob_of(word) == "out"]
    return path(typed[-1], "out=") if typed else "results/runs"
