"""Is one run better than another, or is it noise? Paired by sample, metric by metric.

    python -m bench.compare <run folder A> <run folder B> [profile=<name>]

Reads scores only: no model, no metric, no torch.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from bench.config import cli, options
from bench.config import words as words_
from bench.config.command import command
from bench.errors import UserError
from bench.report import words
from bench.report.write import Table
from bench.scores import protocol, stored
from bench.scores.best_of import aligned
from bench.statistics.intervals import effect_size, holm, mean_interval, sign_flip_p

OPTIONS = {"profile": None}
"""Metric profile, such as pie-v2; null: the only one that both runs have."""
LEVEL = 0.05
COLUMNS = [
    "metric",
    "heading",
    "higher_is_better",
    "a",
    "b",
    "difference",
    "lo",
    "hi",
    "n",
    "left_out",
    "groups",
    "effect",
]
COLUMNS += ["p"]


def compare(a: Path, b: Path, profile: str | None = None) -> pd.DataFrame:
    """One row for each metric: paired difference B - A of the samples that both have, with its 95 % interval clustered
    by source picture, effect size, sign-flip p, p after Holm over the metrics, and a verdict in words.

    Metrics that depend on something in which the runs differ are left out, and `attrs["apart"]` says why.

    Raises:
        UserError: no such runs or scores, another data set, or no metric that compares.
    """
    name = stored.shared_profile([a, b], profile)
    runs = [stored.read(run, name) for run in (a, b)]
    metrics, apart = protocol.columns(runs)
    tables = aligned([run.table for run in runs])
    if tables[0].empty:
        raise UserError(f"{a} and {b} have no sample in common")
    rows = []
    for metric in metrics:
        fact, other = (run.summary.metrics[metric] for run in runs)
        if fact.kind == "set" and runs[0].summary.ids != runs[1].summary.ids:
            apart[metric] = f"a distance of whole sets, here of different samples ({fact.n} and {other.n})"
            continue
        row = {"metric": metric, "heading": words.of(fact), "higher_is_better": fact.higher_is_better}
        if fact.kind == "set":  # has no pairs to test
            ends = np.array([fact.value, other.value], np.float64)
            row |= {"a": ends[0], "b": ends[1], "difference": ends[1] - ends[0], "groups": fact.groups}
            rows.append(row | {"n": fact.n})
            continue
        values = [table[metric].to_numpy(np.float64) for table in tables]
        finite = np.isfinite(values[0]) & np.isfinite(values[1])
        change, groups = values[1][finite] - values[0][finite], tables[0].group[finite].tolist()
        mean, low, high, n = mean_interval(change, groups)
        means = {end: float(v[finite].mean()) if n else float("nan") for end, v in zip("ab", values, strict=True)}
        row |= {**means, "difference": mean, "lo": low, "hi": high, "n": n, "left_out": len(finite) - n}
        row |= {"groups": len(set(groups))}
        rows.append(row | {"effect": effect_size(change, groups), "p": sign_flip_p(change, groups)})
    table = pd.DataFrame(rows, columns=COLUMNS)
    table["p_holm"] = holm(table.p.tolist())
    tests = int(np.isfinite(table.p).sum())
    table["verdict"] = [_verdict(row, tests) for _, row in table.iterrows()]
    over = ["means over pictures here"] if any(words.averaged(run.summary) for run in runs) else []
    lead = "; ".join([*words.scored_by(runs[0].summary), f"{len(tables[0])} samples of both", *over])
    table.attrs["lead"] = [lead, *words.notices(run.summary for run in runs)]
    table.attrs["apart"] = [f"not compared: {metric}: {why}" for metric, why in apart.items()]
    return table


def _verdict(row: pd.Series, tests: int) -> str:
    if not np.isfinite(row.difference):
        return "no value"
    if not np.isfinite(row.p):
        return "a distance of whole sets: no test, see both intervals in the report"
    if row.difference == 0 and row.p == 1:
        return "equal"
    if row.p_holm >= LEVEL:
        lowest = tests * 2.0 ** (1 - row.groups)  # p where all groups agree
        few = f"too few source pictures to tell: {row.groups:g}"
        return few if lowest >= LEVEL else "no difference beyond noise"
    better = "B" if (row.difference > 0) == row.higher_is_better else "A"
    return f"{better} is better, beyond noise"


def readable(table: pd.DataFrame, a: Path, b: Path) -> str:
    """The comparison as text."""
    rows = [
        {
            "metric": row.heading,
            "A": words.number(row.a),
            "B": words.number(row.b),
            "B - A": words.between(row.difference, row.lo, row.hi, sign="+"),
            "n": ", ".join(filter(None, [f"{row.n}", words.few(row.groups)])),
            "d": words.number(row.effect, 2, "+"),
            "p": words.number(row.p),
            "p (Holm)": words.number(row.p_holm),
            "": row.verdict,
        }
        for row in table.itertuples()
    ]
    notes = ["n: samples with a finite value in both; interval: 95 %, clustered by source picture; d: effect size"]
    notes += [f"p: sign-flip permutation, after Holm over {int(np.isfinite(table.p).sum())} metrics"]
    notes += [words.FEWNESS] if any(map(words.few, table.groups)) else []
    notes += table.attrs["apart"]
    return Table(pd.DataFrame(rows), "", [f"A: {a}", f"B: {b}", *table.attrs["lead"]], notes).text()


@command
def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        own = [word for word in argv if "=" in word and not Path(word).expanduser().is_dir()]
        folders = [Path(words_.path(word, "a folder ")) for word in argv if word not in own]
        settings = options.parse(own, OPTIONS)
        if len(folders) != 2:
            raise UserError(f"got {len(folders)} run folders, expected two: python -m bench.compare <A> <B>")
        for folder in folders:
            if not folder.is_dir():
                raise UserError(f"{folder} is no folder; expected a run, such as results/runs/shapes/copy/all-...")
        print(readable(compare(*folders, settings["profile"]), *folders))
    except UserError as error:
        return cli.fail(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
