"""Saved PNGs to scores. Never loads the diffusion model."""

import csv
import io
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from bench import weights
from bench.hashing import sha256, sha256_of
from bench.paths import ROOT
from bench.plan import Run, make_data
from bench.statistics import mean_interval
from bench.store import Store, write

PROFILE_KEYS = ("name", "backbone", "plot", "table", "size", "resample", "weights")
"""Keys of a metric profile that are no metric."""
JOURNAL_KEYS = ("nfe", "seconds", "nfe_spent")


def columns(profile: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Metric name -> configuration, of a resolved metric profile."""
    return {name: node for name, node in profile.items() if name not in PROFILE_KEYS}


def score(run: Run) -> dict[str, Any]:
    """Scores the current command's samples of a run, as far as they are edited, and writes `per_image.<profile>.csv`
    and `summary.<profile>.json`; only what is missing is computed, and nothing is imported if nothing is.

    Returns:
        the summary.
    """
    store, profile = Store(run.folder), run.cfg["metrics"]  # whatever the shard, one process scores at a time
    journal = store.journal()
    ids = [id_ for id_ in run.ids if id_ in journal and "error" not in journal[id_]]
    backbones = weights.fingerprints(profile)
    signature = sha256_of([profile, ids, len(run.ids), _code(), backbones])
    file = run.folder / f"summary.{profile['name']}.json"
    if file.exists() and (summary := json.loads(file.read_text()))["signature"] == signature:
        return summary
    with store.lock():
        _forget_stale(run.folder / "scores" / profile["name"], profile, backbones)
        table, facts, groups = _measure(run, store, ids)
        summary = _summary(run, journal, ids, table, facts, groups) | {"weights": backbones, "signature": signature}
        _write_table(run.folder / f"per_image.{profile['name']}.csv", ids, table, journal)
        write(file, json.dumps(summary, indent=1) + "\n")
    return summary


def _forget_stale(folder: Path, profile: dict[str, Any], backbones: dict[str, str]) -> None:
    """Deletes stored scores that other weights, another size or another configuration gave under the same name."""
    settings = {key: profile.get(key) for key in ("size", "resample")} | {"weights": backbones}
    now = {"settings": settings, "columns": {name: sha256_of(node) for name, node in columns(profile).items()}}
    file = folder / "made_with.json"
    before = json.loads(file.read_text()) if file.exists() else now
    if before["settings"] != now["settings"]:
        shutil.rmtree(folder)
    for name, node in before["columns"].items():
        if now["columns"].get(name, node) != node:
            for stale in folder.glob(f"{name}@*"):
                stale.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    now["columns"] = before["columns"] | now["columns"]
    write(file, json.dumps(now, indent=1) + "\n")


def _measure(run: Run, store: Store, ids: list[str]):
    """Values of every metric: `{metric: float64 [N]}` for pairs, facts of all, group of each id."""
    from bench import measure  # torch, and the metrics themselves

    profile = run.cfg["metrics"]
    metrics = measure.build(columns(profile), weights.located(profile))
    changed = {key: profile[key] for key in ("size", "resample") if profile.get(key) is not None}
    data = make_data(run.cfg["data"], **changed)
    return measure.measure(run, store, data, ids, metrics)


def _summary(run: Run, journal, ids: list[str], table: dict, facts: dict, groups: list[str]) -> dict[str, Any]:
    cfg, profile = run.cfg, run.cfg["metrics"]
    metrics = {}
    for name, fact in facts.items():
        if name in table:
            value, low, high, n = mean_interval(table[name], groups)
            fact = fact | {"value": value, "lo": low, "hi": high, "n": n}
        metrics[name] = {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in fact.items()}
    costs = {key: _mean([journal[i][key] for i in ids]) for key in JOURNAL_KEYS}
    method = cfg["method"]
    return {
        "data": cfg["data"]["name"],
        "method": method["name"],
        "model": cfg["model"]["name"] if run.model_folder else None,
        "notice": run.notice,
        "profile": profile["name"],
        "backbone": profile["backbone"],
        "plot": profile["plot"],
        "table": profile["table"],
        "knobs": run.knobs,
        "seed": cfg["seed"] if "noise" in method["uses"] else None,
        "n": len(ids),
        "n_expected": len(run.ids),
        "n_failed": sum("error" in journal.get(id_, {}) for id_ in run.ids),
        "ids": sha256_of(ids),
        "metrics": metrics,
        **costs,
    }


def _mean(costs: list[float | None]) -> float | None:
    """None where one is not known: pictures made elsewhere."""
    return float(np.mean(costs)) if costs and None not in costs else None


def _write_table(file: Path, ids: list[str], table: dict[str, np.ndarray], journal: dict) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["id", *table, *JOURNAL_KEYS])
    for i, id_ in enumerate(ids):
        values = [repr(float(column[i])) if not math.isnan(column[i]) else "" for column in table.values()]
        writer.writerow([id_, *values, *(journal[id_][key] for key in JOURNAL_KEYS)])
    write(file, stream.getvalue())


def _code() -> str:
    """Hash of the metrics' source, so that a new version of a metric is noticed without importing it."""
    return sha256_of([sha256(file) for file in sorted((ROOT / "metrics").glob("*.py"))])
