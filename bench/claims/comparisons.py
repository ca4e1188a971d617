"""What two sides of a claim show: each test gives differences, each with the region that the claim puts it in. No
torch."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise, product

import numpy as np
import pandas as pd

from bench.claims import curves
from bench.claims.claim import SHOWS, Claim, Claims, compared
from bench.claims.evidence import Group
from bench.claims.judging import INCOMPARABLE, Row, paired, region, resampled
from bench.claims.margin import margin_of
from bench.claims.sample import Incomparable, Sample, Untestable, check_alike, fact_of
from bench.claims.views import View
from bench.config.stated import published_nfe
from bench.report import words
from bench.scores.best_of import aligned, best_of
from bench.scores.stored import Scored

Made = tuple[str, str, Callable[[float], Row], str]
"""A comparison still to be made: metric, what is compared, how, given a margin, and what it is to show."""


def rows(claim: Claim, name: str, chosen: tuple[Group, ...], claims: Claims, view: View) -> list[Row]:
    """The rows of one test for one pair of groups (or a single group).

    Args:
        name: of the test.
    """
    runs = [run for group in chosen for run in group.runs]
    found: dict[tuple[str, str], Row] = {}
    for metric, label, make, shows in _planned(claim, name, chosen, view):
        if (metric, label) in found:  # two roles that one metric shows
            continue
        fact = next((fact for run in runs if (fact := run.summary.fact(metric))), None)
        margin = float("nan")
        try:
            if shows in ("as_good", "close"):
                margin = margin_of(claim, claims, metric, chosen, view.runs)
            row = make(margin)
        except Untestable as reason:
            shows = INCOMPARABLE if isinstance(reason, Incomparable) else "open"
            row = Row(metric, label, why=str(reason), shows=shows)
        for group in chosen:
            row = row.add(f"{group.label} is chosen image by image, on these pictures") if group.best else row
        row.metric, row.unit, row.compared = fact.name if fact else metric, fact.unit if fact else "", label
        row.notices, row.margin = tuple(words.notices(run.summary for run in runs)), margin
        found[metric, label] = row
    return list(found.values())


def _planned(claim: Claim, name: str, chosen: tuple[Group, ...], view: View) -> Iterator[Made]:
    test, along = claim.tests[name], (claim.along(name) or [""])[0]
    label = " - ".join(group.label for group in chosen)
    if name == "cost":
        yield view.metrics["cost"], label, lambda _: _cost(chosen, test, view.metrics["cost"]), ""
    elif name in ("worsens", "improves"):
        for role, group in product(test["roles"], chosen):
            for runs_of, values in zip(pairwise(group.runs), pairwise(group.along), strict=True):
                at = f"{group.label} at {along} = {values[0]:g} - {values[1]:g}"
                if view.shows(role):
                    yield view.metrics[role], at, partial(_stepping, runs_of, view.metrics[role], name), ""
    elif name in ("trade_off", "same_trade_off"):
        shows = "better" if name == "trade_off" else "close"
        for role in compared(test):
            if view.shows(role, test["equal"]):
                x, y = view.metrics[test["equal"]], view.metrics[role]
                yield y, f"{label} at equal {x}", partial(curves.trade_off, chosen, x, y, shows), shows
    elif name == "at_best" and view.shows(test["role"]):
        metric, shows = view.metrics[test["role"]], test["shows"]
        yield metric, f"{label}, each at its best", partial(curves.at_best, chosen, metric, shows), shows
    elif name == "stagnates" and view.shows(test["role"]):
        metric, (first, second) = view.metrics[test["role"]], chosen
        gain = f"last gain of {first.label} - {curves.STAGNANT:.0%} of the gain of {second.label}"
        yield metric, f"{label} at the largest {along} of both", lambda _: curves.floor(chosen, metric), ""
        yield metric, gain, lambda _: curves.last_gain(chosen, metric), ""
    elif name in SHOWS:
        for metric in [view.metrics[role] for role in test if view.shows(role)]:
            yield metric, label, partial(_paired, chosen, metric, name), name


def _paired(chosen: tuple[Group, ...], metric: str, shows: str, margin: float) -> Row:
    fact = fact_of([run for group in chosen for run in group.runs], metric)
    within = region(fact, shows, margin)
    if fact.kind != "set":
        check_alike([run for group in chosen for run in group.runs], [metric])
        return _of_pairs(*(_scores(group, metric) for group in chosen), within)
    if any(group.best for group in chosen):
        raise Untestable(f"{metric} is of whole sets, of which there is no best for each image")
    sample = Sample([[group.runs[0]] for group in chosen], [metric], least=1)
    ((first,), (second,)) = ([sample.value(run, metric) for run in side] for side in sample.sides)
    return resampled(first[0] - second[0], first[1] - second[1], sample, within)


def _stepping(pair: tuple[Scored, Scored], metric: str, test: str, _: float) -> Row:
    """Neighbouring values of a knob, lower - higher."""
    fact = fact_of(list(pair), metric)
    check_alike(list(pair), [metric])
    low, high = region(fact, "better", 0.0)
    if fact.kind == "set":
        raise Untestable(f"{metric} is of whole sets; expected a metric of single images")
    within = (low, high) if test == "worsens" else (0.0 - high, 0.0 - low)
    return _of_pairs(*(_column(run, metric) for run in pair), within)


def _scores(group: Group, metric: str) -> pd.DataFrame:
    """Values of each image and its group, of the group's run or of the best of its runs."""
    tables = [_column(run, metric) for run in group.runs]
    if not group.best:
        return tables[0]
    best = best_of(tables, {"v": fact_of(group.runs, metric).higher_is_better})
    return best.assign(group=tables[0].group)


def _column(run: Scored, metric: str) -> pd.DataFrame:
    return run.table[[fact_of([run], metric).name, "group"]].set_axis(["v", "group"], axis=1)


def _of_pairs(first: pd.DataFrame, second: pd.DataFrame, within: tuple[float, float]) -> Row:
    """Mean of first - second over the images that both have with a finite value, clustered by source picture."""
    tables = aligned([first, second])
    values = [table.v.to_numpy(np.float64) for table in tables]
    finite = np.isfinite(values[0]) & np.isfinite(values[1])
    change, groups = (values[0] - values[1])[finite], tables[0].group[finite].tolist()
    if not len(change):
        raise Untestable("no image has a finite value in both")
    return paired(change, groups, within)


def _cost(chosen: tuple[Group, ...], test: str, metric: str) -> Row:
    """Network evaluations an image, counted and not estimated: without an interval."""
    first, second = (_evaluations(group.runs[0], metric) for group in chosen)
    common = first.index.intersection(second.index)
    if common.empty:
        raise Untestable("the two sides have no image in common")
    difference = float((first[common] - second[common]).mean())
    holds = {"no_more": difference <= 0, "less": difference < 0, "more": difference > 0}[test]
    shows = "as claimed" if holds else "against"
    row = Row(metric, "", difference, difference, difference, len(common), shows, p=0.0)
    return row.add(f"{first[common].mean():g} against {second[common].mean():g}")


def _evaluations(run: Scored, metric: str) -> pd.Series:
    if metric == "published_nfe":
        if (count := published_nfe(run.summary.method, run.summary.knobs)) is None:
            raise Untestable(f"no paper counts the evaluations of {run.summary.method} with such knobs")
        return pd.Series(float(count), run.table.index)
    if "nfe" not in run.table or run.table.nfe.isna().any():
        raise Untestable("the cost of pictures made elsewhere is not known")
    return run.table.nfe
