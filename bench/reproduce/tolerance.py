"""How far apart two makings of one number are that differ in nothing a paper states: the same method with other noise,
or, where it draws none, in other precision and through JPEG. No torch."""

import json
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from bench.config import cli
from bench.files.hashing import sha256_of
from bench.reproduce.outcomes import Point
from bench.scores import protocol, stored

FILE = cli.CONF / "tolerance.csv"
"""Written by scripts/tolerance.py, never by hand."""
COLUMNS = ["model", "profile", "metric", "tolerance", "float32", "float32_jpeg", "half", "half_jpeg", "half_dtype"]
COLUMNS += ["n", "run", "torch", "machine"]
SEEDS = 3
"""Runs of a method that draws noise which it takes to know how far they are apart."""


class Tolerance(NamedTuple):
    """By how much a value may miss the published one beside the rounding of that.

    Attributes:
        value: None where it is not measured.
        of: what it is, or why there is none, in words.
    """

    value: float | None
    of: str


def of_point(point: Point, metric: str) -> Tolerance:
    """That of a metric of a run.

    Args:
        metric: its name in the profile.
    """
    if metric == "nfe":
        return Tolerance(0.0, "evaluations are counted")
    if point.summary is None:
        return Tolerance(None, point.why or "of the best of several runs it is not measured")
    return _of_seeds(point, metric) if point.summary.seed is not None else _of_precision(point, metric)


def together(sets: list[list[Point]], metric: str, added: bool) -> Tolerance:
    """That of a value made of several runs, or the mean of several such values: of a difference the sum of both runs',
    else the largest."""
    found = [[of_point(point, metric) for point in points] for points in sets]
    if unknown := [one for of_set in found for one in of_set if one.value is None]:
        return unknown[0]
    combine = sum if added else max
    return Tolerance(max(combine(one.value for one in of_set) for of_set in found), found[0][0].of)


def _of_seeds(point: Point, metric: str) -> Tolerance:
    """The largest difference between runs that are alike in everything but the seed."""
    values = {}
    for folder in sorted(point.run.folder.parent.glob("*/identity.json")):
        alike, seed = _without_seed(folder)
        if alike != _without_seed(point.run.folder / "identity.json")[0]:
            continue
        other = _scored(folder.parent, point.summary.profile)
        fact = other.summary.fact(metric) if other and other.summary.ids == point.summary.ids else None
        if fact and fact.value is not None and not protocol.unlike(other, point.scored, metric):
            values[seed] = fact.value
    if len(values) < SEEDS:
        return Tolerance(None, f"{len(values)} of {SEEDS} seeds are run, so that what noise does is not measured")
    return Tolerance(max(values.values()) - min(values.values()), f"{len(values)} seeds")


def _scored(folder: Path, profile: str) -> stored.Scored | None:
    return stored.read(folder, profile) if profile in stored.profiles(folder) else None


@lru_cache
def _without_seed(file: Path) -> tuple[str, int]:
    identity = json.loads(file.read_text())
    return sha256_of(identity | {"seed": None}), identity["seed"]


def _of_precision(point: Point, metric: str) -> Tolerance:
    known = _measured(FILE).get((point.summary.model, point.summary.profile, metric))
    if known is None:
        return Tolerance(None, "what precision and JPEG do is not measured on this model and profile")
    return Tolerance(known, "half precision and JPEG")


@lru_cache
def _measured(file: Path) -> dict[tuple[str, str, str], float]:
    table = read(file).dropna(subset="tolerance")
    names = zip(table.model, table.profile, table.metric.str.removesuffix("_random"), strict=True)
    return dict(zip(names, table.tolerance.astype(float), strict=True))


def read(file: Path) -> pd.DataFrame:
    """The file, without a line where there is none."""
    return pd.read_csv(file) if file.exists() else pd.DataFrame(columns=COLUMNS)
