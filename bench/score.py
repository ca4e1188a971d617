"""Scores saved PNGs, of a run or of a folder that somebody else's code made. Never loads the diffusion model.

    python -m bench.score run=results/runs/shapes/copy/all-0123456789 metrics=pixel
    python -m bench.score run=my_edits data=pie metrics.columns=[psnr,ssim] device=cpu

Pictures that are no run are named by their sample's id, and take every knob of `python -m bench.run --help`.
"""

import sys
from pathlib import Path

from bench.config import cli, words
from bench.config.command import command
from bench.config.options import Option
from bench.errors import UserError
from bench.files import hashing
from bench.report.words import headline
from bench.scores import rescore
from bench.scores.complete import Completed, complete
from bench.scores.score import score

OPTIONS = {
    "run": Option(None, "folder of a run, or of edited pictures with data=<name> (needed)"),
    "metrics": Option(None, "profile; null: the run's, or that of the data"),
    "metrics.columns": Option(None, "only these of its columns, a list"),
    "device": Option("auto", "auto, cpu or cuda"),
    "limit": Option(None, "only the first so many samples"),
}


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
