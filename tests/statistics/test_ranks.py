"""Places in a ranking, against cases by hand and by counting every resample."""

from itertools import product

import numpy as np
import pytest

from bench.statistics.intervals import RESAMPLES
from bench.statistics.ranks import Rank, ranks, resampled_means


def test_places_by_hand():
    """Equal values share the better place, also where they are equal but for rounding."""
    values = np.array([3.0, 1, 0.1 + 0.2, 0.3])
    assert [rank.place for rank in ranks(values, np.empty((4, 0)), True)] == [1, 2, 3, 3]
    assert [rank.place for rank in ranks(values, np.empty((4, 0)), False)] == [4, 3, 1, 1]
    assert ranks(values, np.empty((4, 0)), True)[0] == Rank(1, None, None)


def test_ends_are_places_that_resamples_have():
    """In 100 resamples the first is beaten three times by the second: more than 2.5 % of them."""
    resampled = np.array([[2.0] * 100, [1.0] * 97 + [3.0] * 3, [0.0] * 100])
    found = ranks(np.array([2.0, 1, 0]), resampled, True)
    assert found == [Rank(1, 1, 2), Rank(2, 1, 2), Rank(3, 3, 3)]
    resampled[1, 97] = 1.0  # two times are within it
    assert ranks(np.array([2.0, 1, 0]), resampled, True) == [Rank(1, 1, 1), Rank(2, 2, 2), Rank(3, 3, 3)]


def test_resamples_are_of_whole_groups_and_all_of_them_occur_as_often_as_they_should():
    """Three groups, of one, two and one values: each of the 27 ordered draws has one mean."""
    columns, groups = np.array([[1.0, 2, 4, 30], [0.0, 0, 1, 0]]), ["a", "b", "b", "c"]
    sums, sizes = np.array([[1.0, 6, 30], [0, 1, 0]]), np.array([1, 2, 1])
    draws = [list(draw) for draw in product(range(3), repeat=3)]
    expected = np.array([[row[draw].sum() / sizes[draw].sum() for draw in draws] for row in sums])
    found = resampled_means(columns, groups)
    assert found.shape == (2, RESAMPLES)
    for row, own in zip(expected, found, strict=True):
        values, counts = np.unique(row.round(9), return_counts=True)
        seen, times = np.unique(own.round(9), return_counts=True)
        assert (seen == values).all()
        assert times / RESAMPLES == pytest.approx(counts / 27, abs=0.02)
    assert {tuple(pair) for pair in found.T.round(9)} == {tuple(pair) for pair in expected.T.round(9)}


def test_two_groups_are_too_few():
    assert resampled_means(np.zeros((3, 4)), ["a", "a", "b", "b"]).shape == (3, 0)


def test_a_ranking_holds_its_true_place_as_often_as_it_says():
    """Two of equal truth and one far behind, 40 pictures: the first two share 1 to 2, the third is 3."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(60):
        columns = rng.standard_normal((3, 40)) + np.array([[0.0], [0.0], [-3.0]])
        found = ranks(columns.mean(1), resampled_means(columns, [str(i) for i in range(40)]), True)
        assert found[2] == Rank(3, 3, 3)
        held += (found[0].lo, found[0].hi) == (1, 2)
    assert held >= 0.9 * 60
