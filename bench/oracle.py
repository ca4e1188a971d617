"""The best of several runs for each image and each metric: SimInv* of the SimInversion paper's Tables 1 and 2.

    python -m bench.oracle 'runs=[siminversion/ws0_*,siminversion/ws1_*]'
    python -m bench.oracle 'runs=[diffedit/r*]' data=shapes out=my/runs

Nobody can run such a method: the choice looks at the score it is judged by. Nothing is edited or scored here; the
runs' `per_image.<profile>.csv` are read.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from bench.config import cli, options
from bench.config.command import command
from bench.config.options import Option
from bench.errors import UserError
from bench.report import words, write
from bench.report.write import Table
from bench.scores import protocol, selection, stored
from bench.scores.best_of import aligned, best_of
from bench.scores.selection import Selection
from bench.statistics.intervals import mean_interval

OPTIONS = {
    "runs": selection.OPTIONS["run"],
    "out": Option("results/runs", "folder of the runs"),
    "data": selection.OPTIONS["data"],
    "method": selection.OPTIONS["method"],
    "profile": Option(None, "metric profile, where there are several"),
    "to": Option(None, "folder to write to; null: <out>/oracle"),
}


def oracle(folders: list[Path], profile: str | None, to: Path) -> pd.DataFrame:
    """Writes `per_image.csv` and `table.md`, prints the table, and returns the per-image values.

    Raises:
        UserError: runs that are not scored, or do not belong together.
    """
    profile = profile or stored.shared_profile(folders)
    scored = [stored.read(folder, profile) for folder in folders]
    alike, apart = protocol.columns(scored)
    tables = aligned([run.table for run in scored])
    if tables[0].empty:
        raise UserError("the runs have no image in common")
    facts = [fact for name in alike if (fact := scored[0].summary.metrics[name]).kind == "pair"]
    if not facts:
        raise UserError("the runs have no metric of single images that compares")
    best = best_of(tables, {fact.name: fact.higher_is_better for fact in facts})
    rows = []
    for label, table in zip([*_labels(folders), "oracle"], [*tables, best], strict=True):
        row = {"method": label, "n": f"{len(table)}"}
        for fact in facts:
            values = table[fact.name].to_numpy()
            mean, low, high, _ = mean_interval(values, tables[0].group.tolist())
            few = words.few(tables[0].group[np.isfinite(values)].nunique())
            row[words.of(fact)] = f"{words.value(mean, low, high)} {few}".strip()
        rows.append(row)
    lead = ["; ".join(words.scored_by(scored[0].summary)), *words.notices(run.summary for run in scored)]
    lead.append("oracle: the best run for each image and each metric by itself, which no method can know beforehand")
    if len(best) < (most := max(len(run.table) for run in scored)):
        lead.append(f"only the {len(best)} images that all runs have; the largest has {most}")
    lead += [f"left out: {name}: {why}" for name, why in apart.items()]
    lead += [words.FEWNESS] if any(cell.endswith(" few") for row in rows for cell in row.values()) else []
    shown = Table(pd.DataFrame(rows), "", lead)
    print(shown.text(), end="\n\n")
    written = [*write.save(shown, to / "table", ["md"]), write.csv(best, to / "per_image", index=True)]
    print("\n".join(f"written: {file}" for file in written))
    return best


def _labels(folders: list[Path]) -> list[str]:
    """`<method>/<slug>`, without the key where that is enough to tell runs apart."""
    slugs = ["/".join(folder.parts[-2:]).rsplit("-", 1)[0] for folder in folders]
    return slugs if len(set(slugs)) == len(slugs) else ["/".join(folder.parts[-2:]) for folder in folders]


@command
def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    try:
        given = options.parse(sys.argv[1:] if argv is None else argv, OPTIONS)
        if not given["runs"]:
            raise UserError(
                "runs= is missing; name at least two, such as 'runs=[siminversion/ws0_*,siminversion/ws1_*]'"
            )
        out = Path(given["out"])
        folders = stored.several(out, Selection.of(given | {"run": given["runs"]}))
        if len(folders) < 2:
            raise UserError(f"these words name only {folders[0]}; the best of several needs at least two")
        oracle(folders, given["profile"], Path(given["to"]) if given["to"] else out / "oracle")
    except UserError as error:
        return cli.fail(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
