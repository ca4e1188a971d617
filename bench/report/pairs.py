"""Runs against each other, two and two: paired differences of the samples that both have, and their tests. No torch."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.errors import UserError
from bench.report import words
from bench.scores import protocol
from bench.scores.best_of import aligned
from bench.scores.stored import Scored
from bench.statistics.flips import holm
from bench.statistics.paired import paired

LEVEL = 0.05
TOO_FEW = "too few source pictures to tell"
COLUMNS = ("metric", "A", "B", "B - A", "n", "d", "p", "p (Holm)", "")
"""Of a comparison as it is shown."""


@dataclass
class Comparison:
    """B - A of two runs.

    Attributes:
        rows: one for each metric: `metric`, `heading`, `higher_is_better`, means `a` and `b` of the samples that are
            finite in both, `difference`, its 95 % interval `lo` and `hi` clustered by source picture, `n`, `left_out`,
            `groups`, `effect`, sign-flip `p`, `p_holm` after Holm over the metrics, and `verdict`. A distance of whole
            sets has no test.
        n: samples that both have.
        apart: a line for each metric that is left out, since it depends on something in which the runs differ.
    """

    rows: list[dict[str, Any]]
    n: int
    apart: list[str]
    _changes: dict[str, np.ndarray] = field(repr=False, default_factory=dict)
    _groups: list[str] = field(repr=False, default_factory=list)


def compared(pairs: list[tuple[Scored, Scored]]) -> list[Comparison | UserError]:
    """Each pair of runs compared, or why it cannot be: other data, no sample in common, no metric that compares."""
    made: list[Comparison | UserError] = []
    for pair in pairs:
        try:
            made.append(_planned(*pair))
        except UserError as error:
            made.append(error)
    alike: dict[tuple[str, ...], list[Comparison]] = {}
    for one in made:
        if isinstance(one, Comparison):
            alike.setdefault(tuple(one._groups), []).append(one)
    for groups, comparisons in alike.items():
        found = iter(paired([change for one in comparisons for change in one._changes.values()], list(groups)))
        for one in comparisons:
            tested = {metric: next(found) for metric in one._changes}
            for row in one.rows:
                if row["metric"] in tested:
                    of = tested[row["metric"]]
                    row |= {"difference": of.mean, "lo": of.lo, "hi": of.hi, "n": of.n, "left_out": one.n - of.n}
                    row |= {"groups": of.groups, "effect": of.effect, "p": of.p}
            one._changes, one._groups = {}, []
            _judge(one)
    return made


def _planned(a: Scored, b: Scored) -> Comparison:
    metrics, apart = protocol.columns([a, b])
    tables = aligned([a.table, b.table])
    if tables[0].empty:
        raise UserError(f"{a.folder} and {b.folder} have no sample in common")
    made, nan = Comparison([], len(tables[0]), [], _groups=tables[0].group.tolist()), float("nan")
    for metric in metrics:
        fact, other = (run.summary.metrics[metric] for run in (a, b))
        if fact.kind == "set" and a.summary.ids != b.summary.ids:
            apart[metric] = f"a distance of whole sets, here of different samples ({fact.n} and {other.n})"
            continue
        row = {"metric": metric, "heading": words.of(fact), "higher_is_better": fact.higher_is_better}
        row |= dict.fromkeys(("lo", "hi", "left_out", "effect", "p"), nan)
        if fact.kind == "set":  # has no pairs to test
            ends = np.array([fact.value, other.value], np.float64)
            row |= {"a": ends[0], "b": ends[1], "difference": ends[1] - ends[0], "groups": fact.groups, "n": fact.n}
        else:
            values = [table[metric].to_numpy(np.float64) for table in tables]
            finite = np.isfinite(values[0]) & np.isfinite(values[1])
            means = [float(v[finite].mean()) if finite.any() else nan for v in values]
            row |= dict(zip("ab", means, strict=True))
            made._changes[metric] = np.subtract(*values[::-1], out=np.full(len(finite), nan), where=finite)
        made.rows.append(row)
    made.apart = [f"not compared: {metric}: {why}" for metric, why in apart.items()]
    return made


def _judge(one: Comparison) -> None:
    for row, p in zip(one.rows, holm([row["p"] for row in one.rows]), strict=True):
        row["p_holm"] = p
    for row in one.rows:
        row["verdict"] = _verdict(row, tests(one.rows))


def _verdict(row: dict[str, Any], tests: int) -> str:
    if not np.isfinite(row["difference"]):
        return "no value"
    if not np.isfinite(row["p"]):
        return "a distance of whole sets: no test, see both intervals in the report"
    if row["difference"] == 0 and row["p"] == 1:
        return "equal"
    if row["p_holm"] >= LEVEL:
        return undecided(row["groups"], tests)
    better = "B" if (row["difference"] > 0) == row["higher_is_better"] else "A"
    return f"{better} is better, beyond noise"


def undecided(groups: int, tests: int) -> str:
    """What a difference is whose p, after Holm over so many tests, is not below the level."""
    lowest = tests * 2.0 ** (1 - groups)  # p where all groups agree
    return f"{TOO_FEW}: {groups:g}" if lowest >= LEVEL else "no difference beyond noise"


def cells(row: dict[str, Any]) -> dict[str, str]:
    """A row as it is shown: the texts of `COLUMNS`."""
    texts = [
        row["heading"],
        words.number(row["a"]),
        words.number(row["b"]),
        words.between(row["difference"], row["lo"], row["hi"], sign="+"),
        ", ".join(filter(None, [f"{row['n']}", words.few(row["groups"])])),
        words.number(row["effect"], 2, "+"),
        words.number(row["p"]),
        words.number(row["p_holm"]),
        row["verdict"],
    ]
    return dict(zip(COLUMNS, texts, strict=True))


def remarks(rows: list[dict[str, Any]], apart: list[str]) -> list[str]:
    """What stands below a comparison: how its columns are made, and what is left out."""
    notes = ["n: samples with a finite value in both; interval: 95 %, clustered by source picture; d: effect size"]
    notes += [f"p: sign-flip permutation, after Holm over {tests(rows)} metrics"]
    notes += [words.FEWNESS] if any(words.few(row["groups"]) for row in rows) else []
    return [*notes, *apart]


def tests(rows: list[dict[str, Any]]) -> int:
    """Metrics that are tested."""
    return sum(bool(np.isfinite(row["p"])) for row in rows)
