"""Tables and plots of `bench.theory`."""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from bench.statistics import mean_interval
from bench.store import atomic


def draw(part: str, table: pd.DataFrame, extra: pd.DataFrame | None, stem: Path, facts: dict[str, str | None]) -> None:
    """Writes `<stem>.png` and `<stem>.pdf`."""
    figure, axes = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
    if part == "bounds":
        _bounds(axes, extra)
    else:
        {"reconstruction": _reconstruction, "gap": _gap, "scale": _scale}[part](axes, table)
    axes.grid(alpha=0.25)
    axes.set_title(facts["about"] if part == "gap" else f"{facts['about']}, {facts['steps']}", fontsize=10)
    figure.supxlabel("\n".join(filter(None, [facts["notice"]])), fontsize=7.5, color="dimgray")
    for suffix in (".png", ".pdf"):
        with atomic(stem.with_name(stem.name + suffix)) as temporary:
            undated = {"CreationDate": None} if suffix == ".pdf" else None
            figure.savefig(temporary, format=suffix[1:], dpi=150, metadata=undated)
    plt.close(figure)


def _means(table: pd.DataFrame, by: str, value: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keys, means, and distances of the interval's ends from them `[2, K]`."""
    keys, found = [], []
    for key, group in table.groupby(by):
        keys.append(key)
        found.append(mean_interval(group[value].to_numpy(), list(group.id))[:3])
    mean, low, high = np.array(found).T
    return np.array(keys), mean, np.nan_to_num(np.stack([mean - low, high - mean]))


def _reconstruction(axes, table: pd.DataFrame) -> None:
    for _, one in table.groupby("id"):
        axes.plot(one.w_s, one.error, color="gray", alpha=0.2, linewidth=0.8)
    scales, mean, bars = _means(table, "w_s", "error")
    axes.errorbar(scales, mean, bars, marker="o", capsize=3)
    axes.set_yscale("log")
    axes.set(xlabel="w_s in inversion and generation", ylabel="reconstruction error δ''  (each sample, and the mean)")


def _gap(axes, table: pd.DataFrame) -> None:
    steps, mean, bars = _means(table, "steps", "gap")
    axes.errorbar(steps, mean, bars, marker="o", capsize=3)
    axes.plot(steps, mean[0] * steps[0] / steps, "--", color="gray", label="∝ 1 / steps")
    axes.set(xscale="log", yscale="log", xlabel="steps", ylabel="mean of |z_t - z_(t-1)| / |z_(t-1)|")
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
