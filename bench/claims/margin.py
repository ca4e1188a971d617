"""How far apart two sides may be and still be called close. No torch."""

import numpy as np

from bench.claims.claim import Claim, Claims, Range
from bench.claims.evidence import Group, alike
from bench.claims.sample import Untestable, check_alike, fact_of
from bench.scores.stored import Scored


def margin_of(claim: Claim, claims: Claims, metric: str, chosen: tuple[Group, ...], runs: list[Scored]) -> float:
    """The margin of a metric for two sides, in its unit.

    Args:
        runs: of the same data set and profile, among them those that a margin of a range is a share of.

    Raises:
        Untestable: an end of that range is not run, or was scored otherwise.
    """
    if claim.margin == "fixed":
        return claims.margins[metric.removesuffix("_random")]
    values = _points(claims.of_range, metric, chosen, runs)
    return claims.of_range.share * (max(values) - min(values))


def _points(of: Range, metric: str, chosen: tuple[Group, ...], runs: list[Scored]) -> list[float]:
    """Values of the metric at the points of the range, of runs alike to the sides; where no side has the model of such
    runs (another method's own, or none), of whatever model and seed they are."""
    low, high = of.between
    points = [
        run
        for run in runs
        if run.summary.method == of.method and low - 1e-8 <= run.traits.get(of.along, low - 1) <= high + 1e-8
    ]
    for loose in (False, True):
        near = [run for run in points if all(_near(run, group, of.along, loose) for group in chosen)]
        at = [run.traits[of.along] for run in near]
        check_alike([*near, *(run for group in chosen for run in group.runs)], [metric])
        if near and min(at) <= low + 1e-8 and max(at) >= high - 1e-8:
            return [_value(run, metric) for run in near]
    ends = f"{of.along} = {low:g} and {high:g}"
    raise Untestable(f"its margin is a share of the range of {of.method}, which is not run at {ends} beside it")


def _near(run: Scored, group: Group, along: str, loose: bool) -> bool:
    free = {along} | ({name for name in run.traits if name == "seed" or name.startswith("model")} if loose else set())
    return alike({name: value for name, value in run.traits.items() if name not in free}, group.traits)


def _value(run: Scored, metric: str) -> float:
    fact = fact_of([run], metric)
    if fact.kind == "pair":
        values = run.table[fact.name].to_numpy(np.float64)
        return float(values[np.isfinite(values)].mean())
    if fact.value is None:
        raise Untestable(f"no value of {metric}: {fact.reason or 'no image has one'}")
    return fact.value
