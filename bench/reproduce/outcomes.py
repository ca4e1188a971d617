"""The runs behind an item: found, made where they are missing, scored, read. torch only where something is computed."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig

from bench.config import cli, validate
from bench.edits.plan import Run, plan, points
from bench.errors import UserError
from bench.reproduce.items import Item, knob_of, merged
from bench.scores import verify
from bench.scores.score import failures, score
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
        summary, scores: of the metric profile; per-image scores are indexed by id.
    """

    row: str
    name: str
    cfg: dict[str, Any]
    values: dict[str, Any]
    run: Run | None = None
    why: str | None = None
    summary: dict[str, Any] | None = None
    scores: pd.DataFrame | None = None


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
    own = {knob_of(word): label for label, mine in item.runs.items() for word in mine}
    for word in words:
        if (knob := knob_of(word)) in own and knob not in ("limit", "model"):
            raise UserError(f"{word}: {knob} is what {item.name} compares; run it by python -m bench.run instead")
        if knob == "method":
            raise UserError(f"{word}: {item.name} says which methods it runs")
    found = []
    for label, mine in item.runs.items():
        kept = {"model"} & {knob_of(word) for word in mine}  # a method that works with one model alone goes on to
        (cfg,) = cli.jobs(merged(item.words, mine, [word for word in words if knob_of(word) not in kept]))
        rows = Rows(label, cfg)
        for resolved in points(cfg):
            values = {"seed": resolved["seed"]} | validate.knobs(resolved["method"])
            rows.points.append(Point(_filled(label, values, item), "", resolved, values))
        _name_points(rows.points, item.along)
        found.append(rows)
    return found


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
        mine = [point for point in points_ if point.row == row]
        knobs = [knob for knob in mine[0].values if len({str(point.values.get(knob)) for point in mine}) > 1]
        knobs.sort(key=lambda knob: knob != along)
        for point in mine:
            point.name = ", ".join(f"{knob} = {text(point.values[knob])}" for knob in knobs)


def complete(
    rows: Rows,
    run_missing: bool = True,
    rescore: bool = False,
    only: Callable[[EditData], list[str]] | None = None,
) -> list[str]:
    """Finds the runs of a label, makes what is missing, scores it, and reads summaries and scores into the points.

    Args:
        run_missing: whether to edit and score; otherwise only what is there is read.
        rescore: whether to score again what an older version of a metric scored.
        only: chooses the samples where pictures alone are wanted and no score.

    Returns:
        a sentence for each thing that went wrong; the points concerned say it as `why`.
    """
    try:
        runs = plan(rows.cfg)
        ids = only(runs[0].data) if only else None  # they share their data
        for point, run in zip(rows.points, runs, strict=True):
            point.run = run
            if ids is not None:
                run.ids = ids
        problems = _distrusted(rows.points, rescore)
        trusted = [point for point in rows.points if not point.why]
        if run_missing and any(point.run.pending() for point in trusted):
            from bench.edits.edit import edit

            edit([point.run for point in trusted])
    except UserError as error:
        return _stop(rows.points, str(error))
    for point in trusted:
        problems += failures(point.run, point.run.store.journal())
        if not only:
            problems += _read_scores(point, run_missing)
    return problems


def _distrusted(points_: list[Point], rescore: bool) -> list[str]:
    """A sentence for each stored run that was altered by hand, or that an older version of a metric scored."""
    found = []
    for point in points_:
        folder, profile = point.run.folder, point.cfg["metrics"]["name"]
        file = folder / f"summary.{profile}.json"
        if why := verify.altered(folder, None if rescore else profile):
            more = f" (and {len(why) - 1} more)" if len(why) > 1 else ""
            found += _stop([point], f"{why[0]}{more}{'' if rescore else '; rescore=true does what scoring can mend'}")
        elif file.exists() and not rescore and (old := verify.stale(json.loads(file.read_text()))):
            versions = ", ".join(f"{name} version {then}, now {now}" for name, (then, now) in old.items())
            found += _stop([point], f"{folder} was scored with {versions}; rescore=true scores it again")
    return found


def _stop(stopped: list[Point], why: str) -> list[str]:
    for point in stopped:
        point.why = why
    return [why]


def _read_scores(point: Point, may_score: bool) -> list[str]:
    run, profile = point.run, point.cfg["metrics"]["name"]
    if not may_score and not (run.folder / f"summary.{profile}.json").exists():
        point.why = f"not made yet under out={point.cfg['out']}"
        return []
    try:
        point.summary = score(run)
    except UserError as error:
        return _stop([point], str(error))
    point.scores = read_scores(run.folder, profile)
    return []


def read_scores(folder: Path, profile: str) -> pd.DataFrame:
    """`per_image.<profile>.csv` by id; `group` is the id where there is none."""
    table = pd.read_csv(folder / f"per_image.{profile}.csv", dtype={"id": str, "group": str, "type": str}).set_index(
        "id"
    )
    return table.assign(group=table.group.fillna(pd.Series(table.index, table.index)))
