"""Frechet distance between Gaussians fitted to two sets of features. No networks."""

from contextlib import contextmanager

import torch

from bench.types import Undefined


class Moments:
    """Mean and covariance of a stream of feature vectors.

    Up to as many vectors as dimensions are kept as they are, since the distance is then exact and cheap in a
    low-rank form; further ones go into running float64 sums, so that memory stays constant.
    """

    def __init__(self):
        self.n, self._kept, self._sum, self._outer = 0, [], None, None

    def update(self, features: torch.Tensor) -> None:
        """Adds `[B, D]`. Raises: Undefined: a feature is not finite."""
        features = features.double().cpu()
        if not features.isfinite().all():
            raise Undefined("a feature is not finite, so there is no distance")
        self.n += len(features)
        self._kept.append(features)
        if self.n > features.shape[1]:
            rows = torch.cat(self._kept)
            if self._sum is None:
                self._sum, self._outer = torch.zeros_like(rows[0]), rows.new_zeros(rows.shape[1], rows.shape[1])
            self._sum += rows.sum(0)
            self._outer += rows.T @ rows
            self._kept = []

    @property
    def mean(self) -> torch.Tensor:
        """float64 `[D]`."""
        total = sum((rows.sum(0) for rows in self._kept), start=torch.zeros(()) if self._sum is None else self._sum)
        return total / self.n

    @property
    def covariance(self) -> torch.Tensor:
        """Unbiased, float64 `[D, D]`."""
        if self._sum is None:
            rows = self.rows()
            return rows.T @ rows
        mean = self.mean
        return (self._outer - self.n * torch.outer(mean, mean)) / (self.n - 1)

    def rows(self) -> torch.Tensor | None:
        """Centred vectors over sqrt(n - 1), `[n, D]`, whose product with themselves is the covariance; None once
        only sums are kept."""
        if self._sum is not None:
            return None
        return (torch.cat(self._kept) - self.mean) / (self.n - 1) ** 0.5


def frechet_distance(a: Moments, b: Moments) -> float:
    """|mean_a - mean_b|^2 + tr(S_a) + tr(S_b) - 2 tr((S_a S_b)^(1/2)) (Heusel et al. 2017, Eq. 6).

    With centred rows A and B the last trace is the nuclear norm of A B^T: exact, real, and defined from two vectors
    a set; a matrix root of the product turns complex there. Otherwise the eigenvalues of the symmetric
    S_a^(1/2) S_b S_a^(1/2) give it, which are real too.

    Raises:
        Undefined: a set of fewer than two.
    """
    if min(a.n, b.n) < 2:
        raise Undefined(f"a Frechet distance needs at least 2 images, got {min(a.n, b.n)}")
    squared = float((a.mean - b.mean).square().sum())
    rows_a, rows_b = a.rows(), b.rows()
    if rows_a is not None and rows_b is not None:
        traces = float(rows_a.square().sum() + rows_b.square().sum())
        with _threads_for(min(a.n, b.n)):
            return squared + traces - 2 * float(torch.linalg.matrix_norm(rows_a @ rows_b.T, "nuc"))
    cov_a, cov_b = a.covariance, b.covariance
    with _threads_for(len(cov_a)):
        values, vectors = torch.linalg.eigh(cov_a)
        root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
        cross = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum()
    return squared + float(cov_a.trace() + cov_b.trace()) - 2 * float(cross)


@contextmanager
def _threads_for(size: int):
    """One thread for small decompositions: several wait for each other, on a busy machine hundreds of times as long."""
    before = torch.get_num_threads()
    if size <= 512:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
