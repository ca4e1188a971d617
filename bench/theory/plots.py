"""Tables and plots of `bench.theory`."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from bench.report import style, words
from bench.report.write import csv, grid
from bench.statistics.intervals import mean_interval

if TYPE_CHECKING:
    from bench.theory.measure import Measured


def show(found: "Measured", to: Path) -> None:
    """Prints what was measured and writes CSV, PNG and PDF."""
    facts = found.facts
    print("; ".join(filter(None, facts.values())), end="\n\n")
    for part, table in found.tables.items():
        curves = None
        if part == "bounds":
            curves = found.curves()
            write(to / "curves", curves, facts)
            print(", ".join(f"{name} = {words.number(value)}" for name, value in found.constants().items()), end="\n\n")
            t = crossing(curves)
            where = "at every level" if t is None else f"up to t = {t}"
            print(f"the bound of encoding and decoding is the tighter one {where}", end="\n\n")
        else:
            print(summary(part, table), end="\n\n")
        write(to / part, table, facts)
        draw(part, table, curves, to / part, facts)
    print(f"written: {to}")


def write(stem: Path, table: pd.DataFrame, facts: dict[str, str | None]) -> Path:
    """A table as CSV, with the notice in every line."""
    return csv(table.assign(notice=facts["notice"]), stem, float_format="%.6g")


def crossing(curves: pd.DataFrame) -> int | None:
    """The first timestep at which the bound of encoding and decoding is not the tighter one; None: there is none."""
    above = curves[(curves.encode_decode > curves.sdedit) & (curves.t > 0)]
    return int(above.t.iloc[0]) if len(above) else None


def draw(
    part: str, table: pd.DataFrame, extra: pd.DataFrame | None, stem: Path, facts: dict[str, str | None]
) -> list[Path]:
    """Writes `<stem>.png` and `<stem>.pdf`; returns them.

    Args:
        table: rows of one part of `bench.theory`; with a column `name`, a curve for each name, and `published` beside.
        extra: both bounds, and with `published_sdedit` and `published_encode_decode` the paper's.
    """
    figure, axes = plt.subplots()
    if part == "bounds":
        _bounds(axes, extra)
    else:
        {"reconstruction": _reconstruction, "gap": _gap, "scale": _scale}[part](axes, table)
    about = facts["about"] if part == "gap" else f"{facts['about']}, {facts['steps']}"
    return style.finish(figure, about, [facts["notice"]] if facts["notice"] else [], stem)


def _means(table: pd.DataFrame, by: str, value: str) -> pd.DataFrame:
    """Mean and interval for each key, as `style.curve` takes them."""
    rows = [(key, *mean_interval(group[value].to_numpy(), list(group.id))[:3]) for key, group in table.groupby(by)]
    means = pd.DataFrame(rows, columns=["x", "y", "y_lo", "y_hi"])
    return means.assign(x_lo=np.nan, x_hi=np.nan)


def _named(axes, table: pd.DataFrame, x: str, y: str) -> None:
    for name, one in table.groupby("name", sort=False):
        (line,) = axes.plot(one[x], one[y], marker="o", label=name)
        if one.published.notna().any():
            look = {"color": line.get_color(), "marker": "D", **style.HOLLOW}
            axes.plot(one[x], one.published, label=f"{name} (published)", **look)
    axes.legend()


def _reconstruction(axes, table: pd.DataFrame) -> None:
    if "name" in table:
        axes.set(xlabel="w_s in inversion and generation", ylabel="reconstruction error δ''")
        _named(axes, table, "w_s", "error")
        return
    for _, one in table.groupby("id"):
        axes.plot(one.w_s, one.error, color="gray", alpha=0.2, linewidth=0.8)
    style.curve(axes, _means(table, "w_s", "error"))
    axes.set_yscale("log")
    axes.set(xlabel="w_s in inversion and generation", ylabel="reconstruction error δ''  (each sample, and the mean)")


def _gap(axes, table: pd.DataFrame) -> None:
    axes.set(xscale="log", yscale="log", xlabel="steps", ylabel="mean of |z_t - z_(t-1)| / |z_(t-1)|")
    if "name" in table:
        _named(axes, table, "steps", "gap")
        return
    means = _means(table, "steps", "gap")
    style.curve(axes, means)
    axes.plot(means.x, means.y[0] * means.x[0] / means.x, "--", color="gray", label="∝ 1 / steps")
    axes.legend()


def _scale(axes, table: pd.DataFrame) -> None:
    groups = table.groupby("t").w
    t = np.array(sorted(table.t.unique()))
    for low, high, alpha in ((0.05, 0.95, 0.15), (0.25, 0.75, 0.3)):
        axes.fill_between(t, groups.quantile(low), groups.quantile(high), alpha=alpha, color="C0", linewidth=0)
    axes.plot(t, groups.median(), color="C0", label="median, quartiles and 5 to 95 % of samples")
    for w in (0, 1):
        axes.axhline(w, color="gray", linewidth=0.8, linestyle="--")
    low, high = table.w.quantile([0.02, 0.98])
    axes.set(xlabel="timestep", ylabel="w* (Proposition 3)", ylim=(min(low, -0.2), max(high, 1.2)))
    axes.legend()


def _bounds(axes, curves: pd.DataFrame) -> None:
    axes.plot(curves.t, curves.sdedit, label="SDEdit: (C + 1) τ")
    axes.plot(curves.t, curves.encode_decode, label="encode and decode: K2 τ (τ²+1)^-½ (τ + (τ²+1)^½)^K1")
    for colour, bound in (("C0", "sdedit"), ("C1", "encode_decode")):
        if f"published_{bound}" in curves:
            label = "dashed: with the paper's constants" if bound == "sdedit" else None
            axes.plot(curves.t, curves[f"published_{bound}"], "--", color=colour, linewidth=1, label=label)
    axes.set(yscale="log", xlabel="timestep encoded to", ylabel="bound on |x0 - edit| (root mean square)")
    axes.legend()


def summary(part: str, table: pd.DataFrame) -> str:
    """Means with 95 % intervals as a text table."""
    if part == "scale":
        groups = [(str(t), group.w) for t, group in table.groupby("t")]
        groups = [*groups[:: max(1, len(groups) // 10)], ("median of an image", table.groupby("id").w.median())]
        rows = [
            {
                "t": name,
                "median w*": words.number(w.median()),
                "quartiles": " to ".join(words.number(q) for q in w.quantile([0.25, 0.75])),
                "in [0, 1] (%)": words.number(100 * w.between(0, 1).mean(), 0),
            }
            for name, w in groups
        ]
        return grid(rows)
    by, values = {"reconstruction": ("w_s", ["error"]), "gap": ("steps", ["gap", "steps_x_gap"])}[part]
    rows = []
    for key, group in table.groupby(by):
        means = {value: mean_interval(group[value].to_numpy(), list(group.id))[:3] for value in values}
        rows.append({by: words.knob(key)} | {value: words.between(*mean) for value, mean in means.items()})
    return grid(rows)
