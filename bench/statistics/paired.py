"""Paired differences, many at once: means with intervals, effect sizes and tests. Pure mathematics."""

from dataclasses import dataclass

import numpy as np

from bench.statistics.flips import sign_flip_ps
from bench.statistics.intervals import mean_intervals

_TOGETHER = 1024  # columns held at a time, each with its resamples


@dataclass(frozen=True)
class Paired:
    """What differences show.

    Attributes:
        mean, lo, hi: with its 95 % interval, as `bench.statistics.intervals.mean_intervals` gives it.
        n, groups: finite differences, and the groups that these are of.
        effect: mean over standard deviation of the groups' mean differences (Cohen's d of paired values); NaN for fewer
            than two groups or without spread.
        p: of `bench.statistics.flips.sign_flip_ps`; NaN without any difference.
    """

    mean: float
    lo: float
    hi: float
    n: int
    groups: int
    effect: float
    p: float


def paired(columns: list[np.ndarray], groups: list[str]) -> list[Paired]:
    """What each column of differences shows; none depends on which others are asked for.

    Args:
        columns: float64 `[N]` each; what is not finite is left out.
        groups: `[N]` group of each difference.
    """
    found: list[Paired] = []
    for start in range(0, len(columns), _TOGETHER):
        found += _paired(columns[start : start + _TOGETHER], groups)
    return found


def _paired(columns: list[np.ndarray], groups: list[str]) -> list[Paired]:
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    count = member.max(initial=-1) + 1
    totals, alike = [], {}
    for i, values in enumerate(columns):
        kept = np.isfinite(values)
        sizes = np.bincount(member[kept], minlength=count)
        present = sizes > 0
        totals.append((np.bincount(member[kept], values[kept], count)[present], sizes[present]))
        alike.setdefault(present.tobytes(), []).append(i)
    ps = np.full(len(columns), np.nan)
    for of_groups in alike.values():  # they share the flips
        if len(totals[of_groups[0]][0]):
            ps[of_groups] = sign_flip_ps(np.stack([totals[i][0] for i in of_groups]))
    ends = mean_intervals(columns, groups)
    return [
        Paired(*end, len(sums), _effect(sums / sizes), float(p))
        for end, (sums, sizes), p in zip(ends, totals, ps, strict=True)
    ]


def _effect(means: np.ndarray) -> float:
    spread = float(means.std(ddof=1)) if len(means) > 1 else 0.0
    return float(means.mean()) / spread if spread > 0 else float("nan")
