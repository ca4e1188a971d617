"""Stored columns: the files of `scores/<profile>/` of a run. No torch."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from bench.files.write import write
from bench.types import SAMPLE

HALVES = ("halves", "halves_of")
"""Values of a set metric on half-samples, and of what they are halves (column of the per-image table), so that they can
be paired with those of other runs of the same samples."""


def read_column(file: Path) -> dict[str, float]:
    """Id -> value."""
    if not file.exists():
        return {}
    with open(file, newline="") as stream:
        return {row["id"]: float(row["value"]) for row in csv.DictReader(stream)}


def read_samples(file: Path) -> dict[str, dict[str, str]]:
    """Id -> what is said of the sample beside its scores."""
    if not file.exists():
        return {}
    with open(file, newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        known = set(reader.fieldnames or []) >= set(SAMPLE)  # an older version kept less
        return {row["id"]: {name: row[name] for name in SAMPLE} for row in reader} if known else {}


def write_table(file: Path, rows: dict[str, dict[str, Any]]) -> None:
    """Id -> row, as CSV."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["id", *next(iter(rows.values()), {"value": None})])
    for id_, row in sorted(rows.items()):
        writer.writerow([id_, *(repr(v) if isinstance(v, float) else v for v in row.values())])
    write(file, stream.getvalue())


def read_sets(file: Path) -> dict[str, dict[str, Any]]:
    """Hash of ids -> what a metric gives of their set."""
    if not file.exists():
        return {}
    kept = json.loads(file.read_text())
    kept = {kept["ids"]: kept} if "ids" in kept else kept  # an older version kept one set, and one before it no halves
    return {stamp: result for stamp, result in kept.items() if result.keys() >= set(HALVES)}


def notes(file: Path, fresh: dict[str, dict[str, str]], names: list[str], ids: list[str]) -> dict[str, str]:
    """Metric -> how many of these samples it has notes on, and the first of them.

    Args:
        file: keeps them beside the columns.
        fresh: metric -> sample id -> note, added to what is kept.
        names: of the metrics that are wanted.
    """
    known = json.loads(file.read_text()) if file.exists() else {}
    if fresh:
        known |= {name: known.get(name, {}) | found for name, found in fresh.items()}
        write(file, json.dumps(known, indent=1) + "\n")
    said = {name: [(id_, known[name][id_]) for id_ in ids if id_ in known[name]] for name in known if name in names}
    return {name: f"{len(n)} samples, the first is {n[0][0]!r}: {n[0][1]}" for name, n in said.items() if n}
