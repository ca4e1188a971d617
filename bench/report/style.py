"""How every figure looks, and its files."""

import textwrap
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
HOLLOW = {"linestyle": "none", "markerfacecolor": "none", "markersize": 8}  # of published values


def curve(axes: Axes, points: pd.DataFrame, names: list[str] | None = None, label: str | None = None, **look) -> None:
    """A line through points, each with its name: `x` and `y`, and with `_lo` and `_hi` the ends of their intervals (NaN
    where there is none)."""
    (line,) = axes.plot(points.x, points.y, label=label, **{"marker": "o"} | look)
    bars = {}
    for side in "xy":
        middle, low, high = (pd.to_numeric(points[name]) for name in (side, f"{side}_lo", f"{side}_hi"))
        bars[f"{side}err"] = np.nan_to_num([middle - low, high - middle]).clip(0)
    axes.errorbar(points.x, points.y, **bars, fmt="none", ecolor=line.get_color(), elinewidth=1, alpha=0.4)
    for x, y, name in zip(points.x, points.y, names or [""] * len(points), strict=True):
        at = {"xytext": (4, 4), "textcoords": "offset points", "fontsize": 7, "color": line.get_color()}
        axes.annotate(name, (x, y), **at)


def finish(figure: Figure, title: str, notes: list[str], stem: Path) -> list[Path]:
    """Puts the title above a figure and notes below it, as wide as it is, writes `<stem>.png` and `.pdf`, closes it,
    and returns the files; equal figures give equal bytes."""
    width = int(figure.get_size_inches()[0] * 14)
    figure.suptitle("\n".join(textwrap.fill(line, int(width * 0.72)) for line in title.splitlines()))
    figure.supxlabel("\n".join(textwrap.fill(line, width) for line in notes), fontsize=7.5, color="dimgray")
    undated = {"png": None, "pdf": {"CreationDate": None}}
    made = write.files(stem, undated, lambda file, form: figure.savefig(file, format=form, metadata=undated[form]))
    plt.close(figure)
    return made
