"""Items that are measured instead of edited: `theory:` of an item, by `bench.theory` with the item's words.

    theory: {parts: [reconstruction], prompts: {robot: A drawing of a robot with blue eyes}}

Parts are those of `bench.theory`. With `prompts` the samples are those of these target prompts, each a row under its
name; without, the first `limit` samples, of which a row is the mean.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import pandas as pd
from omegaconf import DictConfig
from PIL import Image

from bench.config import cli
from bench.edits.plan import plan
from bench.errors import UserError, nearest
from bench.files.hashing import sha256_of
from bench.files.write import write, write_png
from bench.report.words import finite, number
from bench.report.write import csv
from bench.reproduce import cells, grids
from bench.reproduce.items import Item, merged
from bench.reproduce.outcomes import text
from bench.reproduce.verdicts import NOT_RUN, Cell, Shown, judge
from bench.statistics.intervals import mean_interval
from bench.theory import PARTS, WORDS, measure, plots, quantities
from bench.types import EditData

VERSION = 1
"""Raised when a measurement of the same words would give other numbers."""
MEAN = "mean of the samples"


class Value(NamedTuple):
    """One number and where it belongs; `lo` and `hi` are None for one sample and for maxima."""

    row: str
    point: str
    metric: str
    heading: str
    ours: float | None = None
    lo: float | None = None
    hi: float | None = None
    n: int | None = None


def make(item: Item, words: list[str], to: Path, may_measure: bool = True) -> Shown:
    """The cells and figures of an item's measurements; what was measured before is read again.

    Args:
        words: the user's, which change what is measured.
        to: the figures go to `<to>/figures/<item>.png`, `.pdf` and `.csv`.
        may_measure: otherwise only what is there is read.

    Raises:
        UserError: a part that does not exist.
    """
    parts, names = item.theory.get("parts") or list(PARTS), item.theory.get("prompts") or {}
    for part in parts:
        if part not in PARTS:
            raise UserError(f"conf/paper/{item.name}.yaml: unknown part {part!r}; {nearest(part, list(PARTS))}")
    (cfg,) = cli.jobs(merged(WORDS, item.words, words))
    try:
        found = _measured(item, cfg, may_measure)
    except UserError as error:
        blank = [_cell(item, value, cfg, "", []) for part in parts for value in _expected(part, cfg, list(names))]
        for cell in blank:
            cell.verdict, cell.why = NOT_RUN, str(error)
        return Shown(blank, [], [f"data {cfg.data.name}; model {cfg.model.name}"], [str(error)])
    notice = found.facts["notice"] or ""
    reasons = [*filter(None, [item.incomparable, *cells.changes(item, words), notice])]
    values = [(part, value) for part in parts for value in _values(part, found)]
    made = [_cell(item, value, cfg, notice, reasons) for _, value in values]
    of_part = {part: [c for (p, _), c in zip(values, made, strict=True) if p == part] for part in parts}
    files = [file for part in parts for file in _draw(item, part, found, of_part[part], to)]
    said = [found.facts["about"], *([found.facts["steps"]] if parts != ["gap"] else [])]
    return Shown(made, files, [f"data {'; '.join(said)}"], [])


def pictures(item: Item, words: list[str]) -> list[grids.Pictured]:
    """What was measured of single samples, as pictures and labels beside the item's edits of them.

    Args:
        words: as `make` took them; what it has not measured has no pictures.
    """
    (cfg,) = cli.jobs(merged(WORDS, item.words, words))
    try:
        folder, parts, _ = _kept(item, cfg)
    except UserError:
        return []
    if not (folder / "facts.json").exists():
        return []
    found = []
    for part in (part for part in parts if part in _COLUMNS):
        by, columns = _COLUMNS[part]
        column, (_, symbol, _) = next(iter(columns.items()))
        for row in pd.read_csv(folder / f"{part}.csv", dtype={"id": str}).to_dict("records"):
            point = f"{by} = {text(row[by])}"
            found.append(grids.Pictured(row["id"], "", point, label=f"{symbol} = {number(row[column])}"))
            if (file := _picture(folder, row["id"], row[by])).exists():
                with Image.open(file) as image:
                    pixels = np.asarray(image).transpose(2, 0, 1)
                found.append(grids.Pictured(row["id"], part, point, pixels))
    return found


def _picture(folder: Path, id_: str, key: float) -> Path:
    return folder / "pictures" / f"{quote(id_, safe='')}-{text(key)}.png"


def _kept(item: Item, cfg: DictConfig) -> tuple[Path, list[str], dict[str, str]]:
    """Where measurements are kept, `<out>/theory/<item>-<key>`; the parts, and the names of samples."""
    parts, names = item.theory.get("parts") or list(PARTS), item.theory.get("prompts") or {}
    run = plan(cfg)[0]
    what = {
        "version": VERSION,
        **{key: run.identity[key] for key in ("data", "model")},
        **{key: cfg[key] for key in ("steps",)},
        "w_s": measure.scales(cfg),
        "samples": names or cfg["limit"] or measure.LIMIT,
        "parts": parts,
        **({"pictured": True} if item.grid else {}),
    }
    return Path(cfg.out) / "theory" / f"{item.name.replace('/', '-')}-{sha256_of(what)[:10]}", parts, names


def _measured(item: Item, cfg: DictConfig, may: bool) -> measure.Measured:
    """Read from where it is kept, or measured and written there."""
    folder, parts, names = _kept(item, cfg)
    if (folder / "facts.json").exists():
        kept = json.loads((folder / "facts.json").read_text())
        tables = {part: pd.read_csv(folder / f"{part}.csv", dtype={"id": str, "name": str}) for part in parts}
        return measure.Measured(tables, np.array(kept["alphas"]), kept["facts"])
    if not may:
        raise UserError(f"{item.name} is not measured yet under out={cfg.out}")
    ids: dict[str, str] = {}

    def choose(data: EditData) -> list[str]:
        for name, prompt in names.items():
            (id_,) = grids.select(replace(item, grid={"prompts": [prompt]}), None)(data)
            ids[id_] = name
        return list(ids)

    found = measure.measure(cfg, parts, choose if names else None, pictured=bool(item.grid))
    for part, table in found.tables.items():
        if names:
            table = table.assign(name=table.id.map(ids))
            order = list(names).index
            found.tables[part] = table = table.sort_values("name", key=lambda c: c.map(order), kind="stable")
        csv(table, folder / part)
    for (id_, key), pixels in found.pictures.items():
        write_png(_picture(folder, id_, key), Image.fromarray(pixels.transpose(1, 2, 0)))
    write(folder / "facts.json", json.dumps({"facts": found.facts, "alphas": found.alphas.tolist()}))
    return found


_COLUMNS = {
    "reconstruction": ("w_s", {"error": ("delta_reconstruction", "δ''", "reconstruction error δ'' ↓")}),
    "gap": (
        "steps",
        {
            "gap": ("latent_gap", "gap", "gap between neighbouring latents ↓"),
            "steps_x_gap": ("steps_x_latent_gap", "steps x gap", "gap x number of steps"),
        },
    ),
}
_CONSTANTS = ("C", "K1", "K2")
_CROSSING = ("crossing_r", "encoding ratio at which the bounds cross")
_SCALE = {"w_star": "median w* of an image", "w_star_in_range_percent": "steps with w* in [0, 1] (%)"}


def _values(part: str, found: measure.Measured) -> Iterator[Value]:
    table = found.tables[part]
    if part == "bounds":
        largest = table[table.t > table.t.min()].groupby("id").k2.max()
        _, low, high, _ = mean_interval(largest.to_numpy(), largest.index.tolist())
        for name, value in found.constants().items():
            lo, hi = (finite(low), finite(high)) if name == "K2" else (None, None)
            yield Value("bounds", "", name, name, float(value), lo, hi, len(largest))
        yield Value("bounds", "", *_CROSSING, plots.crossing(found.curves()), n=len(largest))
    elif part == "scale":
        groups = table.groupby("id").w
        inside = 100 * groups.apply(lambda w: w.between(0, 1).mean())
        for (name, heading), one in zip(_SCALE.items(), (groups.median(), inside), strict=True):
            yield _mean(MEAN, "", name, heading, one.to_numpy(), one.index.tolist())
    else:
        by, columns = _COLUMNS[part]
        rows = table.name if "name" in table else pd.Series(MEAN, table.index)
        for (row, key), group in table.groupby([rows, by], sort=False):
            for column, (metric, _, heading) in columns.items():
                yield _mean(row, f"{by} = {text(key)}", metric, heading, group[column].to_numpy(), group.id.tolist())


def _mean(row: str, point: str, metric: str, heading: str, values: np.ndarray, ids: list[str]) -> Value:
    mean, low, high, n = mean_interval(values, ids)
    return Value(row, point, metric, heading, finite(mean), finite(low), finite(high), n)


def _expected(part: str, cfg: DictConfig, names: list[str]) -> Iterator[Value]:
    """Where the numbers would be, if they could be measured."""
    if part == "bounds":
        yield from (Value("bounds", "", name, name) for name in _CONSTANTS)
        yield Value("bounds", "", *_CROSSING)
    elif part == "scale":
        yield from (Value(MEAN, "", name, heading) for name, heading in _SCALE.items())
    else:
        by, columns = _COLUMNS[part]
        for row in names or [MEAN]:
            for key in measure.scales(cfg) if part == "reconstruction" else measure.STEPS:
                point = f"{by} = {text(key)}"
                yield from (Value(row, point, metric, heading) for metric, _, heading in columns.values())


def _cell(item: Item, value: Value, cfg: DictConfig, notice: str, reasons: list[str]) -> Cell:
    cell = Cell(item.name, item.title, value.row, value.point, value.metric, heading=value.heading, kind="measured")
    cell.ours, cell.lo, cell.hi, cell.n, cell.n_expected = value.ours, value.lo, value.hi, value.n, value.n
    cell.groups = value.n
    cell.notice, cell.data = notice, cfg.data.name
    cell.higher_is_better = False if value.metric == "delta_reconstruction" else None
    judge(item, cell, reasons)
    return cell


def _draw(item: Item, part: str, found: measure.Measured, of_part: list[Cell], to: Path) -> list[Path]:
    """The figure of one part, with the paper's values, and its numbers as CSV."""
    table, extra = found.tables[part], None
    if part == "bounds":
        extra = _with_published(found, of_part)
    elif "name" in table:
        by, columns = _COLUMNS[part]
        metric = next(iter(columns.values()))[0]
        printed = {(c.row, c.point): float(c.published) for c in of_part if c.metric == metric and c.published}
        table = table.assign(
            published=[printed.get((row, f"{by} = {text(k)}")) for row, k in zip(table.name, table[by], strict=True)]
        )
    stem = to / "figures" / (item.name if len(found.tables) == 1 else f"{item.name}_{part}")
    facts: dict[str, Any] = found.facts | {"about": f"{item.title}\n{found.facts['about']}"}
    drawn = plots.draw(part, table, extra, stem, facts)
    return [*drawn, plots.write(stem, table if extra is None else extra, facts)]


def _with_published(found: measure.Measured, of_part: list[Cell]) -> pd.DataFrame:
    """Both bounds, and both with the constants that the paper prints."""
    curves, printed = found.curves(), {cell.metric: cell.published for cell in of_part}
    if not all(printed.get(name) for name in _CONSTANTS):
        return curves
    theirs = quantities.bounds(found.alphas, *(float(printed[name]) for name in _CONSTANTS))
    return curves.assign(**{f"published_{name}": theirs[name] for name in ("sdedit", "encode_decode")})
