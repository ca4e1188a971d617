"""Samples that several runs share, and half-samples of them. No torch."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from bench.scores import protocol
from bench.scores.stored import Fact, Scored
from bench.statistics.intervals import half_samples


class Untestable(Exception):
    """Why the runs do not allow a test."""


class Incomparable(Untestable):
    """The runs were scored otherwise."""


def check_alike(runs: list[Scored], metrics: Iterable[str]) -> None:
    """Raises Incomparable where values of the runs do not compare, as far as they have any."""
    for metric in metrics:
        if why := protocol.unlike_among(runs, metric):
            raise Incomparable(f"{metric} was scored with {why}")


def fact_of(runs: list[Scored], metric: str) -> Fact:
    """What a summary says of a metric.

    Raises:
        Untestable: none of the runs has it.
    """
    for run in runs:
        if (fact := run.summary.fact(metric)) is not None:
            return fact
    raise Untestable(f"{runs[0].folder.name} was scored without {metric}")


class Sample:
    """The samples that points of several runs share, and half-samples of them.

    A distance of sets is known for the samples that its run was scored on and no others. Where runs have different
    samples, those are taken that most edits are of, and runs that have not all of them are left out (with distances of
    sets, those that have more, too).

    Args:
        sides: runs of each side.
        metrics: that are needed.
        least: runs that each side must keep.
        together: the sides' runs belong together one by one, and are kept or left out so.

    Attributes:
        sides: the runs that are kept.
        ids: samples with a finite value of every metric in every run.
        of: what half-samples are halves of, `group` or `class`.
        units: that of each sample.

    Raises:
        Untestable: runs were scored otherwise, too few runs share samples, or half-samples do not go together.
    """

    def __init__(self, sides: list[list[Scored]], metrics: list[str], least: int, together: bool = False):
        runs = [run for side in sides for run in side]
        check_alike(runs, metrics)
        self._sets = {metric for metric in metrics if fact_of(runs, metric).kind == "set"}
        reasons = {run.folder: reason for run in runs if (reason := self._lacks(run, metrics))}
        of = {fact_of(runs, metric).halves_of for metric in self._sets} - {None} or {"group"}
        if len(of) > 1:
            raise Untestable(f"{' and '.join(sorted(self._sets))} are resampled by different things")
        (self.of,) = of
        runs = [run for run in runs if run.folder not in reasons]
        candidates = {run.summary.ids: run.table.index for run in runs}
        kept = {stamp: self._kept(sides, stamp, ids, set(reasons), together) for stamp, ids in candidates.items()}
        full = {stamp: found for stamp, found in kept.items() if all(len(side) >= least for side in found)}
        if not full:
            what = f", and {' and '.join(sorted(self._sets))} of different samples do not compare" if self._sets else ""
            alike = f"a side has no run of the same samples{what}"
            if least > 1:
                alike = f"a side has fewer than {least} runs of the same samples{what}"
            raise Untestable(next(iter(reasons.values()), alike))
        stamp = max(full, key=lambda key: (len(candidates[key]) * sum(map(len, full[key])), key))
        self.sides = full[stamp]
        tables = [run.table.loc[candidates[stamp]] for side in self.sides for run in side]
        self.units = tables[0][self.of].fillna("").tolist()
        chosen = half_samples(self.units)
        finite = np.ones(len(self.units), bool)
        for run, table in zip((run for side in self.sides for run in side), tables, strict=True):
            for metric in set(metrics) - self._sets:
                finite &= np.isfinite(table[fact_of([run], metric).name].to_numpy(np.float64))
        if not finite.any():
            raise Untestable("no image has a finite value in every run")
        self._all, self._finite, self._halves = candidates[stamp], finite, chosen & finite
        self.ids = self._all[finite] if len(self._sets) < len(metrics) else self._all

    def _lacks(self, run: Scored, metrics: list[str]) -> str | None:
        """Why a run has no value of a metric, or none on half-samples; None if it has them all."""
        for metric in metrics:
            if (fact := run.summary.fact(metric)) is None:
                return f"{run.folder.name} was scored without {metric}"
            if fact.value is None:
                return f"no value of {metric}: {fact.reason or 'no image has one'}"
            if metric in self._sets and not fact.halves:
                return (
                    f"{metric} has no half-samples: too few images, too many, or an older score "
                    "(python -m bench.score run=<folder>)"
                )
        return None

    def _kept(
        self, sides: list[list[Scored]], stamp: str, ids: pd.Index, without: set[Path], together: bool
    ) -> list[list[Scored]]:
        """The runs of each side that have these samples."""

        def has(run: Scored) -> bool:
            same = run.summary.ids == stamp if self._sets else ids.isin(run.table.index).all()
            return same and run.folder not in without

        if together:
            rows = [row for row in zip(*sides, strict=True) if all(map(has, row))]
            return [list(side) for side in zip(*rows, strict=True)] or [[] for _ in sides]
        return [[run for run in side if has(run)] for side in sides]

    def value(self, run: Scored, metric: str) -> tuple[float, np.ndarray]:
        """A metric of a run on all samples, and on each half-sample `[H]`."""
        fact = fact_of([run], metric)
        if metric in self._sets:
            return fact.value, np.array(fact.halves)
        values = np.where(self._finite, run.table.loc[self._all, fact.name].to_numpy(np.float64), 0.0)
        counts = self._halves.sum(1)
        with np.errstate(invalid="ignore"):
            return float(values.sum() / self._finite.sum()), (self._halves @ values) / counts
