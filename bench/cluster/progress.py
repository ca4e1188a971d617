"""How far the runs of a command are, by their journals, weighed by what an edit of each costs. No torch."""

import json
import time
from collections.abc import Callable
from pathlib import Path

from bench.edits.run import Run


class Progress:
    """The edits of some runs, each weighed by its evaluations of a denoiser.

    Args:
        runs: with the samples that they want.
        weights: where a task writes what an edit of each run costs, by the run's key; until then what the journals say,
            and of runs of which they say nothing as much as of the dearest other one.
    """

    def __init__(self, runs: list[Run], weights: Path, clock: Callable[[], float] = time.monotonic):
        self.runs, self.file, self.clock = runs, weights, clock
        self.first: tuple[float, float] | None = None

    def __str__(self) -> str:
        """`120 of 640 edits, 37 % of the evaluations, 12 min left`."""
        journals = {run.key: run.store.journal() for run in self.runs}
        wanted: dict[str, set[str]] = {}
        for run in self.runs:
            wanted.setdefault(run.key, set()).update(run.ids)
        done = {key: len(ids & journals[key].keys()) for key, ids in wanted.items()}
        costs = self._costs(journals)
        whole = sum(costs[key] * len(ids) for key, ids in wanted.items())
        spent = sum(costs[key] * count for key, count in done.items())
        total = sum(map(len, wanted.values()))
        said = f"{sum(done.values())} of {total} edits"
        if not whole or sum(done.values()) == total:
            return said
        now = self.clock()
        if self.first is None or spent < self.first[1]:
            self.first = now, spent
        said += f", {100 * spent / whole:.0f} % of the evaluations"
        elapsed, gained = now - self.first[0], spent - self.first[1]
        return f"{said}, {_time(elapsed * (whole - spent) / gained)} left" if gained and elapsed > 10 else said

    def _costs(self, journals: dict[str, dict]) -> dict[str, float]:
        """Evaluations that an edit of each run costs."""
        counted = json.loads(self.file.read_text()) if self.file.exists() else {}
        for key, journal in journals.items():
            paid = [entry["nfe_spent"] for entry in journal.values() if "nfe_spent" in entry]
            if key not in counted and paid:
                counted[key] = sum(paid) / len(paid)
        most = max(counted.values(), default=1) or 1
        return {key: counted.get(key, most) for key in journals}


def _time(seconds: float) -> str:
    minutes = seconds / 60
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.0f} h"
