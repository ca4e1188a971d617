"""What is kept of scores: a summary of the run, and a table of its images. No torch."""

import math
from typing import Any

import numpy as np
import pandas as pd

from bench.config import profile as profiles
from bench.edits.identity import edited_at
from bench.edits.run import Run
from bench.files.hashing import sha256_of
from bench.statistics import intervals
from bench.types import SAMPLE

JOURNAL_KEYS = ("nfe", "seconds", "nfe_spent")
NOTES = ("blend", "words", "cut", "returned")
"""Of the journal: what became of a sample's words, and the size in which its edit came."""


def summary(run: Run, asked: list[str], journal: dict, ids: list[str], measured) -> dict[str, Any]:
    """The summary of some samples' scores, but for what it was made with.

    Args:
        asked: samples of the command.
        ids: those of them that are edited.
        measured: `bench.scores.measure.Measured` of these.
    """
    cfg, profile, facts = run.cfg, run.cfg["metrics"], measured.facts
    rows = [measured.samples[id_] for id_ in ids]
    columns, types, groups = list(measured.table.values()), *([row[key] for row in rows] for key in ("type", "group"))
    if profile["mean"] == "types":
        ends = [intervals.mean_over_types(values, types, groups) for values in columns]
    else:
        ends = intervals.mean_intervals(columns, groups)
    for (name, values), (mean, low, high, n) in zip(measured.table.items(), ends, strict=True):
        counts = {"n": n, "n_nan": int(np.isnan(values).sum()), "n_identical": int(np.isinf(values).sum())}
        facts[name] |= {"value": mean, "lo": low, "hi": high, **counts, "types": _by_type(values, rows)}
        if np.isfinite(values).any() and not n:
            facts[name]["reason"] = "metrics.mean=types, but no sample has an edit type"
    for name, fact in facts.items():
        counted = np.isfinite(measured.table[name]) if name in measured.table else np.ones(len(rows), bool)
        over = fact.get("halves_of") or "group"
        fact["groups"] = len({row[over] for row, is_counted in zip(rows, counted, strict=True) if is_counted})
    metrics = {
        name: {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in fact.items()}
        for name, fact in facts.items()
    }
    costs = {key: _mean([journal[i][key] for i in ids]) for key in JOURNAL_KEYS}
    method = cfg["method"]
    named = {name.removesuffix(profiles.RANDOM): name for name in metrics}
    own = profiles.own(profile["name"], list(metrics))
    return {
        "data": cfg["data"]["name"],
        "method": method["name"],
        "model": cfg["model"]["name"] if run.identity["model"] else None,
        "model_files": dict(sorted((run.identity["model"] or {}).get("files", {}).items())) or None,
        "notice": run.notice,
        "profile": profile["name"],
        "protocol": _protocol(run),
        "backbone": profile["backbone"],
        "plot": {axis: named.get(name, name) for axis, name in profile["plot"].items()},
        "table": profile["table"] and [*(named.get(name, name) for name in profile["table"]), *own],
        "own": own,
        "knobs": run.knobs,
        "seed": cfg["seed"] if "noise" in method["uses"] else None,
        "n": len(ids),
        "n_expected": len(asked),
        "n_failed": sum("error" in journal.get(id_, {}) for id_ in asked),
        "ids": sha256_of(ids),
        "notes": _notes(journal, ids),
        "metrics": metrics,
        **costs,
    }


def _protocol(run: Run) -> dict[str, Any]:
    """The settings by which results on the same data differ between papers; `brackets` of data that have them."""
    data, profile = run.data, run.cfg["metrics"]
    brackets = {"brackets": data.brackets} if hasattr(data, "brackets") else {}
    size = profile.get("size") or run.identity["data"].get("size")
    if other := edited_at(run.identity):
        size = f"{size}, edited at {other}"
    return {"size": size, **brackets, "jpeg": profile.get("jpeg"), "mean": profile["mean"]}


def _mean(costs: list[float | None]) -> float | None:
    """None where one is not known: pictures made elsewhere."""
    return float(np.mean(costs)) if costs and None not in costs else None


def _notes(journal: dict, ids: list[str]) -> list[str]:
    """For each kind of note on its edit: how many samples have one, and the first."""
    found = {kind: [(id_, journal[id_][kind]) for id_ in ids if kind in journal[id_]] for kind in NOTES}
    return [f"{kind}: {len(n)} samples, the first is {n[0][0]!r}: {n[0][1]}" for kind, n in found.items() if n]


def _by_type(values: np.ndarray, rows: list[dict[str, str]]) -> dict[str, dict[str, float]]:
    """Edit type -> mean of the finite values and their number, where there are any and types are known."""
    types = np.array([row["type"] for row in rows])
    found = {kind: values[(types == kind) & np.isfinite(values)] for kind in sorted(set(types) - {""})}
    return {kind: {"value": float(part.mean()), "n": len(part)} for kind, part in found.items() if len(part)}


def table(ids: list[str], measured, names: list[str], journal: dict) -> str:
    """Scores and costs of each image, as CSV."""
    scores = {name: measured.table[name] for name in names if name in measured.table}
    samples = pd.DataFrame([measured.samples[id_] for id_ in ids], columns=SAMPLE)
    costs = pd.DataFrame([journal[id_] for id_ in ids], columns=JOURNAL_KEYS)
    table = pd.concat([samples, pd.DataFrame(scores), costs], axis=1)
    return table.set_index(pd.Index(ids, name="id")).to_csv()
