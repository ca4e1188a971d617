"""Means with honest intervals, and differences between runs. Pure mathematics."""

import numpy as np

RESAMPLES = 10_000
FLIPS = 10_000
HALVES = 100
_CHUNK = 2**21  # random indices held at a time


def mean_interval(values: np.ndarray, groups: list[str], seed: int = 0) -> tuple[float, float, float, int]:
    """`mean_intervals` of a single column: mean, lower, upper, number of finite values."""
    ((mean, low, high, count),) = mean_intervals([values], groups, seed)
    return mean, low, high, count


def mean_intervals(
    columns: list[np.ndarray], groups: list[str], seed: int = 0
) -> list[tuple[float, float, float, int]]:
    """Means of the finite values of each column and their 95 % percentile bootstrap intervals over groups.

    Samples of one source picture are not independent, so whole groups are resampled. Columns that are finite in the
    same groups share the draws, and none depends on which others are asked for.

    Args:
        columns: float64 `[N]` each; values that are not finite (undefined, or the PSNR of identical pictures) are left
            out.
        groups: `[N]` group of each value.

    Returns:
        mean, lower, upper, number of finite values; NaN where there is none, and no interval for a single group.
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
        if present.sum() > 1:
            alike.setdefault(present.tobytes(), []).append(i)
    for indices in alike.values():
        sums, sizes = (np.stack([totals[i][part] for i in indices]).astype(np.float64) for part in (0, 1))
        for i, low, high in zip(indices, *_bootstrap(sums, sizes, seed), strict=True):
            results[i] = (results[i][0], float(low), float(high), results[i][3])
    return results


def _bootstrap(sums: np.ndarray, sizes: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of the interval of each column, from sums and sizes `[columns, groups]`."""
    from scipy.stats import bootstrap  # takes half a second, and runs that are complete need no interval

    def means(drawn: np.ndarray, axis: int) -> np.ndarray:
        return np.stack([one[drawn].sum(axis) / size[drawn].sum(axis) for one, size in zip(sums, sizes, strict=True)])

    how = {"n_resamples": RESAMPLES, "batch": max(1, _CHUNK // sums.shape[1]), "vectorized": True}
    groups = (np.arange(sums.shape[1]),)
    found = bootstrap(groups, means, method="percentile", rng=np.random.default_rng(seed), **how)
    return found.confidence_interval.low, found.confidence_interval.high


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


def half_sample_interval(value: float, halves: np.ndarray, groups: list[str]) -> tuple[float, float]:
    """95 % interval of a statistic of a whole set from its values on `half_samples` of the set.

    Half-samples without replacement spread about their mean as whole samples spread about theirs (delete-half
    jackknife); their mean is not that of whole samples, since distances of sets are biased by their size, so only the
    spread is used. Resampling with replacement would count images twice and inflate such distances.

    Returns:
        lower, upper; NaN without half-samples.
    """
    count = len(set(groups))
    if len(halves) == 0:
        return float("nan"), float("nan")
    spread = (halves - halves.mean()) * (count // 2 / (count - count // 2)) ** 0.5  # odd numbers have no exact half
    # The normal quantile times the standard deviation: percentiles of a hundred values are noisy.
    margin = 1.959964 * float(spread.std(ddof=1))
    return value - margin, value + margin


def sign_flip_p(differences: np.ndarray, groups: list[str], seed: int = 0) -> float:
    """Two-sided p of "the paired differences are as likely up as down", flipping the signs of whole groups: exact up to
    13 groups, else from `FLIPS` random flips (with the observed one, so never 0).

    Args:
        differences: finite float64 `[N]`.
        groups: `[N]` group of each.
    """
    if len(differences) == 0:
        return float("nan")
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.bincount(member, differences)
    # scipy.stats.permutation_test of these sums: the same p where it is exact; its random flips are others (p differ by
    # 0.005) and take 7 to 20 times as long for 16 to 256 groups (scipy 1.17).
    if exact := 2 ** len(sums) <= FLIPS:
        bits = np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums)) & 1
    else:
        bits = np.random.default_rng(seed).integers(0, 2, (FLIPS, len(sums)), np.int8)
    # Sums that are equal but for rounding count as equal.
    reached = np.abs((1 - 2.0 * bits) @ sums) >= abs(sums.sum()) - 1e-9 * np.abs(sums).sum()
    return float(reached.mean()) if exact else float((1 + reached.sum()) / (1 + FLIPS))


def holm(ps: list[float]) -> list[float]:
    """Holm's adjustment of p values for their number; NaN is no test and stays."""
    adjusted, running = list(ps), 0.0
    tests = sorted((p, i) for i, p in enumerate(ps) if np.isfinite(p))
    for rank, (p, i) in enumerate(tests):
        running = max(running, min(1.0, (len(tests) - rank) * p))
        adjusted[i] = running
    return adjusted


def effect_size(differences: np.ndarray, groups: list[str]) -> float:
    """Mean over standard deviation of the groups' mean differences (Cohen's d of paired values); NaN for fewer than two
    groups or without spread."""
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    means = np.bincount(member, differences) / np.maximum(np.bincount(member), 1)
    spread = float(means.std(ddof=1)) if len(means) > 1 else 0.0
    return float(means.mean()) / spread if spread > 0 else float("nan")


def reduction_interval(
    first: np.ndarray, second: np.ndarray, groups: list[str], seed: int = 0
) -> tuple[float, float, float, int]:
    """By how many percent the mean of the first is below the second's, of the values that are finite in both, with its
    95 % percentile bootstrap interval over groups.

    Args:
        first, second: float64 `[N]`, paired.
        groups: `[N]` group of each pair.

    Returns:
        percent, lower, upper, number of pairs; NaN where there is none, and no interval for a single group.
    """
    both = np.isfinite(first) & np.isfinite(second)
    first, second, nan = first[both], second[both], float("nan")
    if not len(first) or not second.sum():
        return nan, nan, nan, int(both.sum())
    value = 100 * (1 - first.sum() / second.sum())
    _, member = np.unique(np.asarray(groups)[both], return_inverse=True)
    sums = tuple(np.bincount(member, values) for values in (first, second))
    if len(sums[0]) < 2:
        return value, nan, nan, len(first)
    from scipy.stats import bootstrap  # as above

    how = {"n_resamples": RESAMPLES, "batch": max(1, _CHUNK // len(sums[0])), "vectorized": True, "paired": True}
    found = bootstrap(
        sums,
        lambda a, b, axis: 100 * (1 - a.sum(axis) / b.sum(axis)),
        method="percentile",
        rng=np.random.default_rng(seed),
        **how,
    )
    low, high = found.confidence_interval
    return float(value), float(low), float(high), len(first)
