"""A command spread over tasks: what it wants is planned here, where everything is checked, and nothing computed. No
torch."""

import os
import shlex
from collections.abc import Callable
from pathlib import Path

from bench.cluster import launcher as launchers
from bench.cluster import record as records
from bench.cluster.engines import ENGINES
from bench.cluster.launcher import Launcher
from bench.cluster.progress import Progress
from bench.cluster.record import Record
from bench.cluster.task import WEIGHTS, Task, Wanted, code
from bench.cluster.watch import going_on, watch
from bench.diffusion.memory import AUTO
from bench.edits.run import Run
from bench.errors import UserError
from bench.files import hashing
from bench.files.lock import lock
from bench.files.write import make_folder
from bench.scores.score import is_scored


def launched(
    command: str,
    argv: list[str],
    planned: Callable[[list[str]], list[Wanted]],
    heavy: Callable[[list[str]], bool] = lambda words: False,
) -> int | list[str]:
    """Spreads a command as its words ask for.

    Args:
        command: the module that the tasks run, which has `planned` and `finished` (see `bench.cluster.task.Task`).
        planned: what words want; those of launching are not among them.
        heavy: whether, with these words, the last job needs a GPU for more than scoring.

    Returns:
        its exit status; or the words to go on with here, where no cluster is asked for, or nothing is left to do.

    Raises:
        UserError: what is wrong with the words, or with what they want, or with the cluster.
    """
    if (launcher := launchers.chosen(argv)) is None:
        return argv
    wanted = planned(launcher.words)
    hashing.remember()
    open_ = [one for one in wanted if not _is_done(one)]
    if not open_:
        return launcher.words
    folder = make_folder(Path(wanted[0].run.cfg["out"]).resolve() / ".cluster")
    if "%" in str(folder):
        raise UserError(f"out={folder.parent}: SLURM reads a % in a path otherwise; choose another out=")
    with lock(folder / ".lock", wait=True):
        living = records.living(folder)
        if own := [record for record in living if _is_same(record, command, launcher)]:
            record, said = own[0], going_on(own[0])
        else:
            keys, pending = list(dict.fromkeys(one.run.key for one in open_)), _pending(open_)
            _refuse_shared(keys, living)
            ids = _submit(command, launcher, open_, pending, folder, heavy(launcher.words))
            record = Record(command, launcher.words, launcher.engine, ids, keys, str(folder))
            records.save(record, folder)
            said = f"{_named(record)}; logs: {folder}{_advice(launcher.workers, pending)}"
    print(said, flush=True)
    if not launcher.wait:
        return 0
    return watch(record, Progress([one.run for one in wanted if one.edited], folder / WEIGHTS))


def _is_done(one: Wanted) -> bool:
    return is_scored(one.run) if one.scored else not (one.edited and one.run.pending())


def _is_same(record: Record, command: str, launcher: Launcher) -> bool:
    return (record.command, record.words) == (command, launcher.words)


def _refuse_shared(keys: list[str], living: list[Record]) -> None:
    """Raises UserError where other jobs are about some of these runs."""
    for other in living:
        if shared := len(set(keys) & set(other.keys)):
            raise UserError(
                f"{shared} of these runs are being made by {_named(other)}, submitted by: {_typed(other)}; wait for "
                f"them, or stop them with {other.stops}"
            )


Pending = list[tuple[Run, list[str]]]
"""Runs, and the samples that each lacks."""


def _submit(
    command: str, launcher: Launcher, wanted: list[Wanted], pending: Pending, folder: Path, heavy: bool
) -> list[str]:
    """Starts the tasks and the last job for what is not done; returns their ids."""
    facts = {"words": launcher.words, "cwd": os.getcwd(), "code": code()}
    lacking = tuple(dict.fromkeys(id_ for _, ids in pending for id_ in ids))
    count = launcher.workers if lacking else min(launcher.workers, len(wanted))  # to score alone, one for a run
    tasks = [Task(command, shard=(i, count), lacking=lacking, **facts) for i in range(count)]
    networks = heavy or any(one.run.cfg["metrics"].get("weights") for one in wanted if one.scored)
    light = not networks or all(one.run.cfg["device"] == "cpu" for one in wanted)
    last = Task(command, shard=None, **facts)
    return ENGINES[launcher.engine].submit(tasks, last, folder / "%j", launcher, light)


def _pending(wanted: list[Wanted]) -> Pending:
    return [(one.run, one.run.pending()) for one in wanted if one.edited]


def _advice(workers: int, pending: Pending) -> str:
    """What to know where a run lacks fewer batches than there are workers; with `auto` nobody knows yet."""
    at_once = [(len(ids), run.cfg["batch_size"]) for run, ids in pending]
    batches = max((-(-count // most) for count, most in at_once if most != AUTO), default=0)
    if not 0 < batches < workers:
        return ""
    few = "one batch" if batches == 1 else f"{batches} batches"
    return f"; a run lacks {few} at most, which {workers} workers share: their batches are smaller"


def _named(record: Record) -> str:
    return f"{len(record.ids) - 1} tasks and a last job ({', '.join(record.jobs)})"


def _typed(record: Record) -> str:
    return shlex.join(["python", "-m", record.command.removesuffix(".__main__"), *record.words])
