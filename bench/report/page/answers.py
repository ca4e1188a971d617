"""What a reader asks first: which method is best at what, and whether that is more than noise. No torch."""

import math
from typing import Any

import pandas as pd

from bench.files.hashing import sha256_of
from bench.report import words
from bench.report.page.contenders import contenders, label
from bench.report.page.crossings import Crossings, against, crossings, curve_table
from bench.report.page.names import title
from bench.report.page.standing import Entry, Standing, standing
from bench.report.pairs import LEVEL, TOO_FEW, undecided
from bench.scores.stored import Scored
from bench.statistics.intervals import RESAMPLES

MOST = 4
"""Names that a sentence lists."""


Groups = list[tuple[str, list[Scored]]]


def groups(table: pd.DataFrame) -> Groups:
    """Runs whose samples are the same pictures, scored by one profile, after what that is called."""
    found: dict[str, list[Scored]] = {}
    others: dict[str, list[dict[str, Any]]] = {}
    for run in table.scored:
        data = run.identity["data"]
        found.setdefault(sha256_of([run.summary.data, run.summary.profile, data | {"size": None}]), []).append(run)
        others.setdefault(run.summary.data, []).append(data)
    named = []
    for runs in found.values():
        data, identity = runs[0].summary.data, runs[0].identity["data"]
        known = [other | {"size": None} for other in others[data]]
        named.append((f"{title(data, identity | {'size': None}, known)}, {runs[0].summary.profile}", runs))
    return named


def answers(found: Groups, index: dict[str, int]) -> list[dict[str, Any]]:
    """For each data set and profile `title`, `notices`, `main` (a sentence), `more` (further ones), and `tables`: who
    leads, and curves against each other."""
    return [_answer(name, runs, index) for name, runs in found]


def _answer(name: str, runs: list[Scored], index: dict[str, int]) -> dict[str, Any]:
    first, everyone = runs[0].summary, contenders(runs)
    methods, controls = ([one for one in everyone if one.control is told] for told in (False, True))
    x, y = first.plot["x"], first.plot["y"]
    notices = words.notices(run.summary for run in runs)
    shown = [metric for metric in words.facts(run.summary.shown for run in runs) if metric != y]
    others = [
        found
        for metric in shown
        if (found := standing(methods, metric, intervals=_is_set(runs, metric))) and found.entries
    ]
    main, met, tables = standing(methods, y), crossings(methods, x, y), []
    if main and main.entries:
        tables = [_leaderboard(main, met, x, notices, index), *curve_table(met, notices)]
    counted = f"{len(methods)} method{'s' * (len(methods) != 1)}"
    more = [against(met), *map(sentence, others)] if methods else []
    if controls:
        they = "they are" if len(controls) > 1 else "it is"
        more.append(f"Not ranked, since {they} told nothing of the edit: {_listed([one.name for one in controls])}.")
    of_pictures = "; places and tests are of means over pictures" if words.averaged(first) else ""
    lacking = "no method was scored by it" if methods else "no method was run"
    return {
        "title": name,
        "notices": notices,
        "about": f"{counted}, {words.span(run.summary.n for run in runs)} edits each; {first.backbone}{of_pictures}",
        "main": sentence(main) if main else f"{words.called(y)}: nothing to rank, {lacking}.",
        "more": more,
        "tables": tables,
    }


def _is_set(runs: list[Scored], metric: str) -> bool:
    return any(fact.kind == "set" for run in runs if (fact := run.summary.fact(metric)))


def sentence(found: Standing) -> str:
    """Who is best on one metric, and whether another sample of pictures would say the same."""
    heading = words.printed(found.fact)
    if not found.entries:
        return f"{heading}: nothing to rank, {found.why}."
    first, *others = found.entries
    value = words.value(first.value, first.lo, first.hi)
    if found.why:
        return f"{heading}: nothing to rank, {found.why}; {_at(first)} has {value}."
    if tied := [entry for entry in others if entry.rank.place == 1]:
        place = f"the first of {len(found.entries)} places" if len(tied) < len(others) else "the first place"
        return f"{heading}: {_listed([_at(entry) for entry in (first, *tied)])} share {place} with {value}."
    near = [entry for entry in others if not beyond(entry, first)]
    if not near:
        behind = _at(others[0]) if len(others) == 1 else f"all {len(others)} others"
        return f"{heading}: {_at(first)} is best with {value}, ahead of {behind} beyond noise."
    far = len(others) - len(near)
    ahead = f" It is ahead of the other {f'{far} ' if far > 1 else ''}beyond noise." if far else ""
    tells = "not beyond noise"
    if found.fact.kind != "set" and undecided(found.groups, len(others)).startswith(TOO_FEW):
        tells = f"{found.groups} source pictures are too few to tell"
    names = _listed([_at(entry) for entry in near])
    return f"{heading}: {_at(first)} is first with {value}, but {tells}: {names} cannot be told from it.{ahead}"


def beyond(entry: Entry, first: Entry) -> bool:
    """Whether the first is ahead of another beyond noise: by the test of their pictures' differences; for a distance of
    sets, where no half-sample within 95 % of them puts another at the first place."""
    return first.rank.hi == 1 if math.isnan(entry.p_holm) else entry.p_holm < LEVEL


def _at(entry: Entry) -> str:
    at = label(entry.point)
    return f"{entry.contender.name} ({at})" if at else entry.contender.name


def _listed(names: list[str]) -> str:
    names = names if len(names) <= MOST else [*names[: MOST - 1], f"{len(names) - MOST + 1} more"]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _leaderboard(found: Standing, met: Crossings, x: str, notices: list[str], index: dict[str, int]) -> dict[str, Any]:
    heading, rows = words.of(found.fact), []
    for entry in found.entries:
        run = entry.point.shown.summary
        other = run.fact(x)
        cells = [
            entry.contender.name + (f" ({len(entry.point.runs)} seeds)" if len(entry.point.runs) > 1 else ""),
            _rank(entry),
            words.knob(run.knobs.get("r")),
            {"text": words.value(entry.value, entry.lo, entry.hi), "key": entry.value},
            _behind(entry, found),
            met.score(entry.contender),
            words.value(other.value, other.lo, other.hi) if other else "",
            words.cost("nfe", run.nfe),
        ]
        rows.append({"cells": cells, "run": index[str(entry.point.runs[0].folder)]})
    facts = [run.fact(x) for run in (entry.point.shown.summary for entry in found.entries)]
    known = next(filter(None, facts), None)
    beside = words.of(known) if known else x
    columns = ["method", "rank", "best at r", heading, "first - it", f"at equal {x}", beside, words.COSTS["nfe"]]
    return {
        "title": f"Leaderboard by {words.printed(found.fact)}",
        "lead": [_how(found), *notices],
        "columns": columns,
        "rows": rows,
        "remarks": [*(f"not ranked: {name}: {why}" for name, why in found.out.items())],
    }


def _rank(entry: Entry) -> dict[str, Any] | str:
    if entry.rank is None:
        return ""
    ends = f" [{entry.rank.lo} to {entry.rank.hi}]" if entry.rank.lo is not None else ""
    return {"text": f"{entry.rank.place}{ends}", "key": entry.rank.place}


def _behind(entry: Entry, found: Standing) -> dict[str, Any] | str:
    if entry.behind is None:
        return ""
    of = entry.behind
    text = words.between(of.mean, of.lo, of.hi, sign="+")
    said = "beyond noise" if entry.p_holm < LEVEL else undecided(of.groups, len(found.entries) - 1)
    if of.mean == 0 and of.p == 1:
        said = "equal"
    return {"text": text, "key": abs(of.mean), "lines": [f"{said}, p = {words.number(entry.p_holm)}"]}


def _how(found: Standing) -> str:
    each = "each at its best point"
    if found.why:
        return f"Nothing is ranked: {found.why}. {each.capitalize()}."
    if found.fact.kind == "set":
        moved = (
            "2.5 to 97.5 % of its half-samples in brackets"
            if found.entries[0].rank.lo
            else "no half-samples, no interval"
        )
        return f"Place by {words.printed(found.fact)}, {each}; {moved}. The same {found.n} samples for all."
    few = ", few" if words.few(found.groups) else ""
    return (
        f"Place by {words.printed(found.fact)}, {each}, over {found.n} edits of {found.groups} source pictures{few}, "
        f"which all {len(found.entries)} share; in brackets the places of 2.5 to 97.5 % of {RESAMPLES:,} resamples of "
        "these pictures, with the best point chosen anew in each."
    )
