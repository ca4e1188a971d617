"""Many columns at once give what each gives alone."""

import numpy as np
import pandas as pd
import pytest

from bench.statistics.flips import sign_flip_p
from bench.statistics.intervals import mean_interval
from bench.statistics.paired import paired


@pytest.mark.parametrize("count", [6, 13, 16, 40])
def test_columns_are_what_they_are_alone(count):
    rng = np.random.default_rng(count)
    groups = [f"g{i // 2}" for i in range(2 * count)]
    columns = [rng.standard_normal(2 * count) + 0.2 * i for i in range(300)]
    columns[1][:3], columns[2][:], columns[3][:] = np.nan, np.nan, 0
    found = paired(columns, groups)
    for i in (0, 1, 2, 3, 299):
        finite = np.isfinite(columns[i])
        change, of = columns[i][finite], [group for group, is_ in zip(groups, finite, strict=True) if is_]
        own = found[i]
        expected = [*mean_interval(change, of), len(set(of)), *_effect(change, of), sign_flip_p(change, of)]
        actual = [own.mean, own.lo, own.hi, own.n, own.groups, own.effect, own.p]
        assert actual == pytest.approx(expected, nan_ok=True)
    assert np.isnan(found[2].p)
    assert found[3].p == 1
    assert np.isnan(found[3].effect)  # without spread


def _effect(change, groups):
    means = pd.Series(change).groupby(groups).mean()
    return [means.mean() / means.std() if means.any() else np.nan]


def test_effect_size_by_hand():
    (found,) = paired([np.array([1.0, 3, 2, 4])], ["a", "a", "b", "c"])
    assert found.effect == pytest.approx((2 + 2 + 4) / 3 / (4 / 3) ** 0.5)
    assert (found.mean, found.n, found.groups) == (2.5, 4, 3)
