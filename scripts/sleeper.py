"""An editing method that costs the processor nothing, in a module of its own, so that a command that is run as one
finds the calls that it made."""

import time

from bench.types import EditResult


class Sleeper:
    """Gives the sources back after `seconds` a picture; while it sleeps, the processor is free."""

    version = 1
    calls: list[tuple[float, float]] = []  # noqa: RUF012 (of the process: when each began and ended)

    def __init__(self, seconds: float):
        self.seconds = seconds

    def __call__(self, model, batch, noise) -> EditResult:
        began = time.perf_counter()
        time.sleep(self.seconds * len(batch.samples))
        Sleeper.calls.append((began, time.perf_counter()))
        return EditResult(batch.images)
