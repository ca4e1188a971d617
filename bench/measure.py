"""The metrics of a profile over the saved edits of a run."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from PIL import Image
from tqdm import tqdm

from bench import device as devices
from bench.data.preprocess import FILTERS, fit
from bench.errors import UserError
from bench.hashing import sha256_of
from bench.plan import Run
from bench.reading import read
from bench.store import Store, write
from bench.types import EditData, EditSample, PairMetric, ScoreBatch, SetMetric, Undefined

BATCH = 32


def build(columns: dict[str, dict[str, Any]], located: dict[str, Path]) -> dict[str, PairMetric | SetMetric]:
    """Instantiates metrics; an argument `weights` names a backbone of the profile and becomes its path."""

    def resolve(node: dict[str, Any]) -> dict[str, Any]:
        node = {key: resolve(value) if isinstance(value, dict) else value for key, value in node.items()}
        return node | {"weights": located[node["weights"]]} if node.get("weights") else node

    return {name: instantiate(resolve(node)) for name, node in columns.items()}


def measure(run: Run, store: Store, data: EditData, ids: list[str], metrics: dict):
    """Scores edits by every metric; what `scores/<profile>/` holds is not computed again.

    Returns:
        per-image values by pair metric, facts of every metric (and the value of set metrics), group of each id.
    """
    folder = store.folder / "scores" / run.cfg["metrics"]["name"]
    pairs = {name: m for name, m in metrics.items() if hasattr(m, "score")}
    sets = {name: m for name, m in metrics.items() if name not in pairs}
    known = {name: _read_column(folder / f"{name}@{m.version}.csv") for name, m in pairs.items()}
    set_files = {name: folder / f"{name}@{m.version}.json" for name, m in sets.items()}
    stamp = sha256_of(ids)
    results = {name: _read_set(file, stamp) for name, file in set_files.items()}
    open_sets = {name: sets[name] for name, result in results.items() if result is None}
    reasons: dict[str, str] = {}
    lacking = {id_ for id_ in ids if any(id_ not in column for column in known.values())}
    wanted = ids if open_sets else [id_ for id_ in ids if id_ in lacking]
    groups = _read_column(folder / "groups.csv", str)
    wanted = wanted if groups.keys() >= set(ids) else ids

    for batch in _batches(run, store, data, wanted):
        names = [sample.id for sample in batch.samples]
        groups.update({sample.id: sample.group or sample.id for sample in batch.samples})
        with torch.inference_mode():
            for name, metric in pairs.items():
                if name not in reasons and any(id_ not in known[name] for id_ in names):
                    try:
                        known[name].update(
                            zip(names, np.asarray(metric.score(batch), np.float64).tolist(), strict=True)
                        )
                    except Undefined as reason:
                        reasons[name] = str(reason)
            for name, metric in open_sets.items():
                try:
                    if name not in reasons:
                        metric.update(batch)
                except Undefined as reason:
                    reasons[name] = str(reason)
    for name, metric in open_sets.items():
        results[name] = _compute(metric, len(ids), reasons.get(name)) | {"ids": stamp}
        write(set_files[name], json.dumps(results[name]) + "\n")
    if wanted:
        for name, metric in pairs.items():
            _write_column(folder / f"{name}@{metric.version}.csv", known[name])
        _write_column(folder / "groups.csv", groups)

    facts = {name: _facts(metric) | {"reason": reasons.get(name)} for name, metric in metrics.items()}
    for name, result in results.items():
        facts[name] |= {"value": result["value"], "lo": None, "hi": None, "n": result["n"], "reason": result["reason"]}
    nan = float("nan")
    table = {name: np.array([known[name].get(id_, nan) for id_ in ids], np.float64) for name in pairs}
    return table, facts, [groups[id_] for id_ in ids]


def _batches(run: Run, store: Store, data: EditData, ids: list[str]):
    if not ids:
        return
    device = devices.pick(run.cfg["device"])
    index = {id_: i for i, id_ in enumerate(data.ids)}
    label = f"score {run.folder.name[:24]}"
    with tqdm(total=len(ids), unit="image", desc=label, disable=None) as bar:
        for samples, bad in read(data, [index[id_] for id_ in ids], BATCH):
            for id_, message in bad.items():
                raise UserError(f"sample {id_!r} was edited but its source cannot be read any more: {message}")
            pictures = [_load(store, sample, run.cfg["metrics"]) for sample in samples]
            sources = torch.from_numpy(np.stack([sample.image for sample in samples]))
            edits = torch.from_numpy(np.stack([edit for edit, _ in pictures]))
            masks = [mask for _, mask in pictures]
            yield ScoreBatch(samples, edits.to(device), sources.to(device), masks)
            bar.update(len(samples))


def _load(store: Store, sample: EditSample, profile: dict) -> tuple[np.ndarray, np.ndarray | None]:
    """A saved edit, uint8 `[3, H, W]`, and its mask, bool `[H, W]`, at the size of the sample as it was read."""
    size, resample = sample.image.shape[1], FILTERS[profile.get("resample") or "bilinear"]
    with Image.open(store.edit_file(sample.id)) as image:
        edit = np.asarray(fit(image.convert("RGB"), size, resample)).transpose(2, 0, 1).copy()
    if not store.mask_file(sample.id).exists():
        return edit, None
    with Image.open(store.mask_file(sample.id)) as image:
        return edit, np.asarray(fit(image, size, Image.Resampling.NEAREST)) > 127


def _compute(metric: SetMetric, n: int, reason: str | None) -> dict[str, Any]:
    try:
        if reason or n == 0:
            raise Undefined(reason or "no image was edited")
        return {"value": float(metric.compute()), "n": n, "reason": None}
    except Undefined as error:
        return {"value": None, "n": n, "reason": str(error)}


def _facts(metric: PairMetric | SetMetric) -> dict[str, Any]:
    return {
        "version": metric.version,
        "higher_is_better": metric.higher_is_better,
        "unit": metric.unit,
        "kind": "pair" if hasattr(metric, "score") else "set",
    }


def _read_column(file: Path, kind=float) -> dict[str, Any]:
    if not file.exists():
        return {}
    with open(file, newline="") as stream:
        return {row["id"]: kind(row["value"]) for row in csv.DictReader(stream)}


def _write_column(file: Path, column: dict[str, Any]) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["id", "value"])
    writer.writerows((id_, repr(v) if isinstance(v, float) else v) for id_, v in sorted(column.items()))
    write(file, stream.getvalue())


def _read_set(file: Path, stamp: str) -> dict[str, Any] | None:
    if not file.exists():
        return None
    result = json.loads(file.read_text())
    return result if result["ids"] == stamp else None
