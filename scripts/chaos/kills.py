"""A sweep killed at random moments, then resumed."""

import functools
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from bench import run
from bench.config import cli
from bench.edits.plan import plan
from bench.report.__main__ import main as report
from bench.scores.complete import complete
from scripts.chaos import children, results
from scripts.chaos.session import Chaos, phase

PHASES = ("editing", "scoring", "reporting")


def kills(chaos: Chaos) -> None:
    """The whole sweep at batches of 1."""
    _killed(chaos, "kills", 1, chaos.kills)


def kills16(chaos: Chaos) -> None:
    """The same at batches of 16, with a quarter of the kills."""
    _killed(chaos, "kills16", 16, max(1, chaos.kills // 4))


def _killed(chaos: Chaos, section: str, batch: int, count: int) -> None:
    out, timed = chaos.work / f"killed {batch}", chaos.work / ("undisturbed" if batch == 1 else f"timed {batch}")
    seconds = _seconds(chaos, timed, batch)
    expected = chaos.undisturbed("undisturbed")
    died, faults = _kill(chaos, out, batch, count, seconds)
    said = "; ".join([", ".join(f"{died[name]} in {name}" for name in PHASES), *faults[:2]])
    fine = died.total() == count and not faults
    chaos.row(section, "killed", f"{count} kills, journals and pictures whole after each", said, fine)
    statuses = [chaos.run(chaos.words(out, batch))[0], chaos.report(out)]
    chaos.row(section, "resumed", "exit statuses 0", statuses, statuses == [0, 0])
    chaos.alike(section, "results", out, expected, exact=batch == 1)


def _kill(
    chaos: Chaos, out: Path, batch: int, count: int, seconds: Callable[[str, int], float]
) -> tuple[Counter, list[str]]:
    """Kills a sweep so often; returns in which phase, and what was not whole after a kill."""
    pictures = results.recorded(chaos.work / "undisturbed")
    words = chaos.words(out, batch)
    sweep = functools.partial(run.main, words)
    work = {"editing": sweep, "scoring": sweep, "reporting": functools.partial(report, [f"out={out}"])}
    died: Counter = Counter()
    faults: list[str] = []
    late = max(1, count * 15 // 100)
    until = {"editing": count - 2 * late, "scoring": count - late, "reporting": count}  # kills by the end of a phase
    for name in PHASES:
        for _ in range(10 * count):
            if died.total() >= until[name] or PHASES.index(phase(out, pictures)) > PHASES.index(name):
                break
            child = children.start(work[name], chaos.log())
            if children.kill(child, chaos.rng.uniform(0, seconds(name, until["editing"]))):
                died[phase(out, pictures)] += 1
                faults += results.unsound(out)
        if name != PHASES[-1]:  # what the kills have left of the phase, so that the next one is killed by itself
            children.do(functools.partial(_edit_only, words) if name == "editing" else sweep, chaos.log())
    return died, faults


def _seconds(chaos: Chaos, out: Path, batch: int) -> Callable[[str, int], float]:
    """Makes a sweep without any kill; returns the latest moment of one in each phase."""
    one = chaos.work / f"one {batch}"
    begin = children.do(lambda: _edit_only([*chaos.words(one, batch), "limit=1"]), chaos.log())[1]
    whole = children.do(lambda: _edit_only(chaos.words(out, batch)), chaos.log())[1]
    took = {"scoring": 0.6 * chaos.run(chaos.words(out, batch))[1]}  # its end would be that of its kills
    took["reporting"] = children.do(lambda: report([f"out={out}"]), chaos.log())[1]
    return lambda name, kills: took.get(name) or 2 * (begin + (whole - begin) / max(1, kills))


def _edit_only(words: list[str]) -> int:
    (cfg,) = cli.jobs(words)
    return max(len(done.failures) for done in complete(plan(cfg), scored=False))
