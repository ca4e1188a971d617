"""Trade-off plots and contact sheets."""

import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from bench.config import files
from bench.edits.folder import Store
from bench.edits.plan import make_data
from bench.errors import UserError
from bench.report import sheets, style, words, write
from bench.report.tables import unlike

CURVES = 12
"""On one plot; more are drawn on several, so that no two of a plot share a colour or a mark."""
COLUMNS = 12
"""On a contact sheet, source and true edit among them; more runs are on several."""


def trade_off(part: pd.DataFrame, stem: Path) -> list[Path]:
    """Two metrics against each other for the runs of one data set and profile: one curve for each method and
    variant, points annotated with r, 95 % intervals where they exist. PNG, PDF and the CSV behind them; more than
    `CURVES` are drawn on several plots with the same axes.

    Returns:
        the files, none if no run has both values.
    """
    first = part.scored.iloc[0].summary
    sides = {side: first.plot[side] for side in "xy"}
    x, y = sides.values()
    apart = unlike(list(part.scored))
    whole = part.dropna(subset=[x, y]) if {x, y} <= set(part) else part[:0]
    shown = whole[[not {x, y} & apart[run].keys() for run in whole.scored]]
    if shown.empty:
        print(f"no trade-off plot: no run of {first.data}, {first.profile} has both {x} and {y}\n")
        return []
    ends = {f"{name}{end}": f"{side}{end}" for side, name in sides.items() for end in ("", "_lo", "_hi")}
    curves = [(" ".join(names).strip(), one) for names, one in shown.groupby(["method", "variant"], sort=False)]
    summaries = [run.summary for run in shown.scored]
    facts = words.facts(run.metrics.values() for run in summaries)
    notes = [*words.notices(summaries), f"numbers on the curves: encoding ratio r; bars: {words.INTERVALS}"]
    away = [
        f"{run.summary.method} ({'; '.join(apart[run].values())})" for run in whole.scored if {x, y} & apart[run].keys()
    ]
    notes += [f"not shown, scored otherwise: {name}" for name in dict.fromkeys(away)]
    notes += [f"not shown, without {x} or {y}: {name}" for name in sorted(set(part.method) - set(whole.method))]
    title = ", ".join([*words.scored_by(first), *words.averaged(first), f"n = {words.span(shown.n)}"])
    pages, written = sheets.pages(curves, CURVES), []
    for number, page in enumerate(pages, 1):
        figure, axes = plt.subplots(figsize=(8.4, 5.2))
        for i, (name, curve) in enumerate(page):
            points = curve.sort_values("r").rename(columns=ends)
            style.curve(axes, points, points.r.map(words.knob).tolist(), textwrap.fill(name, 34), **style.look(i))
        for side, name in sides.items():
            label = words.axis(words.printed(facts[name]), facts[name].higher_is_better)
            axes.set(**{f"{side}label": label, f"{side}lim": _limits(shown, name) if len(pages) > 1 else None})
        figure.legend(loc="outside right center")
        headed, file = sheets.page_of(title, stem, number, len(pages))
        written += style.finish(figure, headed, notes, file)
    columns = [f"{name}{end}" for name in (x, y) for end in ("", "_lo", "_hi", "_n")]
    return [*written, write.csv(shown[["method", "variant", "model", "r", "seed", "n", *columns]], stem)]


def _limits(shown: pd.DataFrame, name: str) -> tuple[float, float]:
    """Ends of an axis that all points fit with their intervals, so that several plots compare."""
    values = shown[[name, f"{name}_lo", f"{name}_hi"]].to_numpy(np.float64)
    low, high = np.nanmin(values), np.nanmax(values)
    return low - 0.05 * (high - low), high + 0.05 * (high - low)


def contact_sheet(part: pd.DataFrame, stem: Path, rows: int) -> list[Path]:
    """Samples of one data set, a row each: source with the true mask, the true edit where known, and every run's
    edit with its mask; masks are outlines. More runs than fit beside each other are on further sheets.

    Returns:
        the files, none if the data set can no longer be read.
    """
    config = files.read(part.scored.iloc[0].folder / "config.yaml")
    try:
        data = make_data(config["data"])
    except UserError as error:
        print(f"no contact sheet of {config['data']['name']}: {error}")
        return []
    stores = [Store(run.folder) for run in part.scored]
    done = [set(store.journal()) for store in stores]
    common = [id_ for id_ in data.ids if all(id_ in ids for ids in done)]
    samples = list(sheets.samples(data, common[:rows]))
    if not samples:
        return []
    ways = [(row.method, f"r = {row.r:g}" if pd.notna(row.r) else "", row.variant) for row in part.itertuples()]
    names = ["\n".join(filter(None, way)) for way in ways]
    notes = [*words.notices(run.summary for run in part.scored), sheets.OUTLINES, sheets.CHANGED]
    starts, written = [sheets.start(one) for one in samples], []
    heads = list(dict.fromkeys(head for start in starts for head in start))  # not every sample need have a true edit
    pages = sheets.pages(list(zip(stores, names, strict=True)), COLUMNS - len(heads))
    for number, page in enumerate(pages, 1):
        lines = [
            sheets.Line(
                sheets.caption(one), [*map(start.get, heads), *(sheets.edit(store, one.id) for store, _ in page)]
            )
            for one, start in zip(samples, starts, strict=True)
        ]
        title, file = sheets.page_of(f"Edits of {config['data']['name']}", stem, number, len(pages))
        made = sheets.sheet(title, [*heads, *(name for _, name in page)], lines, notes)
        written += sheets.save(made, file, ["png"])
    return written
