"""A user's own pictures: a folder with a `manifest.jsonl`, one edit a line."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.data.base import Benchmark, Count
from bench.data.files.annotations import RepeatedKeyError, parsed, read_text
from bench.data.preprocess import READING_VERSION, UNREADABLE, read_mask, read_rgb, seen_size
from bench.data.text import unfit
from bench.errors import BadSample, UserError, nearest
from bench.files.hashing import sha256, sha256_if_readable
from bench.files.paths import find, listed
from bench.types import EditSample

REQUIRED = ("id", "image", "source", "target")
OPTIONAL = ("mask", "type", "group", "classes", "blend", "instruction")
_QUERY = (str, int, type(None))
_KINDS = {
    "id": (str, int),
    "image": (str,),
    "source": _QUERY,
    "target": _QUERY,
    "mask": (str, type(None)),
    "type": (str, int, type(None)),
    "group": (str, int, type(None)),
    "classes": (list, type(None)),
    "blend": (list, type(None)),
    "instruction": (str, type(None)),
}


class Manifest(Benchmark):
    """Edits listed in `<root>/manifest.jsonl`; picture and mask paths are relative to the root.

    Args:
        root: the folder.
        size: pixels a side; pictures are resized and centre-cropped to it.
        resample: one of `bench.data.preprocess.FILTERS`.
        mask_edit: what means edit in masks, see `bench.data.masks.edited`.

    Raises:
        UserError: naming the line that is wrong and why.
    """

    licence = "your own"

    def __init__(self, root: str | None, size: int, resample: str = "bicubic", mask_edit: str | None = None):
        if root is None:
            raise UserError("data=manifest needs data.root=<folder with a manifest.jsonl>")
        folder = find(root)
        if folder is None or not (folder / "manifest.jsonl").is_file():
            raise UserError(
                f"no manifest.jsonl in data.root={root}; write one there, one JSON object a line (docs: README)"
            )
        self.root, self.size, self.resample, self.mask_edit = folder, size, resample, mask_edit
        self.file = folder / "manifest.jsonl"
        self.annotations = [self.file]
        found = _read(self.file)
        self.lines, self.rows = list(found), list(found.values())
        self.ids = [str(row["id"]) for row in self.rows]
        for line, row in found.items():
            self._check_pictures(row, f"{self.file}, line {line}")

    @classmethod
    def listed(cls, root: str, **_: Any) -> list[Count]:
        """What `counts` says, and how many of the pictures and masks are there."""
        folder = find(root)
        if folder is None or not (folder / "manifest.jsonl").is_file():
            return []
        rows = list(_read(folder / "manifest.jsonl").values())
        there = []
        for what, key in (("pictures", "image"), ("masks", "mask")):
            if names := {row[key] for row in rows if row.get(key)}:
                there.append(Count(f"{what} that are there", sum(listed(folder / name) for name in names), len(names)))
        return [*_counted(rows), *there]

    def __getitem__(self, index: int) -> EditSample:
        row = self.rows[index]
        return EditSample(
            id=self.ids[index],
            image=read_rgb(self.root / row["image"], self.size, self.resample, row["image"], upright=True),
            source=row["source"],
            target=row["target"],
            mask=self._mask(row["mask"]) if row.get("mask") else None,
            type=_text(row.get("type")),
            group=_text(row.get("group", row["image"])),
            classes=tuple(row["classes"]) if row.get("classes") else None,
            blend=tuple(row["blend"]) if row.get("blend") else None,
            instruction=row.get("instruction"),
            where=f"line {self.lines[index]}",
        )

    def identity(self) -> dict[str, Any]:
        """Options, and the hashes of the manifest and of every file it names."""
        names = sorted({row[key] for row in self.rows for key in ("image", "mask") if row.get(key)})
        return {
            "size": self.size,
            "resample": self.resample,
            "mask_edit": self.mask_edit,
            "reading": READING_VERSION,
            "manifest": sha256(self.file),
            "files": [sha256_if_readable(self.root / name) for name in names],
        }

    def counts(self) -> list[Count]:
        """Samples, and how many have what is optional."""
        return _counted(self.rows)

    def real_image(self, class_id: int, rng: np.random.Generator) -> np.ndarray:
        """A random source picture of the class."""
        names = sorted({row["image"] for row in self.rows if row.get("classes") and row["classes"][0] == class_id})
        if not names:
            raise BadSample(f"no picture in {self.file} is of class {class_id}")
        return read_rgb(self.root / names[rng.integers(len(names))], self.size, self.resample, upright=True)

    def _mask(self, name: str) -> np.ndarray:
        return read_mask(self.root / name, self.size, self.mask_edit, name)

    def _check_pictures(self, row: dict, where: str) -> None:
        if not listed(self.root / row["image"]):
            raise UserError(f"{where}: there is no picture {self.root / row['image']}; paths are relative to data.root")
        if row.get("mask"):
            self._check_mask(row, where)

    def _check_mask(self, row: dict, where: str) -> None:
        if not listed(self.root / row["mask"]):
            raise UserError(f"{where}: there is no mask {self.root / row['mask']}; paths are relative to data.root")
        try:
            with Image.open(self.root / row["image"]) as image, Image.open(self.root / row["mask"]) as mask:
                sizes = seen_size(image), seen_size(mask)
        except UNREADABLE:
            return  # unreadable: the sample is recorded as failed when its turn comes
        if sizes[0] != sizes[1]:
            (w, h), (mw, mh) = sizes
            raise UserError(f"{where}: mask {row['mask']} is {mw}x{mh} px, its picture {w}x{h}; they must be equal")


def _counted(rows: list[dict]) -> list[Count]:
    """Samples, and how many have what is optional."""
    named = [Count(f"samples with {name}", sum(bool(row.get(name)) for row in rows)) for name in OPTIONAL]
    return [Count("samples", len(rows)), *named]


def _read(file: Path) -> dict[int, dict]:
    """Rows of a manifest, by their lines; whether their pictures are there is not asked."""
    text = read_text(file, "write it as UTF-8 text, one JSON object a line")
    rows: dict[int, dict] = {}
    seen: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):  # splitlines would also split at U+2028 inside a prompt
        if not line.strip():
            continue
        where = f"{file}, line {number}"
        try:
            row = parsed(line)
        except RepeatedKeyError as error:
            raise UserError(f"{where} has the field {error.args[0]!r} twice; leave one out") from None
        except ValueError as error:
            raise UserError(f"{where} is not JSON ({error}); expected one object a line") from None
        _check(row, where)
        if str(row["id"]) in seen:
            raise UserError(f"{where}: id {row['id']!r} was used on line {seen[str(row['id'])]}; ids must differ")
        seen[str(row["id"])] = number
        rows[number] = row
    if not rows:
        raise UserError(f"{file} lists no sample; write one JSON object a line with {', '.join(REQUIRED)}")
    return rows


def _check(row: object, where: str) -> None:
    if not isinstance(row, dict):
        raise UserError(f"{where} holds {type(row).__name__}; expected a JSON object with {', '.join(REQUIRED)}")
    for name in row:
        if name not in _KINDS:
            raise UserError(f"{where}: unknown field {name!r}; {nearest(name, [*REQUIRED, *OPTIONAL])}")
    for name in REQUIRED:
        if name not in row:
            raise UserError(f"{where}: field {name!r} is missing; every line needs {', '.join(REQUIRED)}")
    for name, value in row.items():
        if not isinstance(value, _KINDS[name]) or isinstance(value, bool):
            expected = " or ".join("null" if kind is type(None) else kind.__name__ for kind in _KINDS[name])
            raise UserError(f"{where}: {name} is {value!r}; expected {expected}")
    if row["id"] == "":
        raise UserError(f"{where}: id is empty; it names the files of the results")
    if why := unfit(str(row["id"])):
        raise UserError(f"{where}: id {why}")
    for name, kind in (("classes", int), ("blend", str)):
        if row.get(name) is not None and [type(value) for value in row[name]] != [kind, kind]:
            raise UserError(f"{where}: {name} is {row[name]!r}; expected two {kind.__name__}, of source and target")


def _text(value: str | int | None) -> str | None:
    return None if value is None else str(value)
