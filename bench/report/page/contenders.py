"""Runs as the methods that they are of, at one operating point or several. No torch."""

from dataclasses import dataclass

from bench.config import stated
from bench.report import words
from bench.report.seeds import Alike, alike
from bench.scores import labels
from bench.scores.stored import Scored


@dataclass(eq=False)
class Contender:
    """A method with its knobs.

    Attributes:
        name: method, and the knobs that tell it from others.
        points: its operating points, in the order of r.
        control: it is told nothing of the edit, so that it shows what no editing gives.
    """

    name: str
    points: list[Alike]
    control: bool


def contenders(runs: list[Scored]) -> list[Contender]:
    """The methods of some runs of one data set and profile; runs that differ in the seed alone are one point."""
    points = alike(runs)
    variants = labels.labels([point.shown for point in points])
    found: dict[str, Contender] = {}
    for point, variant in zip(points, variants, strict=True):
        summary = point.shown.summary
        name = " ".join(filter(None, [summary.method, variant]))
        control = stated.given(summary.method, summary.knobs) == []
        found.setdefault(name, Contender(name, [], control)).points.append(point)
    for one in found.values():
        one.points.sort(key=lambda point: words.finite(point.shown.summary.knobs.get("r")) or 0)
    return list(found.values())


def label(point: Alike) -> str:
    """`r = 0.5`; empty where a run has no r."""
    r = words.knob(point.shown.summary.knobs.get("r"))
    return f"r = {r}" if r else ""
