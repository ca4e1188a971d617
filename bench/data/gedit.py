"""GEdit-Bench: instructions of real users, in English and Chinese, for pictures of any size."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

from bench.data.base import Benchmark, Count, Source
from bench.data.files.annotations import field
from bench.data.files.parquet import ImageTable, found_files
from bench.data.preprocess import read_rgb
from bench.errors import BadSample, UserError
from bench.files.hashing import sha256_of_files
from bench.types import EditSample

PICTURE, KEY = "input_image_raw", "key"
COLUMNS = (PICTURE, "task_type", "instruction", "instruction_language")
LANGUAGES = ("en", "cn")


class GEdit(Benchmark):
    """The rows of one language; the pictures are those of `input_image_raw`, as users gave them. There are no captions.

    Args:
        root: folder above the parquet files.
        size: pixels a side.
        language: of the instructions, one of `LANGUAGES`; both have the same pictures.
        resample: one of `bench.data.preprocess.FILTERS`.

    An edit's id is its `key`, or in files without that column the row's number. Statistics are clustered by picture.

    Raises:
        UserError: what is missing, or the row and column that is wrong.
    """

    licence = "MIT"

    def __init__(self, root: str, size: int, language: str = "en", resample: str = "bicubic"):
        self.size, self.language, self.resample = size, language, resample
        (folder,) = self.require(root=root)
        self.annotations = found_files(folder, "*.parquet", _HOW)
        self._table = ImageTable(self.annotations, COLUMNS, optional=(KEY,))
        rows = _read(self._table, folder)
        self._rows = {row["id"]: row for row in rows if row["language"] == language}
        if not self._rows:
            raise UserError(f"{folder} has no row of instruction_language {language!r}; set data.language to another")
        self.ids = list(self._rows)

    @classmethod
    def sources(cls, root: str, **_: Any) -> list[Source]:
        """The folder of parquet files."""
        return [Source("GEdit-Bench", Path(root), "data.root", _HOW, hub=_HUB)]

    def __getitem__(self, index: int) -> EditSample:
        id_ = self.ids[index]
        row = self._rows[id_]
        picture = self._table.open(row["place"])
        return EditSample(
            id=id_,
            image=read_rgb(picture, self.size, self.resample, f"{PICTURE} of {id_}"),
            source=None,
            target=None,
            type=row["type"],
            group=_digest(picture.getvalue()),
            instruction=row["instruction"],
        )

    def identity(self) -> dict[str, Any]:
        """Options, and the hashes of the parquet files."""
        options = {"size": self.size, "resample": self.resample, "language": self.language}
        return {**options, "files": sha256_of_files({str(i): file for i, file in enumerate(self.annotations)})}

    def counts(self) -> list[Count]:
        """Edits, different pictures, and edits of each type."""
        pictures = set()
        for row in self._rows.values():
            try:
                pictures.add(_digest(self._table.open(row["place"]).getvalue()))
            except BadSample:  # counted with the samples that cannot be read
                continue
        types = Counter(row["type"] for row in self._rows.values())
        return [
            Count("samples", len(self.ids), 606),
            Count("pictures", len(pictures)),
            *(Count(f"type {name}", types[name]) for name in sorted(types)),
        ]

    def result_names(self, index: int) -> dict[str, str]:
        """By id, or in the tree that the benchmark's own evaluation reads."""
        id_ = self.ids[index]
        return {"sample id": id_, "GEdit-Bench's tree": f"fullset/{self._rows[id_]['type']}/{self.language}/{id_}"}


_HUB = "stepfun-ai/GEdit-Bench"
_HOW = f"`hf download {_HUB} --repo-type dataset --local-dir data/gedit`"


def _read(table: ImageTable, folder: Path) -> list[dict[str, Any]]:
    """Place, id, type, language and instruction of each row."""
    rows, seen = [], set()
    for place, entry in enumerate(table.rows()):
        where = f"{folder}, row {place}"
        language = field(entry, "instruction_language", str, where)
        if language not in LANGUAGES:
            raise UserError(f"{where}: instruction_language is {language!r}; expected {' or '.join(LANGUAGES)}")
        instruction, type_ = (field(entry, name, str, where) for name in ("instruction", "task_type"))
        if not instruction.strip():
            raise UserError(f"{where}: instruction is empty; get the file again from {_HOW}")
        id_ = field(entry, KEY, str, where) if KEY in table.names else f"{place:04d}"
        if (language, id_) in seen:
            raise UserError(f"{where}: key {id_!r} is there twice in {language!r}; ids must differ")
        seen.add((language, id_))
        rows.append({"place": place, "id": id_, "type": type_, "language": language, "instruction": instruction})
    return rows


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
