"""What ran, on what, and the tables and trade-offs of all runs. Texts and numbers only; how they look is the page's."""

import math
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pandas as pd

from bench.edits.environment import environment
from bench.edits.folder import Store
from bench.report import tables, unfinished, words
from bench.report.page.answers import answers, groups
from bench.report.page.kinds import kinds
from bench.report.page.two import two
from bench.report.seeds import alike
from bench.scores.selection import Selection
from bench.scores.stored import Scored, Summary


def contents(table: pd.DataFrame, out: Path, chosen: Selection) -> dict[str, Any]:
    """Answers, overview, and tables and plots of all runs.

    Tables are `{title, lead, columns, rows, remarks}`; a row has `cells` and, where one run stands behind it, `run`,
    its place in the gallery's list. A cell is a text, or `{text, key, lines, mark, note}`: what it is sorted by,
    further lines, a word that the page marks by sign and colour, and the number of a remark.
    """
    index = {folder: i for i, folder in enumerate(dict.fromkeys(table.folder))}
    parts, when = [part for _, part in table.groupby(["data", "profile"])], datetime.now(timezone.utc)
    found = groups(table)
    answered = answers(found, index)
    leaders = {row["run"] for one in answered for part in one["tables"][:1] for row in part["rows"]}
    return {
        "made": {"when": f"{when:%Y-%m-%d %H:%M} UTC", "commit": words.commit(environment())},
        "notices": words.notices(run.summary for run in table.scored),
        "answers": answered,
        "overview": [_runs(table, index), _unscored(out, chosen), _weights(table)],
        "tables": [_table(part, index) for part in parts],
        "types": kinds(found, index),
        "pairs": two(found, index, leaders),
        "plots": [_plot(part, index) for part in parts],
    }


def _runs(table: pd.DataFrame, index: dict[str, int]) -> dict[str, Any]:
    rows = []
    for folder, profiles in table.groupby("folder", sort=False):
        variant, runs = profiles.variant.iloc[0], [run.summary for run in profiles.scored]
        first, made_by = runs[0], Store(Path(folder)).environments()
        commits = list(dict.fromkeys(words.commit(facts) for facts in made_by))
        machines = list(dict.fromkeys(f"{facts['device']}, {facts['machine']}" for facts in made_by))
        lacks = any(run.n != run.n_expected for run in runs)
        extent = words.extent(first.n, first.n_expected, first.n_failed)
        cells = [
            first.method,
            words.knob(first.knobs.get("r")),
            variant,
            first.data,
            first.model or "none",
            {"text": extent, "key": first.n} | ({"mark": "incomplete"} if lacks else {}),
            ", ".join(run.profile if run.n == first.n else f"{run.profile} ({run.n})" for run in runs),
            {"text": commits[0] if commits else "unknown", "lines": commits[1:]},
            {"text": machines[0] if machines else "unknown", "lines": machines[1:]},
            Path(folder).name,
        ]
        rows.append({"cells": cells, "run": index[folder]})
    columns = ["method", "r", "variant", "data", "model", "samples", "scored by", "edited by commit", "on", "folder"]
    lead = words.notices(run.summary for run in table.scored)
    return {"title": "Runs", "lead": lead, "columns": columns, "rows": rows}


def _unscored(out: Path, chosen: Selection) -> dict[str, Any]:
    """Runs that no table has: edits without scores."""
    found = unfinished.under(out, chosen)
    rows = [{"cells": [run.folder.relative_to(out).as_posix(), run.state, run.command]} for run in found]
    lead = ["They are in no table, plot or gallery."]
    columns = ["folder", "state", "what goes on"]
    return {"title": "Runs without scores", "lead": lead, "columns": columns, "rows": rows}


def _weights(table: pd.DataFrame) -> dict[str, Any]:
    """Every file of weights by its hash: of the models that edited, and of the networks that scored."""
    used: dict[tuple[str, str, str], None] = {}
    for run in table.drop_duplicates("folder").scored:
        for name, digest in (run.identity["model"] or {}).get("files", {}).items():
            if not name.endswith((".json", ".txt")):
                used[f"model {run.summary.model}", name, digest] = None
    for summary in (run.summary for run in table.scored):
        for name, digest in summary.weights.items():
            why = summary.doubts.get(name)
            used[f"metrics {summary.profile}", name + (f" ({why})" if why else ""), digest] = None
    rows = [{"cells": list(facts)} for facts in used]
    lead = words.notices(run.summary for run in table.scored)
    return {"title": "Weights", "lead": lead, "columns": ["used by", "what", "SHA-256"], "rows": rows}


def _table(part: pd.DataFrame, index: dict[str, int]) -> dict[str, Any]:
    """The printed table of one data set and profile."""
    shown, rows = tables.readable(part), []
    for point, line in zip(alike(list(part.scored)), shown.cells.itertuples(index=False), strict=True):
        run, cells = point.shown.summary, dict(zip(shown.cells, line, strict=True))
        if run.n != run.n_expected:
            cells["n"] = {"text": cells["n"], "mark": "incomplete"}
        rows.append({"cells": list(cells.values()), "run": index[str(point.runs[0].folder)]})
    title = f"{part.data.iloc[0]}, {part.profile.iloc[0]}"
    columns = list(shown.cells)
    return {"title": title, "lead": shown.lead, "columns": columns, "rows": rows, "remarks": shown.remarks}


def _plot(part: pd.DataFrame, index: dict[str, int]) -> dict[str, Any]:
    """Every metric and cost of every run, so that any two can be the axes."""
    runs = [run.summary for run in part.scored]
    first = runs[0]
    default = first.plot.values()  # choices even where no run has them
    axes = {name: words.of(fact) for name, fact in words.facts(run.metrics.values() for run in runs).items()}
    axes |= {name: name for name in default if name not in axes}
    axes |= {"nfe": words.heading(words.COSTS["nfe"], False)}
    axes = {name: text for name, text in axes.items() if name in default or part[name].notna().any()}
    points, apart = [], tables.unlike(list(part.scored))
    for (_, row), run in zip(part.iterrows(), part.scored, strict=True):
        values = {name: [words.finite(row.get(f"{name}{end}")) for end in ("", "_lo", "_hi")] for name in axes}
        values = {name: found for name, found in values.items() if name not in apart[run]}
        r = words.knob(row.r)
        points.append(
            {
                "run": index[row.folder],
                "curve": f"{row.method} {row.variant}".strip(),
                "label": f"r = {r}" if r else "",
                "order": words.finite(row.r) or 0,
                "n": run.summary.n,
                "values": {name: found for name, found in values.items() if found[0] is not None},
            }
        )
    return {
        "title": f"{first.data}, {first.profile} ({first.backbone})",
        "notices": [*words.notices(runs), *_not_drawn(apart)],
        "axes": axes,
        **first.plot,
        "curves": _by_best(points, first),
        "points": points,
    }


def _by_best(points: list[dict[str, Any]], summary: Summary) -> list[str]:
    """Curves, those first that reach the best value: of many, they are shown unless others are chosen."""
    y = summary.plot["y"]
    fact = summary.fact(y)
    sign = -1 if fact is None or fact.higher_is_better else 1
    best: dict[str, float] = {}
    for point in points:
        value = sign * point["values"].get(y, [math.inf * sign])[0]
        best[point["curve"]] = min(value, best.get(point["curve"], math.inf))
    return sorted(best, key=best.__getitem__)


def _not_drawn(apart: dict[Scored, dict[str, str]]) -> list[str]:
    """Values that would stand beside others that they do not compare with."""
    said = [(run, f"{name}: {why}") for run, metrics in apart.items() for name, why in metrics.items()]
    methods = {why: sorted({run.summary.method for run, other in said if other == why}) for _, why in said}
    return [f"not drawn, scored otherwise: {why}, in {', '.join(names)}" for why, names in methods.items()]
