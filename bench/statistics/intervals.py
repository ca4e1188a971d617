"""Means with honest intervals. Pure mathematics."""

import numpy as np
from scipy.special import ndtr, stdtrit

VERSION = 2
"""Raised when the same values would get other intervals."""
LEAST = 3
"""Groups that an interval needs."""
FEW = 20
"""Groups from which on the bootstrap is trusted; with fewer, Student's t, and tables say "few"."""
RESAMPLES = 10_000
HALVES = 100
_CHUNK = 2**21  # random indices held at a time


def mean_interval(values: np.ndarray, groups: list[str], seed: int = 0) -> tuple[float, float, float, int]:
    """`mean_intervals` of a single column: mean, lower, upper, number of finite values."""
    ((mean, low, high, count),) = mean_intervals([values], groups, seed)
    return mean, low, high, count


def mean_intervals(
    columns: list[np.ndarray], groups: list[str], seed: int = 0
) -> list[tuple[float, float, float, int]]:
    """Means of the finite values of each column and their 95 % intervals over groups.

    Samples of one source picture are not independent, so the groups are what is counted: from `FEW` groups on, whole
    groups are resampled (percentile bootstrap), below that, the interval is Student's t of the mean as a ratio of the
    groups' sums and sizes. Columns that are finite in the same groups share the draws, and none depends on which others
    are asked for. How often the intervals hold the mean is simulated by `scripts/coverage.py`.

    Args:
        columns: float64 `[N]` each; values that are not finite (undefined, or the PSNR of identical pictures) are left
            out.
        groups: `[N]` group of each value.

    Returns:
        mean, lower, upper, number of finite values; NaN where there is none, and no interval for fewer than `LEAST`
        groups.
    """
    columns = [np.asarray(values, np.float64) for values in columns]
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    results: list = [None] * len(columns)
    alike: dict[bytes, list[int]] = {}
    totals = []
    for i, values in enumerate(columns):
        kept = np.isfinite(values)
        sizes = np.bincount(member[kept], minlength=member.max(initial=-1) + 1)
        present = sizes > 0
        totals.append((np.bincount(member[kept], values[kept], len(sizes))[present], sizes[present]))
        count, nan = int(kept.sum()), float("nan")
        results[i] = (float(values[kept].mean()) if count else nan, nan, nan, count)
        if present.sum() >= LEAST:
            alike.setdefault(present.tobytes(), []).append(i)
    for indices in alike.values():
        sums, sizes = (np.stack([totals[i][part] for i in indices]).astype(np.float64) for part in (0, 1))
        for i, low, high in zip(indices, *_ends(sums, sizes, sizes, seed), strict=True):
            results[i] = (results[i][0], float(low), float(high), results[i][3])
    return results


def mean_over_types(values: np.ndarray, types: list[str], groups: list[str]) -> tuple[float, float, float, int]:
    """The mean over types of the means of their finite values, with its 95 % interval over groups by the rule of
    `mean_intervals`, the numbers of values of each type held fixed.

    Args:
        values: float64 `[N]`.
        types: `[N]`; values of no type (an empty text) are left out.
        groups: `[N]` group of each.

    Returns:
        mean, lower, upper, number of values; no interval where a type has a single value, whose spread nobody knows.
    """
    values, names = np.asarray(values, np.float64), np.asarray(types, str)
    kept = np.isfinite(values) & (names != "")
    values = values[kept]
    _, member = np.unique(names[kept], return_inverse=True)
    sizes = np.bincount(member)
    means = np.bincount(member, values) / sizes
    # Each value's derivative (infinitesimal jackknife): what types differ in is no part of the width.
    made = (values - means[member]) * len(values) / (len(sizes) * sizes[member]) + (means.mean() if len(means) else 0)
    mean, low, high, count = mean_interval(made, np.asarray(groups)[kept].tolist())
    return (mean, low, high, count) if (sizes > 1).all() else (mean, float("nan"), float("nan"), count)


def _ends(sums: np.ndarray, others: np.ndarray, sizes: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of the interval of each column's ratio of sums, all `[columns, groups]`.

    Args:
        sums, others: above and below the line, of each group.
        sizes: number of its values.
    """
    return _student(sums, others, sizes) if sums.shape[1] < FEW else _bootstrap(sums, others, seed)


def _student(sums: np.ndarray, others: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of Student's t interval of ratios; see `_ends`.

    The ratio is linearised: its variance is that of the groups' sums about their share of it. Degrees of freedom
    are Satterthwaite's for values that correlate by one half within a group, G - 1 where all groups are of one size.
    With G - 1 for any sizes, the intervals of 3 to 12 groups of 1 or 9 values hold the mean in 85 to 90 % of sets.
    """
    count, share = sums.shape[1], others / others.sum(1, keepdims=True)
    ratio = sums.sum(1) / others.sum(1)
    spread = ((sums - ratio[:, None] * others) ** 2).sum(1) * count / (count - 1)
    # The covariance of those residuals, up to a factor: (I - share 1') diag(variance) (I - share 1')'.
    variance, one, other = sizes + sizes**2, share[:, :, None], share[:, None]
    covariance = variance[:, None] * (np.eye(count) - one) - variance[:, :, None] * other
    covariance += one * other * variance.sum(1)[:, None, None]
    freedom = np.trace(covariance, axis1=1, axis2=2) ** 2 / (covariance**2).sum((1, 2))
    margin = quantile(freedom) * spread**0.5 / np.abs(others.sum(1))
    return ratio - margin, ratio + margin


def quantile(freedom: np.ndarray | float) -> np.ndarray | float:
    """Half the width of a 95 % interval in standard errors, by Student's t; infinite degrees of freedom: normal."""
    return stdtrit(freedom, 0.975)


def _bootstrap(sums: np.ndarray, others: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of the interval of ratios as percentiles of resamples; see `_ends`.

    Resamples of G groups spread less than means of G groups do, by the root of (G - 1) / G, and their tails are normal
    instead of Student's; percentiles further out make up for both (Hesterberg 2015, expanded percentile intervals).
    Without it 92 % of the intervals of 20 groups hold the mean.
    """
    from scipy.stats import bootstrap  # takes half a second, and runs that are complete need no interval

    def ratios(drawn: np.ndarray, axis: int) -> np.ndarray:
        times = counted(drawn)  # one product for all columns, and what is below the line is most often the same
        below = others[:1] if (others == others[0]).all() else others
        return sums @ times.T / (below @ times.T)

    count = sums.shape[1]
    level = float(1 - 2 * ndtr(-quantile(count - 1) * (count / (count - 1)) ** 0.5))
    how = {"n_resamples": RESAMPLES, "batch": max(1, _CHUNK // count), "vectorized": True, "confidence_level": level}
    groups = (np.arange(count),)
    found = bootstrap(groups, ratios, method="percentile", rng=np.random.default_rng(seed), **how)
    return found.confidence_interval.low, found.confidence_interval.high


def counted(drawn: np.ndarray) -> np.ndarray:
    """How often each of G groups was drawn in each resample: int `[R, G]` of indices -> float64 `[R, G]`."""
    rows, count = drawn.shape
    places = (drawn + count * np.arange(rows)[:, None]).ravel()
    return np.bincount(places, minlength=rows * count).reshape(rows, count).astype(np.float64)


def half_samples(groups: list[str], seed: int = 0) -> np.ndarray:
    """`HALVES` random halves of the groups, each drawn without replacement: bool `[HALVES, N]` over their members.
    Empty for fewer than four groups."""
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < 4:
        return np.zeros((0, len(member)), bool)
    rng, chosen = np.random.default_rng(seed), np.zeros((HALVES, len(names)), bool)
    for row in chosen:
        row[rng.permutation(len(names))[: len(names) // 2]] = True
    return chosen[:, member]


def half_sample_error(halves: np.ndarray, groups: list[str]) -> float:
    """Standard error of a statistic of a whole set from its values on `half_samples` of the set; NaN without any.

    Half-samples without replacement spread about their mean as whole samples spread about theirs (delete-half
    jackknife); their mean is not that of whole samples, since distances of sets are biased by their size, so only the
    spread is used. Resampling with replacement would count images twice and inflate such distances.
    """
    if len(halves) == 0:
        return float("nan")
    count = len(set(groups))
    # Odd numbers have no exact half. The standard deviation: percentiles of a hundred values are noisy.
    return float(halves.std(ddof=1)) * (count // 2 / (count - count // 2)) ** 0.5


def half_sample_interval(value: float, halves: np.ndarray, groups: list[str]) -> tuple[float, float]:
    """95 % interval of a statistic of a whole set from its values on `half_samples`: `half_sample_error` times the
    normal quantile from `FEW` groups on, Student's below that.

    Returns:
        lower, upper; NaN without half-samples, which are of four groups at least.
    """
    count = len(set(groups))
    margin = float(quantile(count - 1 if count < FEW else np.inf)) * half_sample_error(halves, groups)
    return value - margin, value + margin


def reduction_interval(
    first: np.ndarray, second: np.ndarray, groups: list[str], seed: int = 0
) -> tuple[float, float, float, int]:
    """By how many percent the mean of the first is below the second's, of the values that are finite in both, with its
    95 % interval over groups, by the rule of `mean_intervals`.

    Args:
        first, second: float64 `[N]`, paired.
        groups: `[N]` group of each pair.

    Returns:
        percent, lower, upper, number of pairs; NaN where there is none, and no interval for fewer than `LEAST` groups.
    """
    both = np.isfinite(first) & np.isfinite(second)
    first, second, nan = first[both], second[both], float("nan")
    if not len(first) or not second.sum():
        return nan, nan, nan, int(both.sum())
    value = 100 * (1 - first.sum() / second.sum())
    _, member = np.unique(np.asarray(groups)[both], return_inverse=True)
    if (count := member.max() + 1) < LEAST:
        return value, nan, nan, len(first)
    sums = (np.bincount(member, values)[None] for values in (first, second))
    (low,), (high,) = _ends(*sums, np.bincount(member, minlength=count)[None].astype(np.float64), seed)
    return float(value), float(100 * (1 - high)), float(100 * (1 - low)), len(first)
