"""Runs to edits and scores: what is missing is made, what is whole is scored. Torch only where something is missing."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from bench.edits.plan import Run
from bench.errors import UserError
from bench.scores.score import failures, score
from bench.scores.stored import Scored


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


def complete(runs: list[Run], scored: bool = True) -> Iterator[Completed]:
    """Edits what this shard of the runs lacks, then scores run after run, as far as no other shard has to add to it.
    A run that something stops costs the others nothing.

    Args:
        runs: of one plan, or of several one after the other; a batch is taken through all the runs of a plan.
        scored: whether scores are wanted, and not pictures alone.

    Yields:
        what came of each run, in order.
    """
    plans = groupby(runs, lambda run: id(run.data))
    errors = [error for _, of_plan in plans for error in _edit(list(of_plan), scored)]
    for run, error in zip(runs, errors, strict=True):
        done = Completed(run)
        try:
            if error:
                raise error
            journal = run.store.journal()
            done.failures += failures(run, journal)
            done.waiting = len(set(run.ids) - journal.keys())
            if scored and not done.waiting:
                done.take(score(run))
        except UserError as why:
            done.stopped = str(why)
            done.failures.append(done.stopped)
        yield done


def _edit(runs: list[Run], scored: bool) -> list[UserError | None]:
    """Why each of them was stopped, if anything stopped it, such as a metric that could not score it then."""
    if not (pending := [run for run in runs if run.pending()]):
        return [None] * len(runs)
    from bench.edits.edit import edit
    from bench.scores.measure import ready

    try:
        if scored:
            ready(pending[0].cfg["metrics"])
        stopped = edit(pending)
    except UserError as error:
        stopped = {run.key: error for run in pending}
    return [stopped.get(run.key) for run in runs]
