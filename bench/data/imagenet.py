"""The ImageNet edit benchmark of FlexIT, on the user's copy of the ILSVRC2012 validation images."""

import csv
import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.base import Benchmark, Count, Source
from bench.data.files.annotations import read_text
from bench.data.files.ilsvrc import ORIGIN, number_of, pictures_under
from bench.data.preprocess import read_rgb
from bench.errors import BadSample, UserError
from bench.files.hashing import sha256, sha256_of, sha256_of_files
from bench.files.paths import find
from bench.types import EditSample

COLUMNS = ("path", "source", "source_id", "target", "target_id", "is_test")
CLASSES = 1000


class ImageNet(Benchmark):
    """Queries of one split, over real validation images. DiffEdit reports the test split.

    Args:
        root: folder of the images: class folders (`n02091032/ILSVRC2012_val_00042240.JPEG`), one flat folder of the
            same file names, or the parquet files of `ILSVRC/imagenet-1k`; each also under `val/` or `data/`.
        annotations: FlexIT's queries.csv.
        split: `test` or `dev`, 1,092 queries each.
        queries: `names` (class names verbatim, for text models) or `ids` (0 to 999, for class models).
        size: pixels a side.
        resample: one of `bench.data.preprocess.FILTERS`.

    Sample ids are the row positions in queries.csv: FlexIT names outputs by them, not by the file's first column.

    Raises:
        UserError: one sentence for each thing that is missing.
    """

    licence = "pictures: ImageNet's terms, non-commercial research, never pass them on; queries.csv: MIT"

    def __init__(self, root, annotations, size: int, split: str = "test", queries: str = "names", resample="bicubic"):
        self.size, self.resample, self.split, self.names = size, resample, split, queries == "names"
        file, folder = self.require(root=root, annotations=annotations)
        self.annotations, rows = [file], _read_queries(file)
        self.pictures = pictures_under(folder)
        self._of_class = self.pictures.by_class(rows)
        self._all = rows
        self.rows = [(i, row) for i, row in enumerate(rows) if row["is_test"] == (split == "test")]
        self.ids = [f"{i:04d}" for i, _ in self.rows]
        self.target_classes = sorted({int(row["target_id"]) for row in rows})  # of both splits, as FlexIT's eval.py
        missing = [row["path"] for _, row in self.rows if row["number"] not in self.pictures]
        if missing:
            raise UserError(
                f"{len(missing)} of {len(self.rows)} images of queries.csv are not under {folder}, the first is "
                f"{Path(missing[0]).name}; get the whole validation set from {ORIGIN}"
            )

    @classmethod
    def sources(cls, root: str, annotations: str, **_: Any) -> list[Source]:
        """FlexIT's queries and the validation images."""
        return [
            Source(
                "FlexIT's queries.csv",
                Path(annotations),
                "data.annotations",
                "github.com/facebookresearch/SemanticImageTranslation, dataset/ (MIT)",
                url=_QUERIES,
                size=172_737,
                sha256="153fc0ef936f7239b3fc525897e91adad16900c6e3c94a1c7d4f2021543219c6",
            ),
            Source("ILSVRC2012 validation images", Path(root), "data.root", ORIGIN),
        ]

    @classmethod
    def listed(cls, annotations: str, **_: Any) -> list[Count]:
        """Rows and splits of queries.csv."""
        file = find(annotations)
        return _counted(_read_queries(file)) if file else []

    def __getitem__(self, index: int) -> EditSample:
        position, row = self.rows[index]
        classes = row["source_id"], row["target_id"]
        source, target = (row["source"], row["target"]) if self.names else classes
        return EditSample(
            id=f"{position:04d}",
            image=self._read(row["number"]),
            source=source,
            target=target,
            group=row["path"],
            classes=classes,
        )

    def identity(self) -> dict[str, Any]:
        """Options, and the hashes of queries.csv and of the files that hold its images."""
        numbers = [row["number"] for _, row in self.rows]
        return {
            "size": self.size,
            "resample": self.resample,
            "queries": "names" if self.names else "ids",
            "split": self.split,
            "annotations": sha256(self.annotations[0]),
            "files": sha256_of_files(self.pictures.files(numbers)),
        }

    def pool(self) -> str:
        """Hash of the class -> validation image numbers that `real_image` draws from; layouts know more or less."""
        return sha256_of({str(class_id): numbers for class_id, numbers in self._of_class.items()})

    def real_image(self, class_id: int, rng: np.random.Generator) -> np.ndarray:
        """A random validation image of the class."""
        numbers = self._of_class.get(class_id)
        if not numbers:
            raise BadSample(f"no validation image of class {class_id} is known in this layout; use class folders")
        return self._read(numbers[rng.integers(len(numbers))])

    def counts(self) -> list[Count]:
        """Rows, splits, and the classes of the split with their images."""
        per_class = Counter(row["target_id"] for _, row in self.rows)
        return [
            *_counted(self._all),
            Count(f"target classes of the {self.split} split", len(per_class), 273),
            Count("queries for each target class", "/".join(map(str, sorted(set(per_class.values())))), "4"),
            Count("classes that retrieve can draw from", len(self._of_class)),
        ]

    def result_names(self, index: int) -> dict[str, str]:
        """By row position, padded or, as FlexIT writes it, not."""
        position = self.rows[index][0]
        return {"row position": self.ids[index], "FlexIT's row position": str(position)}

    def _read(self, number: int) -> np.ndarray:
        return read_rgb(self.pictures.open(number), self.size, self.resample, f"ILSVRC2012_val_{number:08d}")


_QUERIES = (
    "https://raw.githubusercontent.com/facebookresearch/SemanticImageTranslation/"
    "7aece383f04e12307372ba8c729a556dfaacd8e8/dataset/queries.csv"
)


def _counted(rows: list[dict[str, Any]]) -> list[Count]:
    test = sum(row["is_test"] for row in rows)
    return [
        Count("rows of queries.csv", len(rows), 2184),
        Count("test rows", test, 1092),
        Count("dev rows", len(rows) - test, 1092),
    ]


def _read_queries(file: Path) -> list[dict[str, Any]]:
    """Rows with parsed values: path, number of its image, source, source_id, target, target_id, is_test."""
    again = f"get it again from {_QUERIES}"
    reader = csv.DictReader(io.StringIO(read_text(file, again), newline=""))
    try:
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or [])]
        if missing:
            raise UserError(f"{file} has no column {missing[0]!r}; expected FlexIT's queries.csv from {_QUERIES}")
        return [_parsed(row, f"{file}, line {reader.line_num}") for row in reader]
    except csv.Error as error:
        raise UserError(f"{file}, line {reader.line_num} is no CSV ({error}); {again}") from None


def _parsed(row: dict[str, str], where: str) -> dict[str, Any]:
    if None in row.values() or None in row:
        raise UserError(f"{where} has not as many values as columns; get queries.csv again from {_QUERIES}")
    if row["is_test"] not in ("True", "False"):
        raise UserError(f"{where}: is_test is {row['is_test']!r}; expected True or False")
    classes = {}
    for name in ("source_id", "target_id"):
        if not row[name].isdecimal() or int(row[name]) >= CLASSES:
            raise UserError(f"{where}: {name} is {row[name]!r}; expected a class id from 0 to {CLASSES - 1}")
        classes[name] = int(row[name])
    try:
        number = number_of(row["path"])
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    return {**row, **classes, "number": number, "is_test": row["is_test"] == "True"}
