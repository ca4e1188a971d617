"""Scores saved PNGs, of a run or of a folder that somebody else's code made. Never loads the diffusion model.

    python -m bench.score run=results/runs/shapes/copy/all-0123456789 metrics=pixel
    python -m bench.score 'run=ddim/*,edict/*' data=pie metrics.columns=[psnr,ssim] device=cpu
    python -m bench.score run=my_edits data=pie

Pictures that are no run are named by their sample's id, and take every knob of `python -m bench.run --help`.
"""

import sys
from pathlib import Path

from bench.config import cli, options
from bench.config.command import command
from bench.config.options import Option
from bench.errors import UserError
from bench.files import hashing
from bench.report.words import headline
from bench.scores import rescore, selection
from bench.scores.complete import Completed, complete
from bench.scores.score import score
from bench.scores.selection import Selection

OPTIONS = {
    **selection.OPTIONS,
    "out": Option("results/runs", "folder of the runs that are named by data=, method= or a pattern"),
    "metrics": Option(None, "profile; null: the run's, or that of the data"),
    "metrics.columns": Option(None, "only these of its columns, a list"),
    "device": Option("auto", "auto, cpu or cuda"),
    "limit": Option(None, "only the first so many samples"),
}
OWN = {name: OPTIONS[name] for name in (*selection.OPTIONS, "out")}


@command
def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    failures: list[str] = []
    try:
        folders, words = _asked(sys.argv[1:] if argv is None else argv)
        for folder in folders:
            try:
                failures += _score(folder, words)
            except UserError as error:  # of one run; the others are scored
                failures.append(str(error))
        hashing.remember()
    except UserError as error:
        return cli.fail(error)
    return cli.fail(UserError("\n".join(dict.fromkeys(failures)))) if failures else 0


def _asked(argv: list[str]) -> tuple[list[Path], list[str]]:
    """Folders to score, and the words for them."""
    given = options.parse([word for word in argv if word.partition("=")[0] in OWN], OWN)
    if not any(given[name] for name in selection.OPTIONS):
        raise UserError("expected run=<folder or pattern>: runs, or a folder of edited pictures with data=<name>")
    places = [Path(run) for run in given["run"] or ()]
    if len(places) == 1 and places[0].is_dir() and not selection.runs_in(places[0]):
        return places, [word for word in argv if not word.startswith("run=")]
    words = [word for word in argv if word.partition("=")[0] not in OWN]
    return selection.named(Path(given["out"]), Selection.of(given)), words


def _score(folder: Path, words: list[str]) -> list[str]:
    """Scores a run, or pictures; what went wrong."""
    (run,) = rescore.runs(folder, words)
    if run.results:
        (done,) = complete([run])
    else:
        done = Completed(run)
        done.take(score(run))
    if not done.stopped:
        print(done, headline(done.scores), flush=True)
    return done.failures


if __name__ == "__main__":
    sys.exit(main())
