"""Means with honest intervals."""

import numpy as np

RESAMPLES = 10_000
_CHUNK = 2**22  # random counts held at a time


def mean_interval(values: np.ndarray, groups: list[str], seed: int = 0) -> tuple[float, float, float, int]:
    """Mean of the finite values and its 95 % percentile bootstrap interval over groups.

    Samples of one source picture are not independent, so whole groups are resampled.

    Args:
        values: float64 `[N]`; values that are not finite (undefined, or the PSNR of identical pictures) are left out.
        groups: `[N]` group of each value.

    Returns:
        mean, lower, upper, number of finite values; NaN where there is none, and no interval for a single group.
    """
    values, kept = np.asarray(values, np.float64), np.isfinite(values)
    count = int(kept.sum())
    if count == 0:
        return float("nan"), float("nan"), float("nan"), 0
    _, member = np.unique(np.asarray(groups)[kept], return_inverse=True)
    sums, sizes = np.bincount(member, values[kept]), np.bincount(member)
    mean = float(values[kept].mean())
    if len(sums) == 1:
        return mean, float("nan"), float("nan"), count
    rng, means = np.random.default_rng(seed), []
    for start in range(0, RESAMPLES, step := max(1, _CHUNK // len(sums))):
        drawn = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), min(step, RESAMPLES - start))
        means.append((drawn @ sums) / (drawn @ sizes))
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    return mean, float(low), float(high), count
