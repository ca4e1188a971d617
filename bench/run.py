"""Edits and scores what a configuration, or a sweep (-m) of configurations, asks for; what is there
already is not made again.

    python -m bench.run method=diffedit data=imagenet -m r=0.3,0.5,0.7,0.9
    python -m bench.run method=diffedit data=pie 'r=[0.3,0.5]' --cfg job     # only shows all knobs
"""

import shlex
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from bench.config import cli, knobs, words
from bench.config.command import command, refusal
from bench.edits import identity
from bench.edits.plan import plan
from bench.errors import UserError
from bench.files import hashing
from bench.files.write import make_folder, write
from bench.report.words import headline
from bench.scores.complete import complete

OPTIONS = knobs.options


def execute(cfg: DictConfig) -> None:
    """Runs one job; complete runs cost nothing, and torch is not even imported for them.

    Raises:
        UserError: something that the user has to mend, or samples that failed.
    """
    failed = []
    for done in complete(plan(cfg)):
        failed += done.failures
        if not done.stopped:
            print(done, headline(done.scores), flush=True)
    hashing.remember()
    if failed:
        raise UserError("\n".join(dict.fromkeys(failed)))


@command
def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    try:
        argv = cli.as_hydra_reads(sys.argv[1:] if argv is None else argv)
        if not any(word.startswith("-") and word not in ("-m", "--multirun") for word in argv):
            jobs = cli.jobs(argv)
            for cfg in jobs:  # every job of a sweep is checked before the first one starts
                plan(cfg)
            for out in {cfg.out for cfg in jobs}:
                _tell_earlier(Path(out))
                notes = make_folder(Path(out) / ".hydra") / "multirun.yaml"
                if "-m" in argv or "--multirun" in argv:
                    write(notes, "\n" * 2**16)  # room for Hydra's own, who shows a stack trace where there is none
    except UserError as error:
        return cli.fail(error)
    _failed.clear()
    status = cli.launch(_job, argv)
    if "-m" in argv or "--multirun" in argv:
        places = [word.partition("=")[2] for word in argv if word.lstrip("+").startswith("out=")]
        out = " " + shlex.quote(f"out={words.path(places[-1], 'out=')}") if places else ""
        print(f"\ntable, trade-off plot and contact sheet: python -m bench.report{out}")
    return status or (1 if _failed else 0)


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
        execute(cfg)
    except (UserError, OSError) as refused:
        error = refused if isinstance(refused, UserError) else refusal(refused)
        launcher = HydraConfig.get().launcher._target_
        if HydraConfig.get().mode == RunMode.MULTIRUN and not launcher.endswith("BasicLauncher"):
            raise error from refused  # in another process, where nobody reads the list
        _failed.append(error)
        cli.fail(error)


if __name__ == "__main__":
    sys.exit(main())
