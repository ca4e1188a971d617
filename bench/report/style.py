"""How every figure looks, and its files."""

import textwrap
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd

matplotlib.use("Agg")
from matplotlib import patheffects
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox

from bench.report import write

plt.rcParams.update(
    {
        "figure.figsize": (7.2, 5.2),
        "figure.constrained_layout.use": True,
        "figure.titlesize": 11,
        "axes.grid": True,
        "axes.titlesize": 8.5,
        "axes.labelsize": 9.5,
        "grid.alpha": 0.25,
        "legend.fontsize": 8.5,
        "lines.markersize": 5.5,
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 8.5,
        "savefig.dpi": 150,
    }
)
_MARKS = "osDv^<>PX*hpHd8+x1234"  # as many as colours, so that neither repeats in a plot before both do
_COLOURS = plt.get_cmap("tab20").colors[::2] + plt.get_cmap("tab20").colors[1::2]
HOLLOW = {"linestyle": "none", "markerfacecolor": "none", "markersize": 8}  # of published values


def look(index: int) -> dict[str, Any]:
    """Colour and mark of one curve of many."""
    return {"color": _COLOURS[index % len(_COLOURS)], "marker": _MARKS[index % len(_MARKS)]}


def curve(axes: Axes, points: pd.DataFrame, names: list[str] | None = None, label: str | None = None, **look) -> None:
    """A line through points, each with its name: `x` and `y`, and with `_lo` and `_hi` the ends of their intervals (NaN
    where there is none)."""
    (line,) = axes.plot(points.x, points.y, label=label, **{"marker": "o"} | look)
    bars = {}
    for side in "xy":
        middle, low, high = (pd.to_numeric(points[name]) for name in (side, f"{side}_lo", f"{side}_hi"))
        bars[f"{side}err"] = np.nan_to_num([middle - low, high - middle]).clip(0)
    axes.errorbar(points.x, points.y, **bars, fmt="none", ecolor=line.get_color(), elinewidth=1, alpha=0.4)
    named = list(zip(points.x, points.y, names or [""] * len(points), strict=True))
    for x, y, name in [*named[:1], *named[:0:-1]]:  # the ends have the first choice of a place, see `_untangled`
        at = {"xytext": _PLACES[0], "textcoords": "offset points", "fontsize": 7, "color": line.get_color()}
        if name:
            halo = [patheffects.withStroke(linewidth=1.5, foreground="white")]
            axes.annotate(name, (x, y), path_effects=halo, **at)


_PLACES = [(4, 4), (4, -10), (-14, 4), (-14, -10), (-5, 7), (-5, -13)]
"""Where the name of a point may stand beside it, in points, the best first."""


def legend(axes: Axes) -> None:
    """A legend above the data and outside of them."""
    entries = len(axes.get_legend_handles_labels()[1])
    where = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2, "frameon": False}
    axes.legend(**where, ncols=1 if entries < 3 else 2)


def _markers(line: Line2D) -> list[Bbox]:
    """Where the points of a line are drawn, in pixels."""
    half = line.get_markersize() / 2 * line.figure.dpi / 72 * 0.7
    places = line.get_transform().transform(np.column_stack([line.get_xdata(), line.get_ydata()]).astype(float))
    return [Bbox([place - half, place + half]) for place in places if np.isfinite(place).all()]


def _untangled(figure: Figure) -> None:
    """Moves the names of points to where they cover no point and no other name; takes away those without a place."""
    figure.canvas.draw()
    for axes in figure.axes:
        placed = [box for line in axes.lines if line.get_marker() != "None" for box in _markers(line)]
        for name in axes.texts:
            for place in _PLACES:
                name.set_position(place)
                box = name.get_window_extent().padded(1)
                if not any(box.overlaps(other) for other in placed) and axes.bbox.padded(2).containsx(box.x0):
                    placed.append(box)
                    break
            else:
                name.set_visible(False)


def finish(figure: Figure, title: str, notes: list[str], stem: Path) -> list[Path]:
    """Puts the title above a figure and notes below it, as wide as it is, writes `<stem>.png` and `.pdf`, closes it,
    and returns the files; equal figures give equal bytes."""
    width = int(figure.get_size_inches()[0] * 14)
    figure.suptitle("\n".join(textwrap.fill(line, int(width * 0.72)) for line in title.splitlines()))
    figure.supxlabel("\n".join(textwrap.fill(line, width) for line in notes), fontsize=7.5, color="dimgray")
    _untangled(figure)
    undated = {"png": None, "pdf": {"CreationDate": None}}
    made = write.files(stem, undated, lambda file, form: figure.savefig(file, format=form, metadata=undated[form]))
    plt.close(figure)
    return made
