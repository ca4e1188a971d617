"""Trade-off plots and contact sheets."""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from omegaconf import OmegaConf

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from bench.edits.folder import Store
from bench.edits.plan import make_data
from bench.errors import BadSample, UserError
from bench.files.write import atomic
from bench.report import sheets


def save(figure: Figure, stem: Path) -> list[Path]:
    """Writes a figure as `<stem>.png` and `.pdf`, closes it, and returns the files; equal runs give equal bytes."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    files = [stem.with_name(stem.name + suffix) for suffix in (".png", ".pdf")]
    for file in files:
        with atomic(file) as temporary:
            undated = {"CreationDate": None} if file.suffix == ".pdf" else None
            figure.savefig(temporary, format=file.suffix[1:], dpi=150, metadata=undated)
    plt.close(figure)
    return files


def trade_off(table: pd.DataFrame, stem: Path) -> list[Path]:
    """Two metrics against each other for the runs of one data set and profile: one curve for each method and
    variant, points annotated with r, 95 % intervals where they exist. PNG, PDF and the CSV behind them.

    Returns:
        the files, none if no run has both values.
    """
    facts = table.summary.iloc[0]
    x, y = facts["plot"]["x"], facts["plot"]["y"]
    shown = table.dropna(subset=[x, y]) if {x, y} <= set(table) else table[:0]
    if shown.empty:
        print(f"no trade-off plot: no run of {facts['data']}, {facts['profile']} has both {x} and {y}\n")
        return []
    figure, axes = plt.subplots(figsize=(7.2, 5.2), layout="constrained")
    for label, curve in _curves(shown):
        bars = {"xerr": _error(curve, x), "yerr": _error(curve, y)}
        (line,) = axes.plot(curve[x], curve[y], marker="o", label=label)
        axes.errorbar(curve[x], curve[y], **bars, fmt="none", ecolor=line.get_color(), elinewidth=1, alpha=0.35)
        for _, row in curve.iterrows():
            if not pd.isna(row.r):
                axes.annotate(f"{row.r:g}", (row[x], row[y]), (4, 4), textcoords="offset points", fontsize=7.5)
    axes.set_xlabel(_axis(x, facts["metrics"][x], horizontal=True))
    axes.set_ylabel(_axis(y, facts["metrics"][y], horizontal=False))
    axes.grid(alpha=0.25)
    axes.legend(fontsize=9)
    counts = sorted({int(n) for n in shown.n})
    many = f"n = {counts[0]}" if len(counts) == 1 else f"n = {counts[0]} to {counts[-1]}"
    notices = sorted(shown.notice.dropna().unique())
    axes.set_title(f"{facts['data']}, {facts['profile']} ({facts['backbone']}), {many}", fontsize=10)
    notes = [*notices, "numbers on the curves: encoding ratio r; bars: 95 % bootstrap intervals"]
    notes += [f"not shown, without {x} or {y}: {name}" for name in sorted(set(table.method) - set(shown.method))]
    figure.supxlabel("\n".join(notes), fontsize=7.5, color="dimgray")
    files = [*save(figure, stem), stem.with_name(stem.name + ".csv")]
    with atomic(files[2]) as temporary:
        columns = [f"{name}{end}" for name in (x, y) for end in ("", "_lo", "_hi", "_n")]
        shown[["method", "variant", "model", "r", "seed", "n", *columns]].to_csv(temporary, index=False)
    return files


def contact_sheet(table: pd.DataFrame, file: Path, rows: int) -> list[Path]:
    """Samples of one data set, a row each: source with the true mask, the true edit where known, and every run's
    edit with its mask; masks are outlines.

    Returns:
        the file, or nothing if the data set can no longer be read.
    """
    config = OmegaConf.to_container(OmegaConf.load(Path(table.folder.iloc[0]) / "config.yaml"))
    try:
        data = make_data(config["data"])
    except UserError as error:
        print(f"no contact sheet of {config['data']['name']}: {error}")
        return []
    stores = [Store(Path(folder)) for folder in table.folder]
    done = [set(store.journal()) for store in stores]
    common = [id_ for id_ in data.ids if all(id_ in ids for ids in done)]
    samples = []
    for id_ in common[:rows]:
        try:
            samples.append(data[data.ids.index(id_)])
        except BadSample:
            continue
    if not samples:
        return []
    has_truth = samples[0].truth is not None
    heads = ["source"] + ["truth"] * has_truth + [_short(row) for _, row in table.iterrows()]
    lines = []
    for sample in samples:
        source, target = ("∅" if query is None else query for query in (sample.source, sample.target))
        words = f"{sample.id}  {sample.type or ''}:  {source} → {target}"
        cells = [sheets.outlined(sheets.picture(sample.image), sample.mask)]
        cells += [sheets.picture(sample.truth)] if has_truth else []
        lines.append((words, [*cells, *(sheets.edit(store, sample.id) for store in stores)]))
    notices = " ".join(sorted(table.notice.dropna().unique()))
    note = f"{config['data']['name']}; outlines: true mask on the source, the method's own mask on its edit. {notices}"
    with atomic(file) as temporary:
        sheets.sheet(heads, lines, [note]).save(temporary, format="PNG")
    return [file]


def _curves(table: pd.DataFrame):
    for (method, variant, seed), curve in table.groupby(["method", "variant", table.seed.fillna(-1)], sort=False):
        seeds = table[(table.method == method) & (table.variant == variant)].seed.nunique()
        name = " ".join(filter(None, [method, variant, f"seed {seed:g}" if seeds > 1 else ""]))
        yield name, curve.sort_values("r")


def _error(curve: pd.DataFrame, name: str) -> np.ndarray:
    value, low, high = (curve[c].to_numpy(float) for c in (name, f"{name}_lo", f"{name}_hi"))
    return np.nan_to_num(np.stack([value - low, high - value]))


def _axis(name: str, fact: dict, horizontal: bool) -> str:
    arrow = {(True, True): "→", (True, False): "←", (False, True): "↑", (False, False): "↓"}
    unit = f" ({fact['unit']})" if fact["unit"] else ""
    return f"{name}{unit}   {arrow[horizontal, fact['higher_is_better']]} better"


def _short(row: pd.Series) -> str:
    variant = "" if not row.variant else "\n" + row.variant[:18]
    return row.method + ("" if pd.isna(row.r) else f"\nr = {row.r:g}") + variant
