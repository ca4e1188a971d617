"""Saved PNGs to scores. Never loads the diffusion model.

python -m bench.score run=<run folder> [metrics=<profile>] [metrics.<knob>=...] [device=cpu] [limit=100]
python -m bench.score run=<folder of pictures> data=<name> [metrics=<profile>] [out=results/runs]
"""

import sys
from pathlib import Path

from bench.cluster import front as cluster
from bench.cluster.task import Wanted
from bench.config import cli, words
from bench.config.command import command
from bench.errors import UserError
from bench.files import hashing
from bench.report.words import headline
from bench.scores import rescore
from bench.scores.complete import Completed, complete
from bench.scores.score import score


@command
def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    try:
        typed = cluster.launched("bench.score", sys.argv[1:] if argv is None else argv, planned)
        if isinstance(typed, int):
            return typed
        if failed := finished(typed):
            raise UserError("\n".join(failed))
    except UserError as error:
        return cli.fail(error)
    return 0


def planned(typed: list[str]) -> list[Wanted]:
    """What the words name, for tasks of a cluster: its pictures are there, or are taken over."""
    typed = [word for word in typed if not word.startswith("shard.")]  # one task scores all of it
    places = [word.removeprefix("run=") for word in typed if word.startswith("run=")]
    if len(places) != 1 or not places[0]:
        raise UserError("expected run=<folder> once: a run, or a folder of edited pictures with data=<name>")
    folder = Path(words.path(places[0], "run="))
    (run,) = rescore.runs(folder, [word for word in typed if not word.startswith("run=")])
    return [Wanted(run, edited=bool(run.results))]


def finished(typed: list[str]) -> list[str]:
    """Scores what is not scored yet, and says it; returns what went wrong."""
    (wanted,) = planned(typed)
    if wanted.edited:
        (done,) = complete([wanted.run])
    else:
        done = Completed(wanted.run)
        done.take(score(wanted.run))
    hashing.remember()
    if not done.stopped:
        print(done, headline(done.scores))
    return done.failures


if __name__ == "__main__":
    sys.exit(main())
