"""How far two folders of results are alike, and whether one is whole."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from bench.edits.folder import Store

LEVELS, SHARE = 1, 1e-4
"""By how many grey levels pictures of different batches may differ, and in what part of their values."""


def runs(out: Path) -> list[Path]:
    """Folders of runs, relative to `out`."""
    return sorted(file.parent.relative_to(out) for file in out.glob("*/*/*/identity.json"))


def recorded(out: Path) -> int:
    """Samples that the journals have."""
    return sum(len(Store(out / run).journal()) for run in runs(out))


def unsound(out: Path) -> list[str]:
    """Journals with a line that is no JSON, other than a torn last one, and pictures that are not the journal's."""
    found = []
    for folder in (out / run for run in runs(out)):
        for journal in folder.glob("edits-*.jsonl"):
            lines = journal.read_bytes().splitlines(keepends=True)
            found += [f"{journal}: {line!r}" for line in lines[:-1] if not _is_json(line)]
        found += [str(file) for file in Store(folder).changed(Store(folder).journal())]
    return found


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


@dataclass
class Difference:
    """Of two folders of results.

    Attributes:
        said: what is not as it must be.
        values, other, most: of pictures whose masks are alike: values, how many differ, by how many grey levels.
        cells: pixels of masks that differ within the threshold's surroundings.
        pictures, identical: number of pictures, and of those whose files are the same.
    """

    said: list[str] = field(default_factory=list)
    values: int = 0
    other: int = 0
    most: int = 0
    cells: int = 0
    pictures: int = 0
    identical: int = 0

    def __str__(self) -> str:
        seen = f"{self.identical} of {self.pictures} pictures and masks identical"
        if self.identical < self.pictures:
            share = self.other / max(self.values, 1)
            seen += f"; {self.most} grey levels at most, {share:.1e} of the values; {self.cells} mask pixels"
        return "; ".join([seen, *self.said[:3], *([f"{len(self.said)} faults"] if len(self.said) > 3 else [])])


def difference(
    seen: Path, expected: Path, exact: bool, near: Callable[[Path, str], np.ndarray] | None = None
) -> Difference:
    """How results differ from those of an undisturbed run.

    Args:
        exact: pictures, masks and scores must be the same to the byte; else pictures as `LEVELS` and `SHARE` say, and
            masks except where they are `near` the threshold.
        near: run and name of a mask file -> bool `[H, W]`, where it may be either.
    """
    found = Difference()
    if runs(seen) != runs(expected):
        return Difference([f"{len(runs(seen))} runs instead of {len(runs(expected))}"])
    for run in runs(expected):
        a, b = seen / run, expected / run
        masks = _compare_masks(found, a, b, run, exact, near)
        _compare_edits(found, a, b, run, exact, masks)
        if _journal(a, exact) != _journal(b, exact):
            found.said.append(f"{run}: the journals differ")
        if exact and _scores(a) != _scores(b):
            found.said.append(f"{run}: the scores differ")
        if not exact and _scores(a).keys() != _scores(b).keys():
            found.said.append(f"{run}: not scored")
    found.said += [f"left over: {file}" for file in seen.rglob(".edit-bench-*")]
    if found.most > LEVELS or found.other > SHARE * found.values:
        found.said.append("pictures differ by more than they may")
    return found


def _pairs(found: Difference, a: Path, b: Path, run: Path, kind: str) -> Iterator[tuple[str, Path, Path]]:
    """Files of one kind that differ; counts all of them."""
    names = [{file.name for file in (folder / kind).glob("*")} for folder in (a, b)]
    if names[0] != names[1]:
        found.said.append(f"{run}: {len(names[0])} {kind} instead of {len(names[1])}")
    for name in sorted(names[0] & names[1]):
        found.pictures += 1
        if (a / kind / name).read_bytes() == (b / kind / name).read_bytes():
            found.identical += 1
        else:
            yield name, a / kind / name, b / kind / name


def _compare_masks(found, a, b, run, exact, near) -> set[str]:
    """Returns the names of those that differ."""
    names = set()
    for name, ours, theirs in _pairs(found, a, b, run, "masks"):
        names.add(name)
        wrong = _pixels(ours) != _pixels(theirs)
        if exact:
            found.said.append(f"{run}: mask {name} differs")
        elif (wrong & ~near(run, name)).any():
            found.said.append(f"{run}: mask {name} differs away from the threshold")
        else:
            found.cells += int(wrong.sum())
    return names


def _compare_edits(found, a, b, run, exact, other_masks) -> None:
    for name, ours, theirs in _pairs(found, a, b, run, "edits"):
        if exact:
            found.said.append(f"{run}: {name} differs")
        if name not in other_masks:
            apart = np.abs(_pixels(ours).astype(int) - _pixels(theirs))
            found.most, found.other = max(found.most, int(apart.max())), found.other + int((apart > 0).sum())
    first = next(iter(sorted((b / "edits").glob("*.png"))))
    found.values += _pixels(first).size * len(list((b / "edits").glob("*.png")))


def _pixels(file: Path) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image)


def _journal(folder: Path, exact: bool) -> dict[str, dict]:
    """What must be the same in it; the order of its lines need not be."""
    free = {"seconds", "nfe_spent"} | (set() if exact else {"edit_sha256", "mask_sha256"})
    return {
        id_: {key: value for key, value in entry.items() if key not in free}
        for id_, entry in Store(folder).journal().items()
    }


def _scores(folder: Path) -> dict[str, str]:
    """The scores of each image as text, without what a machine spent, by metric profile."""
    tables = {file.name: pd.read_csv(file, dtype=str, keep_default_na=False) for file in folder.glob("*.csv")}
    return {name: table.drop(columns=["seconds", "nfe_spent"]).to_csv() for name, table in tables.items()}
