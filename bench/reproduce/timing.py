"""Seconds of an edit, clocked for the table that shows them: each run alone, one picture at a time, warm, all of an
item in one sitting on one device. The seconds of stored runs depend on batches and neighbours; they serve estimates."""

import tempfile
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from omegaconf import OmegaConf

from bench.edits.plan import plan
from bench.edits.run import Run
from bench.errors import UserError
from bench.report.write import csv
from bench.reproduce.items import Item
from bench.reproduce.outcomes import Point, Rows
from bench.statistics.intervals import mean_interval

IMAGES = 5
"""Pictures that a run is clocked on, after one that warms it up."""
ELSEWHERE = "its pictures were made elsewhere, so how long an edit takes is not known here"


class Clocked(NamedTuple):
    """What tables must say of seconds, and a sentence for each thing that went wrong."""

    header: list[str]
    problems: list[str]


def clock(item: Item, rows: list[Rows], may_run: bool) -> Clocked:
    """Puts seconds into the points of an item that shows them, from `<out>/timed/<item>/timed.csv` if all of its runs
    are there, else clocked anew for all of them.

    Args:
        may_run: otherwise only what is there is read.
    """
    points = [point for one in rows for point in one.points if point.run]
    if "seconds" not in item.metrics or not points:
        return Clocked([], [])
    for point in points:
        if "results" in point.cfg["method"]["uses"]:
            point.untimed = ELSEWHERE
    wanted = [point for point in points if not point.untimed]
    file = Path(points[0].cfg["out"]) / "timed" / item.name.replace("/", "-") / "timed.csv"
    table = pd.read_csv(file, dtype={"id": str}) if file.exists() else pd.DataFrame(columns=["run"])
    problems: list[str] = []
    if not {point.run.key for point in wanted} <= set(table.run):
        if not may_run:
            for point in wanted:
                point.untimed = f"seconds are clocked for this table, and {item.name} has not been clocked here yet"
            return Clocked([], [])
        table, problems = _clock(rows, wanted)
        csv(table, file.with_suffix(""))
    for point in wanted:
        _put(point, table[table.run == point.run.key])
    if not (devices := table.device.unique().tolist() if len(table) else []):
        return Clocked([], problems)
    said = (
        f"seconds: {IMAGES} pictures at most, one after the other after one to warm up, each run alone, on {devices[0]}"
    )
    return Clocked([said], problems)


def _put(point: Point, mine: pd.DataFrame) -> None:
    if mine.empty:
        point.untimed = "could not be clocked"
        return
    point.seconds = mean_interval(mine.seconds.to_numpy(), mine.id.tolist())


def _clock(rows: list[Rows], wanted: list[Point]) -> tuple[pd.DataFrame, list[str]]:
    """A line for each run and picture: `run`, `id`, `seconds`, `device`. Edits go to a scratch folder."""
    from bench.diffusion import device as devices
    from bench.edits.edit import edit

    found, problems, keys = [], [], {point.run.key for point in wanted}
    with tempfile.TemporaryDirectory() as scratch:
        for one in rows:
            if not keys & {point.run.key for point in one.points if point.run}:
                continue
            device = devices.name(devices.pick(one.cfg.device))
            warm, runs = (_alone(one, Path(scratch, name), n) for name, n in (("warm", 1), ("timed", IMAGES)))
            for first, run in zip(warm, runs, strict=True):
                if run.key not in keys:
                    continue
                keys.remove(run.key)  # rows may share a run
                try:
                    stopped = edit([first]) or edit([run])
                    problems += map(str, stopped.values())
                except UserError as error:
                    problems.append(str(error))
                entries = run.store.journal().items()
                found += [
                    {"run": run.key, "id": id_, "seconds": entry["seconds"], "device": device}
                    for id_, entry in entries
                    if "seconds" in entry
                ]
    return pd.DataFrame(found, columns=["run", "id", "seconds", "device"]), problems


def _alone(row: Rows, out: Path, images: int) -> list[Run]:
    """The runs of a row in a folder of their own, a picture at a time, finding nothing that others have computed."""
    limit = min(images, row.cfg.limit or images)
    own = {"out": str(out), "limit": limit, "batch_size": 1, "cache": "none", "shard": {"index": 0, "count": 1}}
    cfg = row.cfg.copy()
    OmegaConf.set_struct(cfg, False)
    return plan(OmegaConf.merge(cfg, own))
