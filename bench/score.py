"""Saved PNGs to scores. Never loads the diffusion model.

python -m bench.score run=<run folder> [metrics=<profile>] [metrics.<knob>=...] [device=cpu] [limit=100]
python -m bench.score run=<folder of pictures> data=<name> [metrics=<profile>] [out=results/runs]
"""

import sys
from pathlib import Path

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
    argv = sys.argv[1:] if argv is None else argv
    places = [word.removeprefix("run=") for word in argv if word.startswith("run=")]
    try:
        if len(places) != 1 or not places[0]:
            raise UserError("expected run=<folder> once: a run, or a folder of edited pictures with data=<name>")
        folder = Path(words.path(places[0], "run="))
        (run,) = rescore.runs(folder, [word for word in argv if not word.startswith("run=")])
        if run.results:
            (done,) = complete([run])
        else:
            done = Completed(run)
            done.take(score(run))
        hashing.remember()
        if not done.stopped:
            print(done, headline(done.scores))
        if done.failures:
            raise UserError("\n".join(done.failures))
    except UserError as error:
        return cli.fail(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
