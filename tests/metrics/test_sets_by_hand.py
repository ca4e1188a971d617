"""KID, CMMD, FID and FlexIT's distances from their definitions, pair by pair, on pictures whose feature is their mean
colour (metrics.md: FlexIT's protocol, statistics)."""

import numpy as np
import pytest
import scipy.linalg
import torch

from metrics.mmd import Cmmd, Kid
from metrics.sets import Csfid, Fid, Sfid
from tests.helpers.scores import score_batch


class Colour:
    """The mean colour of a picture, from 0 to `top`."""

    weights = "none"

    def __init__(self, top: float):
        self.top = top

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return images.float().mean((2, 3)) * self.top / 255


def fed(metric, classes=None):
    """The metric after 9 edits; their features and those of the truths, which lie in the lower two thirds."""
    rng = np.random.default_rng(0)
    edits, truths = rng.integers(0, 256, (9, 3, 1, 1), np.uint8), rng.integers(0, 170, (9, 3, 1, 1), np.uint8)
    metric.update(score_batch(edits, np.zeros_like(edits), truth=truths, classes=classes or [None] * 9))
    return metric, *(x.reshape(9, 3).astype(float) * metric.features.top / 255 for x in (edits, truths))


def test_kid_is_unbiased_over_all_images_and_times_1000():
    """(a b / D + 1)^3; pairs of a picture with itself are left out within a set."""
    metric, a, b = fed(Kid(Colour(2.0), "truths"))

    def k(x, y):
        return (x @ y / 3 + 1) ** 3

    within = [np.mean([k(x[i], x[j]) for i in range(9) for j in range(9) if i != j]) for x in (a, b)]
    across = np.mean([k(p, q) for p in a for q in b])
    assert metric.compute() == pytest.approx(1000 * (sum(within) - 2 * across), rel=1e-6)


def test_cmmd_is_biased_with_sigma_10_and_times_1000():
    """exp(-|a - b|^2 / 200), pairs of a picture with itself included."""
    metric, a, b = fed(Cmmd(Colour(20.0), "truths"))

    def mean(x, y):
        return np.mean([np.exp(-((p - q) ** 2).sum() / 200) for p in x for q in y])

    assert metric.compute() == pytest.approx(1000 * (mean(a, a) + mean(b, b) - 2 * mean(a, b)), rel=1e-5)


def test_fid_is_its_definition():
    """|m - n|^2 + tr(S + T - 2 (S T)^(1/2)), covariances over N - 1."""
    metric, a, b = fed(Fid(Colour(1.0), "truths"))
    s, t = np.cov(a.T), np.cov(b.T)
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s + t - 2 * scipy.linalg.sqrtm(s @ t).real)
    assert metric.compute() == pytest.approx(expected, rel=1e-5)


CLASSES = [(9, c) for c in (0, 0, 1, 1, 1, 1, 2, 2, 2)]


def test_csfid_is_the_plain_mean_over_target_classes():
    """Of classes of 2, 4 and 3 edits alike; neither their median nor weighted."""
    metric, a, b = fed(Csfid(Colour(1.0), "truths"), CLASSES)
    parts = [slice(0, 2), slice(2, 6), slice(6, 9)]
    distances = [((a[one].mean(0) - b[one].mean(0)) ** 2).sum() for one in parts]
    assert metric.compute() == pytest.approx(np.mean(distances), rel=1e-5)


def test_sfid_is_between_all_means():
    metric, a, b = fed(Sfid(Colour(1.0), "truths"), CLASSES)
    assert metric.compute() == pytest.approx(((a.mean(0) - b.mean(0)) ** 2).sum(), rel=1e-5)
