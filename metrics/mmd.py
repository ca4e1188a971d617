"""Maximum mean discrepancies between the features of edits and of references (Gretton et al. 2012)."""

import numpy as np
import torch

from bench.statistics.intervals import half_sample_interval, half_samples
from bench.types import ScoreBatch, Undefined
from metrics.features import load, vectors

_ROWS = 1024  # of the kernel matrix, held at a time


def cubic(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """(a b / D + 1)^3, the kernel of KID (Binkowski et al. 2018)."""
    return (a @ b.T / a.shape[1] + 1) ** 3


def gaussian(a: torch.Tensor, b: torch.Tensor, sigma: float = 10.0) -> torch.Tensor:
    """exp(-|a - b|^2 / (2 sigma^2)), the kernel of CMMD (Jayasumana et al. 2024)."""
    return torch.exp(-torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square() / (2 * sigma**2))


def mmd(a: torch.Tensor, b: torch.Tensor, kernel, unbiased: bool, halves: torch.Tensor | None = None) -> torch.Tensor:
    """Squared discrepancy of features `[N, D]` and `[N, D]`.

    Args:
        halves: bool `[H, N]`; with it, the discrepancy of each of these parts.

    Returns:
        float64, a number or `[H]`; the unbiased estimate may be negative.
    """
    a, b = a.double(), b.double()
    weights = torch.ones(1, len(a), dtype=torch.float64) if halves is None else halves.double()
    count = weights.sum(1)

    def total(x: torch.Tensor, y: torch.Tensor, without_diagonal: bool) -> torch.Tensor:
        sums = torch.zeros(len(weights), dtype=torch.float64)
        for start in range(0, len(x), _ROWS):
            rows = kernel(x[start : start + _ROWS], y)
            if without_diagonal:
                rows.diagonal(start).zero_()
            sums += ((weights[:, start : start + _ROWS] @ rows) * weights).sum(1)
        return sums

    pairs = count * (count - 1) if unbiased else count**2
    within = (total(a, a, unbiased) + total(b, b, unbiased)) / pairs
    values = within - 2 * total(a, b, False) / count**2
    return values[0] if halves is None else values


class _Mmd:
    """Base: keeps the features of all images, 4 bytes a number, and computes kernels in blocks.

    Args:
        features: callable of `metrics.features`.
        reference: `truths` (true edited images) or `sources`, of the same samples.
    """

    version, higher_is_better, unit, halves_of = 1, False, "x 10^3", "group"

    def __init__(self, features, reference: str):
        self.features, self.reference = features, reference
        self._kept, self._groups, self._halves = [], [], None

    def load(self) -> None:
        """Reads the network; see `features.load`."""
        load(self.features)

    def update(self, batch: ScoreBatch) -> None:
        self._kept.append([vectors(batch, which, self.features).cpu() for which in ("edits", self.reference)])
        self._groups += [sample.group or sample.id for sample in batch.samples]
        self._halves = None

    def compute(self) -> float:
        return float(self._value())

    def interval(self) -> tuple[float, float]:
        """Lower and upper end, 95 %, from half-samples; NaN for fewer than four groups."""
        return half_sample_interval(self.compute(), self.halves(), self._groups)

    def halves(self) -> np.ndarray:
        """Values on the `half_samples` of the groups, float64 `[H]`; empty for fewer than four groups."""
        if self._halves is None:
            chosen = torch.from_numpy(half_samples(self._groups))
            self._halves = self._value(chosen).numpy() if len(chosen) else np.array([])
        return self._halves

    def _value(self, halves: torch.Tensor | None = None) -> torch.Tensor:
        if len(self._groups) < 2:
            raise Undefined(f"a discrepancy needs at least 2 images, got {len(self._groups)}")
        edits, references = (torch.cat(side) for side in zip(*self._kept, strict=True))
        return 1000 * mmd(edits, references, self.kernel, self.unbiased, halves)


class Kid(_Mmd):
    """Kernel Inception distance: unbiased, so a number near zero may be negative; over all images at once instead of
    random subsets."""

    kernel, unbiased = staticmethod(cubic), True


class Cmmd(_Mmd):
    """CLIP discrepancy with the biased estimate of Jayasumana et al.; values for different numbers of images do not
    compare."""

    kernel, unbiased = staticmethod(gaussian), False
