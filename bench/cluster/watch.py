"""The front end while jobs work: one line of how far they are, and at the end what each that failed said."""

import sys
import time
from collections import Counter
from collections.abc import Callable

from bench.cluster.engines import State
from bench.cluster.progress import Progress
from bench.cluster.record import Record
from bench.errors import UserError

SECONDS = 5.0
"""Between two looks, at most."""
_SILENT = 30.0
"""Between two lines where no terminal overwrites them."""


def watch(record: Record, progress: Progress) -> int:
    """Shows how far jobs are until all have ended; Ctrl-C ends the showing alone.

    Returns:
        the command's exit status.
    """
    try:
        states = _until_over(record, progress)
    except KeyboardInterrupt:
        print(f"\n{going_on(record)}", file=sys.stderr)
        return 130
    *tasks, last = record.ids
    failed = [_failure(record, f"task {number}", id_, states[id_]) for number, id_ in enumerate(tasks)]
    outcome = record.outcome(last)
    if outcome is None:
        failed.append(_failure(record, "the last job", last, states[last]) + "; the same command goes on")
    else:
        print(outcome["said"], end="", flush=True)
        failed += [line for problem in outcome["problems"] for line in problem.splitlines()]
    failed = list(filter(None, failed))
    for line in dict.fromkeys(failed):
        print(f"error: {line}", file=sys.stderr)
    return 1 if failed else 0


def going_on(record: Record) -> str:
    """What is said of jobs that nobody watches."""
    return f"jobs {', '.join(record.jobs)} go on; {record.stops} stops them; the same command shows them"


def _until_over(record: Record, progress: Progress) -> dict[str, State]:
    line, ended, pause = _Line(), 0, 1.0
    while True:
        pause = min(SECONDS, pause + 1)
        try:
            states = record.states()
        except UserError as error:  # a controller that does not answer now
            line.show(str(error))
            time.sleep(pause)
            continue
        line.show(f"{progress}; {_counted(list(states.values())[:-1])}")
        over = not any(state.lives for state in states.values())
        # Looked at again: a job that is queued anew is between two states, and what it wrote may come late.
        ended = ended + 1 if over else 0
        if ended and (ended > 2 or all(record.outcome(id_) for id_ in record.ids)):
            line.end()
            return states
        time.sleep(min(pause, 2.0) if ended else pause)


def _counted(states: list[State]) -> str:
    """`2 tasks running, 1 pending (Resources)`."""
    words = Counter((state.word.lower().replace("_", " "), state.reason) for state in states)
    shown = [f"{n} {word}{f' ({reason})' if reason else ''}" for (word, reason), n in words.items()]
    return f"tasks: {', '.join(shown)}"


def _failure(record: Record, name: str, id_: str, state: State) -> str:
    """A sentence on a job that did not end well; empty where it did."""
    log = record.log(id_)
    if outcome := record.outcome(id_):
        return f"{name} ({id_}): {'; '.join(outcome['problems'])}; log: {log}" if outcome["problems"] else ""
    how = {"gone": "ended without a word"}.get(state.word, state.word.lower().replace("_", " "))
    if not log.exists():
        return (
            f"{name} ({id_}): {how}, and left no log in {log.parent}: do its nodes see that folder? Choose out= on a "
            "file system that they share"
        )
    lines = [text for text in log.read_text(errors="replace").splitlines() if text.strip()]
    return f"{name} ({id_}): {how}; its last line: {lines[-1][:300] if lines else '(none)'}; log: {log}"


class _Line:
    """One line that is overwritten, or on no terminal now and then another."""

    def __init__(self, stream=sys.stderr, clock: Callable[[], float] = time.monotonic):
        self.stream, self.clock, self.shown, self.at = stream, clock, "", -_SILENT

    def show(self, text: str) -> None:
        if text == self.shown:
            return
        if self.stream.isatty():
            print(f"\r\033[K{text}", end="", file=self.stream, flush=True)
        elif self.clock() - self.at >= _SILENT:
            print(text, file=self.stream, flush=True)
            self.at = self.clock()
        self.shown = text

    def end(self) -> None:
        if self.stream.isatty():
            print(file=self.stream, flush=True)
