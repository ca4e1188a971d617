"""Where jobs go: SLURM, or processes of this machine. Submitted by submitit; how they are is asked without it, so that
any later command can."""

import io
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from bench.cluster.launcher import Launcher
from bench.cluster.task import Task, lives
from bench.errors import UserError

_COMMON = ("timeout_min", "cpus_per_task", "gpus_per_node", "tasks_per_node", "mem_gb", "nodes", "stderr_to_stdout")
"""Settings that submitit takes by these names for any engine."""
_GPUS = ("gpus_per_node", "gpus_per_task", "gres", "cpus_per_gpu", "mem_per_gpu")
_INSTEAD = ("_target_", "submitit_folder", "name", "max_num_timeout")
_AT_WORK = ("RUNNING", "SUSPENDED", "COMPLETING", "CONFIGURING", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING")
_QUEUED = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT")


class State(NamedTuple):
    """How a job is: whether it lives, in a word, and why it waits, if it says so."""

    lives: bool
    word: str
    reason: str = ""


class Engine(Protocol):
    """Somewhere jobs can run."""

    stop: str
    """The command that stops jobs, before their ids."""

    def submit(self, tasks: list[Task], last: Task, folder: Path, launcher: Launcher, light: bool) -> list[str]:
        """Starts tasks, and the last job once they are over, however they ended.

        Args:
            folder: with `%j` for a job's id.
            light: whether the last job needs no GPU.

        Returns:
            the ids of the tasks, and the last one's.

        Raises:
            UserError: they are not accepted.
        """

    def states(self, ids: Sequence[str]) -> dict[str, State]:
        """How jobs are that this engine knows of."""

    def shown(self, launcher: Launcher) -> str:
        """What would be submitted, in lines."""


class Slurm:
    """An array of tasks and a job that depends on it."""

    stop = "scancel"

    def submit(self, tasks: list[Task], last: Task, folder: Path, launcher: Launcher, light: bool) -> list[str]:
        """As `Engine`."""
        executor = self.executor(folder, launcher.settings)
        with _refused():
            jobs = [job.job_id for job in executor.submit_array(tasks)]
        (array,) = whole(jobs)
        try:
            settings = launcher.settings | dict.fromkeys(_GPUS) if light else launcher.settings
            executor = self.executor(folder, settings, {"slurm_dependency": f"afterany:{array}"})
            with _refused():
                return [*jobs, executor.submit(last).job_id]
        except BaseException:
            subprocess.run(["scancel", array], check=False)
            raise

    def executor(self, folder: Path, settings: dict[str, Any], other: dict[str, Any] | None = None):
        """submitit's, with a launcher's settings and some more.

        Raises:
            UserError: this is no cluster, or a setting makes no sense.
        """
        import submitit

        if shutil.which("srun") is None:
            raise UserError("hydra/launcher=slurm: there is no srun here; run it where jobs are submitted from")
        executor = submitit.AutoExecutor(folder, cluster="slurm", slurm_max_num_timeout=settings["max_num_timeout"])
        named = {key: value for key, value in settings.items() if key not in _INSTEAD and value is not None}
        if "signal_delay_s" in named and "timeout_min" in named:  # else a short job hears of its end as it starts
            named["signal_delay_s"] = min(named["signal_delay_s"], 15 * named["timeout_min"])
        known = {key if key in _COMMON else f"slurm_{key}": value for key, value in named.items()}
        try:
            executor.update_parameters(name="edit-bench", **known | (other or {}))
        except (ValueError, NameError, TypeError, AssertionError) as error:
            raise UserError(f"hydra.launcher: {str(error).splitlines()[0]}") from None
        return executor

    def shown(self, launcher: Launcher) -> str:
        """As `Engine`: the lines that sbatch reads."""
        script = self.executor(Path("%j"), launcher.settings)._executor._make_submission_file_text("", "")
        lines = [line for line in script.splitlines() if re.match(r"#SBATCH(?!.*(put|error)=)", line)]
        return "\n".join([*lines, f"#SBATCH --array=0-{launcher.workers - 1}", "and a last job: --dependency=afterany"])

    def states(self, ids: Sequence[str]) -> dict[str, State]:
        """As `Engine`; jobs that ended are known for some minutes."""
        asked = ",".join(whole(ids))
        listed = subprocess.run(
            ["squeue", "-h", "-r", "-t", "all", "-o", "%i|%T|%r", "-j", asked],
            capture_output=True,
            text=True,
            check=False,
        )
        if listed.returncode and "Invalid job id" not in listed.stderr:
            raise UserError(f"squeue does not answer: {_last_line(listed.stderr)}")
        found = {}
        for line in listed.stdout.splitlines():
            id_, word, reason = line.split("|", 2)
            found[id_] = State(
                word in _AT_WORK + _QUEUED, word, reason if word == "PENDING" and reason != "None" else ""
            )
        return {id_: found.get(id_, State(False, "gone")) for id_ in ids}


class Local:
    """A process for each worker, and one that waits for them."""

    stop = "kill"

    def submit(self, tasks: list[Task], last: Task, folder: Path, launcher: Launcher, light: bool) -> list[str]:
        """As `Engine`."""
        import submitit

        executor = submitit.AutoExecutor(folder, cluster="local")
        executor.update_parameters(timeout_min=launcher.settings["timeout_min"])
        ids: list[str] = []
        with _deaf():
            for task, gpu in zip(tasks, launcher.gpus, strict=False):
                task.gpu = gpu
                ids.append(executor.submit(task).job_id)
            last.after, last.gpu = tuple(map(int, ids)), launcher.gpus[0]
            return [*ids, executor.submit(last).job_id]

    def shown(self, launcher: Launcher) -> str:
        """As `Engine`."""
        return f"{launcher.workers} processes, on GPU {', '.join(launcher.gpus)}"

    def states(self, ids: Sequence[str]) -> dict[str, State]:
        """As `Engine`."""
        for id_ in ids:
            with suppress(ChildProcessError):
                os.waitpid(int(id_), os.WNOHANG)  # if it is this process's own
        return {id_: State(True, "RUNNING") if _is_ours(int(id_)) else State(False, "gone") for id_ in ids}


ENGINES: dict[str, Engine] = {"slurm": Slurm(), "gpus": Local()}


def whole(ids: Sequence[str]) -> list[str]:
    """Ids of jobs, those of an array's tasks as the array's."""
    return list(dict.fromkeys(id_.split("_")[0] for id_ in ids))


def _is_ours(pid: int) -> bool:
    """Whether a process lives, and is no other one that was given the same number later."""
    words = Path(f"/proc/{pid}/cmdline")
    return lives(pid) and (not words.exists() or b"submitit" in words.read_bytes())


@contextmanager
def _deaf() -> Iterator[None]:
    """What is started meanwhile does not hear Ctrl-C, nor that the terminal is closed."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _refused() -> Iterator[None]:
    """What sbatch says in a sentence."""
    from submitit.core.utils import FailedJobError

    try:
        with redirect_stderr(io.StringIO()):  # where submitit copies it to
            yield
    except FailedJobError as error:
        raise UserError(f"SLURM does not take the jobs: {_last_line(str(error))}") from None


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    said = [line for line in lines if "error:" in line]
    return (said or lines or ["no reason given"])[-1].split("error: ")[-1].strip()
