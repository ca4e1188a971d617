"""Trade-off curves against each other: interpolated dominance over the shared range, with an interval. Pure
mathematics."""

from dataclasses import dataclass

import numpy as np

MOST_LOST = 0.05
"""Share of half-samples that may have no shared range before their spread says nothing."""


@dataclass(frozen=True)
class Curve:
    """Operating points of one method.

    Attributes:
        x, y: values on all samples, float64 `[P]`.
        x_halves, y_halves: the same on half-samples, float64 `[H, P]`; both axes, and both curves of a comparison, on
            the same halves.
    """

    x: np.ndarray
    y: np.ndarray
    x_halves: np.ndarray
    y_halves: np.ndarray


@dataclass(frozen=True)
class Gap:
    """How far one curve lies above another.

    Attributes:
        value: mean of first - second in y over the shared range of x; NaN where there is none.
        halves: the same on half-samples, float64; empty where too many of them share no range.
        range: both ends of the shared range; NaN where there is none.
    """

    value: float
    halves: np.ndarray
    range: tuple[float, float]


def shared_range(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Lowest and highest x that both curves reach; NaN, NaN where they overlap in a point at most."""
    low, high = max(first.min(), second.min()), min(first.max(), second.max())
    return (float(low), float(high)) if low < high else (float("nan"), float("nan"))


def mean_gap(x1: np.ndarray, y1: np.ndarray, x2: np.ndarray, y2: np.ndarray) -> float:
    """Mean of y1 - y2 over the shared range of x, each curve linear between its points in the order of x (points of
    equal x are averaged): an exact integral, nothing is extrapolated. NaN without a shared range.

    Args:
        x1, y1: float64 `[P]`, at least one point; x2, y2: the other curve.
    """
    low, high = shared_range(x1, x2)
    if np.isnan(low):
        return float("nan")
    knots = np.unique(np.concatenate([[low, high], x1, x2]))
    knots = knots[(knots >= low) & (knots <= high)]
    return float(np.trapezoid(_at(knots, x1, y1) - _at(knots, x2, y2), knots) / (high - low))


def _at(knots: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    places, which = np.unique(x, return_inverse=True)
    return np.interp(knots, places, np.bincount(which, y) / np.bincount(which))


def gap(first: Curve, second: Curve) -> Gap:
    """`mean_gap` of two curves, on all samples and on each half-sample, which has a shared range of its own: a distance
    of sets is larger for fewer samples, on both curves alike."""
    value = mean_gap(first.x, first.y, second.x, second.y)
    sides = zip(first.x_halves, first.y_halves, second.x_halves, second.y_halves, strict=True)
    halves = np.array([mean_gap(*half) for half in sides])
    found = halves[np.isfinite(halves)]
    few = len(found) < (1 - MOST_LOST) * len(halves)
    return Gap(value, found[:0] if few else found, shared_range(first.x, second.x))
