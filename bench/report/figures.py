"""Trade-off plots and contact sheets."""

from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt

from bench.config import files
from bench.edits.folder import Store
from bench.edits.plan import make_data
from bench.errors import UserError
from bench.report import sheets, style, words, write
from bench.report.tables import unlike

_COLUMNS = 10  # runs beside each other on a contact sheet


def trade_off(part: pd.DataFrame, stem: Path) -> list[Path]:
    """Two metrics against each other for the runs of one data set and profile: one curve for each method and
    variant, points annotated with r, 95 % intervals where they exist. PNG, PDF and the CSV behind them.

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
    figure, axes = plt.subplots(figsize=(8.4, 5.2))
    ends = {f"{name}{end}": f"{side}{end}" for side, name in sides.items() for end in ("", "_lo", "_hi")}
    for number, (names, curve) in enumerate(shown.groupby(["method", "variant"], sort=False)):
        curve = curve.sort_values("r").rename(columns=ends)
        style.curve(axes, curve, curve.r.map(words.knob).tolist(), " ".join(names).strip(), **style.look(number))
    summaries = [run.summary for run in shown.scored]
    facts = words.facts(run.metrics.values() for run in summaries)
    for side, name in sides.items():
        fact = facts[name]
        axes.set(**{f"{side}label": words.axis(words.printed(fact), fact.higher_is_better)})
    figure.legend(loc="outside right center")
    notes = [*words.notices(summaries), f"numbers on the curves: encoding ratio r; bars: {words.INTERVALS}"]
    away = [
        f"{run.summary.method} ({'; '.join(apart[run].values())})" for run in whole.scored if {x, y} & apart[run].keys()
    ]
    notes += [f"not shown, scored otherwise: {name}" for name in dict.fromkeys(away)]
    notes += [f"not shown, without {x} or {y}: {name}" for name in sorted(set(part.method) - set(whole.method))]
    title = ", ".join([*words.scored_by(first), *words.averaged(first), f"n = {words.span(shown.n)}"])
    columns = [f"{name}{end}" for name in (x, y) for end in ("", "_lo", "_hi", "_n")]
    numbers = shown[["method", "variant", "model", "r", "seed", "n", *columns]]
    return [*style.finish(figure, title, notes, stem), write.csv(numbers, stem)]


def contact_sheet(part: pd.DataFrame, stem: Path, rows: int) -> list[Path]:
    """Samples of one data set, a row each: source with the true mask, the true edit where known, and every run's
    edit with its mask; masks are outlines. More runs than fit beside each other stand below.

    Returns:
        the file, or nothing if the data set can no longer be read.
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
    pages = []
    for at in range(0, len(stores), _COLUMNS):
        of_page, last = stores[at : at + _COLUMNS], at + _COLUMNS >= len(stores)
        lines = [
            sheets.Line(
                sheets.caption(one), [*sheets.start(one).values(), *(sheets.edit(store, one.id) for store in of_page)]
            )
            for one in samples
        ]
        title = "" if pages else f"Edits of {config['data']['name']}"
        heads = [*sheets.start(samples[0]), *names[at : at + _COLUMNS]]
        pages.append(sheets.sheet(title, heads, lines, notes if last else []))
    return sheets.save(sheets.stacked(pages), stem, ["png"])
