"""Runs to edits and scores: what is missing is made, what is whole is scored. Torch only where something is missing."""

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from bench.config import progress
from bench.config.progress import Count
from bench.edits.folder import Held
from bench.edits.run import Run
from bench.errors import UserError
from bench.files.hashing import sha256_of
from bench.scores.score import failures, is_scored, score
from bench.scores.stored import Scored, summary_file


@dataclass
class Completed:
    """What came of a run.

    Attributes:
        failures: a sentence for each thing that went wrong.
        stopped: the one of them for which the run is not edited, or not scored.
        waiting: samples that other shards have still to edit; the last shard to finish scores.
        scores: by the metric profile; None where the run was stopped, waits, or no scores were wanted.
    """

    run: Run
    failures: list[str] = field(default_factory=list)
    stopped: str | None = None
    waiting: int = 0
    scores: Scored | None = None

    def take(self, scores: Scored) -> None:
        """Its scores, and what they lack."""
        self.scores = scores
        self.failures += [str(scores.lost)] if scores.lost else []

    def __str__(self) -> str:
        """How far a run is that nothing stopped."""
        if self.scores is None:
            return f"{self.run.folder}: this shard is done, {self.waiting} samples wait for other shards"
        return f"{self.run.folder}: {self.scores.summary.n} of {self.scores.summary.n_expected} scored."


def complete(
    runs: list[Run],
    scored: bool = True,
    edited: bool = True,
    patient: bool = False,
    tried: Collection[Run] | None = None,
) -> Iterator[Completed]:
    """Edits what this shard of the runs lacks, then scores run after run, as far as no other shard has to add to it.
    A run that something stops costs the others nothing.

    Args:
        runs: of one plan, or of several one after the other; see `bench.edits.turns` for what is edited together.
        scored: whether scores are wanted, and not pictures alone.
        edited: whether edits may be made; otherwise those that lack are failures, and what is there is scored.
        patient: waits for other processes that are editing these runs, instead of saying so.
        tried: runs that must be such as can be scored here, or are not edited; None: all, if scores are wanted.

    Yields:
        what came of each run, in order.
    """
    with shown(lambda: runs):
        if tried is None:
            tried = runs if scored else ()
        stopped = _edit(runs, {run.key for run in tried}, patient) if edited else _not_begun(runs)
        for run in runs:
            done = Completed(run)
            try:
                if run.key in stopped:
                    raise stopped[run.key]
                journal = run.store.journal()
                done.failures += failures(run, journal)
                done.waiting = len(set(run.ids) - journal.keys())
                if done.waiting and not edited:
                    done.failures.append(_lacking(run, done.waiting))
                    done.waiting = 0
                if scored and not done.waiting:
                    done.take(score(run))
            except UserError as why:
                done.stopped = str(why)
                done.failures.append(done.stopped)
            passed(run)
            yield done


def shown(runs: Callable[[], list[Run]], scored: Callable[[], list[Run]] | None = None) -> AbstractContextManager[None]:
    """One line on the terminal for the edits of a command and one for its scores, as long as this lasts.

    Args:
        runs: all of the command, asked for when there is something to show.
        scored: those of them that are scored; None: all.
    """
    return progress.whole(
        editing=lambda: {str(run.folder): _edited(run) for run in runs()},
        scoring=lambda: {_scores_of(run): _scored(run) for run in (scored or runs)()},
    )


def passed(run: Run) -> None:
    """Whatever a run still lacks, the lines do not wait for it."""
    progress.passed("editing", str(run.folder))
    progress.passed("scoring", _scores_of(run))


def _edited(run: Run) -> Count:
    left = len(run.pending())
    return Count(len(run.share) - left, left)


def _scored(run: Run) -> Count:
    journal = run.store.journal()
    count = sum("error" not in journal.get(id_, {}) for id_ in run.ids)
    return Count(count, 0) if is_scored(run) else Count(0, count)


def _scores_of(run: Run) -> str:
    return str(summary_file(run.folder, run.cfg["metrics"]["name"]))


AGAIN = "the same command goes on"


def unsettled(runs: list[Run]) -> bool:
    """Whether some of them still lack edits, or scores by their metric profile."""
    return not all(is_scored(run) for run in runs)


def left(runs: list[Run]) -> list[str]:
    """A sentence for each thing that is not as it should be, by what is stored."""
    found = []
    for run in {run.key: run for run in runs}.values():
        journal = run.store.journal()
        found += failures(run, journal)
        if lacking := len(set(run.ids) - journal.keys()):
            found.append(_lacking(run, lacking))
        elif not is_scored(run):
            found.append(f"{run.folder} is not scored; {AGAIN}")
    return found


def _lacking(run: Run, count: int) -> str:
    return f"{count} of {len(run.ids)} edits lack in {run.folder}; {AGAIN}"


def _not_begun(runs: list[Run]) -> dict[str, UserError]:
    return {
        run.key: UserError(f"no edit of {run.folder} is there yet; {AGAIN}") for run in runs if not run.store.journal()
    }


def _edit(runs: list[Run], tried: set[str], patient: bool) -> dict[str, UserError]:
    """Why a run was stopped, by its key, if anything stopped it, such as a metric that could not score it then."""
    stopped: dict[str, UserError] = {}
    if not (pending := [run for run in runs if run.pending()]):
        return stopped
    from bench.edits.edit import edit
    from bench.edits.turns import turns
    from bench.scores.measure import ready

    for group in turns(pending):
        if not (together := [run for run in group if run.pending()]):
            continue  # another row was the same run
        try:
            profiles = [run.cfg["metrics"] for run in together if run.key in tried]
            for metrics in {sha256_of(profile): profile for profile in profiles}.values():
                ready(metrics)
            stopped |= edit(together)
            for run in together if patient else ():
                while isinstance(stopped.get(run.key), Held):
                    with run.store.lock(wait=True):
                        del stopped[run.key]  # nobody else holds it any more
                    stopped |= edit([run])
        except UserError as error:
            stopped |= {run.key: error for run in together}
    return stopped
