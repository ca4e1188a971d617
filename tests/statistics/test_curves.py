"""Interpolated dominance, against numbers by hand and by simulation."""

import numpy as np
import pytest
import scipy.integrate

from bench.statistics.curves import Curve, gap, mean_gap, shared_range
from bench.statistics.intervals import half_sample_interval, half_samples


def test_gap_by_hand():
    """y = x against y = 1 on [1, 3]: mean of x - 1 is 1. Outside of it neither curve counts."""
    first = np.array([0.0, 3]), np.array([0.0, 3])
    second = np.array([1.0, 4, 4.5]), np.array([1.0, 1, -700])
    assert shared_range(first[0], second[0]) == (1, 3)
    assert mean_gap(*first, *second) == pytest.approx(1)
    assert mean_gap(*second, *first) == pytest.approx(-1)


def test_gap_is_the_integral_of_the_interpolated_curves():
    rng = np.random.default_rng(0)
    for _ in range(10):
        x1, y1, x2, y2 = rng.standard_normal((4, 5))
        x1[:2] = x2[1:3] = -1, 1
        low, high = shared_range(x1, x2)
        a, b = np.argsort(x1), np.argsort(x2)
        expected, _ = scipy.integrate.quad(
            lambda x: np.interp(x, x1[a], y1[a]) - np.interp(x, x2[b], y2[b]),  # noqa: B023
            low,
            high,
            points=sorted(x for x in np.concatenate([x1, x2]) if low < x < high),
        )
        assert mean_gap(x1, y1, x2, y2) == pytest.approx(expected / (high - low), abs=1e-9)


def test_points_of_equal_x_are_averaged_and_their_order_does_not_matter():
    x, y = np.array([2.0, 0, 2]), np.array([5.0, 0, 3])
    assert mean_gap(x, y, np.array([0.0, 2]), np.zeros(2)) == pytest.approx(2)
    assert mean_gap(x[::-1], y[::-1], np.array([2.0, 0]), np.zeros(2)) == pytest.approx(2)


@pytest.mark.parametrize("other", [[3.0, 4], [2.0, 5]])
def test_no_shared_range_is_no_gap(other):
    x, y = np.array([1.0, 2]), np.array([9.0, 9])
    assert np.isnan(mean_gap(x, y, np.array(other), np.zeros(2)))
    assert np.isnan(shared_range(x, np.array(other))).all()


def curve(x: np.ndarray, y: np.ndarray, halves: np.ndarray) -> Curve:
    """From values of each picture, `[P, N]`."""
    weights = halves / halves.sum(1, keepdims=True)
    return Curve(x.mean(1), y.mean(1), weights @ x.T, weights @ y.T)


def test_gap_has_the_values_of_its_half_samples():
    rng = np.random.default_rng(1)
    halves = half_samples([str(i) for i in range(20)])
    steps = np.array([[0], [3], [6]])
    made = [curve(rng.uniform(0, 9, (3, 20)) + steps, rng.uniform(0, 9, (3, 20)), halves) for _ in range(2)]
    found = gap(*made)
    first, second = made
    expected = mean_gap(first.x_halves[7], first.y_halves[7], second.x_halves[7], second.y_halves[7])
    assert found.halves[7] == pytest.approx(expected)
    assert found.range == shared_range(first.x, second.x)


def test_a_range_that_half_samples_lose_has_no_interval():
    """The curves touch on all samples, and on most halves they do not."""
    rng = np.random.default_rng(2)
    halves = half_samples([str(i) for i in range(20)])
    first, second = (rng.standard_normal((2, 20)) + np.array([[low], [low + 1]]) for low in (0, 1))
    second += first.mean(1).max() - second.mean(1).min() - 1e-3
    found = gap(curve(first, first, halves), curve(second, second, halves))
    assert np.isfinite(found.value)
    assert len(found.halves) == 0


def trial(rng: np.random.Generator, count: int, better: float, other_points: float) -> list[list[np.ndarray]]:
    """Pictures of two methods, whose true curves are lines: pictures differ, and are the same for both methods."""
    easy, near = rng.standard_normal((2, count))
    sides = []
    for lift, shift in ((better, other_points), (0.0, 0.0)):
        true = 10 * (np.linspace(0.3, 0.9, 4)[:, None] + shift)
        x = true + 2 * near + 1.5 * rng.standard_normal((4, count))
        sides.append([x, 3 * true + lift + 20 * easy + 5 * rng.standard_normal((4, count))])
    return sides


def intervals(better: float, count: int = 48, trials: int = 200) -> np.ndarray:
    """Value, lower and upper of each trial, `[trials, 3]`."""
    rng, names, made = np.random.default_rng(3), [str(i) for i in range(count)], []
    halves = half_samples(names)
    for _ in range(trials):
        found = gap(*(curve(*side, halves) for side in trial(rng, count, better, 0.05)))
        made.append((found.value, *half_sample_interval(found.value, found.halves, names)))
    return np.array(made)


def test_of_equal_curves_one_in_twenty_seems_better():
    """5 %, which 200 trials know to 1.5 %; the interval is as wide as the gap really spreads."""
    value, low, high = intervals(better=0.0).T
    assert 0.02 <= ((low > 0) | (high < 0)).mean() <= 0.09
    assert ((high - low) / 2).mean() / (1.959964 * value.std()) == pytest.approx(1, abs=0.12)


def test_a_true_gap_is_found_and_covered():
    value, low, high = intervals(better=3.0).T
    assert value.mean() == pytest.approx(3, abs=0.15)
    assert (low > 0).mean() > 0.9
    assert 0.91 <= ((low < 3) & (high > 3)).mean() <= 0.985


def test_both_curves_have_to_be_resampled_together():
    """With halves of other pictures on the second curve, what the pictures share no longer cancels."""
    rng, names = np.random.default_rng(4), [str(i) for i in range(48)]
    sides = trial(rng, 48, 0.0, 0.0)
    together, apart = half_samples(names), half_samples(names, seed=1)
    paired = gap(*(curve(*side, together) for side in sides)).halves.std()
    unpaired = gap(curve(*sides[0], together), curve(*sides[1], apart)).halves.std()
    assert unpaired > 2 * paired
