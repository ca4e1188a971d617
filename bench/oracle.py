"""The best of several runs for each image and each metric: SimInv* of the SimInversion paper's Tables 1 and 2.

    python -m bench.oracle 'runs=[siminversion/ws0_*,siminversion/ws1_*]' [out=results/runs] [data=shapes] [profile=...]

Nobody can run such a method: the choice looks at the score it is judged by. Nothing is edited or scored here; the
runs' `per_image.<profile>.csv` are read.
"""

import fnmatch
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from bench.config import cli, options
from bench.errors import UserError, nearest
from bench.files.paths import file_name
from bench.files.write import write
from bench.scores.best_of import best_of
from bench.statistics.intervals import mean_interval

OPTIONS = {"runs": None, "out": "results/runs", "data": None, "profile": None, "to": None}
"""Run folders, as patterns of `<method>/<slug>-<key>` or as paths; where they are; which data set and metric profile,
where there are several; folder to write to (null: `<out>/oracle`)."""


def oracle(runs: list[str], out: Path, data: str | None, profile: str | None, to: Path) -> pd.DataFrame:
    """Writes `per_image.csv` and `table.md`, prints the table, and returns the per-image values.

    Raises:
        UserError: runs that do not exist, are not scored, or do not belong together.
    """
    folders = _folders(runs, out, data)
    profile = profile or _only_profile(folders)
    summaries, tables = [], []
    for folder in folders:
        file = folder / f"summary.{profile}.json"
        if not file.is_file():
            raise UserError(f"{folder} has no scores of profile {profile}; score it with the command that made it")
        summaries.append(json.loads(file.read_text()))
        tables.append(pd.read_csv(folder / f"per_image.{profile}.csv", dtype={"id": str}).set_index("id"))
    common = [id_ for id_ in tables[0].index if all(id_ in table.index for table in tables)]
    if not common:
        raise UserError("the runs have no image in common")
    most = max(len(table) for table in tables)
    facts = {
        name: fact
        for name, fact in summaries[0]["metrics"].items()
        if all(name in table for table in tables) and all(name in s["metrics"] for s in summaries)
    }
    best = best_of([table.loc[common] for table in tables], facts)
    groups = tables[0].loc[common].get("group", pd.Series(common, index=common)).fillna("").astype(str)
    groups = [group or id_ for group, id_ in zip(groups, common, strict=True)]
    rows = []
    for label, table in [*zip(_labels(folders), (t.loc[common] for t in tables), strict=True), ("oracle", best)]:
        row = {"method": label, "n": str(len(common))}
        for name, fact in facts.items():
            mean, low, high, _ = mean_interval(table[name].to_numpy(), groups)
            arrow = "↑" if fact["higher_is_better"] else "↓"
            unit = f" ({fact['unit']})" if fact["unit"] else ""
            row[f"{name} {arrow}{unit}"] = "" if np.isnan(mean) else f"{mean:.2f} ±{(high - low) / 2:.2f}"
        rows.append(row)
    notices = sorted({s["notice"] for s in summaries if s["notice"]})
    lines = [f"data {summaries[0]['data']}; profile {profile} ({summaries[0]['backbone']})", *notices]
    lines.append("oracle: the best run for each image and each metric by itself, which no method can know beforehand")
    if len(common) < most:
        lines.append(f"only the {len(common)} images that all runs have; the largest has {most}")
    text = "\n".join([*lines, "", pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)])
    print(text, end="\n\n")
    to.mkdir(parents=True, exist_ok=True)
    write(to / "table.md", text + "\n")
    write(to / "per_image.csv", best.to_csv())
    print(f"written: {to / 'table.md'}\nwritten: {to / 'per_image.csv'}")
    return best


def _folders(runs: list[str], out: Path, data: str | None) -> list[Path]:
    known = sorted({file.parent for file in out.glob("*/*/*/summary.*.json")})
    if data is not None:
        known = [folder for folder in known if folder.parts[-3] == file_name(data)]
    found: list[Path] = []
    for pattern in runs:
        hits = [f for f in known if fnmatch.fnmatch("/".join(f.parts[-2:]), pattern) or f == Path(pattern)]
        if not hits:
            names = ["/".join(folder.parts[-2:]) for folder in known]
            hint = nearest(pattern, names) if names else f"there is none under out={out}"
            raise UserError(f"no scored run matches {pattern!r}; {hint}")
        found += [folder for folder in hits if folder not in found]
    if len({folder.parts[-3] for folder in found}) > 1:
        raise UserError(
            f"the runs are of several data sets ({', '.join(sorted({f.parts[-3] for f in found}))}); set data="
        )
    if len(found) < 2:
        raise UserError(f"runs={runs} matches only {found[0]}; the best of several needs at least two")
    return found


def _only_profile(folders: list[Path]) -> str:
    common = set.intersection(*({f.name[8:-5] for f in folder.glob("summary.*.json")} for folder in folders))
    if len(common) != 1:
        what = f"have {', '.join(sorted(common))}" if common else "share none"
        raise UserError(f"name the metric profile with profile=; these runs {what}")
    return common.pop()


def _labels(folders: list[Path]) -> list[str]:
    """`<method>/<slug>`, without the key where that is enough to tell runs apart."""
    slugs = ["/".join(folder.parts[-2:]).rsplit("-", 1)[0] for folder in folders]
    return slugs if len(set(slugs)) == len(slugs) else ["/".join(folder.parts[-2:]) for folder in folders]


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    try:
        given = options.parse(sys.argv[1:] if argv is None else argv, OPTIONS)
        runs = [given["runs"]] if isinstance(given["runs"], str) else given["runs"]
        if not runs:
            raise UserError(
                "runs= is missing; name at least two, such as 'runs=[siminversion/ws0_*,siminversion/ws1_*]'"
            )
        out = Path(given["out"])
        to = Path(given["to"]) if given["to"] else out / "oracle"
        oracle([str(run) for run in runs], out, given["data"], given["profile"], to)
    except UserError as error:
        return cli.fail(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
