import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import kernel_mmd, kid_features_to_metric

from bench.types import Undefined
from metrics.mmd import Cmmd, Kid, cubic, gaussian, mmd
from tests.helpers.scores import score_batch


class Colour:
    """The mean colour of a picture, as features."""

    weights = "none"

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return images.float().mean((2, 3))


def sample(seed: int, count: int, width: int, shift: float = 0.0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((count, width)) + shift)


def test_kid_is_torch_fidelitys():
    """One subset that is the whole set."""
    a, b = sample(0, 40, 24), sample(1, 40, 24, 0.3)
    settings = {"kid_subsets": 1, "kid_subset_size": 40, "rng_seed": 0, "verbose": False}
    expected = kid_features_to_metric(a, b, **settings)["kernel_inception_distance_mean"]
    assert float(mmd(a, b, cubic, unbiased=True)) == pytest.approx(float(expected), rel=1e-10)


def test_cmmds_kernel_is_torch_fidelitys():
    """Unbiased, as theirs is here."""
    a, b = sample(2, 30, 5), sample(3, 30, 5, 1.0)
    settings = {"kid_kernel": "rbf", "kid_kernel_rbf_sigma": 10.0}
    expected = kernel_mmd(a.numpy(), b.numpy(), **settings)
    assert float(mmd(a, b, gaussian, unbiased=True)) == pytest.approx(float(expected), rel=1e-10)


def test_cmmd_by_hand():
    """Jayasumana et al.: mean kernel within each set, less twice the mean across."""
    a, b = sample(2, 9, 5), sample(3, 9, 5, 1.0)

    def mean(x, y):
        return np.mean([[np.exp(-np.sum((p - q) ** 2) / 200) for q in y.numpy()] for p in x.numpy()])

    expected = mean(a, a) + mean(b, b) - 2 * mean(a, b)
    assert float(mmd(a, b, gaussian, unbiased=False)) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("kernel", "unbiased"), [(cubic, True), (gaussian, False)])
def test_parts_are_scored_as_sets_of_their_own(kernel, unbiased, monkeypatch):
    monkeypatch.setattr("metrics.mmd._ROWS", 7)  # blocks that do not divide the set
    a, b = sample(4, 20, 6), sample(5, 20, 6, 0.2)
    halves = torch.rand(5, 20, generator=torch.Generator().manual_seed(0)) < 0.6
    expected = [float(mmd(a[half], b[half], kernel, unbiased)) for half in halves]
    np.testing.assert_allclose(mmd(a, b, kernel, unbiased, halves), expected, rtol=1e-9)


def test_biased_discrepancy_of_a_set_to_itself_is_zero():
    a = sample(6, 12, 4)
    assert float(mmd(a, a, gaussian, unbiased=False)) == pytest.approx(0, abs=1e-12)


def pictures(seed: int, shift: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 200, (24, 3, 2, 2))
    return (noise + shift).astype(np.uint8)


@pytest.mark.parametrize("metric", [Kid, Cmmd])
def test_worse_edits_are_further_whatever_the_batches(metric):
    values = []
    for shift in (0, 20, 50):
        made = metric(Colour(), "sources")
        for part in (slice(0, 10), slice(10, 24)):
            made.update(score_batch(pictures(0, shift)[part], pictures(0)[part]))
        whole = metric(Colour(), "sources")
        whole.update(score_batch(pictures(0, shift), pictures(0)))
        assert made.compute() == pytest.approx(whole.compute(), rel=1e-9, abs=1e-9)
        low, high = whole.interval()
        assert low <= whole.compute() <= high
        values.append(whole.compute())
    assert values[0] < values[1] < values[2]


@pytest.mark.parametrize("metric", [Kid, Cmmd])
def test_one_picture_is_undefined_and_two_have_no_interval(metric):
    made = metric(Colour(), "sources")
    made.update(score_batch(pictures(0)[:1], pictures(1)[:1]))
    with pytest.raises(Undefined, match="at least 2 images, got 1"):
        made.compute()
    made.update(score_batch(pictures(0)[1:2], pictures(1)[1:2], id=["other"]))
    assert np.isfinite(made.compute())
    assert np.isnan(made.interval()).all()
