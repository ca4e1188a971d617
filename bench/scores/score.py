"""Saved PNGs of a run to scores. Never loads the diffusion model."""

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from bench.edits.folder import Store
from bench.edits.plan import Run, make_data
from bench.errors import UserError, nearest
from bench.files import sources, weights
from bench.files.hashing import sha256, sha256_of
from bench.files.write import write
from bench.scores import verify
from bench.scores.verify import PROFILE_KEYS
from bench.statistics.intervals import mean_intervals
from bench.types import SAMPLE

PREPARATION = ("size", "resample", "jpeg")
"""Keys of a metric profile that say how pictures are prepared for every metric."""
JOURNAL_KEYS = ("nfe", "seconds", "nfe_spent")
NOTES = ("blend", "words", "cut")
"""Of the journal: what became of a sample's words."""


def columns(profile: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Column name -> configuration of its metric, of a resolved metric profile. The name of a metric whose backbone has
    random weights ends in `_random`."""
    nodes = {name: node for name, node in profile.items() if name not in PROFILE_KEYS}
    return {_column(name, node, profile): node for name, node in nodes.items()}


def _column(name: str, node: dict[str, Any], profile: dict[str, Any]) -> str:
    entries, used = profile.get("weights") or {}, _backbones(node)
    if unknown := sorted(used - entries.keys()):
        raise UserError(f"metrics.{name} names weights={unknown[0]}; {nearest(unknown[0], list(entries))}")
    return name + "_random" if any(weights.is_random(entries[weight]) for weight in used) else name


def _used(node: dict[str, Any], backbones: dict[str, str]) -> dict[str, str]:
    return {weight: backbones[weight] for weight in sorted(_backbones(node))}


def _backbones(node: dict[str, Any]) -> set[str]:
    """Names of the weights that a metric's configuration uses, at any depth."""
    inner = [_backbones(value) for value in node.values() if isinstance(value, dict)]
    return set().union({node["weights"]} if isinstance(node.get("weights"), str) else set(), *inner)


def score(run: Run) -> dict[str, Any]:
    """Scores the current command's samples of a run, as far as they are edited, and writes `per_image.<profile>.csv`
    and `summary.<profile>.json`; only what is missing is computed, and nothing is imported if nothing is. Scores that
    were changed by hand (`bench.scores.verify`) count as missing.

    Returns:
        the summary.

    Raises:
        UserError: pictures were changed by hand.
    """
    store, profile = Store(run.folder), run.cfg["metrics"]
    journal, name = store.journal(), profile["name"]
    ids = [id_ for id_ in run.ids if id_ in journal and "error" not in journal[id_]]
    pictures = {id_: [journal[id_].get("edit_sha256"), journal[id_].get("mask_sha256")] for id_ in ids}
    backbones = weights.fingerprints(profile)
    own = sources.stamps(columns(profile))
    signature = sha256_of([profile, ids, pictures, len(run.ids), verify.code(), backbones, *own])
    file = run.folder / f"summary.{name}.json"
    if summary := _current(run.folder, name, signature):
        return summary
    with store.scoring():
        if summary := _current(run.folder, name, signature):  # another shard was faster
            return summary
        if changed := store.changed({id_: journal[id_] for id_ in ids}):
            raise UserError(
                f"{len(changed)} pictures are not what the method made, such as {changed[0]} (its SHA-256 is not the "
                "journal's), and are not scored; delete them and run the command that made them again"
            )
        columns_folder = run.folder / "scores" / name
        made_with = _forget_stale(columns_folder, profile, backbones, pictures)
        measured = _measure(run, store, journal, ids, backbones)
        _remember(columns_folder, made_with, pictures)
        table = run.folder / f"per_image.{name}.csv"
        _write_table(table, ids, measured, journal)
        summary = _summary(run, journal, ids, measured) | {
            "weights": backbones,
            "signature": signature,
            "code": verify.code(),
            "config": sha256(run.folder / "config.yaml"),
            "per_image": sha256(table),
        }
        write(file, json.dumps(summary := verify.seal(summary), indent=1) + "\n")
    return summary


def _current(folder: Path, profile: str, signature: str) -> dict[str, Any] | None:
    """The stored summary, if it is of these samples and metrics and was not changed by hand."""
    file = folder / f"summary.{profile}.json"
    if not file.exists() or verify.scores(folder, profile):
        return None
    summary = json.loads(file.read_text())
    return summary if summary["signature"] == signature else None


def _forget_stale(
    folder: Path, profile: dict[str, Any], backbones: dict[str, str], pictures: dict[str, list]
) -> dict[str, str]:
    """Deletes stored columns that other weights, another preparation, another configuration or other pictures gave, or
    that are not as they were written. Returns, for each column, a hash of what it is made with now."""
    prepared = {key: profile.get(key) for key in PREPARATION}
    now = {
        name: sha256_of([node, prepared, _used(node, backbones), *sources.stamps(node)])
        for name, node in columns(profile).items()
    }
    known = verify.record(folder)
    remade = any(known["pictures"].get(id_, hashes) != hashes for id_, hashes in pictures.items())
    for file in [file for file in folder.glob("*") if file.name != verify.RECORD]:
        column, is_column = file.name.split("@")[0], "@" in file.name
        intact = known["files"].get(file.name) == sha256(file)
        other = column in now and known["columns"].get(column) != now[column]
        if not intact or (is_column and (remade or other)):
            file.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    return known["columns"] | now


def _remember(folder: Path, made_with: dict[str, str], pictures: dict[str, list]) -> None:
    """Records what the stored columns were made with and of, and their hashes."""
    names = sorted(file.name for file in folder.iterdir() if file.name != verify.RECORD)
    stored = {name: sha256(folder / name) for name in names}
    pictures = verify.record(folder)["pictures"] | pictures
    entry = {"columns": made_with, "files": stored, "pictures": pictures}
    write(folder / verify.RECORD, json.dumps(entry, indent=1) + "\n")


def _measure(run: Run, store: Store, journal: dict, ids: list[str], backbones: dict[str, str]):
    from bench.scores import measure
    from bench.scores.features import Recall

    profile, located = run.cfg["metrics"], weights.located(run.cfg["metrics"])
    metrics = measure.build(columns(profile), located)
    changed = {key: profile[key] for key in ("size", "resample") if profile.get(key) is not None}
    data = make_data(run.cfg["data"], **changed)
    recall = Recall(Path(run.cfg["out"]) / ".features", {located[name]: backbones[name] for name in located})
    return measure.measure(run, store, data, journal, ids, metrics, recall)


def _summary(run: Run, journal: dict, ids: list[str], measured) -> dict[str, Any]:
    cfg, profile, facts = run.cfg, run.cfg["metrics"], measured.facts
    rows = [measured.samples[id_] for id_ in ids]
    intervals = mean_intervals(list(measured.table.values()), [row["group"] for row in rows])
    for (name, values), (mean, low, high, n) in zip(measured.table.items(), intervals, strict=True):
        counts = {"n": n, "n_nan": int(np.isnan(values).sum()), "n_identical": int(np.isinf(values).sum())}
        facts[name] |= {"value": mean, "lo": low, "hi": high, **counts, "types": _by_type(values, rows)}
    metrics = {
        name: {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in fact.items()}
        for name, fact in facts.items()
    }
    costs = {key: _mean([journal[i][key] for i in ids]) for key in JOURNAL_KEYS}
    method = cfg["method"]
    named = {name: _column(name, profile[name], profile) for name in profile if name not in PROFILE_KEYS}
    return {
        "data": cfg["data"]["name"],
        "method": method["name"],
        "model": cfg["model"]["name"] if run.identity["model"] else None,
        "model_files": run.identity["model"] and run.identity["model"].get("files"),
        "notice": run.notice,
        "profile": profile["name"],
        "backbone": profile["backbone"],
        "doubts": weights.doubts(profile),
        "plot": {axis: named[name] for axis, name in profile["plot"].items()},
        "table": profile["table"] and [named[name] for name in profile["table"]],
        "knobs": run.knobs,
        "seed": cfg["seed"] if "noise" in method["uses"] else None,
        "n": len(ids),
        "n_expected": len(run.ids),
        "n_failed": sum("error" in journal.get(id_, {}) for id_ in run.ids),
        "ids": sha256_of(ids),
        "notes": _notes(journal, ids),
        "metrics": metrics,
        **costs,
    }


def _mean(costs: list[float | None]) -> float | None:
    """None where one is not known: pictures made elsewhere."""
    return float(np.mean(costs)) if costs and None not in costs else None


def _notes(journal: dict, ids: list[str]) -> list[str]:
    """For each kind of note that the method left on words: how many samples have one, and the first."""
    found = {kind: [(id_, journal[id_][kind]) for id_ in ids if kind in journal[id_]] for kind in NOTES}
    return [f"{kind}: {len(n)} samples, the first is {n[0][0]!r}: {n[0][1]}" for kind, n in found.items() if n]


def _by_type(values: np.ndarray, rows: list[dict[str, str]]) -> dict[str, dict[str, float]]:
    """Edit type -> mean of the finite values and their number, where there are any and types are known."""
    types = np.array([row["type"] for row in rows])
    found = {kind: values[(types == kind) & np.isfinite(values)] for kind in sorted(set(types) - {""})}
    return {kind: {"value": float(part.mean()), "n": len(part)} for kind, part in found.items() if len(part)}


def _write_table(file: Path, ids: list[str], measured, journal: dict) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["id", *SAMPLE, *measured.table, *JOURNAL_KEYS])
    for i, id_ in enumerate(ids):
        values = [repr(float(column[i])) if not math.isnan(column[i]) else "" for column in measured.table.values()]
        sample = measured.samples[id_]
        writer.writerow([id_, *(sample[key] for key in SAMPLE), *values, *(journal[id_][key] for key in JOURNAL_KEYS)])
    write(file, stream.getvalue())


def failures(run: Run, journal: dict[str, dict]) -> list[str]:
    """A sentence on the samples that failed, if any did."""
    bad = {id_: journal[id_]["error"] for id_ in run.ids if "error" in journal.get(id_, {})}
    if not bad:
        return []
    id_, why = next(iter(bad.items()))
    return [f"{len(bad)} of {len(run.ids)} samples failed, recorded in {run.folder}; the first is {id_!r}: {why}"]


def headline(summary: dict[str, Any]) -> str:
    """A summary in a line."""
    found = [f"{name} {fact['value']:.2f}" for name, fact in summary["metrics"].items() if fact["value"] is not None]
    return f"{summary['profile']}: {', '.join(found[:4])}"
