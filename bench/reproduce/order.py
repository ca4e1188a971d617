"""Whether the rows of a paper come in the same order here: Kendall's tau, and the pairs that do not. No torch."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from bench.report import words
from bench.reproduce import derived
from bench.reproduce.items import Item
from bench.reproduce.outcomes import Rows
from bench.reproduce.verdicts import NOT_RUN, Cell
from bench.scores.best_of import aligned, best_of
from bench.scores.stored import Fact
from bench.statistics.intervals import mean_interval

FEWEST = 3
"""Rows that an order is worth telling of."""
SHOWN = 4


@dataclass
class _Place:
    """A row with its values: ours, the paper's, those of each image, and what the summary says of a set."""

    name: str
    ours: float
    published: float
    scores: pd.DataFrame | None
    fact: Fact | None


def sentences(item: Item, rows: list[Rows], cells: list[Cell]) -> list[str]:
    """One for each metric of which at least `FEWEST` rows have a value of ours and a published one: tau, and the pairs
    of rows that stand the other way round here although their difference is beyond noise."""
    found = []
    for metric in dict.fromkeys(cell.metric for cell in cells):
        places = _places(item, rows, [cell for cell in cells if cell.metric == metric])
        if len(places) >= FEWEST and len({place.published for place in places}) > 1:
            found.append(_sentence(metric, places))
    return found


def _places(item: Item, rows: list[Rows], cells: list[Cell]) -> list[_Place]:
    points = {(point.row, point.name): point for one in rows for point in one.points}
    found = []
    for cell in cells:
        ours, published = words.finite(cell.ours), words.finite(cell.published)
        if cell.verdict == NOT_RUN or cell.apart or cell.kind in ("cost", "knob") or ours is None or published is None:
            continue
        names = [cell.row, *item.best_of.get(cell.row, [])]
        own = [points[name, cell.point] for name in names if (name, cell.point) in points]
        if cell.row in item.differences or not own:
            continue
        fact = own[0].summary.fact(cell.metric) if own[0].summary else None
        tables = [point.scores for point in own if point.scores is not None]
        scores = None
        if fact and fact.kind == "pair" and len(tables) == len(own):
            tables = aligned(tables)
            scores = best_of(tables, {fact.name: fact.higher_is_better}).assign(group=tables[0].group)
        elif fact and fact.kind == "set" and tables:
            scores = tables[0]
        name = f"{cell.row}, {cell.point}" if cell.point else cell.row
        found.append(_Place(name, ours, published, scores, fact))
    return found


def _sentence(metric: str, places: list[_Place]) -> str:
    from scipy.stats import kendalltau  # takes half a second, and few items need it

    line = f"order of the paper's {len(places)} rows in {metric}: "
    if len({place.ours for place in places}) == 1:
        return line + "ours are all the same"
    tau = kendalltau([place.ours for place in places], [place.published for place in places]).statistic
    line += f"Kendall's tau {tau:.2f}; "
    pairs = [(a, b) for a, b in combinations(places, 2) if a.published != b.published]
    swapped = [(a, b) for a, b in pairs if (a.ours - b.ours) * (a.published - b.published) < 0]
    beyond = [(pair, said) for pair in swapped if (said := _beyond_noise(*pair))]
    if not swapped:
        return line + "no pair is the other way round"
    line += f"{len(swapped)} of {len(pairs)} pairs are the other way round, {len(beyond)} of them beyond noise"
    papers = [words.number(a.published - b.published, sign="+") for (a, b), _ in beyond]
    named = [f"{a.name} - {b.name}: {said}, paper {no}" for ((a, b), said), no in zip(beyond, papers, strict=True)]
    more = f" and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
    return line + (f" ({'; '.join(named[:SHOWN])}{more})" if named else "")


def _beyond_noise(a: _Place, b: _Place) -> str:
    """Our difference with its 95 % interval where that leaves out 0; empty where it does not, or there is none."""
    if a.scores is None or b.scores is None or a.fact is None or b.fact is None:
        return ""
    if a.fact.kind == "pair":
        first, second = aligned([a.scores, b.scores])
        change = first[a.fact.name] - second[b.fact.name]
        mean, lo, hi, _ = mean_interval(change.to_numpy(np.float64), first.group.tolist())
    elif a.scores.index.equals(b.scores.index):
        mean, lo, hi, _ = derived.of_sets(a.fact, b.fact, a.scores)
    else:
        return ""
    return words.between(mean, lo, hi, sign="+") if lo > 0 or hi < 0 else ""
