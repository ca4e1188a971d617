"""What kills, full disks and several processes at once do to a sweep: nothing that the same command does not mend.

    python -m scripts.chaos [sections=[kills,kills16,batches,processes,full,readers]] [pictures=500] [kills=100]
                            [seed=0] [to=results/reliability]

kills      a sweep killed with -9 at random moments of editing, scoring and reporting, then resumed; batches of 1
kills16    the same in batches of 16, with a quarter of the kills
batches    shards of 1, 3 and 8 by batches of 1, 3, 8 and 16 against batches of 1
processes  two commands on one run, two shards, two scorings and two reports at the same time
full       a file system that fills up in the middle (a small tmpfs; needs to mount one)
readers    commands that read stored runs, killed

Uses the embedded model with few steps. Writes `chaos.md` and `.csv` to `to`; the exit status is 1 where something is
not as expected. Set OMP_NUM_THREADS=1.
"""

import json
import random
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import pandas as pd

from bench import run
from bench.config import cli, options
from bench.edits.environment import environment
from bench.errors import UserError, nearest
from bench.report import write
from bench.report.__main__ import main as report
from bench.report.write import Table
from scripts.chaos.crowds import batches, processes, readers
from scripts.chaos.disks import full
from scripts.chaos.kills import kills, kills16
from scripts.chaos.session import Chaos

SECTIONS = {section.__name__: section for section in (kills, kills16, batches, processes, full, readers)}
OPTIONS = {"sections": [*SECTIONS], "pictures": 500, "kills": 100, "seed": 0, "to": "results/reliability"}


def warm(work: Path) -> None:
    """Imports what the commands will, on samples that no section has."""
    words = ["model=shapes", "method=diffedit", "steps=4", "method.n=2", "device=cpu"]
    run.main([f"out={work / 'warm'}", "data=shapes", "data.count=2", "data.seed=1", *words])
    report([f"out={work / 'warm'}"])


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    words = sys.argv[1:] if argv is None else argv
    try:
        given = options.parse(words, OPTIONS)
        chosen = given["sections"] if isinstance(given["sections"], list) else [given["sections"]]
        if unknown := [name for name in chosen if name not in SECTIONS]:
            raise UserError(f"unknown section {unknown[0]!r}; {nearest(str(unknown[0]), list(SECTIONS))}")
        for name in ("pictures", "kills"):
            if type(given[name]) is not int or given[name] < 2:
                raise UserError(f"{name}={given[name]}, expected a whole number from 2")
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="chaos-") as work:
            chaos = Chaos(Path(work), given["pictures"], given["kills"], random.Random(given["seed"]))
            print(f"seed={given['seed']} pictures={given['pictures']} kills={given['kills']}", flush=True)
            warm(chaos.work)
            for name in chosen:
                SECTIONS[name](chaos)
        _write(chaos, Path(given["to"]), given, time.monotonic() - began)
    except UserError as error:
        return cli.fail(error)
    return int(any(row[""] != "ok" for row in chaos.rows))


def _write(chaos: Chaos, to: Path, given: dict, seconds: float) -> None:
    now = environment()
    commit = f"{now['commit'] or 'unknown'}{' with local changes' if now['dirty'] else ''}"
    command = " ".join(f"{name}={json.dumps(value)}" for name, value in given.items() if name != "to")
    failed = sum(row[""] != "ok" for row in chaos.rows)
    lead = [f"{date.today()}, commit {commit}", f"{now['machine']}; torch {now['packages']['torch']}"]
    lead += [f"`python -m scripts.chaos {command}`, {seconds / 60:.0f} minutes"]
    lead += [f"{len(chaos.rows) - failed} of {len(chaos.rows)} as expected"]
    table = pd.DataFrame(chaos.rows)
    print("\n".join(lead))
    files = [*write.save(Table(table, "Kills, full disks, several processes", lead), to / "chaos", ["md"])]
    files.append(write.csv(table.rename(columns={"": "verdict"}), to / "chaos"))
    print("\n".join(f"written: {file}" for file in files))


if __name__ == "__main__":
    sys.exit(main())
