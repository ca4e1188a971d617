"""What this project publishes of the embedded world: `results/{tables,figures,scores}`, claims, and how they were made.

    python -m scripts.publish [--out results/runs] [--to results]

Runs what is missing under `--out` (1 h 48 min on two cores the first time), then writes tables and figures of
every `shapes` item, the claims, the scores of every image behind them, and the metrics of whole sets over the first 16
images of each run, which a test makes anew.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import pandas as pd

from bench.claims.write import write_all
from bench.edits.environment import environment
from bench.edits.folder import Store
from bench.errors import UserError
from bench.files import hashing
from bench.files.write import write
from bench.report.tables import collect
from bench.report.write import csv
from bench.reproduce.__main__ import main as reproduce
from bench.scores import rescore
from bench.scores.score import score
from bench.scores.selection import Selection

FIRST = 16
DATA = "shapes"


def scores(table: pd.DataFrame, to: Path) -> list[dict]:
    """Writes the scores of every image of each run to `<to>/<method>/<slug>-<key>.csv`.

    Returns:
        metrics of whole sets over the first images of each run.
    """
    firsts = []
    for run in table.scored:
        folder, images = run.folder, run.table.drop(columns=["seconds"])  # of one machine on one day
        csv(images, to / folder.parent.name / folder.name, index=True, float_format="%.7g")
        firsts += [{"run": f"{folder.parent.name}/{folder.name}"} | fact for fact in _first(folder)]
    return firsts


def _first(folder: Path) -> list[dict]:
    facts = score(rescore.finished(folder, [f"limit={FIRST}"])).summary.metrics.values()
    return [{"metric": fact.name, "value": fact.value} for fact in facts if fact.kind == "set"]


def provenance(table: pd.DataFrame) -> dict:
    """This program's commit, versions and machine, and the commits that made the pictures of each run."""
    commits: dict[str, list[str]] = {}
    for folder in map(Path, table.folder):
        for entry in Store(folder).environments():
            name = (entry["commit"] or "unknown") + (" with local changes" if entry["dirty"] else "")
            commits.setdefault(name, []).append(f"{folder.parent.name}/{folder.name}")
    return {"command": "python -m scripts.publish", "scored by": environment(), "pictures made by": commits}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("results/runs"))
    parser.add_argument("--to", type=Path, default=Path("results"))
    args = parser.parse_args(argv)
    for name in ("tables", "figures", "scores"):
        shutil.rmtree(args.to / name / DATA, ignore_errors=True)
    if status := reproduce([DATA, f"out={args.out}", f"to={args.to}", "rescore=true"]):
        return status
    print(write_all(args.out, Selection(data=(DATA,)), args.to)[0])
    table = collect(args.out)
    table = table[table.data == DATA].drop_duplicates("folder")
    first = pd.DataFrame(scores(table, args.to / "scores" / DATA))
    csv(first, args.to / "scores" / DATA / f"sets-of-first-{FIRST}", float_format="%.7g")
    write(args.to / "made.json", json.dumps(provenance(table), indent=1) + "\n")
    hashing.remember()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        sys.exit(f"error: {error}")
