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
            r = crossing(curves)
            where = "at every encoding ratio" if r is None else f"below r = {words.number(r)}"
            print(f"the bound of encoding and decoding is the tighter one {where}", end="\n\n")
        else:
            print(summary(part, table), end="\n\n")
        write(to / part, table, facts)
        draw(part, table, curves, to / part, facts)
    print(f"written: {to}")


def write(stem: Path, table: pd.DataFrame, facts: dict[str, str | None]) -> Path:
    """A table as CSV, with the notice in every line."""
    return csv(table.assign(notice=facts["notice"]), stem, float_format="%.6g")


def crossing(curves: pd.DataFrame) -> float | None:
    """The first encoding ratio at which encoding and decoding has not the tighter bound; None: there is none."""
    above = curves[(curves.encode_decode > curves.sdedit) & (curves.t > 0)]
    return float(above.r.iloc[0]) if len(above) else None


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
    style.legend(axes)


def _reconstruction(axes, table: pd.DataFrame) -> None:
    label = words.axis("reconstruction error δ''", False)
    axes.set(xlabel="guidance scale w_s of inversion and generation", ylabel=label)
    if "name" in table:
        _named(axes, table, "w_s", "error")
        return
    for i, (_, one) in enumerate(table.groupby("id")):
        axes.plot(one.w_s, one.error, color="gray", alpha=0.2, linewidth=0.8, label=None if i else "each sample")
    style.curve(axes, _means(table, "w_s", "error"), label=f"mean; bars: {words.INTERVALS}")
    axes.set_yscale("log")
    for ticks in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        ticks("{x:g}")
    style.legend(axes)


def _gap(axes, table: pd.DataFrame) -> None:
    label = words.axis(r"gap: mean of $\|z_t - z_{t-1}\|\,/\,\|z_{t-1}\|$", False)
    axes.set(xscale="log", yscale="log", xlabel="number of steps", ylabel=label)
    if "name" in table:
        _named(axes, table, "steps", "gap")
        return
    means = _means(table, "steps", "gap")
    style.curve(axes, means, label=f"mean; bars: {words.INTERVALS}")
    axes.plot(means.x, means.y[0] * means.x[0] / means.x, "--", color="gray", label="∝ 1 / steps")
    style.legend(axes)


def _scale(axes, table: pd.DataFrame) -> None:
    groups = table.groupby("t").w
    t = np.array(sorted(table.t.unique()))
    for low, high, alpha in ((0.05, 0.95, 0.15), (0.25, 0.75, 0.3)):
        axes.fill_between(t, groups.quantile(low), groups.quantile(high), alpha=alpha, color="C0", linewidth=0)
    axes.plot(t, groups.median(), color="C0", label="median, quartiles and 5 to 95 % of samples")
    for w in (0, 1):
        axes.axhline(w, color="gray", linewidth=0.8, linestyle="--")
    low, high = table.w.quantile([0.02, 0.98])
    axes.set(
        xlabel="timestep t (0: the picture)",
        ylabel="best guidance scale w* (Proposition 3)",
        ylim=(min(low, -0.2), max(high, 1.2)),
    )
    style.legend(axes)


def _bounds(axes, curves: pd.DataFrame) -> None:
    sdedit, encoded = r"SDEdit: $(C + 1)\,τ$", r"DiffEdit: $K_2\,τ\,(τ^2 + 1)^{-1/2}\,(τ + (τ^2 + 1)^{1/2})^{K_1}$"
    axes.plot(curves.r, curves.sdedit, label=sdedit)
    axes.plot(curves.r, curves.encode_decode, label=encoded)
    for colour, bound in (("C0", "sdedit"), ("C1", "encode_decode")):
        if f"published_{bound}" in curves:
            label = "the same with the paper's constants" if bound == "sdedit" else None
            axes.plot(curves.r, curves[f"published_{bound}"], "--", color=colour, linewidth=1, label=label)
    axes.set(yscale="log", xlabel="encoding ratio r", ylabel=r"bound on $|x_0 - \mathrm{edit}|$ (root mean square)")
    style.legend(axes)


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
