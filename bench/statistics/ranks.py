"""Places in a ranking, with how far another sample of pictures would move them. Pure mathematics."""

from dataclasses import dataclass

import numpy as np

from bench.statistics.intervals import LEAST, RESAMPLES, counted

_TOGETHER = 1000  # resamples held at a time


@dataclass(frozen=True)
class Rank:
    """A place, 1 the best; those of equal value share the better one.

    Attributes:
        lo, hi: the 2.5 and 97.5 % percentiles of the place in resamples; None where there are none.
    """

    place: int
    lo: int | None = None
    hi: int | None = None


def resampled_means(columns: np.ndarray, groups: list[str], seed: int = 0) -> np.ndarray:
    """Means of columns over resamples of whole groups (bootstrap), the same groups for each of them.

    Args:
        columns: finite float64 `[C, N]`.
        groups: `[N]` group of each value.

    Returns:
        float64 `[C, RESAMPLES]`; `[C, 0]` for fewer than `LEAST` groups.
    """
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    if (count := len(names)) < LEAST:
        return np.empty((len(columns), 0))
    sums, sizes = np.stack([np.bincount(member, values) for values in columns]), np.bincount(member)
    rng, found = np.random.default_rng(seed), []
    for _ in range(0, RESAMPLES, _TOGETHER):
        times = counted(rng.integers(0, count, (_TOGETHER, count)))
        found.append(sums @ times.T / (times @ sizes))
    return np.concatenate(found, 1)


def ranks(values: np.ndarray, resampled: np.ndarray, higher_is_better: bool) -> list[Rank]:
    """The place of each value among them all.

    Args:
        values: float64 `[C]`.
        resampled: the same in resamples that all share, float64 `[C, R]`; without any, places have no interval.
    """
    sign = 1 if higher_is_better else -1
    places, moved = _places(sign * values[:, None])[:, 0], _places(sign * resampled)
    if not resampled.shape[1]:
        return [Rank(int(place)) for place in places]
    low, high = np.quantile(moved, [0.025, 0.975], axis=1, method="inverted_cdf")
    return [Rank(int(place), int(lo), int(hi)) for place, lo, hi in zip(places, low, high, strict=True)]


def _places(values: np.ndarray) -> np.ndarray:
    """Places in each column, higher is better; values that are equal but for rounding count as equal."""
    equal = 1e-9 * np.abs(values).max(0, initial=0)
    return 1 + np.stack([(values > row + equal).sum(0) for row in values])
