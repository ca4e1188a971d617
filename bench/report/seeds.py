"""Runs that differ in nothing but the seed, as one. No torch."""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from bench.files.hashing import sha256_of
from bench.report.words import COSTS, finite
from bench.scores import protocol
from bench.scores.best_of import aligned
from bench.scores.stored import Fact, Scored
from bench.statistics.intervals import half_sample_interval, mean_interval, mean_over_types


@dataclass(eq=False)
class Alike:
    """One operating point.

    Attributes:
        runs: of one seed each, on the same samples.
        shown: the run, or one whose values are the means over the seeds, with intervals over pictures of these means.
        spread: metric -> standard deviation between the seeds; empty for one run.
    """

    runs: list[Scored]
    shown: Scored
    spread: dict[str, float] = field(default_factory=dict)


def alike(runs: list[Scored]) -> list[Alike]:
    """The runs, those that differ in the seed alone together, in the order of the first of them."""
    groups: dict[str, dict[int | None, list[Scored]]] = {}
    for run in runs:
        summary = run.summary
        made = {name: protocol.of(run, name) for name in summary.metrics}
        what = [run.identity | {"seed": None}, summary.knobs, summary.ids, made]
        groups.setdefault(sha256_of(what), {}).setdefault(summary.seed, []).append(run)
    found = []
    for of_seed in groups.values():
        if len(of_seed) > 1 and all(len(same) == 1 for same in of_seed.values()):
            found.append(_together([run for same in of_seed.values() for run in same]))
        else:
            found += [Alike([run], run) for same in of_seed.values() for run in same]
    return found


def _together(runs: list[Scored]) -> Alike:
    first = runs[0].summary
    facts = {name: _mean([run.summary.metrics[name] for run in runs], runs) for name in first.metrics}
    costs = {name: _average([getattr(run.summary, name) for run in runs]) for name in COSTS}
    worst = {"n_failed": max(run.summary.n_failed for run in runs)}
    notes = list(dict.fromkeys(note for run in runs for note in run.summary.notes))
    values = {name: [run.summary.metrics[name].value for run in runs] for name in facts}
    spread = {name: float(np.std(found, ddof=1)) for name, found in values.items() if None not in found}
    return Alike(runs, Scored(runs[0].folder, replace(first, metrics=facts, notes=notes, **costs, **worst)), spread)


def _average(values: list[float | None]) -> float | None:
    return None if None in values else float(np.mean(values))


def of_pictures(runs: list[Scored], metric: str) -> pd.DataFrame:
    """`group` and `type` of each picture that all runs have, and its mean score; NaN where one is not finite."""
    tables = aligned([run.table for run in runs])
    scores = pd.concat([table[metric] for table in tables], axis=1).replace([np.inf, -np.inf], np.nan)
    return tables[0][["group", "type"]].assign(**{metric: scores.mean(axis=1, skipna=False)})


def _mean(facts: list[Fact], runs: list[Scored]) -> Fact:
    """What is said of a metric of all the runs: its mean over the seeds, with the interval of that over pictures."""
    first = facts[0]
    if lacking := [fact for fact in facts if fact.value is None]:
        return lacking[0]
    if first.kind == "set":
        value = float(np.mean([fact.value for fact in facts]))
        lo, hi = first.lo, first.hi
        if first.halves and len({len(fact.halves) for fact in facts}) == 1:
            halves = np.mean([fact.halves for fact in facts], axis=0)
            lo, hi = half_sample_interval(value, halves, runs[0].table[first.halves_of].fillna("").tolist())
        return replace(first, value=value, lo=finite(lo), hi=finite(hi))
    scores = of_pictures(runs, first.name)
    means, groups_of = scores[first.name].to_numpy(), scores.group.tolist()
    if runs[0].summary.protocol.get("mean") == "types":
        value, lo, hi, n = mean_over_types(means, scores.type.fillna("").tolist(), groups_of)
    else:
        value, lo, hi, n = mean_interval(means, groups_of)
    groups = scores.group[np.isfinite(means)].nunique()
    lacking_value = max(fact.n_nan or 0 for fact in facts)
    return replace(
        first, value=finite(value), lo=finite(lo), hi=finite(hi), n=n, n_nan=lacking_value, groups=groups, types={}
    )
