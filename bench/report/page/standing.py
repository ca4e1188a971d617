"""Methods in the order of one metric, over the pictures that all of them share. No torch."""

from dataclasses import dataclass, field

import numpy as np

from bench.report import words
from bench.report.page.contenders import Contender, label
from bench.report.seeds import Alike
from bench.scores import protocol
from bench.scores.best_of import aligned
from bench.scores.stored import Fact, Scored, Summary
from bench.statistics.flips import holm, sign_flips
from bench.statistics.intervals import LEAST, mean_intervals
from bench.statistics.paired import Paired, paired
from bench.statistics.ranks import Rank, ranks, resampled_means


@dataclass(eq=False)
class Entry:
    """A contender at the operating point where it is best.

    Attributes:
        value, lo, hi: of the metric over the shared pictures, with its 95 % interval.
        rank: None where nothing is ranked.
        behind: the first one's value - this one's, of the main metric where it is of single pictures.
        p_holm: of that, after Holm over all that are behind the first; NaN for a distance of sets.
    """

    contender: Contender
    point: Alike
    value: float
    lo: float | None
    hi: float | None
    rank: Rank | None = None
    behind: Paired | None = None
    p_holm: float = float("nan")


@dataclass(eq=False)
class Standing:
    """Contenders on one metric.

    Attributes:
        entries: the best first.
        out: a contender, or one of its points, that is not among them -> why.
        n: pictures that all entries share, with a finite value.
        groups: source pictures (or classes) that these are of.
        why: why nothing is ranked; empty where something is.
    """

    fact: Fact
    entries: list[Entry] = field(default_factory=list)
    out: dict[str, str] = field(default_factory=dict)
    n: int = 0
    groups: int = 0
    why: str = ""


Points = list[tuple[Contender, Alike]]
Ends = tuple[float, float | None, float | None]
"""A value with its interval."""


def standing(contenders: list[Contender], metric: str, intervals: bool = True) -> Standing | None:
    """Contenders in the order of a metric, each at its best point, which is chosen anew in each resample.

    Args:
        metric: by the profile's name of it.
        intervals: whether places are given intervals, over resamples of source pictures or, for a distance of sets, its
            half-samples, and what is behind the first one its own.

    Returns:
        None where no run was scored by it.
    """
    runs = [run for one in contenders for point in one.points for run in point.runs]
    fact = next((fact for run in runs if (fact := run.summary.fact(metric))), None)
    if fact is None:
        return None
    made, apart, points = Standing(fact), protocol.apart(runs, metric), []
    for one in contenders:
        for point in one.points:
            if why := _lacks(point, metric, apart):
                made.out[_named(one, point)] = why
            else:
                points.append((one, point))
    if not points:
        made.why = "no method has a value"
    elif fact.kind == "set":
        _rank_sets(made, points, metric, intervals)
    else:
        _rank_pictures(made, points, metric, intervals)
    return made


def _named(one: Contender, point: Alike) -> str:
    return " at ".join(filter(None, [one.name, label(point)]))


def _lacks(point: Alike, metric: str, apart: dict[Scored, str]) -> str:
    """Why a point has no value that may stand beside the others; empty where it has."""
    for run in point.runs:
        if (fact := run.summary.fact(metric)) is None:
            return "scored without it"
        if fact.value is None:
            return fact.reason or "no picture has a finite value"
        if run in apart:
            return f"scored otherwise: {apart[run]}"
    return ""


def _rank_pictures(made: Standing, points: Points, metric: str, intervals: bool) -> None:
    """By means over the pictures that all points share."""
    runs = [run for _, point in points for run in point.runs]
    tables = aligned([run.table for run in runs])
    values = {
        run: table[run.summary.fact(metric).name].to_numpy(np.float64) for run, table in zip(runs, tables, strict=True)
    }
    columns = np.stack([np.mean([values[run] for run in point.runs], axis=0) for _, point in points])  # over seeds
    finite = np.isfinite(columns).all(0)
    columns, groups = columns[:, finite], tables[0].group[finite].tolist()
    made.n, made.groups = len(groups), len(set(groups))
    if made.groups < LEAST:
        own = [(fact.value, fact.lo, fact.hi) for fact in (point.shown.summary.fact(metric) for _, point in points)]
        made.why = f"{made.groups} source picture{'s' * (made.groups != 1)} with a value of all, too few for a ranking"
        _enter(made, points, np.array([value for value, *_ in own]), own)
        return
    moved = resampled_means(columns, groups) if intervals else np.empty((len(points), 0))
    ends = _ends(columns, groups, [point.shown.summary for _, point in points], metric)
    chosen = _enter(made, points, columns.mean(1), ends, moved)
    changes = columns[chosen[0]] - columns[chosen[1:]]
    if intervals:
        for entry, test in zip(made.entries[1:], paired(list(changes), groups), strict=True):
            entry.behind = test
    for entry, p in zip(made.entries[1:], holm(sign_flips(changes, groups)), strict=True):
        entry.p_holm = p


def _ends(columns: np.ndarray, groups: list[str], summaries: list[Summary], metric: str) -> list[Ends]:
    """Each column's mean over pictures and its interval: the summary's where that is what it has, of these pictures."""
    facts = [summary.fact(metric) for summary in summaries]
    known = [
        fact.n == columns.shape[1] and not words.averaged(summary)
        for fact, summary in zip(facts, summaries, strict=True)
    ]
    fresh = iter(mean_intervals([column for column, is_ in zip(columns, known, strict=True) if not is_], groups))
    return [(f.value, f.lo, f.hi) if is_ else next(fresh)[:3] for f, is_ in zip(facts, known, strict=True)]


def _rank_sets(made: Standing, points: Points, metric: str, intervals: bool) -> None:
    """By distances of whole sets, which compare for the same samples alone."""
    counts = [point.shown.summary.ids for _, point in points]
    usual = max(dict.fromkeys(counts), key=counts.count)
    made.out |= {_named(*one): "of other samples" for one, ids in zip(points, counts, strict=True) if ids != usual}
    points = [one for one, ids in zip(points, counts, strict=True) if ids == usual]
    facts = [point.shown.summary.fact(metric) for _, point in points]
    made.n, made.groups = facts[0].n or points[0][1].shown.summary.n, facts[0].groups or 0
    known = intervals and facts[0].halves and len({(fact.halves_of, len(fact.halves)) for fact in facts}) == 1
    moved = np.array([fact.halves for fact in facts]) if known else np.empty((len(facts), 0))
    values = np.array([fact.value for fact in facts])
    _enter(made, points, values, [(fact.value, fact.lo, fact.hi) for fact in facts], moved)


def _enter(
    made: Standing,
    points: Points,
    values: np.ndarray,
    ends: list[Ends],
    moved: np.ndarray | None = None,
) -> list[int]:
    """Makes the entries, each of its contender's best point; returns which points these are.

    Args:
        values: of each point.
        ends: each value with its interval.
        moved: values in resamples `[points, R]`.
    """
    higher = bool(made.fact.higher_is_better)
    best = np.argmax if higher else np.argmin
    rows = [[i for i, (own, _) in enumerate(points) if own is one] for one in dict.fromkeys(own for own, _ in points)]
    chosen = [of[int(best(values[of]))] for of in rows]
    if len(chosen) == 1 and not made.why:
        made.why = f"only {points[0][0].name} has a value"
    places: list[Rank | None] = [None] * len(chosen)
    if not made.why:
        extreme = np.max if higher else np.min
        places = list(ranks(values[chosen], np.stack([extreme(moved[of], axis=0) for of in rows]), higher))
    order = sorted(range(len(chosen)), key=lambda i: -values[chosen[i]] if higher else values[chosen[i]])
    made.entries = [Entry(*points[chosen[i]], *ends[chosen[i]], places[i]) for i in order]
    return [chosen[i] for i in order]
