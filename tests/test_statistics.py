import numpy as np
import pytest
import scipy.stats

from bench.statistics import mean_interval


def names(count: int) -> list[str]:
    return [f"g{i}" for i in range(count)]


def test_interval_is_scipys_for_independent_values():
    """Both are Monte Carlo: ends agree to 5 % of the width with 10,000 resamples (their own spread is about 1 %)."""
    values = np.random.default_rng(0).exponential(size=80)
    mean, low, high, n = mean_interval(values, names(80))
    expected = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=10_000, method="percentile", rng=1
    ).confidence_interval
    assert (mean, n) == (pytest.approx(values.mean(), rel=1e-12), 80)
    assert [low, high] == pytest.approx([expected.low, expected.high], abs=0.05 * (high - low))


def test_interval_covers_the_mean_about_as_often_as_it_says():
    """95 % intervals of 20 normal values: 92 % in theory (a percentile bootstrap is a little short); 150 trials spread
    by 2.2 %."""
    rng, hits = np.random.default_rng(1), 0
    for trial in range(150):
        _, low, high, _ = mean_interval(rng.standard_normal(20), names(20), trial)
        hits += low <= 0 <= high
    assert 0.85 <= hits / 150 <= 0.98


def test_copies_within_a_group_tell_nothing_new():
    values = np.random.default_rng(2).standard_normal(20)
    alone = mean_interval(values, names(20))
    copied = mean_interval(np.repeat(values, 9), [g for g in names(20) for _ in range(9)])
    assert copied[:3] == pytest.approx(alone[:3], abs=1e-9)
    assert copied[3] == 180
    independent = mean_interval(np.repeat(values, 9), names(180))
    ratio = (copied[2] - copied[1]) / (independent[2] - independent[1])
    assert ratio == pytest.approx(3, rel=0.1)  # sqrt(9)


def test_groups_of_unequal_size_weigh_by_their_values():
    values, groups = np.array([0.0, 0, 0, 4]), ["a", "a", "a", "b"]
    mean, low, high, _ = mean_interval(values, groups)
    assert mean == 1
    assert (low, high) == (0, 4)  # either group drawn twice, each with probability 1/4


def test_values_that_are_not_finite_are_left_out():
    values = np.random.default_rng(3).standard_normal(12)
    dirty = np.concatenate([[np.nan, np.inf], values, [-np.inf, np.nan]])
    groups = ["x", "g0", *names(12), "g3", "y"]
    assert mean_interval(dirty, groups) == mean_interval(values, names(12))


@pytest.mark.parametrize("values", [[], [np.nan, np.inf]])
def test_nothing_finite(values):
    mean, low, high, n = mean_interval(np.array(values), names(len(values)))
    assert np.isnan([mean, low, high]).all()
    assert n == 0


def test_one_group_has_a_mean_and_no_interval():
    mean, low, high, n = mean_interval(np.array([1.0, 2, np.nan]), ["a", "a", "b"])
    assert (mean, n) == (1.5, 2)
    assert np.isnan([low, high]).all()


def test_same_input_same_interval():
    values = np.random.default_rng(4).standard_normal(500)  # several chunks of resamples
    assert mean_interval(values, names(500)) == mean_interval(values, names(500))
    assert mean_interval(values, names(500), seed=1) != mean_interval(values, names(500))


def test_order_does_not_matter():
    values, order = np.random.default_rng(5).standard_normal(30), np.random.default_rng(6).permutation(30)
    groups = [f"g{i // 3:02d}" for i in range(30)]
    shuffled = mean_interval(values[order], [groups[i] for i in order])
    assert shuffled == pytest.approx(mean_interval(values, groups), rel=1e-9)
