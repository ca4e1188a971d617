import numpy as np
import pytest
import scipy.stats
import torch

from bench.statistics.flips import holm, sign_flip_p
from bench.statistics.intervals import (
    half_sample_interval,
    half_samples,
    mean_interval,
    mean_intervals,
    mean_over_types,
)
from scripts.coverage import coverage


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


@pytest.mark.parametrize("groups", [3, 5, 8, 12, 20, 40])
def test_interval_covers_the_mean_as_often_as_it_says(groups):
    """2,000 sets know 95 % to 0.5 %: groups of one to four values that share the group's own deviation; values that are
    log-normal have means that few sets show."""
    assert 0.93 <= coverage(groups, 4, logarithmic=False, sets=2000) <= 0.97
    assert coverage(groups, 4, logarithmic=True, sets=2000) >= 0.88


def test_few_groups_of_one_size_have_students_interval():
    values = np.random.default_rng(1).exponential(size=7)
    _, low, high, _ = mean_interval(values, names(7))
    assert (low, high) == pytest.approx(scipy.stats.t.interval(0.95, 6, values.mean(), scipy.stats.sem(values)))


def test_few_groups_of_other_sizes_by_hand():
    """Sums 6, 2, 0 of 3, 1, 2 values: mean 4/3, residuals 2, 2/3, -8/3."""
    values, groups = np.array([1.0, 2, 3, 2, 0, 0]), ["a", "a", "a", "b", "c", "c"]
    mean, low, high, _ = mean_interval(values, groups)
    share, variance = np.array([3, 1, 2]) / 6, np.diag([12.0, 2, 6])
    left = np.eye(3) - np.outer(share, np.ones(3))
    freedom = np.trace(left @ variance @ left.T) ** 2 / ((left @ variance @ left.T) ** 2).sum()
    error = (1.5 * (4 + 4 / 9 + 64 / 9)) ** 0.5 / 6
    assert 1 < freedom < 2
    assert (mean, high - mean, mean - low) == pytest.approx((4 / 3, *[scipy.stats.t.ppf(0.975, freedom) * error] * 2))


def test_the_rule_changes_at_twenty_groups():
    """Student's interval does not depend on a seed, resamples do."""
    values = np.random.default_rng(5).standard_normal(20)
    assert mean_interval(values[:19], names(19)) == mean_interval(values[:19], names(19), seed=1)
    assert mean_interval(values, names(20)) != mean_interval(values, names(20), seed=1)


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
    """Percentiles of an own loop, as far out as Student's t of 19 degrees of freedom is."""
    rng, sizes = np.random.default_rng(13), np.arange(20) % 4 + 1
    parts = [rng.standard_normal(size) + rng.standard_normal() for size in sizes]
    mean, low, high, _ = mean_interval(np.concatenate(parts), np.repeat(names(20), sizes).tolist())
    drawn = rng.integers(0, 20, (10_000, 20))
    means = [np.concatenate([parts[i] for i in row]).mean() for row in drawn]
    tail = scipy.stats.norm.cdf(scipy.stats.t.ppf(0.025, 19) * (20 / 19) ** 0.5)
    assert mean == pytest.approx(np.concatenate(parts).mean())
    assert (low, high) == pytest.approx(np.quantile(means, [tail, 1 - tail]), abs=0.05 * (high - low))


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


@pytest.mark.parametrize("count", [1, 2])
def test_two_groups_have_a_mean_and_no_interval(count):
    mean, low, high, n = mean_interval(np.array([1.0, 2, np.nan]), ["a", "a" if count == 1 else "b", "c"])
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


def test_columns_together_are_as_they_are_alone():
    rng = np.random.default_rng(8)
    columns = list(rng.standard_normal((4, 30)))
    columns[1][:9] = np.nan
    columns[3][:] = np.nan
    groups = names(30)  # the second column has 21 of them, a third 12
    columns[2][12:] = np.nan
    together = mean_intervals(columns, groups)
    np.testing.assert_allclose(together, [mean_interval(column, groups) for column in columns], rtol=1e-12)


def test_mean_over_types_is_the_mean_of_their_means():
    """With an interval as wide as that of a stratified mean: what types differ in is none of it."""
    rng = np.random.default_rng(0)
    types = ["a"] * 300 + ["b"] * 60 + [""] * 5
    values = rng.standard_normal(365) + np.repeat([0.0, 10.0, 500.0], [300, 60, 5])
    values[[0, 310]] = np.nan, np.inf
    a, b = values[1:300], np.delete(values[300:360], 10)
    mean, low, high, n = mean_over_types(values, types, names(365))
    assert (mean, n) == (pytest.approx((a.mean() + b.mean()) / 2), 358)
    expected = 1.96 * (a.var() / len(a) + b.var() / len(b)) ** 0.5 / 2
    assert (high - low) / 2 == pytest.approx(expected, rel=0.05)


def test_mean_over_types_has_no_interval_where_a_type_has_a_single_value():
    mean, *ends, n = mean_over_types(np.arange(5.0), ["a", "a", "a", "a", "b"], names(5))
    assert (mean, n) == ((1.5 + 4) / 2, 5)
    assert np.isnan(ends).all()


def test_mean_over_types_of_no_types_is_none():
    *numbers, n = mean_over_types(np.ones(3), ["", "", ""], names(3))
    assert np.isnan(numbers).all()
    assert n == 0


def test_half_samples_are_halves_of_whole_groups():
    groups = [f"g{i // 3}" for i in range(30)]
    halves = half_samples(groups)
    assert halves.shape == (100, 30)
    assert (halves.sum(1) == 15).all()
    assert (halves.reshape(100, 10, 3).std(2) == 0).all()
    assert len(np.unique(halves, axis=0)) > 50
    assert len(half_samples(["a", "b", "c"])) == 0


@pytest.mark.parametrize("count", [7, 24, 25])
def test_half_samples_tell_the_spread_of_a_mean(count):
    """For a mean the spread is known: standard deviation over the root of the number, even and odd."""
    ratios = []
    for seed in range(20):
        values = np.random.default_rng(seed).standard_normal(count)
        halves = np.array([values[half].mean() for half in half_samples(names(count), seed)])
        low, high = half_sample_interval(values.mean(), halves, names(count))
        assert (low + high) / 2 == pytest.approx(values.mean())
        quantile = scipy.stats.t.ppf(0.975, count - 1) if count < 20 else 1.959964
        ratios.append((high - low) / (2 * quantile * values.std(ddof=1) / count**0.5))
    assert np.mean(ratios) == pytest.approx(1, rel=0.05)


def test_half_sample_interval_covers_a_frechet_distance():
    """Of 200 pairs of samples of two Gaussians, about 95 % of the intervals hold the mean distance at this size."""
    from metrics.frechet import Moments, frechet_distance

    def distance(a, b):
        made = Moments(), Moments()
        for moments, features in zip(made, (a, b), strict=True):
            moments.update(torch.from_numpy(features))
        return frechet_distance(*made)

    rng, groups, found = np.random.default_rng(9), names(40), []
    for seed in range(200):
        a, b = rng.standard_normal((40, 4)), 1.3 * rng.standard_normal((40, 4)) + 0.5
        halves = half_samples(groups, seed)[:40]
        values = np.array([distance(a[half], b[half]) for half in halves])
        found.append((distance(a, b), *half_sample_interval(distance(a, b), values, groups)))
    value, low, high = np.array(found).T
    assert 0.89 <= ((low <= value.mean()) & (value.mean() <= high)).mean() <= 0.99


def test_sign_flips_are_scipys_permutation_test():
    rng = np.random.default_rng(10)
    for count, tolerance in ((10, 1e-12), (40, 0.02)):  # exact, and 10,000 random flips
        differences = rng.standard_normal(count) + 0.4
        expected = scipy.stats.permutation_test(
            (differences,), np.mean, permutation_type="samples", n_resamples=20_000, rng=1
        ).pvalue
        assert sign_flip_p(differences, names(count)) == pytest.approx(expected, abs=tolerance)


def test_flips_take_whole_groups():
    """Copies of a sample are no further evidence."""
    differences = np.random.default_rng(11).standard_normal(8) + 1
    once = sign_flip_p(differences, names(8))
    assert sign_flip_p(np.repeat(differences, 5), [g for g in names(8) for _ in range(5)]) == pytest.approx(once)


def test_p_of_no_difference_is_uniform():
    """Of 300 comparisons without a difference, about one in twenty is below 5 %."""
    rng = np.random.default_rng(12)
    ps = np.array([sign_flip_p(rng.standard_normal(12), names(12)) for _ in range(300)])
    assert 0.02 <= (ps < 0.05).mean() <= 0.09
    assert scipy.stats.kstest(ps, "uniform").pvalue > 0.01


def test_equal_runs_have_p_one():
    assert sign_flip_p(np.zeros(20), names(20)) == 1
    assert np.isnan(sign_flip_p(np.array([]), []))


def test_holm_by_hand():
    assert holm([0.01, 0.04, float("nan"), 0.03]) == pytest.approx([0.03, 0.06, float("nan"), 0.06], nan_ok=True)
    assert holm([0.5, 0.9]) == [1.0, 1.0]
