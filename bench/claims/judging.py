"""A difference against the region that a claim puts it in. No torch."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isnan, nan

import numpy as np
from scipy.special import stdtr

from bench.claims.sample import Sample
from bench.report import words
from bench.scores.stored import Fact
from bench.statistics.flips import sign_flip_p
from bench.statistics.intervals import FEW, half_sample_error, half_sample_interval, mean_interval

LEVEL = 0.05
INCOMPARABLE = "not comparable"
FEWEST = 8
"""Pictures or classes that half-samples need for their spread to mean something."""


@dataclass
class Row:
    """One difference and what it shows.

    Attributes:
        metric: name of the metric.
        compared: the two sides, first - second.
        difference, lo, hi: with its 95 % interval; NaN where it cannot be tested.
        margin: how far apart the sides may be, NaN for a test that has none.
        n: samples of both sides.
        shows: `as claimed`, `against` (before the correction for several comparisons), `open`, or `not comparable`:
            the runs were scored otherwise.
        why: for one that is open or not comparable.
        p: two-sided, of the true difference lying on the nearest border of the region that the claim puts it in.
        notices: what must be said beside it.
        unit: of the metric.
        groups: source pictures (or classes) that the interval is over; None where there is none.
    """

    metric: str
    compared: str
    difference: float = nan
    lo: float = nan
    hi: float = nan
    n: int = 0
    shows: str = "open"
    why: str = ""
    p: float = nan
    notices: tuple[str, ...] = ()
    unit: str = ""
    groups: int | None = None
    margin: float = nan

    @property
    def interval(self) -> str:
        """The difference with its interval, as text; empty where there is none."""
        return words.between(self.difference, self.lo, self.hi, sign="+")

    def add(self, said: str) -> "Row":
        """The same row with more said of it."""
        self.why = "; ".join(filter(None, [self.why, said]))
        return self


def region(fact: Fact, shows: str, margin: float) -> tuple[float, float]:
    """Where a claim puts a difference that `shows` first `better`, `as_good` or `close`."""
    if shows == "close":
        return -margin, margin
    allowed = margin if shows == "as_good" else 0.0
    return (0.0 - allowed, inf) if fact.higher_is_better else (-inf, allowed)


def judged(row: tuple[float, float, float, int], within: tuple[float, float], p_at: Callable[[float], float]) -> Row:
    """The row of a difference, lower, upper and n, against the region of the claim.

    Args:
        p_at: p of the true difference being this number.
    """
    difference, lo, hi, n = row
    made = Row("", "", difference, lo, hi, n)
    if isnan(lo) or isnan(hi):
        made.why = "too few pictures for an interval"
        return made
    borders = [border for border in within if np.isfinite(border)]
    made.p = max(p_at(border) for border in borders)
    if within[0] < lo and hi < within[1] and made.p < LEVEL:
        made.shows = "as claimed"
    elif hi < within[0] or within[1] < lo:
        made.shows = "against"
    else:
        held = [f"{border:.4g}" for border in borders if lo <= border <= hi]
        made.why = (
            f"the interval holds {' and '.join(held)}" if held else f"yet p = {made.p:.2g}: few pictures carry it"
        )
    return made


def paired(change: np.ndarray, groups: list[str], within: tuple[float, float]) -> Row:
    """The row of differences of single images, clustered by source picture."""
    row = judged(mean_interval(change, groups), within, lambda border: sign_flip_p(change - border, groups))
    row.groups = len(set(groups))
    return row


def resampled(difference: float, halves: np.ndarray, sample: Sample, within: tuple[float, float]) -> Row:
    """The row of a difference with its values on half-samples (delete-half jackknife)."""
    row = Row("", "", difference, n=len(sample.ids))
    if (units := len(set(sample.units))) < FEWEST:
        row.why = f"too few {'classes' if sample.of == 'class' else 'pictures'} for an interval: {units}"
        return row
    if not len(halves):
        row.why = "the shared range is so narrow that many half-samples have none"
        return row
    lo, hi = half_sample_interval(difference, halves, sample.units)
    error, freedom = half_sample_error(halves, sample.units), units - 1 if units < FEW else inf

    def p_at(border: float) -> float:
        if error == 0:
            return 1.0 if difference == border else 0.0
        return float(2 * stdtr(freedom, -abs(difference - border) / error))

    row = judged((difference, lo, hi, len(sample.ids)), within, p_at)
    row.groups = units
    return row
