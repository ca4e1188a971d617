"""The metrics of a profile over the saved edits of a run."""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from PIL import Image
from tqdm import tqdm

from bench.data.preprocess import FILTERS, fit
from bench.data.reading import read
from bench.diffusion import device as devices
from bench.edits.folder import Store
from bench.edits.plan import Run
from bench.errors import UserError
from bench.files.hashing import sha256_of
from bench.files.write import write
from bench.scores.features import Recall
from bench.types import SAMPLE, EditData, EditSample, PairMetric, ScoreBatch, SetMetric, Undefined

BATCH = 32
HALVES = ("halves", "halves_of")
"""Values of a set metric on half-samples, and of what they are halves (column of the per-image table), so that they can
be paired with those of other runs of the same samples."""


@dataclass
class Measured:
    """What `measure` found.

    Attributes:
        table: metric -> float64 `[N]`, for pair metrics.
        facts: metric -> version, direction, unit, and for set metrics value and interval.
        samples: id -> type, group and target class.
    """

    table: dict[str, np.ndarray]
    facts: dict[str, dict[str, Any]]
    samples: dict[str, dict[str, str]]


def build(columns: dict[str, dict[str, Any]], located: dict[str, Path]) -> dict[str, PairMetric | SetMetric]:
    """Instantiates metrics; an argument `weights` names a backbone of the profile and becomes its path."""

    def resolve(node: dict[str, Any]) -> dict[str, Any]:
        node = {key: resolve(value) if isinstance(value, dict) else value for key, value in node.items()}
        return node | {"weights": located[node["weights"]]} if node.get("weights") else node

    return {name: instantiate(resolve(node)) for name, node in columns.items()}


def measure(run: Run, store: Store, data: EditData, journal: dict, ids: list[str], metrics: dict, recall: Recall):
    """Scores edits by every metric; what `scores/<profile>/` holds is not computed again.

    Args:
        journal: the run's, which says of an edit if it has been through JPEG before.
        recall: where features of sources are kept.

    Returns:
        `Measured`.
    """
    folder = store.folder / "scores" / run.cfg["metrics"]["name"]
    pairs = {name: m for name, m in metrics.items() if hasattr(m, "score")}
    sets = {name: m for name, m in metrics.items() if name not in pairs}
    known = {name: _read_column(folder / f"{name}@{m.version}.csv") for name, m in pairs.items()}
    set_files = {name: folder / f"{name}@{m.version}.json" for name, m in sets.items()}
    stamp = sha256_of(ids)
    kept = {name: _read_sets(file) for name, file in set_files.items()}
    open_sets = {name: metric for name, metric in sets.items() if stamp not in kept[name]}
    reasons: dict[str, str] = {}
    lacking = {id_ for id_ in ids if any(id_ not in column for column in known.values())}
    wanted = ids if open_sets else [id_ for id_ in ids if id_ in lacking]
    described = _read_samples(folder / "samples.csv")
    wanted = wanted if described.keys() >= set(ids) else ids

    for batch in _batches(run, store, data, journal, wanted, recall):
        names = [sample.id for sample in batch.samples]
        described.update({s.id: _describe(s) for s in batch.samples})
        with torch.inference_mode():
            for name, metric in pairs.items():
                if name not in reasons and any(id_ not in known[name] for id_ in names):
                    try:
                        values = np.asarray(metric.score(batch), np.float64).tolist()
                        known[name].update(zip(names, values, strict=True))
                    except Undefined as reason:
                        reasons[name] = str(reason)
            for name, metric in open_sets.items():
                try:
                    if name not in reasons:
                        metric.update(batch)
                except Undefined as reason:
                    reasons[name] = str(reason)
    for name, metric in open_sets.items():
        kept[name][stamp] = _compute(metric, len(ids), reasons.get(name))
        write(set_files[name], json.dumps(kept[name]) + "\n")
    if wanted:
        for name, metric in pairs.items():
            _write_table(folder / f"{name}@{metric.version}.csv", {i: {"value": v} for i, v in known[name].items()})
        _write_table(folder / "samples.csv", described)

    facts = {name: _facts(metric) | {"reason": reasons.get(name)} for name, metric in metrics.items()}
    for name, note in _notes(folder / "notes.json", pairs, ids).items():
        facts[name]["note"] = note
    for name, results in kept.items():
        facts[name] |= {key: results[stamp][key] for key in ("value", "lo", "hi", "n", "reason", *HALVES)}
    nan = float("nan")
    table = {name: np.array([known[name].get(id_, nan) for id_ in ids], np.float64) for name in pairs}
    return Measured(table, facts, {id_: described[id_] for id_ in ids})


class _Pairs:
    """The data set with each sample's saved edit, so that both are decoded in worker processes."""

    def __init__(self, data: EditData, store: Store, journal: dict, profile: dict):
        self.data, self.store, self.journal, self.profile, self.ids = data, store, journal, profile, data.ids

    def __getitem__(self, index: int) -> tuple[EditSample, np.ndarray, np.ndarray, np.ndarray | None]:
        """The sample, its edit as saved and at the sample's size, uint8 `[H, W, 3]`, and its mask, bool `[H, W]`."""
        sample = self.data[index]
        with Image.open(self.store.edit_file(sample.id)) as image:
            saved = image.convert("RGB")
        # evaluate.py of PnPInversion reads JPEG files that PIL wrote; edits read from such files have been through it.
        if self.profile.get("jpeg") and not self.journal[sample.id].get("jpeg"):
            saved = _through_jpeg(saved, self.profile["jpeg"])
        size = sample.image.shape[1]
        if not self.profile.get("size") and saved.size != (size, size):
            raise UserError(
                f"the edit of sample {sample.id!r} is {saved.width}x{saved.height} and its source {size}x{size}; "
                f"expected one size, set data.size={saved.height} or metrics.size="
            )
        edit = fit(saved, size, FILTERS[self.profile.get("resample") or "bilinear"])
        mask = None
        if self.store.mask_file(sample.id).exists():
            with Image.open(self.store.mask_file(sample.id)) as image:
                mask = np.asarray(fit(image, size, Image.Resampling.NEAREST)) > 127
        return sample, np.asarray(saved), np.asarray(edit), mask


def _through_jpeg(image: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    with Image.open(stream) as again:
        return again.convert("RGB")


def _batches(run: Run, store: Store, data: EditData, journal: dict, ids: list[str], recall: Recall):
    if not ids:
        return
    device = devices.pick(run.cfg["device"])
    index = {id_: i for i, id_ in enumerate(data.ids)}
    pairs = _Pairs(data, store, journal, run.cfg["metrics"])
    classes = getattr(data, "target_classes", None)
    label = f"score {run.folder.name[:24]}"
    with tqdm(total=len(ids), unit="image", desc=label, disable=None) as bar:
        for read_pairs, bad in read(pairs, [index[id_] for id_ in ids], BATCH):
            for id_, message in bad.items():
                raise UserError(f"sample {id_!r} was edited but its source cannot be read any more: {message}")
            samples, saved, edits, masks = map(list, zip(*read_pairs, strict=True))
            sources = torch.from_numpy(np.stack([sample.image for sample in samples])).to(device)
            pictures = torch.from_numpy(np.stack(edits).transpose(0, 3, 1, 2).copy()).to(device)
            yield ScoreBatch(samples, pictures, sources, masks, saved=saved, classes=classes, recall=recall)
            bar.update(len(samples))


def _compute(metric: SetMetric, n: int, reason: str | None) -> dict[str, Any]:
    try:
        if reason or n == 0:
            raise Undefined(reason or "no image was edited")
        value = float(metric.compute())
        ends = [float(end) for end in metric.interval()] if hasattr(metric, "interval") else [np.nan, np.nan]
        low, high = (end if np.isfinite(end) else None for end in ends)
        halves = [float(f"{half:.8g}") for half in metric.halves()] if hasattr(metric, "halves") else []
        result = {"value": value, "lo": low, "hi": high, "n": n, "reason": None}
        return result | {"halves": halves, "halves_of": metric.halves_of if halves else None}
    except Undefined as error:
        return {"value": None, "lo": None, "hi": None, "n": n, "reason": str(error), "halves": [], "halves_of": None}


def _describe(sample: EditSample) -> dict[str, str]:
    target = str(sample.classes[1]) if sample.classes else ""
    return {"type": sample.type or "", "group": sample.group or sample.id, "class": target}


def _facts(metric: PairMetric | SetMetric) -> dict[str, Any]:
    return {
        "version": metric.version,
        "higher_is_better": metric.higher_is_better,
        "unit": metric.unit,
        "kind": "pair" if hasattr(metric, "score") else "set",
    }


def _notes(file: Path, pairs: dict[str, PairMetric], ids: list[str]) -> dict[str, str]:
    """Metric -> how many samples it has notes on, and the first of them; kept beside the columns."""
    notes = json.loads(file.read_text()) if file.exists() else {}
    fresh = {name: metric.notes for name, metric in pairs.items() if getattr(metric, "notes", None)}
    if fresh:
        notes |= {name: notes.get(name, {}) | found for name, found in fresh.items()}
        write(file, json.dumps(notes, indent=1) + "\n")
    said = {name: [(id_, notes[name][id_]) for id_ in ids if id_ in notes[name]] for name in notes if name in pairs}
    return {name: f"{len(n)} samples, the first is {n[0][0]!r}: {n[0][1]}" for name, n in said.items() if n}


def _read_column(file: Path) -> dict[str, float]:
    if not file.exists():
        return {}
    with open(file, newline="") as stream:
        return {row["id"]: float(row["value"]) for row in csv.DictReader(stream)}


def _read_samples(file: Path) -> dict[str, dict[str, str]]:
    if not file.exists():
        return {}
    with open(file, newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        known = set(reader.fieldnames or []) >= set(SAMPLE)  # an older version kept less
        return {row["id"]: {name: row[name] for name in SAMPLE} for row in reader} if known else {}


def _write_table(file: Path, rows: dict[str, dict[str, Any]]) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["id", *next(iter(rows.values()), {"value": None})])
    for id_, row in sorted(rows.items()):
        writer.writerow([id_, *(repr(v) if isinstance(v, float) else v for v in row.values())])
    write(file, stream.getvalue())


def _read_sets(file: Path) -> dict[str, dict[str, Any]]:
    """Hash of ids -> what a metric gives of their set."""
    if not file.exists():
        return {}
    kept = json.loads(file.read_text())
    kept = {kept["ids"]: kept} if "ids" in kept else kept  # an older version kept one set, and one before it no halves
    return {stamp: result for stamp, result in kept.items() if result.keys() >= set(HALVES)}
