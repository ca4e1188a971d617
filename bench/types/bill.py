"""Work that several operating points of a batch share, and what each of them is billed for it. No torch."""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Part:
    """One of several values that were computed together.

    Attributes:
        rows: what it would have cost alone, in model rows; work that a method saves but does not count as its own
            saving (a branch that is dropped when nothing looks at it any more) is included.
        worked: model rows that it would really have evaluated alone.
    """

    value: Any
    rows: int
    worked: int


class Shared:
    """Results that several consumers of one batch need, computed once and billed to each of them.

    `rows` and `seconds` are the stand-alone cost since `open_bill`: what was computed since then plus what was found
    ready, at the price it had. `spent` is what the model really evaluated.
    """

    def __init__(self, rows: Callable[[], int] = lambda: 0, clock: Callable[[], float] = time.perf_counter):
        self._rows, self._clock, self._values = rows, clock, {}
        self.open_bill()

    def open_bill(self) -> None:
        """Starts the bill of the next consumer."""
        self._saved_rows, self._saved_seconds = 0, 0.0
        self._start_rows, self._start_time = self._rows(), self._clock()

    @property
    def spent(self) -> int:
        """Model rows evaluated since `open_bill`."""
        return self._rows() - self._start_rows

    @property
    def rows(self) -> int:
        """Stand-alone cost since `open_bill`, in model rows."""
        return self.spent + self._saved_rows

    @property
    def seconds(self) -> float:
        """Stand-alone cost since `open_bill`, in seconds."""
        return self._clock() - self._start_time + self._saved_seconds

    def __call__(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The value kept under `key`, made by `make` the first time. The key must name all that the value depends
        on, apart from the batch itself."""
        if key in self._values:
            value, rows, seconds = self._values[key]
            self._saved_rows += rows
            self._saved_seconds += seconds
            return value
        rows, seconds = self.rows, self.seconds
        value = make()
        self._values[key] = value, self.rows - rows, self.seconds - seconds
        return value

    def credit(self, rows: int, seconds: float) -> None:
        """Bills work that was found done elsewhere."""
        self._saved_rows += rows
        self._saved_seconds += seconds

    def part(self, key: Hashable, name: Hashable, make: Callable[[], dict[Hashable, Part]]) -> Any:
        """The value called `name` of those that `make` computes together the first time.

        Each consumer is billed its own part; of the time, the share that its rows have in the rows evaluated.
        """
        if ready := key in self._values:
            parts, worked, seconds = self._values[key]
        else:
            start_rows, start_time = self._rows(), self._clock()
            parts = make()
            worked, seconds = self._rows() - start_rows, self._clock() - start_time
            self._values[key] = parts, worked, seconds
        mine = parts[name]
        self._saved_rows += mine.rows - (0 if ready else worked)
        self._saved_seconds += seconds * (mine.worked / worked if worked else 1) - (0 if ready else seconds)
        return mine.value
