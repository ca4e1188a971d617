"""Edits and scores what a configuration, or a sweep (-m) of them, asks for and is not there yet.
hydra/launcher=slurm or gpus with workers= spreads the samples (docs/cluster.md).

    python -m bench.run method=diffedit data=imagenet -m r=0.3,0.5,0.7,0.9
    python -m bench.run method=diffedit data=pie 'r=[0.3,0.5]' --cfg job     # only shows all knobs
"""

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from bench.cluster import front as cluster
from bench.cluster import launcher
from bench.cluster.task import Wanted
from bench.config import cli, knobs, ranks, words
from bench.config.command import command, refusal
from bench.edits import identity
from bench.edits.plan import plan
from bench.errors import UserError
from bench.files import hashing
from bench.files.write import make_folder, write
from bench.report.words import headline
from bench.scores.complete import Completed, complete, left, shown, unsettled

OPTIONS = knobs.options
HYDRA = ("--cfg", "-c", "--info", "-i", "--package", "-p", "--resolve", "--hydra-help", "--version", "--config-dir")
"""Flags of Hydra's own that show something."""


class SamplesFailed(UserError):
    """Samples that failed, in runs that nothing stopped."""


def execute(cfg: DictConfig, patient: bool = False) -> None:
    """Runs one job; complete runs cost nothing, and torch is not even imported for them.

    Args:
        patient: waits for other processes that make the same runs.

    Raises:
        UserError: something that the user has to mend.
        SamplesFailed: samples that failed.
    """
    failed, stopped = _told(complete(plan(cfg), patient=patient))
    hashing.remember()
    if failed:
        raise (UserError if stopped else SamplesFailed)("\n".join(failed))


def _told(all_done: Iterable[Completed]) -> tuple[list[str], bool]:
    """Prints how far runs are; what went wrong, and whether that stopped one."""
    failed, stopped = [], False
    for done in all_done:
        failed += done.failures
        stopped |= bool(done.stopped)
        if not done.stopped:
            print(done, headline(done.scores), flush=True)
    return list(dict.fromkeys(failed)), stopped


def planned(words: list[str]) -> list[Wanted]:
    """The runs that words mean, for tasks of a cluster."""
    runs = {run.key: run for cfg in cli.jobs(words) for run in plan(cfg)}
    return list(map(Wanted, runs.values()))


def finished(words: list[str]) -> list[str]:
    """Scores what tasks have left, and says how far the runs are; returns what went wrong."""
    failed, _ = _told(complete([one.run for one in planned(words)], edited=False))
    if not failed and cli.sweeps(words):
        print(_hint(words))
    return failed


@command
def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    runs, basic = [], True
    try:
        typed = cluster.launched("bench.run", sys.argv[1:] if argv is None else argv, planned)
        if isinstance(typed, int):
            return typed
        argv = cli.as_hydra_reads(ranks.shared(typed))
        cli.check_flags(argv, (*cli.FLAGS, *HYDRA))
        basic = launcher.is_basic(argv)
        if not any(word.startswith("-") and word not in cli.FLAGS for word in argv):
            jobs = cli.jobs(argv)
            runs = [run for cfg in jobs for run in plan(cfg)]  # every job of a sweep is checked before the first starts
            for out in {cfg.out for cfg in jobs}:
                _tell_earlier(Path(out))
                notes = make_folder(Path(out) / ".hydra") / "multirun.yaml"
                if cli.sweeps(argv):
                    write(notes, "\n" * 2**16)  # room for Hydra's own, who shows a stack trace where there is none
    except UserError as error:
        return cli.fail(error)
    _failed.clear()
    with shown(lambda: runs):
        status = cli.launch(_job, argv)
    failed = bool(_failed)
    if not basic:  # whose processes' errors nobody reads: the runs say how they are
        failed = _tell(left(runs))
    elif ranks.own(typed):  # one that fails has the others killed, who are still at work
        failed = not all(isinstance(error, SamplesFailed) for error in _failed)
        failed |= not unsettled(runs) and _tell(left(runs))
    if not status and cli.sweeps(argv):
        print(_hint(argv))
    return status or int(failed)


def _tell(problems: list[str]) -> bool:
    if problems:
        cli.fail(UserError("\n".join(problems)))
    return bool(problems)


def _hint(argv: list[str]) -> str:
    places = [word.partition("=")[2] for word in argv if word.lstrip("+").startswith("out=")]
    out = " " + shlex.quote(f"out={words.path(places[-1], 'out=')}") if places else ""
    return f"\ntable, trade-off plot and contact sheet: python -m bench.report{out}"


def _tell_earlier(out: Path) -> None:
    if folders := identity.earlier(out):
        named = ", ".join(str(folder.relative_to(out)) for folder in folders[:3])
        more = f" and {len(folders) - 3} more" if len(folders) > 3 else ""
        runs, are = ("run", "is") if len(folders) == 1 else ("runs", "are")
        print(f"{len(folders)} {runs} of an earlier identity {are} left aside: {named}{more}", flush=True)


_failed: list[UserError] = []


@hydra.main(version_base="1.3", config_path=str(cli.CONF), config_name="config")
def _job(cfg: DictConfig) -> None:
    try:
        execute(cfg, patient=not HydraConfig.get().launcher._target_.endswith("BasicLauncher"))
    except (UserError, OSError) as refused:
        error = refused if isinstance(refused, UserError) else refusal(refused)
        _failed.append(error)
        cli.fail(error)


if __name__ == "__main__":
    sys.exit(main())
