"""What one job of a cluster does: its share of a command's edits, or, the last one, scores and tables. No torch before
there is something to edit."""

import io
import json
import logging
import os
import signal
import sys
import time
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import IO, Any

from bench.config.command import refusal
from bench.edits.run import Run
from bench.errors import UserError
from bench.files import hashing
from bench.files.lock import Busy
from bench.files.paths import ROOT
from bench.files.write import write
from bench.scores.complete import complete
from bench.scores.score import score

OUTCOME = "outcome.json"
"""In a job's folder, when it has ended by itself: its `problems`, and of the last job what it `said`."""
WEIGHTS = "evaluations.json"
"""Beside the jobs' folders: what an edit of each run costs, by the run's key."""
_CODE = ("bench", "conf", "methods", "metrics")


@dataclass(frozen=True)
class Wanted:
    """A run of a command, and whether the command makes its edits, and its scores."""

    run: Run
    edited: bool = True
    scored: bool = True


class Failed(Exception):
    """A job that could not do all of its work: its process ends with an exit status of 1, as SLURM shows it."""


@lru_cache(1)
def code() -> str:
    """Hash of the program as it lies there; a job that starts hours later must find the same."""
    files = (file for name in _CODE for ending in ("py", "yaml") for file in (ROOT / name).rglob(f"*.{ending}"))
    return hashing.sha256_of_files({str(file.relative_to(ROOT)): file for file in files})


@dataclass
class Task:
    """A job, as it is kept between submission and start.

    Attributes:
        command: module with `planned(words)`, what it wants, and `finished(words)`, which scores and writes tables of
            what is there and returns a sentence for each thing that went wrong.
        words: of the command.
        cwd: where it was typed.
        code: hash of the program then.
        shard: index and count; None for the last job.
        lacking: samples that some run lacked then: each task edits its share of them, so that all have as much to do.
        gpu: the card to use, as CUDA_VISIBLE_DEVICES names it; None: as it comes.
        after: processes to wait for.
    """

    command: str
    words: list[str]
    cwd: str
    code: str
    shard: tuple[int, int] | None
    lacking: tuple[str, ...] = ()
    gpu: str | None = None
    after: tuple[int, ...] = ()

    def __call__(self) -> None:
        """Works, and leaves an outcome.

        Raises:
            Failed: a sentence for each thing that went wrong.
        """
        _end_at_once()
        if self.gpu is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = self.gpu
        os.chdir(self.cwd)
        while any(map(lives, self.after)):
            time.sleep(1)
        from submitit import JobEnvironment

        tee = _Tee(sys.stdout)
        logging.basicConfig(stream=sys.stdout, format="%(message)s")
        logging.getLogger("bench").setLevel(logging.INFO)
        with redirect_stdout(tee):
            try:
                if self.code != code():
                    raise UserError("the program was changed since this job was submitted; give the command again")
                problems = self._finish() if self.shard is None else self._share(*self.shard)
            except UserError as error:
                problems = [str(error)]
            except OSError as error:
                problems = [str(refusal(error))]
        signal.signal(JobEnvironment._usr_sig(), signal.SIG_IGN)  # that the time is up comes too late
        hashing.remember()
        outcome = {"problems": problems, "said": tee.getvalue() if self.shard is None else ""}
        write(JobEnvironment().paths.folder / OUTCOME, json.dumps(outcome))
        if problems:
            raise Failed("; ".join(problems))

    def checkpoint(self) -> Any:
        """For submitit, before a time limit or when it is pre-empted: the same again, which goes on."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    def _finish(self) -> list[str]:
        return import_module(self.command).finished(self.words)

    def _share(self, index: int, count: int) -> list[str]:
        wanted = import_module(self.command).planned([*self.words, f"shard.index={index}", f"shard.count={count}"])
        own, edited = frozenset(self.lacking[index::count]), [one.run for one in wanted if one.edited]
        for run in edited:
            run.own = own
        print(f"task {index} of {count}: {_pending(edited)} edits to make", flush=True)
        if index == 0:
            _weigh(edited)
        problems = []
        for done in complete(edited, scored=False, tried=[one.run for one in wanted if one.scored]):
            problems += [done.stopped] if done.stopped else []
        # What is whole is scored by whoever comes first: each begins elsewhere.
        first = index * len(wanted) // count
        for one in wanted[first:] + wanted[:first]:
            if one.scored and not (one.edited and _lacks(one.run)):
                try:
                    score(one.run, wait=False)
                    print(f"scored: {one.run.folder}", flush=True)
                except Busy:
                    continue
                except UserError as error:
                    problems.append(str(error))
        return list(dict.fromkeys(problems))


def _weigh(runs: list[Run]) -> None:
    """Tells the front end, which loads no torch, how many evaluations an edit of each run is."""
    from submitit import JobEnvironment

    from bench.reproduce.cost import counting

    file, costs = JobEnvironment().paths.folder.parent / WEIGHTS, {}
    for of_plan in [list(group) for _, group in groupby(runs, lambda run: id(run.data))]:
        first = of_plan[0].cfg
        if "model" not in first["method"]["uses"]:
            costs |= dict.fromkeys((run.key for run in of_plan), 0)
            continue
        with suppress(Exception):  # a method of the user's own may fail in any way; its journal says what it costs
            counted = counting.count([run.cfg["method"] for run in of_plan], counting.geometry_of(first))
            costs |= {run.key: cost.spent + cost.updates for run, cost in zip(of_plan, counted, strict=True)}
    known = json.loads(file.read_text()) if file.exists() else {}
    write(file, json.dumps(known | costs))


def _pending(runs: list[Run]) -> int:
    return sum(len(run.pending()) for run in {run.key: run for run in runs}.values())


def _lacks(run: Run) -> bool:
    return bool(set(run.ids) - run.store.journal().keys())


def lives(pid: int) -> bool:
    """Whether a process of this machine is there, and not only its exit status."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _end_at_once() -> None:
    """Has what submitit does at a signal (to queue the job again, and exit) end the process there and then: an exit
    that is raised goes through the code of methods and waits for threads. What is half done is as after any kill."""
    from submitit.core.job_environment import JobEnvironment

    pid = os.getpid()

    def ending(handler):
        def handle(number, frame):
            if os.getpid() != pid:  # a child that some method has started
                os._exit(1)
            try:
                handler(number, frame)
            except BaseException as end:
                sys.stdout.flush()
                print(f"{type(end).__name__}: {end}", file=sys.stderr, flush=True)
                os._exit(end.code if isinstance(end, SystemExit) and isinstance(end.code, int) else 1)

        return handle

    number = JobEnvironment._usr_sig()
    if callable(handler := signal.getsignal(number)):
        signal.signal(number, ending(handler))
    if "SUBMITIT_LOCAL_JOB_ID" in os.environ:  # SLURM sends this one before it kills; here it is the user's kill
        signal.signal(signal.SIGTERM, lambda number, frame: os._exit(128 + number))


class _Tee(io.StringIO):
    """Keeps what is printed, too."""

    def __init__(self, stream: IO[str]):
        super().__init__()
        self.stream = stream

    def write(self, text: str) -> int:
        self.stream.write(text)
        return super().write(text)

    def flush(self) -> None:
        self.stream.flush()
