"""Metrics at work: what they have computed of a run's samples, and what they lack."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.config.guard import guard
from bench.diffusion.memory import exhausted
from bench.errors import UserError
from bench.files.hashing import sha256_of
from bench.files.write import write
from bench.scores.columns import read_column, read_samples, read_sets, write_table
from bench.scores.returns import values_of
from bench.types import EditSample, PairMetric, ScoreBatch, SetMetric, Undefined


@dataclass
class Work:
    """Metrics on their way over the samples.

    Attributes:
        known: pair metric -> id -> value.
        kept: set metric -> hash of ids -> what it gives of their set.
        taken: set metric that lacks this set -> ids that it has been given.
        described: id -> type, group and target class.
        reasons: metric -> why it is undefined.
        at: the metric that is at work.
        apart: whether pictures are of their own sizes each, so that one that is too small leaves others their values.
        small: pair metric -> id -> what is to be said of a picture that is too small for it.
    """

    folder: Path
    ids: list[str]
    metrics: dict[str, PairMetric | SetMetric]
    reasons: dict[str, str] = field(default_factory=dict)
    at: str = ""
    apart: bool = False
    small: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stamp = sha256_of(self.ids)
        self.pairs = {name: metric for name, metric in self.metrics.items() if hasattr(metric, "score")}
        self.known = {name: read_column(self._file(name, "csv")) for name in self.pairs}
        self.kept = {name: read_sets(self._file(name, "json")) for name in self.metrics.keys() - self.pairs}
        self.described = read_samples(self.folder / "samples.csv")
        self.taken: dict[str, set[str]] = {name: set() for name, kept in self.kept.items() if self.stamp not in kept}

    def _file(self, name: str, ending: str) -> Path:
        return self.folder / f"{name}@{self.metrics[name].version}.{ending}"

    def unfinished(self) -> dict[str, PairMetric | SetMetric]:
        """Metrics that lack some sample."""
        done = {**self.known, **dict.fromkeys(self.taken, ())}
        return {name: self.metrics[name] for name, ids in done.items() if any(id_ not in ids for id_ in self.ids)}

    def lacking(self) -> list[str]:
        """Samples that some metric lacks, or of which nothing is known."""
        if self.taken or not self.described.keys() >= set(self.ids):
            return self.ids
        return [id_ for id_ in self.ids if any(id_ not in column for column in self.known.values())]

    def take(self, batch: ScoreBatch) -> None:
        """Scores a batch by every metric that has not done so already."""
        ids, side = [sample.id for sample in batch.samples], min(batch.edits.shape[-2:])
        self.described.update({sample.id: _describe(sample) for sample in batch.samples})
        for name, metric in self.metrics.items():
            done, self.at = self.known.get(name, self.taken.get(name, ids)), name
            if name in self.reasons or all(id_ in done for id_ in ids):
                continue
            try:
                if side < (smallest := getattr(metric, "smallest", 1)):
                    if not (self.apart and name in self.pairs):
                        raise Undefined(f"needs pictures of {smallest} px a side or more; these have {side}")
                    self.known[name].update(dict.fromkeys(ids, np.nan))
                    self.small.setdefault(name, {}).update(dict.fromkeys(ids, f"smaller than {smallest} px"))
                elif name in self.pairs:
                    values = values_of(name, metric, batch).tolist()
                    self.known[name].update(zip(ids, values, strict=True))
                else:
                    with guard(f"metrics.{name}", type(metric)):
                        metric.update(batch)
                    self.taken[name].update(ids)
            except Undefined as reason:
                self.reasons[name] = str(reason)

    def finish(self) -> None:
        """Gives the sets their values."""
        for name in self.taken:
            what = f"comparing {len(self.ids)} pictures by metrics.{name}"
            with _memory_for(what), guard(f"metrics.{name}", type(self.metrics[name])):
                self.kept[name][self.stamp] = _compute(self.metrics[name], len(self.ids), self.reasons.get(name))
            write(self._file(name, "json"), json.dumps(self.kept[name]) + "\n")

    def save(self) -> None:
        """Writes what has been computed."""
        if not self.at:
            return
        for name, column in self.known.items():
            write_table(self._file(name, "csv"), {id_: {"value": value} for id_, value in column.items()})
        write_table(self.folder / "samples.csv", self.described)


def load(metrics: dict[str, PairMetric | SetMetric]) -> None:
    """Loads the networks of metrics. Raises: UserError: one cannot be loaded."""
    for name, metric in metrics.items():
        if hasattr(metric, "load"):
            with _memory_for(f"loading the network of metrics.{name}"), guard(f"metrics.{name}", type(metric)):
                metric.load()


@contextmanager
def _memory_for(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if exhausted(error):
            raise UserError(f"out of memory {what}; leave the column out with '~metrics.<column>'") from None
        raise


def _compute(metric: SetMetric, n: int, reason: str | None) -> dict[str, Any]:
    try:
        if reason or n == 0:
            raise Undefined(reason or "no image was edited")
        value = float(metric.compute())
        ends = [float(end) for end in metric.interval()] if hasattr(metric, "interval") else [np.nan, np.nan]
        low, high = (end if np.isfinite(end) else None for end in ends)
        halves = [float(f"{half:.8g}") for half in metric.halves()] if hasattr(metric, "halves") else []
        result = {"value": value, "lo": low, "hi": high, "n": n, "reason": None}
        return result | {"halves": halves, "halves_of": getattr(metric, "halves_of", None)}
    except Undefined as error:
        return without_value(n, str(error))


def without_value(n: int, reason: str) -> dict[str, Any]:
    """What is kept of a set metric that is undefined."""
    return {"value": None, "lo": None, "hi": None, "n": n, "reason": reason, "halves": [], "halves_of": None}


def _describe(sample: EditSample) -> dict[str, str]:
    target = str(sample.classes[1]) if sample.classes else ""
    return {"type": sample.type or "", "group": sample.group or sample.id, "class": target}
