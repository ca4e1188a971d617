"""How far a command is: one line on the terminal for all that it does of a kind, whatever the number of runs. On
stderr, and where that is no terminal nothing. No torch."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tqdm import tqdm

EVERY = 0.1
"""Seconds between two states of the line, at least."""
_FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt} of {total_fmt} {unit}s, {remaining} left, {rate_fmt}"


class Count(NamedTuple):
    """Pictures of one run: those that are done, and those that are left to this command."""

    done: int
    left: int


Look = Callable[[], dict[str, Count]]
"""Finds the counts of every run, by what names it."""


def line(what: str, total: int, done: int = 0, unit: str = "image") -> tqdm:
    """A line that is refreshed and leaves nothing behind; its rate and its time left are of what is not `done` yet."""
    disable = None if total > done else True  # None: where there is no terminal
    return tqdm(
        desc=what,
        total=total,
        initial=done,
        unit=unit,
        bar_format=_FORMAT,
        mininterval=EVERY,
        miniters=1,
        smoothing=0,
        leave=False,
        disable=disable,
    )


class Stage:
    """All that a command does of one kind, such as editing. Time that it spends with other things does not count."""

    def __init__(self, runs: dict[str, Count]):
        self.runs, self.made, self.seconds = runs, 0, 0.0

    @contextmanager
    def work(self, doing: str, what: str, runs: dict[str, Count]) -> Iterator[Callable[[str, int], None]]:
        """As `at_work`."""
        self.runs |= runs
        done, left = map(sum, zip(*self.runs.values(), strict=True))
        before = sum(not run.left for key, run in self.runs.items() if key not in runs)
        first, last = before + 1, before + len(runs)
        numbers = f"run {first}" if first == last else f"runs {first}-{last}"
        with line(f"{doing} {numbers} of {len(self.runs)} ({what})", done + left, done) as bar:
            if not bar.disable:
                bar.initial -= self.made
                bar.start_t -= self.seconds
                bar.refresh()

            def step(key: str, count: int) -> None:
                had, due = self.runs[key]
                self.runs[key] = Count(had + count, due - count)
                self.made += count
                bar.update(count)

            try:
                yield step
            finally:
                if not bar.disable:
                    self.seconds = bar.format_dict["elapsed"]
                for key in runs:
                    self.over(key)

    def over(self, key: str) -> None:
        """What is left of a run is not waited for."""
        self.runs[key] = Count(self.runs[key].done, 0)


class _Whole:
    """The stages of a command whose runs are known from the start."""

    def __init__(self, looks: dict[str, Look]):
        self.looks, self.stages = looks, {}

    def stage(self, doing: str) -> Stage | None:
        """Looked at when there is something to show, and not before: complete runs cost nothing."""
        if doing in self.looks and doing not in self.stages:
            self.stages[doing] = Stage(self.looks[doing]())
        return self.stages.get(doing)


_whole: _Whole | None = None


@contextmanager
def whole(**looks: Look) -> Iterator[None]:
    """What is shown meanwhile is part of all of this; a part of it that is a whole again changes nothing.

    Args:
        looks: how to find the counts of all runs, for each kind of work.
    """
    global _whole
    outer = _whole
    _whole = outer or _Whole(looks)
    try:
        yield
    finally:
        _whole = outer


@contextmanager
def at_work(doing: str, what: str, runs: dict[str, Count]) -> Iterator[Callable[[str, int], None]]:
    """Shows how far the work is while it goes on with some of the runs; what is left of them at the end is given up.

    Args:
        doing: the kind of work, such as `editing`.
        what: a name for these runs.
        runs: as they are now; runs that are no part of the command's whole are a whole of their own.

    Yields:
        `step(run, pictures)`, to be called for what has been done.
    """
    if not sys.stderr.isatty():
        yield lambda key, count: None
        return
    stage = _whole.stage(doing) if _whole else None
    if stage is None or not runs.keys() <= stage.runs.keys():
        stage = Stage({})
    with stage.work(doing, what, runs) as step:
        yield step


def passed(doing: str, key: str) -> None:
    """Nothing more is done with a run: it was stopped, or waits for others."""
    if _whole and (stage := _whole.stages.get(doing)) and key in stage.runs:
        stage.over(key)
