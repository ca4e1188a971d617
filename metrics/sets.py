"""Distances between the set of edits and a set of references."""

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import torch

from bench.errors import UserError
from bench.statistics.intervals import half_sample_interval, half_samples, mean_interval
from bench.types import ScoreBatch, Undefined
from metrics import statistics
from metrics.features import load, vectors
from metrics.frechet import Moments, frechet_distance

KEPT = 2048
"""Images whose features are held for an interval, which takes a hundred distances of half as many; larger sets have
none, and constant memory."""


class Fid:
    """Frechet distance between edits and references of the same samples, with an interval from half-samples, paired and
    clustered by source picture.

    Args:
        features: callable of `metrics.features`.
        reference: `truths` (true edited images) or `sources`.
    """

    version, higher_is_better, unit, halves_of = 1, False, "", "group"

    def __init__(self, features, reference: str):
        self.features, self.reference = features, reference
        self._edits, self._references = Moments(), Moments()
        self._kept, self._groups, self._halves = [], [], None

    def load(self) -> None:
        """Reads the network; see `features.load`."""
        load(self.features)

    def update(self, batch: ScoreBatch) -> None:
        pair = [vectors(batch, which, self.features).cpu() for which in ("edits", self.reference)]
        for moments, features in zip((self._edits, self._references), pair, strict=True):
            moments.update(features)
        self._groups += [sample.group or sample.id for sample in batch.samples]
        self._kept = [*self._kept, pair] if len(self._groups) <= KEPT else []
        self._halves = None

    def compute(self) -> float:
        return frechet_distance(self._edits, self._references)

    def interval(self) -> tuple[float, float]:
        """Lower and upper end, 95 %; NaN for fewer than four groups or more than `KEPT` images."""
        return half_sample_interval(self.compute(), self.halves(), self._groups)

    def halves(self) -> np.ndarray:
        """Distances of the `half_samples` of the groups, float64 `[H]`; empty where there is no interval."""
        if self._halves is None:
            edits, references = (torch.cat(side) for side in zip(*self._kept, strict=True)) if self._kept else ([], [])
            values = []
            for half in half_samples(self._groups) if self._kept else ():
                made = Moments(), Moments()
                for moments, features in zip(made, (edits, references), strict=True):
                    moments.update(features[half])
                values.append(frechet_distance(*made))
            self._halves = np.array(values)
        return self._halves


class _MeanDistance:
    """Squared distances of feature means, without covariances, as FlexIT's evaluation has them. Only float64 sums a
    target class are kept, so that memory does not grow with the number of images.

    Args:
        features: callable of `metrics.features`.
        reference: `truths` (true edited images of the same samples), or None to take `weights`.
        weights: a torch file `{mean, classwise: {id: {mean}}}` such as FlexIT's inception_stats_256.pt.
    """

    version, higher_is_better, unit = 1, False, ""

    def __init__(self, features, reference: str | None = None, weights: Path | None = None):
        self.features, self.reference, self._statistics = features, reference, weights
        self._counts, self._edits, self._references = Counter(), defaultdict(float), defaultdict(float)

    def load(self) -> None:
        """Reads the network, and looks at the statistics. Raises: UserError: either is not what it should be."""
        load(self.features)
        if self._statistics is not None:
            self._known(self.features(torch.zeros(1, 3, 8, 8, dtype=torch.uint8)).shape[1])

    def update(self, batch: ScoreBatch) -> None:
        edits = vectors(batch, "edits", self.features).double().cpu()
        references = [0.0] * len(edits)
        if self.reference:
            references = vectors(batch, self.reference, self.features).double().cpu()
        for sample, edit, reference in zip(batch.samples, edits, references, strict=True):
            class_id = sample.classes[1] if sample.classes else None
            self._counts[class_id] += 1
            self._edits[class_id] += edit
            self._references[class_id] += reference

    def _known(self, width: int) -> statistics.Means:
        """Those of `width` features. Raises: UserError: the file is no such file."""
        known = statistics.load(self._statistics)
        if len(known.all) != width:
            raise UserError(
                f"{self._statistics} has means of {len(known.all)} numbers, and the network gives {width}; expected "
                "statistics of the same network"
            )
        return known


class Sfid(_MeanDistance):
    """Squared distance of the mean feature of all edits to that of all references (FlexIT's SFID)."""

    def compute(self) -> float:
        if not self._counts:
            raise Undefined("SFID needs at least one edit")
        count = self._counts.total()
        edits = sum(self._edits.values()) / count
        mean = sum(self._references.values()) / count if self.reference else self._known(len(edits)).all
        return float((edits - mean).square().sum())


class Csfid(_MeanDistance):
    """Mean, over the target classes present, of the squared distance between the mean feature of the class's edits
    and that of its references (FlexIT's CSFID). Values for different numbers of images a class do not compare.

    Args:
        least: edits that every class must have; of a single one, its own spread is all that is measured. FlexIT's
            code is `least=1`.

    Half-samples are of classes: halves of the images would leave means of half as many, whose distances are larger and
    spread about twice as much.

    Raises:
        Undefined: (from `compute`) a class has fewer edits, or no reference; or there are no classes, or no edits.
    """

    halves_of = "class"

    def __init__(self, features, reference: str | None = None, weights: Path | None = None, least: int = 2):
        super().__init__(features, reference, weights)
        self.least = least

    def compute(self) -> float:
        return float(self._distances().mean())

    def interval(self) -> tuple[float, float]:
        """Lower and upper end, 95 %, of a mean over classes: edits of one class share its mean."""
        distances = self._distances()
        return mean_interval(distances, [str(i) for i in range(len(distances))])[1:3]

    def halves(self) -> np.ndarray:
        """Means over the `half_samples` of the target classes, float64 `[H]`; empty for fewer than four classes."""
        distances = self._distances()
        return np.array([distances[half].mean() for half in half_samples([str(id_) for id_ in self._counts])])

    def _distances(self) -> np.ndarray:
        if not self._counts:
            raise Undefined(f"CSFID needs at least {self.least} edits of every target class, got none")
        if None in self._counts:
            raise Undefined("CSFID needs the target class of every sample, and this data set has none")
        if few := sum(count < self.least for count in self._counts.values()):
            raise Undefined(
                f"CSFID needs at least {self.least} edits of every target class; {few} of {len(self._counts)} lack them"
            )
        width = len(next(iter(self._edits.values())))
        known = None if self.reference else self._known(width).classes
        if known is not None and (unknown := sorted(self._counts.keys() - known.keys())):
            raise Undefined(
                f"{self._statistics} lacks {len(unknown)} of {len(self._counts)} target classes, such as {unknown[0]}"
            )
        distances = []
        for class_id, count in self._counts.items():
            mean = self._references[class_id] / count if known is None else known[class_id]
            distances.append((self._edits[class_id] / count - mean).square().sum())
        return torch.stack(distances).numpy()
