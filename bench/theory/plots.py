"""Tables and plots of `bench.theory`."""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
import pandas as pd

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from bench.files.write import atomic
from bench.report import figures
from bench.statistics.intervals import mean_interval

if TYPE_CHECKING:
    from bench.theory.measure import Measured


def show(found: "Measured", to: Path) -> None:
    """Prints what was measured and writes CSV, PNG and PDF."""
    to.mkdir(parents=True, exist_ok=True)
    facts = found.facts
    print("; ".join(filter(None, facts.values())), end="\n\n")
    for part, table in found.tables.items():
        curves = None
        if part == "bounds":
            curves = found.curves()
            write(to / "curves.csv", curves, facts)
            print(", ".join(f"{name} = {value:.3g}" for name, value in found.constants().items()), end="\n\n")
            t = crossing(curves)
            where = "at every level" if t is None else f"up to t = {t}"
            print(f"the bound of encoding and decoding is the tighter one {where}", end="\n\n")
        else:
            print(summary(part, table), end="\n\n")
        write(to / f"{part}.csv", table, facts)
        draw(part, table, curves, to / part, facts)
    print(f"written: {to}")


def write(file: Path, table: pd.DataFrame, facts: dict[str, str | None]) -> None:
    """A table as CSV, with the notice in every line."""
    with atomic(file) as temporary:
        table.assign(notice=facts["notice"]).to_csv(temporary, index=False, float_format="%.6g")


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
    figure, axes = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
    if part == "bounds":
        _bounds(axes, extra)
    else:
        {"reconstruction": _reconstruction, "gap": _gap, "scale": _scale}[part](axes, table)
    axes.grid(alpha=0.25)
    about = facts["about"] if part == "gap" else f"{facts['about']}, {facts['steps']}"
    axes.set_title("\n".join(textwrap.fill(line, 80) for line in about.splitlines()), fontsize=10)
    figure.supxlabel("\n".join(filter(None, [facts["notice"]])), fontsize=7.5, color="dimgray")
    return figures.save(figure, stem)


def _means(table: pd.DataFrame, by: str, value: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keys, means, and distances of the interval's ends from them `[2, K]`."""
    keys, found = [], []
    for key, group in table.groupby(by):
        keys.append(key)
        found.append(mean_interval(group[value].to_numpy(), list(group.id))[:3])
    mean, low, high = np.array(found).T
    return np.array(keys), mean, np.nan_to_num(np.stack([mean - low, high - mean]))


def _named(axes, table: pd.DataFrame, x: str, y: str) -> None:
    for name, one in table.groupby("name", sort=False):
        (line,) = axes.plot(one[x], one[y], marker="o", label=name)
        if one.published.notna().any():
            style = {"color": line.get_color(), "markerfacecolor": "none", "markersize": 8}
            axes.plot(one[x], one.published, "D", label=f"{name} (published)", **style)
    axes.legend()


def _reconstruction(axes, table: pd.DataFrame) -> None:
    if "name" in table:
        axes.set(xlabel="w_s in inversion and generation", ylabel="reconstruction error δ''")
        _named(axes, table, "w_s", "error")
        return
    for _, one in table.groupby("id"):
        axes.plot(one.w_s, one.error, color="gray", alpha=0.2, linewidth=0.8)
    scales, mean, bars = _means(table, "w_s", "error")
    axes.errorbar(scales, mean, bars, marker="o", capsize=3)
    axes.set_yscale("log")
    axes.set(xlabel="w_s in inversion and generation", ylabel="reconstruction error δ''  (each sample, and the mean)")


def _gap(axes, table: pd.DataFrame) -> None:
    axes.set(xscale="log", yscale="log", xlabel="steps", ylabel="mean of |z_t - z_(t-1)| / |z_(t-1)|")
    if "name" in table:
        _named(axes, table, "steps", "gap")
        return
    steps, mean, bars = _means(table, "steps", "gap")
    axes.errorbar(steps, mean, bars, marker="o", capsize=3)
    axes.plot(steps, mean[0] * steps[0] / steps, "--", color="gray", label="∝ 1 / steps")
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
    axes.legend(fontsize=8)


def summary(part: str, table: pd.DataFrame) -> str:
    """Means with 95 % intervals as a text table."""
    if part == "scale":
        groups = [(str(t), group.w) for t, group in table.groupby("t")]
        groups = [*groups[:: max(1, len(groups) // 10)], ("median of an image", table.groupby("id").w.median())]
        rows = [
            {
                "t": name,
                "median w*": f"{w.median():.2f}",
                "quartiles": " to ".join(f"{q:.2f}" for q in w.quantile([0.25, 0.75])),
                "in [0, 1] (%)": f"{100 * w.between(0, 1).mean():.0f}",
            }
            for name, w in groups
        ]
        return pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)
    by, values = {"reconstruction": ("w_s", ["error"]), "gap": ("steps", ["gap", "steps_x_gap"])}[part]
    rows = []
    for key, group in table.groupby(by):
        row = {by: f"{key:g}"}
        for value in values:
            mean, low, high, _ = mean_interval(group[value].to_numpy(), list(group.id))
            row[value] = f"{mean:.4g} [{low:.4g}, {high:.4g}]"
        rows.append(row)
    return pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)
