"""MagicBrush's dev split: instructions that people wrote and followed, with masks and the true edits."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.data.base import Benchmark, Count, Source
from bench.data.files.annotations import field
from bench.data.files.parquet import ImageTable, found_files
from bench.data.preprocess import NATIVE, UNREADABLE, read_mask, read_rgb, stored_size
from bench.errors import BadSample, UserError
from bench.files.hashing import sha256_of_files
from bench.types import EditSample

PICTURES = ("source_img", "mask_img", "target_img")
COLUMNS = (*PICTURES, "img_id", "turn_index", "instruction")


class MagicBrush(Benchmark):
    """Edits in turns: from the second on, a turn's source is the true edit of the turn before. There are no captions.

    Args:
        root: folder above the parquet files `dev-*.parquet`.
        size: pixels a side.
        turns: the turns to keep, such as [1]; None keeps all.
        resample: one of `bench.data.preprocess.FILTERS`.

    An edit's id is its picture's number and its turn: `242679-1`. Statistics are clustered by picture. In masks white
    means edit, or what is transparent where transparency draws the shape.

    Raises:
        UserError: what is missing, or the row and column that is wrong.
    """

    licence = "CC-BY-4.0; its authors ask that the test split is not passed on"

    def __init__(self, root: str, size: int, turns: list[int] | int | None = None, resample: str = "bicubic"):
        self.size, self.resample = size, resample
        self.turns = turns if turns is None else sorted({turns} if isinstance(turns, int) else set(turns))
        (folder,) = self.require(root=root)
        self.annotations = found_files(folder, _FILES, _HOW)
        self._table = ImageTable(self.annotations, COLUMNS, len(PICTURES))
        everything = _read(self._table, folder)
        self._rows = {id_: row for id_, row in everything.items() if turns is None or row["turn"] in self.turns}
        self.ids = list(self._rows)
        if not self.ids:
            raise UserError(f"{folder} has no edit of data.turns={turns}; name other turns")

    @classmethod
    def sources(cls, root: str, **_: Any) -> list[Source]:
        """The folder of parquet files."""
        return [Source("MagicBrush's dev split", Path(root), "data.root", _HOW, hub=_HUB, include=f"data/{_FILES}")]

    def __getitem__(self, index: int) -> EditSample:
        id_ = self.ids[index]
        row = self._rows[id_]
        source, mask, target = (self._table.open(row["place"], name) for name in PICTURES)
        sizes = [stored_size(picture) for picture in (source, mask, target)]
        for name, size in zip(PICTURES[1:], sizes[1:], strict=True):
            if size and sizes[0] and not _same_shape(size, sizes[0]):
                a, b = ("x".join(map(str, pair)) for pair in (size, sizes[0]))
                raise BadSample(f"{name} of {id_} is {a} px and its source {b}; they must have the same shape")
        size = sizes[0] if self.size == NATIVE and sizes[0] else self.size
        return EditSample(
            id=id_,
            image=read_rgb(source, size, self.resample, f"source_img of {id_}"),
            source=None,
            target=None,
            mask=read_mask(mask, size, _meaning_edit(mask), f"mask_img of {id_}"),
            type=f"turn {row['turn']}",
            group=row["picture"],
            instruction=row["instruction"],
            truth=read_rgb(target, size, self.resample, f"target_img of {id_}"),
        )

    def identity(self) -> dict[str, Any]:
        """Options, and the hashes of the parquet files."""
        options = {"size": self.size, "resample": self.resample, "turns": self.turns}
        return {**options, "files": sha256_of_files({str(i): file for i, file in enumerate(self.annotations)})}

    def counts(self) -> list[Count]:
        """Edits, pictures, and edits of each turn."""
        turns = [row["turn"] for row in self._rows.values()]
        pictures = {row["picture"] for row in self._rows.values()}
        whole = self.turns is None
        return [
            Count("samples", len(turns), 528 if whole else None),
            Count("pictures", len(pictures), 266 if whole else None),
            *(Count(f"turn {turn}", turns.count(turn)) for turn in sorted(set(turns))),
        ]


_HUB, _FILES = "osunlp/MagicBrush", "dev-*.parquet"
_HOW = f"`hf download {_HUB} --repo-type dataset --include 'data/{_FILES}' --local-dir data/magicbrush`"


def _read(table: ImageTable, folder: Path) -> dict[str, dict[str, Any]]:
    """Place, picture, turn and instruction of each row, by id."""
    rows = {}
    for place, entry in enumerate(table.rows()):
        where = f"{folder}, row {place}"
        picture, turn = str(field(entry, "img_id", (str, int), where)), field(entry, "turn_index", int, where)
        instruction = field(entry, "instruction", str, where).strip()
        if not instruction:
            raise UserError(f"{where}: instruction is empty; get the file again from {_HOW}")
        if (id_ := f"{picture}-{turn}") in rows:
            raise UserError(f"{where}: turn {turn} of picture {picture!r} is there twice; ids must differ")
        rows[id_] = {"place": place, "picture": picture, "turn": turn, "instruction": instruction}
    return rows


def _same_shape(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """But for the rounding of a resize."""
    (width, height), (other_width, other_height) = size, other
    return abs(width * other_height - other_width * height) <= max(*size, *other)


def _meaning_edit(mask: io.BytesIO) -> str | None:
    """What means edit in a mask file, as `bench.data.masks.edited` takes it."""
    try:
        with Image.open(mask) as image:
            drawn = image.has_transparency_data and np.asarray(image.convert("RGBA"))[..., 3].min() < 255
    except UNREADABLE:  # said when it is read
        return None
    return "transparent" if drawn else None
