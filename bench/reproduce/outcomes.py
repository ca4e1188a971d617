"""The runs behind an item: found, made where they are missing, scored, read. torch only where something is computed."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from omegaconf import DictConfig

from bench.config import cli, validate
from bench.edits import verify
from bench.edits.plan import plan, points
from bench.edits.run import Run
from bench.errors import UserError
from bench.reproduce.items import Item, knob_of, merged
from bench.scores import seal, stored
from bench.scores.complete import complete
from bench.scores.score import failures, score
from bench.scores.stored import Scored, Summary
from bench.types import EditData


@dataclass
class Point:
    """One operating point of an item.

    Attributes:
        row: its label, filled.
        name: what tells it from the row's other points, such as `r = 0.5`.
        cfg: resolved configuration.
        values: knobs of the method, and the seed, by name.
        run: None as long as it cannot be planned on this machine.
        why: why there is no result.
        waiting: edits that other shards have still to make.
        summary, scores: of the metric profile; per-image scores are indexed by id.
        seconds: of an edit with its interval and the number of pictures, where they were clocked for the item.
        untimed: why they were not.
    """

    row: str
    name: str
    cfg: dict[str, Any]
    values: dict[str, Any]
    run: Run | None = None
    why: str | None = None
    waiting: int = 0
    summary: Summary | None = None
    scores: pd.DataFrame | None = None
    seconds: tuple[float, float, float, int] | None = None
    untimed: str = ""

    def cost(self, name: str) -> float | None:
        """What an edit costs: evaluations as they were counted, seconds as they were clocked for the item."""
        if name == "seconds":
            return self.seconds[0] if self.seconds else None
        return getattr(self.summary, name) if self.summary else None

    @property
    def scored(self) -> Scored | None:
        """Its run with its summary."""
        return Scored(self.run.folder, self.summary) if self.run and self.summary else None


@dataclass
class Rows:
    """What one label of an item stands for: one job of `bench.run`."""

    label: str
    cfg: DictConfig
    points: list[Point] = field(default_factory=list)


def compose(item: Item, words: list[str]) -> list[Rows]:
    """The operating points of an item, of which nothing need be on this machine.

    Args:
        words: the user's, which change every run.

    Raises:
        UserError: a word that would undo what the item compares, or that does not exist.
    """
    own = {knob_of(word) for words_ in item.runs.values() for word in words_}
    for word in words:
        if (knob := knob_of(word)) in own and knob not in ("limit", "model", "data.size"):
            raise UserError(f"{word}: {knob} is what {item.name} compares; run it by python -m bench.run instead")
        if knob == "method":
            raise UserError(f"{word}: {item.name} says which methods it runs")
    composed = []
    for label, of_label in item.runs.items():
        kept = {"model"} & {knob_of(word) for word in of_label}  # a method that works with one model alone goes on to
        wanted = merged(item.words, of_label, [word for word in words if knob_of(word) not in kept])
        for each in _each_seed(wanted):
            (cfg,) = cli.jobs(each)
            rows = Rows(label, cfg)
            for resolved in points(cfg):
                values = {"seed": resolved["seed"]} | validate.knobs(resolved["method"])
                rows.points.append(Point(_filled(label, values, item), "", resolved, values))
            _name_points(rows.points, item.along)
            composed.append(rows)
    return composed


def _each_seed(words: list[str]) -> list[list[str]]:
    """The words of each job: `seed=[0,1,2]` is three."""
    (listed,) = [word.partition("=")[2] for word in words if re.fullmatch(r"seed=\[.*\]", word)] or [None]
    if listed is None:
        return [words]
    return [merged(words, [f"seed={seed.strip()}"]) for seed in listed[1:-1].split(",")]


def _filled(label: str, values: dict[str, Any], item: Item) -> str:
    try:
        return label.format_map({name: text(value) for name, value in values.items()})
    except (KeyError, ValueError) as error:
        raise UserError(
            f"conf/paper/{item.name}.yaml: the label {label!r} names no knob of its runs: {error}"
        ) from None


def text(value: Any) -> str:
    """A knob's value as labels show it."""
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _name_points(points_: list[Point], along: str) -> None:
    """Names each point by the knobs in which the points of its row differ, the one along the curve first."""
    for row in {point.row for point in points_}:
        of_row = [point for point in points_ if point.row == row]
        knobs = [knob for knob in of_row[0].values if len({str(point.values.get(knob)) for point in of_row}) > 1]
        knobs.sort(key=lambda knob: knob != along)
        for point in of_row:
            point.name = ", ".join(f"{knob} = {text(point.values[knob])}" for knob in knobs)


Choice = Callable[[int | None], Callable[[EditData], list[str]]]


def find(rows: list[Rows], rescore: bool = False, only: Choice | None = None) -> list[str]:
    """Plans the runs of an item, and makes nothing; arguments and result as for `fill`."""
    problems = []
    for row in rows:
        try:
            runs = plan(row.cfg)
            ids = only(row.cfg.limit)(runs[0].data) if only else None  # they share their data
        except UserError as error:
            problems += _stop(row.points, str(error))
            continue
        for point, run in zip(row.points, runs, strict=True):
            point.run = run
            if ids is not None:
                run.ids = ids
        problems += _distrusted(row.points, rescore)
    return problems


def fill(
    rows: list[Rows],
    run_missing: bool = True,
    rescore: bool = False,
    only: Choice | None = None,
    edited: bool = True,
) -> list[str]:
    """Finds the runs of an item, makes what is missing, scores it, and reads summaries and scores into the points.

    Args:
        run_missing: whether to edit and score; otherwise only what is there is read.
        rescore: whether to score again what an older version of a metric scored.
        only: `limit` -> how to choose the samples, where pictures alone are wanted and no score.
        edited: whether edits may be made, too.

    Returns:
        a sentence for each thing that went wrong; the points concerned say it as `why`.
    """
    problems = find(rows, rescore, only)
    trusted = [point for row in rows for point in row.points if not point.why]
    if run_missing:
        all_done = complete([point.run for point in trusted], scored=only is None, edited=edited)
        for point, done in zip(trusted, all_done, strict=True):
            point.why, point.waiting = done.stopped, done.waiting
            problems += done.failures
            _take(point, done.scores)
    else:
        for point in trusted:
            problems += failures(point.run, point.run.store.journal())
            problems += _read_scores(point) if only is None else []
    return problems


def _take(point: Point, scores: Scored | None) -> None:
    if scores is not None:
        point.summary, point.scores = scores.summary, scores.table


def _distrusted(points_: list[Point], rescore: bool) -> list[str]:
    """A sentence for each stored run that was altered by hand, or that an older version of a metric scored."""
    problems = []
    for point in points_:
        folder, profile = point.run.folder, point.cfg["metrics"]["name"]
        if why := verify.altered(folder) + ([] if rescore else seal.altered(folder, profile)):
            more = f" (and {len(why) - 1} more)" if len(why) > 1 else ""
            problems += _stop(
                [point], f"{why[0]}{more}{'' if rescore else '; rescore=true does what scoring can mend'}"
            )
        elif not rescore and profile in stored.profiles(folder):
            if not (old := seal.stale(stored.read(folder, profile).summary)):
                continue
            versions = ", ".join(f"{name} version {then}, now {now}" for name, (then, now) in old.items())
            problems += _stop([point], f"{folder} was scored with {versions}; rescore=true scores it again")
    return problems


def _stop(stopped: list[Point], why: str) -> list[str]:
    for point in stopped:
        point.why = why
    return [why]


def _read_scores(point: Point) -> list[str]:
    if point.cfg["metrics"]["name"] not in stored.profiles(point.run.folder):
        point.why = f"not made yet under out={point.cfg['out']}"
        return []
    try:
        _take(point, score(point.run))
    except UserError as error:
        return _stop([point], str(error))
    return []
