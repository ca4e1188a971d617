"""An item's values as plots: trade-off curves, or a dot for each row; published values beside ours."""

import math
import textwrap
from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from bench.report import style, words
from bench.report.words import INTERVALS, axis, finite
from bench.report.write import csv
from bench.reproduce import marks, published
from bench.reproduce.items import Item
from bench.reproduce.verdicts import Cell, frame, notices


def curves(item: Item, cells: list[Cell], header: list[str], stem: Path) -> list[Path]:
    """The panels of an item: a curve for each row, points annotated by what tells them apart, published points hollow.
    A panel `of` some rows shows those whose names begin so, and calls them by the rest. Writes PNG, PDF and the CSV of
    the points; returns them, or nothing if no panel has a point."""
    apart = {*item.differences, *item.reductions}
    cells = [cell for cell in cells if cell.row not in apart]
    table = frame(cells)
    found = [(panel, _points(table[table.row.str.startswith(_prefix(panel))], panel)) for panel in item.panels]
    shown = [(panel, points) for panel, points in found if not points.empty]
    if not shown:
        return []
    known = list(dict.fromkeys(row.removeprefix(_prefix(p)) for p in item.panels for row in table.row.unique()))
    far: list[str] = []
    figure, grid = plt.subplots(1, len(shown), figsize=(2.4 + 4.7 * len(shown), 5.2), squeeze=False)
    for axes, (panel, points) in zip(grid[0], shown, strict=True):
        near = _near(points)
        x, y = (words.called(panel[side]) for side in "xy")
        far += [f"{p.row} ({x} {p.x:.3g}, {y} {p.y:.3g})" for p in points[~near].itertuples()]
        drawn = points[near]
        for row in dict.fromkeys(drawn.row):
            called = row.removeprefix(_prefix(panel))
            _curve(axes, drawn[drawn.row == row], called, known.index(called), panel)
        axes.set_title(panel.get("title", ""))
        for side in "xy":
            of_side = table[table.metric == panel[side]].iloc[0]
            axes.set(**{f"{side}label": axis(of_side.heading, of_side.higher_is_better)})
        if panel["x"] == item.along:
            axes.set_xticks(sorted(drawn.x.unique()))
    for line in item.lines:
        value = published.one(item.paper, line["published"])
        draw = grid[0][0].axhline if line["axis"] == "y" else grid[0][0].axvline
        draw(value.value, color="gray", linestyle="--", linewidth=1, label=f"published: {line['label']} {value.text}")
    handles = {label: h for axes in grid[0] for h, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    labels = [label for row in known for label in (row, f"{row} (published)") if label in handles]
    labels += [label for label in handles if label not in labels]
    wrapped = [textwrap.fill(label, 34) for label in labels]
    figure.legend([handles[label] for label in labels], wrapped, loc="outside right center")
    points = pd.concat([points.assign(x_metric=panel["x"], y_metric=panel["y"]) for panel, points in shown])
    key = [f"{_numbers(points)}bars: {INTERVALS}" + ("; hollow: published" if points.published.any() else "")]
    key += ["far outside, not drawn: " + "; ".join(far)] if far else []
    files = style.finish(figure, item.title, [*notices(cells), *header, *key, *marks.apart(cells)], stem)
    return [*files, csv(points, stem)]


def _numbers(points: pd.DataFrame) -> str:
    """What the numbers along the curves are, of each row where they are not the same of all."""
    knobs: dict[str, list[str]] = {}
    for row, point in points[["row", "point"]].drop_duplicates("row").itertuples(index=False):
        if point:
            knobs.setdefault(words.called(point.split(" = ")[0]), []).append(row)
    usual = max(knobs, key=lambda knob: len(knobs[knob]), default="")
    others = [f"{', '.join(rows)}: {knob}" for knob, rows in knobs.items() if knob != usual]
    return f"numbers: {usual}{' (' + '; '.join(others) + ')' if others else ''}; " if usual else ""


def _prefix(panel: dict[str, str]) -> str:
    return f"{panel['of']}, " if "of" in panel else ""


def _points(table: pd.DataFrame, panel: dict[str, str]) -> pd.DataFrame:
    """Points that have both values of a panel, ours and published ones."""
    sides = {which: table[table.metric == panel[which]].set_index(["row", "point"]) for which in "xy"}
    common = sides["x"].index.intersection(sides["y"].index, sort=False)
    rows = []
    for row, point in common:
        x, y = (sides[which].loc[(row, point)] for which in "xy")
        start = {"row": row, "point": point}
        if None not in (finite(x.ours), finite(y.ours)) and not (x.apart or y.apart):
            ends = {f"{w}_{end}": side[end] for w, side in (("x", x), ("y", y)) for end in ("lo", "hi")}
            rows.append(start | {"x": float(x.ours), "y": float(y.ours), **ends, "n": y.n, "published": False})
        if x.published and y.published:
            rows.append(start | {"x": float(x.published), "y": float(y.published), "published": True})
    return pd.DataFrame(rows, columns=["row", "point", "x", "y", "x_lo", "x_hi", "y_lo", "y_hi", "n", "published"])


def _near(points: pd.DataFrame) -> pd.Series:
    """Which points are drawn: a single point far from all curves, such as Retrieve's, would squeeze them."""
    near = pd.Series(True, points.index)
    curves_ = points[points.groupby("row").row.transform("size") > 1]
    if curves_.row.nunique() < 2:
        return near
    for side in "xy":
        low, high = curves_[side].min(), curves_[side].max()
        near &= points[side].between(low - 2 * (high - low), high + 2 * (high - low))
    return near


def _curve(axes: Axes, points: pd.DataFrame, row: str, index: int, panel: dict[str, str]) -> None:
    look = style.look(index)
    ours, theirs = points[~points.published.astype(bool)], points[points.published.astype(bool)]
    if len(ours):
        names = ["" if panel["x"] in name else name.split(",")[0].split(" = ")[-1] for name in ours.point]
        style.curve(axes, ours, names, row, **look)
    if len(theirs):
        axes.plot(theirs.x, theirs.y, label=f"{row} (published)", **look | style.HOLLOW)


def dots(item: Item, cells: list[Cell], header: list[str], stem: Path) -> list[Path]:
    """A panel for each column with a dot and interval for each row, published values as hollow diamonds. Writes PNG and
    PDF; returns them, or nothing if there is no number."""
    apart = {*item.differences, *item.reductions}  # of another size; they are in the table
    cells = [cell for cell in cells if cell.row not in apart]
    table = frame(cells)
    numbers = table[(table.ours.map(finite).notna() | (table.published != "")) & (table.kind != "knob")]
    columns = [c for c in dict.fromkeys(table.metric) if c in set(numbers.metric)]
    if not columns:
        return []
    labels = list(dict.fromkeys((cell.row, cell.point) for cell in cells if cell.metric in columns))
    wide = len(columns) if len(columns) <= 5 else 4
    deep = math.ceil(len(columns) / wide)
    size = (2.6 + 2.2 * wide, 1.3 + (0.7 + 0.25 * len(labels)) * deep)
    figure, grid = plt.subplots(deep, wide, figsize=size, sharey=True, squeeze=False)
    for axes in grid.flat[len(columns) :]:
        axes.set_visible(False)
    for axes, column in zip(grid.flat, columns, strict=False):
        for cell in (cell for cell in cells if cell.metric == column):
            y = -labels.index((cell.row, cell.point))
            if finite(cell.ours) is not None and not cell.apart:
                axes.plot([cell.ours], [y], "o", color="tab:blue")
                if cell.lo is not None and cell.hi is not None:
                    axes.plot([cell.lo, cell.hi], [y, y], color="tab:blue", linewidth=1.2, alpha=0.6)
            if cell.published:
                axes.plot([float(cell.published)], [y], color="tab:orange", marker="D", **style.HOLLOW)
        heading = max((cell.heading for cell in cells if cell.metric == column), key=len)
        better = next((cell.higher_is_better for cell in cells if cell.metric == column), None)
        axes.set_xlabel("\n".join(textwrap.fill(part, 26) for part in axis(heading, better).split("   ")))
        axes.locator_params(axis="x", nbins=4)
    grid[0][0].set_yticks([-i for i in range(len(labels))], [", ".join(filter(None, label)) for label in labels])
    key = f"dots: ours, bars: {INTERVALS}" + ("; hollow diamonds: published" if numbers.published.any() else "")
    return style.finish(figure, item.title, [*notices(cells), *header, key, *marks.apart(cells)], stem)
