import numpy as np
import pytest
import scipy.linalg
import torch

from bench.types import Undefined
from metrics.frechet import Moments, frechet_distance


def moments(features: np.ndarray, batch: int = 7) -> Moments:
    made = Moments()
    for start in range(0, len(features), batch):
        made.update(torch.from_numpy(features[start : start + batch]))
    return made


def sample(seed: int, count: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, width)) @ rng.standard_normal((width, width)) + rng.standard_normal(width)


def formula(a: np.ndarray, b: np.ndarray) -> float:
    """The distance by its definition, with a general matrix root."""
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(cov_a @ cov_b)
    return float(np.square(a.mean(0) - b.mean(0)).sum() + np.trace(cov_a + cov_b) - 2 * np.trace(root).real)


def test_running_sums_equal_the_definition():
    a, b = sample(0, 60, 12), sample(1, 45, 12)
    made = moments(a), moments(b)
    assert made[0].rows() is None
    assert frechet_distance(*made) == pytest.approx(formula(a, b), rel=1e-6)


def test_low_rank_form_equals_the_definition():
    # As many vectors as dimensions: the largest sets that are kept, with covariances of rank 11 in 12 dimensions.
    a, b = sample(0, 12, 12), sample(1, 12, 12)
    made = moments(a), moments(b)
    assert made[0].rows() is not None
    # A root of a singular product is itself good to the square root of the precision only.
    assert frechet_distance(*made) == pytest.approx(formula(a, b), rel=1e-6)


@pytest.mark.parametrize(("count_a", "count_b"), [(9, 6), (9, 40), (40, 9)])
def test_every_branch_agrees_with_running_sums(count_a, count_b):
    a, b = sample(2, count_a, 20), sample(3, count_b, 20)
    reference = []
    for features in (a, b):
        made = moments(features)
        made._outer, made._sum = torch.from_numpy(features.T @ features), torch.from_numpy(features.sum(0))
        made._kept = []
        reference.append(made)
    assert frechet_distance(moments(a), moments(b)) == pytest.approx(frechet_distance(*reference), rel=1e-6)


@pytest.mark.parametrize("count", [2, 10, 50])
def test_distance_to_itself_is_zero(count):
    a = moments(sample(4, count, 16))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6 * float(a.covariance.trace()))


@pytest.mark.parametrize("count", [5, 50])
def test_symmetric(count):
    a, b = moments(sample(5, count, 16)), moments(sample(6, count + 3, 16))
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-9)


def test_shifted_set_is_as_far_as_its_mean():
    a = sample(7, 30, 16)
    assert frechet_distance(moments(a), moments(a + 3.0)) == pytest.approx(16 * 9, rel=1e-9)


def test_two_vectors_a_set_are_enough():
    a, b = np.array([[0.0, 0, 0], [2, 0, 0]]), np.array([[0.0, 1, 0], [0, 5, 0]])
    # Means (1, 0, 0) and (0, 3, 0): 10. Covariances 2 and 8 along orthogonal axes: 2 + 8 - 0.
    assert frechet_distance(moments(a), moments(b)) == pytest.approx(20, rel=1e-12)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_vectors_are_undefined(count):
    few, many = moments(sample(8, count, 4)), moments(sample(9, 6, 4))
    for pair in ((few, many), (many, few)):
        with pytest.raises(Undefined, match=f"at least 2 images, got {count}"):
            frechet_distance(*pair)


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_batch_size_does_not_matter(batch):
    a, b = sample(10, 37, 16), sample(11, 37, 16)
    one, other = moments(a, 37), moments(a, batch)
    assert other.n == 37
    torch.testing.assert_close(other.mean, one.mean, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(other.covariance, torch.from_numpy(np.cov(a, rowvar=False)), rtol=1e-10, atol=1e-10)
    reference = frechet_distance(one, moments(b, 37))
    assert frechet_distance(other, moments(b, batch)) == pytest.approx(reference, rel=1e-9)


def test_memory_stays_constant_beyond_the_number_of_dimensions():
    a = moments(sample(12, 200, 8), 50)
    assert a._kept == []
    assert a._outer.shape == (8, 8)


@pytest.mark.parametrize("count", [12, 400])
def test_closed_form_of_exactly_given_moments(count):
    """Sets whitened to exactly these means and diagonal covariances, whose distance is known: rel. 1e-6."""
    rng, width = np.random.default_rng(13), 8
    spreads = rng.uniform(0.5, 3, (2, width))
    means = rng.standard_normal((2, width))
    made = []
    for spread, mean in zip(spreads, means, strict=True):
        x = rng.standard_normal((count, width))
        x -= x.mean(0)
        x = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T
        made.append(moments(x * spread + mean))
    expected = np.square(means[0] - means[1]).sum() + np.square(spreads[0] - spreads[1]).sum()
    assert frechet_distance(*made) == pytest.approx(expected, rel=1e-6)


def test_features_that_are_not_finite_are_undefined():
    with pytest.raises(Undefined, match="not finite"):
        moments(np.array([[0.0, np.nan], [1, 1]]))
