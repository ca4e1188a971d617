"""Stored runs as tables. No torch."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bench.config import stated
from bench.report import published, words
from bench.report.published import Row
from bench.report.seeds import Alike, alike
from bench.report.write import Table
from bench.scores import labels, protocol, stored
from bench.scores.selection import ALL, Selection
from bench.scores.stored import Fact, Scored, Summary

UNLIKE = "≠"
"""Marks a value that does not compare with the others of its column."""
COUNTS = ["n", "n_expected", "n_failed"]
IDENTITY = ["data", "method", "variant", "model", "profile", "r", "guidance", "steps", "seed", *COUNTS]


def collect(out: Path, chosen: Selection = ALL) -> pd.DataFrame:
    """One row for each run and profile: identity, every metric with `_lo`, `_hi`, `_n` and `_nan`, costs, `apart`: the
    metrics whose values do not compare with those of most runs of its data and profile, and why; notice, folder, and
    the `Scored` run.

    Raises:
        UserError: there is none, or none that is chosen.
    """
    return frame(stored.under(out, chosen))


def frame(runs: list[Scored]) -> pd.DataFrame:
    """`collect`'s table of some runs."""
    rows = []
    for run in runs:
        summary = run.summary
        row = {key: getattr(summary, key, None) for key in IDENTITY}
        row |= {knob: summary.knobs.get(knob) for knob in ("r", "guidance", "steps")}
        for name, fact in summary.metrics.items():
            row |= {name: fact.value, f"{name}_lo": fact.lo, f"{name}_hi": fact.hi}
            row |= {f"{name}_n": fact.n, f"{name}_nan": fact.n_nan}
        row |= {name: getattr(summary, name) for name in words.COUNTED}
        rows.append(row | {"notice": words.notice(summary), "folder": str(run.folder), "scored": run})
    table = pd.DataFrame(rows).assign(variant=labels.labels([row["scored"] for row in rows]))
    table["apart"] = ""
    for _, part in table.groupby(["data", "profile"]):
        said = unlike(list(part.scored))
        table.loc[part.index, "apart"] = ["; ".join(f"{m}: {why}" for m, why in said[r].items()) for r in part.scored]
    last = [*words.COUNTED, "apart", "notice", "folder", "scored"]
    table = table[[*IDENTITY, *(c for c in table if c not in IDENTITY + last), *last]]
    return table.sort_values(["data", "profile", "method", "variant", "seed", "r"], kind="stable", ignore_index=True)


def unlike(runs: list[Scored]) -> dict[Scored, dict[str, str]]:
    """For each run of one data set and profile, the metrics whose values do not compare with those of most of them, and
    why."""
    found: dict[Scored, dict[str, str]] = {run: {} for run in runs}
    for metric in dict.fromkeys(name for run in runs for name in run.summary.metrics):
        for run, why in protocol.apart(runs, metric).items():
            found[run][metric] = why
    return found


def readable(part: pd.DataFrame, printed: Sequence[Row] = ()) -> Table:
    """The runs of one data set and profile as a reader sees them, a row for all that differ in the seed alone (those of
    `bench.report.seeds.alike`), and below them those that papers have printed. A value that does not compare with most
    of its column is marked, and why stands below."""
    points, apart = alike(list(part.scored)), unlike(list(part.scored))
    runs = [point.shown.summary for point in points]
    variants = labels.labels([point.shown for point in points])
    shown = with_values(runs)
    titles = {fact.name: ", ".join([words.of(fact), *common]) for fact, common in shown}
    lines = []
    marked: dict[str, list[str]] = {}
    for point, run, variant in zip(points, runs, variants, strict=True):
        seeds = f"({len(point.runs)} seeds)" if len(point.runs) > 1 else ""
        line = {"method": " ".join(filter(None, [run.method, variant, seeds])), "r": words.knob(run.knobs.get("r"))}
        line |= {"n": words.extent(run.n, run.n_expected, run.n_failed), "given": _given(run)}
        for name, title in titles.items():
            cell = cell_of(run.metrics.get(name), run.n, title, point.spread.get(name))
            line[title] = f"{cell} {UNLIKE}" if cell and name in apart[point.runs[0]] else cell
        for name, why in apart[point.runs[0]].items():
            marked.setdefault(f"{name}: {why}", []).append(f"{line['method']} {line['r']}".strip())
        lines.append(line | {words.COSTS["nfe"]: words.cost("nfe", run.nfe)})
    remarks = [*reasons(points), *marked_lines(marked), *cautions(runs, [fact for fact, _ in shown])]
    others, notes = published.labelled(printed, titles, list(part.scored))
    for name, row in others.items():
        values = {title: row.values.get(metric, "") for metric, title in titles.items()}
        lines.append({"method": name, "n": row.known.get("samples", ""), **values})
    return Table(pd.DataFrame(lines).fillna(""), "", lead(runs), [*remarks, *notes])


def with_values(runs: list[Summary]) -> list[tuple[Fact, list[str]]]:
    """The metrics in the table of some runs that have a value in any, each with what all of its cells have to say: how
    many pictures it is of, that those are few."""
    found = []
    for name, fact in words.facts(run.shown for run in runs).items():
        facts = [(run.metrics[name], run.n) for run in runs if name in run.metrics]
        facts = [(one, n) for one, n in facts if one.value is not None]
        if facts:
            said = {words.own_count(*one) for one in facts}, {words.few(one.groups) for one, _ in facts}
            found.append((fact, [one for alike_ in said if len(alike_) == 1 for one in alike_ if one]))
    return found


def _given(run: Summary) -> str:
    """What the method was told of each sample beside the picture; empty where that is not known."""
    told = stated.given(run.method, run.knobs)
    return "" if told is None else ", ".join(told) or "nothing"


def cell_of(fact: Fact | None, n: int, title: str, spread: float | None) -> str:
    """A metric with its interval and, in brackets, how far seeds are apart; where the column's title does not say it,
    whether the interval is of few groups, and its own n where some pictures have no finite value."""
    if not fact or fact.value is None:
        return ""
    few = "" if title.endswith(", few") else words.few(fact.groups)
    more = [f"seeds ±{words.number(spread)}"] if spread is not None else []
    more += [own] if "n=" not in title and (own := words.own_count(fact, n)) else []
    brackets = f"({', '.join(more)})" if more else ""
    return " ".join(filter(None, [words.value(fact.value, fact.lo, fact.hi), few, brackets]))


def lead(runs: list[Summary]) -> list[str]:
    """Data, profile, backbone, models, versions, and the notices of embedded weights."""
    models = ", ".join(sorted({run.model for run in runs if run.model})) or "no model"
    said = [*words.scored_by(runs[0]), *words.averaged(runs[0]), f"model {models}"]
    said.append(f"N = {words.span(run.n for run in runs)}")
    versions = runs[0].versions
    common = max(versions.values(), key=list(versions.values()).count)
    others = [f"{name} {number}" for name, number in versions.items() if number != common]
    said.append(f"metric version {common}" + (f" ({', '.join(others)})" if others else ""))
    return ["; ".join(said), *words.notices(runs)]


def reasons(points: list[Alike], apart: Collection[str] = labels.R) -> list[str]:
    """What labels leave unsaid, what stands for several seeds, and why a metric is empty."""
    runs = [point.shown for point in points]
    methods = sorted({run.summary.method for run in runs})
    of_method = {method: [run for run in runs if run.summary.method == method] for method in methods}
    usual = {method: labels.usual_words(found, apart) for method, found in of_method.items()}
    empty = {fact.name: fact.reason for run in runs for fact in run.summary.shown if fact.reason}
    lines = [f"{method}, unless said otherwise: {knobs}" for method, knobs in usual.items() if knobs]
    if any(point.spread for point in points):
        lines.append(
            "of several seeds: their mean, ± its 95 % interval over pictures; in brackets, the standard "
            "deviation between the seeds"
        )
    return lines + [f"{name} is empty: {reason}" for name, reason in empty.items()]


def marked_lines(marked: dict[str, list[str]]) -> list[str]:
    """Which values stand in a column that they do not compare with."""
    lines = [f"{UNLIKE} {what}, in {', '.join(rows)}" for what, rows in marked.items()]
    what = "scored with different metric versions or weights, or otherwise prepared; do not compare with their column"
    return [*lines, f"{UNLIKE}: {what}; score again: python -m bench.score run=<folder>"] if lines else []


def cautions(runs: list[Summary], shown: list[Fact]) -> list[str]:
    """What a reader of the numbers has to know beside them."""
    lines = []
    of_sets = [fact.name for fact in shown if fact.kind == "set"]
    if of_sets and len({(run.n, run.ids) for run in runs}) > 1:
        what = "n" if len({run.n for run in runs}) > 1 else "samples"
        lines.append(f"{', '.join(of_sets)}: values for different {what} do not compare")
    if any(words.few(fact.groups) for run in runs for fact in run.shown if fact.value is not None):
        lines.append(words.FEWNESS)
    if any(fact.n and fact.n != run.n for run in runs for fact in run.shown):
        lines.append("n=: pictures with a finite value; nan=: without one; the others are identical to the source")
    said = {f"{fact.name}: {fact.note}" for run in runs for fact in run.metrics.values() if fact.note}
    return lines + sorted(said | {f"{run.method}, {note}" for run in runs for note in run.notes})


def by_type(part: pd.DataFrame) -> pd.DataFrame:
    """Means of every metric of single pictures for each edit type, tidy: empty where no data set has types. `apart`
    says why a value does not compare with most of its metric."""
    apart = unlike(list(part.scored))
    rows: list[dict[str, Any]] = [
        {key: row[key] for key in ("data", "profile", "method", "variant", "r", "seed")}
        | {"metric": name, "type": kind, **found, "apart": apart[row.scored].get(name, "")}
        for _, row in part.iterrows()
        for name, fact in row.scored.summary.metrics.items()
        for kind, found in fact.types.items()
    ]
    return pd.DataFrame(rows)
