"""Is one run better than another, or is it noise? Paired by sample, metric by metric.

    python -m bench.compare <run folder A> <run folder B> [profile=<name>]

Reads scores only: no model, no metric, no torch.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.config import cli, options
from bench.errors import UserError, nearest
from bench.report.tables import notice
from bench.statistics.intervals import effect_size, holm, mean_interval, sign_flip_p

OPTIONS = {"profile": None}
"""Metric profile, such as pie-v1; null: the only one that both runs have."""
LEVEL = 0.05


def compare(a: Path, b: Path, profile: str | None = None) -> pd.DataFrame:
    """One row for each metric: paired difference B - A of the samples that both have, with its 95 % interval clustered
    by source picture, effect size, sign-flip p, p after Holm over the metrics, and a verdict in words.

    Raises:
        UserError: no such runs or scores, another data set, or scores that are not of the same making.
    """
    name = _common(a, b, profile)
    first, second = (json.loads((run / f"summary.{name}.json").read_text()) for run in (a, b))
    _check_same(a, b, first, second)
    tables = [pd.read_csv(run / f"per_image.{name}.csv", dtype={"id": str, "group": str}) for run in (a, b)]
    both = tables[0].merge(tables[1], on="id", suffixes=("_a", "_b"))
    if both.empty:
        raise UserError(f"{a} and {b} have no sample in common")
    rows = []
    for metric, fact in first["metrics"].items():
        row = {"metric": metric, "unit": fact["unit"], "higher_is_better": fact["higher_is_better"]}
        if fact["kind"] == "set":
            rows.append(row | _of_sets(fact, second["metrics"][metric]))
            continue
        values = [pd.to_numeric(both[f"{metric}_{end}"]).to_numpy(np.float64) for end in "ab"]
        finite = np.isfinite(values[0]) & np.isfinite(values[1])
        change, groups = (values[1] - values[0])[finite], both.group_a[finite].tolist()
        mean, low, high, n = mean_interval(change, groups)
        means = {end: float(v[finite].mean()) if n else float("nan") for end, v in zip("ab", values, strict=True)}
        row |= {**means, "difference": mean, "lo": low, "hi": high, "n": n, "left_out": len(both) - n}
        rows.append(row | {"effect": effect_size(change, groups), "p": sign_flip_p(change, groups)})
    table = pd.DataFrame(rows)
    table["p_holm"] = holm(table.p.tolist())
    table["verdict"] = [_verdict(row) for _, row in table.iterrows()]
    table.attrs = {"profile": name, "samples": len(both), "backbone": first["backbone"], "data": first["data"]}
    table.attrs["notices"] = sorted({said for s in (first, second) if (said := notice(s))})
    return table


def _common(a: Path, b: Path, profile: str | None) -> str:
    found = []
    for run in (a, b):
        names = {file.name.split(".", 1)[1].removesuffix(".json") for file in run.glob("summary.*.json")}
        if not names or not (run / "identity.json").exists():
            raise UserError(
                f"{run} holds no scores; expected a run folder, scored by `python -m bench.score run={run}`"
            )
        found.append(names)
    both = sorted(found[0] & found[1])
    if profile is None and len(both) == 1:
        return both[0]
    if profile in both:
        return profile
    if not both:
        raise UserError(
            f"{a} is scored by {', '.join(sorted(found[0]))} and {b} by {', '.join(sorted(found[1]))}; score one of "
            "them again with `python -m bench.score run=<folder> metrics=<profile>`"
        )
    if profile is None:
        raise UserError(f"both runs have several profiles; choose one with profile={' or profile='.join(both)}")
    raise UserError(f"profile={profile} is not one that both runs have; {nearest(str(profile), both)}")


def _check_same(a: Path, b: Path, first: dict, second: dict) -> None:
    data = [json.loads((run / "identity.json").read_text())["data"] | {"size": None} for run in (a, b)]
    if data[0] != data[1]:
        raise UserError(
            f"{a} (data={first['data']}) and {b} (data={second['data']}) edit different data, or the same with "
            "different options; expected the same samples"
        )
    versions = [{name: fact["version"] for name, fact in summary["metrics"].items()} for summary in (first, second)]
    if versions[0] != versions[1] or first["weights"] != second["weights"]:
        raise UserError(
            f"{a} and {b} were scored with different metrics, versions or weights; score both again with "
            "`python -m bench.score run=<folder>`"
        )


def _of_sets(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Values of a metric of whole sets, which has no pairs to test."""
    a, b = (float("nan") if fact["value"] is None else fact["value"] for fact in (first, second))
    nan = float("nan")
    return {"a": a, "b": b, "difference": b - a, "lo": nan, "hi": nan, "n": first["n"], "effect": nan, "p": nan}


def _verdict(row: pd.Series) -> str:
    if not np.isfinite(row.difference):
        return "no value"
    if not np.isfinite(row.p):
        return "a distance of whole sets: no test, see both intervals in the report"
    if row.difference == 0 and row.p == 1:
        return "equal"
    if row.p_holm >= LEVEL:
        return "no difference beyond noise"
    better = "B" if (row.difference > 0) == row.higher_is_better else "A"
    return f"{better} is better, beyond noise"


def readable(table: pd.DataFrame, a: Path, b: Path) -> str:
    """The comparison as text."""
    facts, rows = table.attrs, []
    for _, row in table.iterrows():
        interval = f" [{row.lo:+.3g}, {row.hi:+.3g}]" if np.isfinite(row.lo) else ""
        rows.append(
            {
                "metric": f"{row.metric} {'↑' if row.higher_is_better else '↓'}"
                + (f" ({row.unit})" if row.unit else ""),
                "A": _number(row.a, ".2f"),
                "B": _number(row.b, ".2f"),
                "B - A": _number(row.difference, "+.3g") + interval,
                "n": f"{row.n}",
                "d": _number(row.effect, "+.2f"),
                "p": _number(row.p, ".2g"),
                "p (Holm)": _number(row.p_holm, ".2g"),
                "": row.verdict,
            }
        )
    head = f"data {facts['data']}; profile {facts['profile']} ({facts['backbone']}); {facts['samples']} samples of both"
    notes = ["n: samples with a finite value in both; interval: 95 %, clustered by source picture; d: effect size;"]
    notes += [f"p: sign-flip permutation, after Holm over {int(np.isfinite(table.p).sum())} metrics"]
    lines = [f"A: {a}", f"B: {b}", head, *facts["notices"], ""]
    return "\n".join([*lines, pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True), "", *notes])


def _number(value: float, form: str) -> str:
    return format(value, form) if np.isfinite(value) else ""


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    words = sys.argv[1:] if argv is None else argv
    folders = [Path(word) for word in words if "=" not in word or Path(word).is_dir()]
    try:
        settings = options.parse([word for word in words if Path(word) not in folders], OPTIONS)
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
