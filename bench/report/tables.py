"""Stored runs as tables. No torch."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from bench.edits.identity import told
from bench.errors import UserError
from bench.scores import labels

COUNTS = ["n", "n_expected", "n_failed"]
IDENTITY = ["data", "method", "variant", "model", "profile", "r", "guidance", "steps", "seed", *COUNTS]
COSTS = ["nfe", "seconds", "nfe_spent"]


def collect(out: Path) -> pd.DataFrame:
    """One row for each run and profile: identity, every metric with `_lo`, `_hi`, `_n` and `_nan`, costs, folder,
    summary.

    Raises:
        UserError: there is none.
    """
    files = sorted(out.glob("*/*/*/summary.*.json"))
    if not files:
        raise UserError(f"no run under out={out}; make one with `python -m bench.run out={out}`")
    rows = []
    for file in files:
        summary = json.loads(file.read_text())
        summary["told"] = told(json.loads((file.parent / "identity.json").read_text()))
        knobs = summary["knobs"]
        row = {key: summary.get(key) for key in IDENTITY} | {k: knobs.get(k) for k in ("r", "guidance", "steps")}
        for name, fact in summary["metrics"].items():
            row |= {name: fact["value"], f"{name}_lo": fact["lo"], f"{name}_hi": fact["hi"], f"{name}_n": fact["n"]}
            row[f"{name}_nan"] = fact.get("n_nan")
        row |= {key: summary[key] for key in COSTS}
        row |= {"notice": notice(summary), "folder": str(file.parent), "summary": summary}
        rows.append(row)
    table = pd.DataFrame(rows)
    table["variant"] = labels.labels(table)
    last = [*COSTS, "notice", "folder", "summary"]
    table = table[[*IDENTITY, *(c for c in table if c not in IDENTITY + last), *last]]
    return table.sort_values(["data", "profile", "method", "variant", "seed", "r"], kind="stable", ignore_index=True)


def notice(summary: dict[str, Any]) -> str | None:
    """What every table and plot of a run must say: of its model and data, and of the weights that scored it."""
    doubts = [f"{name} is {why}" for name, why in summary.get("doubts", {}).items()]
    scored = f"scored with weights that may not compare: {', '.join(doubts)}" if doubts else None
    return "; ".join(filter(None, [summary["notice"], scored])) or None


def readable(table: pd.DataFrame) -> str:
    """The runs of one data set and profile as a text table, with what its header must say."""
    text = cells(table).to_markdown(index=False, disable_numparse=True)
    return "\n".join([header(table), "", text, *remarks(table)])


def cells(table: pd.DataFrame) -> pd.DataFrame:
    """The runs of one data set and profile as a reader sees them: texts under headings, a row a run."""
    facts, shown = table.summary.iloc[0], _shown(table)
    common = {}  # counts that all cells of a column share stand in its title
    for name in shown:
        counts = {_own_count(row, name) for _, row in table[table[name].notna()].iterrows()}
        common[name] = counts.pop() if len(counts) == 1 else ""
    rows = []
    for _, row in table.iterrows():
        line: dict[str, Any] = {"method": " ".join(filter(None, [row.method, row.variant]))}
        line["r"] = "" if pd.isna(row.r) else f"{row.r:g}"
        line["n"] = extent(row)
        for name in shown:
            title = ", ".join(filter(None, [heading(name, facts["metrics"][name]), common[name]]))
            line[title] = cell(row, name, count=not common[name])
        line["NFE"] = "" if pd.isna(row.nfe) else f"{row.nfe:.0f}"
        line["s/image"] = "" if pd.isna(row.seconds) else f"{row.seconds:.2f}"
        rows.append(line)
    return pd.DataFrame(rows)


def extent(row: pd.Series) -> str:
    """How many samples a run has, and what it lacks."""
    text = f"{row.n}" if row.n == row.n_expected else f"{row.n}/{row.n_expected} incomplete"
    return text + (f", {row.n_failed} failed" if row.n_failed else "")


def remarks(table: pd.DataFrame) -> list[str]:
    """What stands under the table: why a metric is empty, and what a reader of the numbers has to know."""
    listed = _listed(table)
    reasons = {
        n: f["reason"] for s in table.summary for n, f in s["metrics"].items() if f.get("reason") and n in listed
    }
    usual = {method: labels.usual_words(part) for method, part in table.groupby("method")}
    lines = [f"{method}, unless said otherwise: {knobs}" for method, knobs in usual.items() if knobs]
    lines += [f"{name} is empty: {reason}" for name, reason in reasons.items()]
    return [*lines, *_cautions(table, _shown(table))]


def _listed(table: pd.DataFrame) -> list[str]:
    """Metrics of the profile's table."""
    facts = table.summary.iloc[0]
    return [name for name in facts["table"] or facts["metrics"] if name in table]


def _shown(table: pd.DataFrame) -> list[str]:
    """Those of them that any run has: they have a column."""
    return [name for name in _listed(table) if table[name].notna().any()]


def _cautions(table: pd.DataFrame, shown: list[str]) -> list[str]:
    """What a reader of the numbers has to know beside them."""
    lines = []
    made_with = {json.dumps([versions(s), s["weights"]], sort_keys=True) for s in table.summary}
    if len(made_with) > 1:
        lines.append(
            "these runs were scored with different metric versions or weights and do not compare; score them again: "
            "python -m bench.score run=<folder>"
        )
    of_sets = [name for name in shown if table.summary.iloc[0]["metrics"][name]["kind"] == "set"]
    if of_sets and table.n.nunique() > 1:
        lines.append(f"{', '.join(of_sets)}: values for different n do not compare")
    if any(0 < row[f"{name}_n"] < row.n for _, row in table.iterrows() for name in shown if f"{name}_n" in row):
        lines.append("n=: pictures with a finite value; nan=: without one; the others are identical to the source")
    notes = {f"{name}: {f['note']}" for s in table.summary for name, f in s["metrics"].items() if f.get("note")}
    notes |= {f"{s['method']}, {note}" for s in table.summary for note in s.get("notes", [])}
    return lines + sorted(notes)


def versions(summary: dict[str, Any]) -> dict[str, int]:
    """Version of each metric of a summary."""
    return {name: fact["version"] for name, fact in summary["metrics"].items()}


def by_type(table: pd.DataFrame) -> pd.DataFrame:
    """Means of every metric of single pictures for each edit type, tidy: empty where no data set has types."""
    rows = [
        {key: row[key] for key in ("data", "profile", "method", "variant", "r", "seed")}
        | {"metric": name, "type": kind, **found}
        for _, row in table.iterrows()
        for name, fact in row.summary["metrics"].items()
        for kind, found in fact.get("types", {}).items()
    ]
    return pd.DataFrame(rows)


def header(table: pd.DataFrame) -> str:
    """Data, profile, backbone, models, and the notices of embedded weights."""
    facts = table.summary.iloc[0]
    models = ", ".join(sorted({s["model"] for s in table.summary if s["model"]})) or "no model"
    notices = sorted(table.notice.dropna().unique())
    counts = sorted(set(table.n))
    words = [f"data {facts['data']}", f"profile {facts['profile']} ({facts['backbone']})", f"model {models}"]
    words.append(f"N = {counts[0]}" if len(counts) == 1 else f"N = {counts[0]} to {counts[-1]}")
    numbers = versions(facts)
    common = max(numbers.values(), key=list(numbers.values()).count)
    others = [f"{name} {number}" for name, number in numbers.items() if number != common]
    words.append(f"metric version {common}" + (f" ({', '.join(others)})" if others else ""))
    return "; ".join(words) + "".join(f"\n{notice}" for notice in notices)


def heading(name: str, fact: dict[str, Any]) -> str:
    """Metric name with its direction and unit."""
    return f"{name} {'↑' if fact['higher_is_better'] else '↓'}" + (f" ({fact['unit']})" if fact["unit"] else "")


def cell(row: pd.Series, name: str, count: bool = True) -> str:
    """Value with its 95 % interval where it has one, and, with `count`, its own n where some pictures have no finite
    value."""
    value, own = row[name], _own_count(row, name)
    if value is None or pd.isna(value):
        return ""
    digits = 2 if abs(value) < 100 else 1
    text = f"{round(value, digits) + 0.0:.{digits}f}"  # no -0.00
    if not pd.isna(row[f"{name}_lo"]):
        text += f" ±{(row[f'{name}_hi'] - row[f'{name}_lo']) / 2:.{digits}f}"
    return text + (f" ({own})" if own and count else "")


def _own_count(row: pd.Series, name: str) -> str:
    """How many pictures a mean is of, where that is not the run's n, and how many have no value."""
    n, nan = row[f"{name}_n"], row[f"{name}_nan"]
    if pd.isna(n) or n == row.n:
        return ""
    return f"n={n:.0f}" + (f", nan={nan:.0f}" if nan and nan > 0 else "")
