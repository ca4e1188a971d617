"""Scores saved PNGs, of a run or of a folder that somebody else's code made. Never loads the diffusion model.

    python -m bench.score run=results/runs/shapes/copy/all-0123456789 metrics=pixel
    python -m bench.score 'run=ddim/*,edict/*' data=pie metrics.columns=[psnr,ssim] device=cpu
    python -m bench.score run=my_edits data=pie

Pictures that are no run are named by their sample's id, and take every knob of `python -m bench.run --help`;
`hydra/launcher=slurm` or `gpus` scores runs in several processes (docs/cluster.md).
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from bench.cluster import front as cluster
from bench.cluster.task import Wanted
from bench.config import cli, options
from bench.config.command import command
from bench.config.options import Option
from bench.config.words import of_shards
from bench.errors import UserError
from bench.files import hashing
from bench.report.words import headline
from bench.scores import rescore, selection
from bench.scores.complete import Completed, complete, passed, shown
from bench.scores.score import score
from bench.scores.selection import Selection

OPTIONS = {
    **selection.OPTIONS,
    **selection.OUT,
    "metrics": Option(None, "profile; null: the run's, or that of the data"),
    "metrics.columns": Option(None, "only these of its columns, a list"),
    "device": Option("auto", "auto, cpu or cuda"),
    "limit": Option(None, "only the first so many samples"),
}
OWN = selection.OPTIONS | selection.OUT


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
    """What the words name, for tasks of a cluster: the pictures are there, or are taken over."""
    share = of_shards(typed)
    folders, words = _asked([word for word in typed if word not in share])
    return [_wanted(folder, words, share) for folder in folders]


def finished(typed: list[str]) -> list[str]:
    """Scores what is not scored yet, and says it; returns what went wrong."""
    failures: list[str] = []
    wanted: list[Wanted] = []
    folders, words = _asked(typed)
    for folder in folders:
        try:
            wanted.append(_wanted(folder, words))
        except UserError as error:  # of one run; the others are scored
            failures.append(str(error))
    with shown(lambda: [one.run for one in wanted]):
        for one in wanted:
            try:
                failures += _score(one)
            except UserError as error:
                failures.append(str(error))
            passed(one.run)
    hashing.remember()
    return list(dict.fromkeys(failures))


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


def _wanted(folder: Path, words: list[str], share: Sequence[str] = ()) -> Wanted:
    """A run, which is scored whole, or pictures, of which a shard is taken over."""
    (run,) = rescore.runs(folder, words if selection.is_run(folder) else [*words, *share])
    return Wanted(run, edited=bool(run.results))


def _score(wanted: Wanted) -> list[str]:
    """Scores a run, or pictures; what went wrong."""
    if wanted.edited:
        (done,) = complete([wanted.run])
    else:
        done = Completed(wanted.run)
        done.take(score(wanted.run))
    if not done.stopped:
        print(done, headline(done.scores), flush=True)
    return done.failures


if __name__ == "__main__":
    sys.exit(main())
