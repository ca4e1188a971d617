"""Which value of a column is the best of all beyond noise. No torch."""

from dataclasses import dataclass

import numpy as np

from bench.report.seeds import Alike, of_pictures
from bench.scores.best_of import aligned
from bench.scores.stored import Fact
from bench.statistics.intervals import mean_interval

RULE = (
    "bold: better than every other value of its column beyond noise (the 95 % interval of the paired difference over "
    "source pictures leaves out 0; of distances of sets and printed values, both intervals are apart)"
)
NONE = "bold: nothing, since no best value of a column is told from all others beyond noise"


@dataclass(frozen=True, eq=False)
class Value:
    """A value in a column.

    Attributes:
        lo, hi: its interval; of a printed value, what it may have been rounded from. None: there is none.
        point: whose it is; None of a printed one.
    """

    value: float
    lo: float | None
    hi: float | None
    point: Alike | None = None


def best(values: list[Value], fact: Fact) -> Value | None:
    """The one of a metric that is better than all others beyond noise, of at least two; see `RULE`. None where neither
    direction is better."""
    if len(values) < 2 or fact.higher_is_better is None:
        return None
    ranked = sorted(values, key=lambda one: one.value, reverse=fact.higher_is_better)
    return ranked[0] if all(_apart(ranked[0], other, fact) for other in ranked[1:]) else None


def _apart(one: Value, other: Value, fact: Fact) -> bool:
    if one.point and other.point and fact.kind == "pair":
        first, second = aligned([of_pictures(point.runs, fact.name) for point in (one.point, other.point)])
        change = (first[fact.name] - second[fact.name]).to_numpy(np.float64)
        _, low, high, _ = mean_interval(change, first.group.tolist())
        return bool(low > 0 or high < 0)
    if None in (one.lo, one.hi, other.lo, other.hi):
        return False
    return one.lo > other.hi or one.hi < other.lo
