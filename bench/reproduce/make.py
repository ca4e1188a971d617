"""One item made: its runs as far as they are missing, its table, its figures."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.reproduce import cells, grids, outcomes, tables
from bench.reproduce.items import Item
from bench.reproduce.outcomes import Point
from bench.reproduce.verdicts import Cell, Shown


@dataclass
class Made:
    """An item as far as it could be made."""

    item: Item
    cells: list[Cell]
    files: list[Path]
    problems: list[str]


def reproduce(item: Item, words: list[str], settings: dict[str, Any]) -> Made:
    """Makes one item: its runs as far as they are missing, its table, its figures.

    Raises:
        UserError: words that the item does not take, or a file of it that does not fit together.
    """
    rows = outcomes.compose(item, words)
    points = [point for one in rows for point in one.points]
    to, problems = Path(settings["to"] or out_of(words)), []
    pictures_only = bool(item.grid) and not item.scored
    for one in rows:
        only = grids.select(item, one.cfg.limit) if pictures_only else None
        problems += outcomes.complete(one, settings["run"], settings["rescore"], only)
    found = [] if pictures_only else cells.of_item(item, rows, words)
    head = _header(points)
    files: list[Path] = []
    shown: list[Shown] = []
    if item.theory:
        from bench.reproduce import theory

        shown.append(theory.make(item, words, to, settings["run"]))
    if item.listing:
        from bench.reproduce import listings

        shown.append(listings.make(item, words, to))
    for more in shown:
        found += more.cells
        files += more.files
        head += more.header
        problems += more.problems
    if found:
        print(tables.markdown(item, found, head), end="\n\n", flush=True)
        files = tables.write_all(item, found, head, to) + files
    files += _figures(item, points, found, head, to)
    return Made(item, found, files, list(dict.fromkeys(problems)))


def _figures(item: Item, points: list[Point], found: list[Cell], head: list[str], to: Path) -> list[Path]:
    files, stem = [], to / "figures" / item.name
    ready = [point for point in points if point.run and not point.why]
    if item.grid and ready:
        if item.grid.get("choose") == "lowest":
            ids = grids.worst(item, ready)
        elif not item.scored:
            ids = ready[0].run.ids  # chosen before they were edited
        else:
            ids = grids.select(item, ready[0].cfg["limit"])(ready[0].run.data)
        files += grids.draw(item, points, ids, head, to)
    elif found and item.runs:
        from bench.reproduce import plots

        draw = plots.curves if item.panels else plots.dots
        files += draw(item, found, head, stem)
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
    numbers = {fact["version"] for point in points if point.summary for fact in point.summary["metrics"].values()}
    return [line + (f"; metric versions {', '.join(map(str, sorted(numbers)))}" if numbers else "")]


def out_of(words: list[str]) -> str:
    """The folder of the runs that the words name."""
    return next((word.removeprefix("out=") for word in reversed(words) if word.startswith("out=")), "results/runs")
