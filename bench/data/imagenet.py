"""The ImageNet edit benchmark of FlexIT, on the user's copy of the ILSVRC2012 validation images."""

import csv
import io
import re
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.preprocess import read_rgb
from bench.errors import BadSample, UserError
from bench.hashing import sha256, sha256_of
from bench.paths import find
from bench.types import EditSample

COLUMNS = ("path", "source", "source_id", "target", "target_id", "is_test")
QUERIES_SOURCE = "https://github.com/facebookresearch/SemanticImageTranslation (dataset/queries.csv, MIT)"
IMAGES_SOURCE = (
    "https://image-net.org (ILSVRC2012_img_val.tar) or, gated, `hf download --repo-type dataset ILSVRC/imagenet-1k`"
)
JPEGS = "ILSVRC2012_val_*.JPEG"  # leaves out training images and the "._" files that some systems add


class ImageNet:
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

    def __init__(self, root, annotations, size: int, split: str = "test", queries: str = "names", resample="bicubic"):
        self.size, self.resample, self.split, self.names = size, resample, split, queries == "names"
        problems = []
        file = find(annotations) if annotations else None
        if file is None or not file.is_file():
            problems.append(
                f"ImageNet edit benchmark: queries.csv is missing, sought at data.annotations={annotations}; take it "
                f"from {QUERIES_SOURCE} and set data.annotations="
            )
        folder = find(root) if root else None
        if folder is None or not folder.is_dir():
            problems.append(
                f"ImageNet validation images are missing, sought at data.root={root}; get them from {IMAGES_SOURCE} "
                "and set data.root="
            )
        if problems:
            raise UserError("\n".join(problems))
        self.file, rows = file, _read_queries(file)
        self.pictures = _pictures(folder)
        self._of_class = self.pictures.by_class(rows)
        self.rows = [(i, row) for i, row in enumerate(rows) if (row["is_test"] == "True") == (split == "test")]
        self.ids = [f"{i:04d}" for i, _ in self.rows]
        missing = [row["path"] for _, row in self.rows if _number(row["path"]) not in self.pictures]
        if missing:
            raise UserError(
                f"{len(missing)} of {len(self.rows)} images of queries.csv are not under {folder}, the first is "
                f"{Path(missing[0]).name}; get the whole validation set from {IMAGES_SOURCE}"
            )

    def __getitem__(self, index: int) -> EditSample:
        position, row = self.rows[index]
        classes = int(row["source_id"]), int(row["target_id"])
        source, target = (row["source"], row["target"]) if self.names else classes
        return EditSample(
            id=f"{position:04d}",
            image=self._read(_number(row["path"])),
            source=source,
            target=target,
            group=row["path"],
            classes=classes,
        )

    def identity(self) -> dict[str, Any]:
        """Options, and the hashes of queries.csv and of the files that hold its images."""
        numbers = [_number(row["path"]) for _, row in self.rows]
        return {
            "size": self.size,
            "resample": self.resample,
            "queries": "names" if self.names else "ids",
            "split": self.split,
            "annotations": sha256(self.file),
            "files": sorted({sha256(file) for file in self.pictures.files(numbers)}),
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

    def _read(self, number: int) -> np.ndarray:
        return read_rgb(self.pictures.open(number), self.size, self.resample, f"ILSVRC2012_val_{number:08d}")


class _Files:
    """Image files in class folders or in one flat folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        found = [*folder.glob(JPEGS), *folder.glob(f"n*/{JPEGS}")]
        self._file = {_number(file.name): file for file in sorted(found)}

    def __contains__(self, number: int) -> bool:
        return number in self._file

    def files(self, numbers: list[int]) -> list[Path]:
        return [self._file[number] for number in numbers]

    def open(self, number: int) -> Path:
        return self._file[number]

    def by_class(self, rows: list[dict]) -> dict[int, list[int]]:
        """Image numbers of each class id that this layout can tell: from the thousand class folders, from the
        devkit's ground truth beside a flat folder, else from the benchmark's own rows."""
        synsets = sorted({file.parent.name for file in self._file.values()} - {self.folder.name})
        if len(synsets) == 1000:  # sorted synsets are the class ids
            label = {number: synsets.index(file.parent.name) for number, file in self._file.items()}
            return _invert(label)
        known = {_number(row["path"]): int(row["source_id"]) for row in rows}
        truth = self.folder.parent / "ILSVRC2012_validation_ground_truth.txt"
        truth = truth if truth.is_file() else self.folder / truth.name
        if not truth.is_file():
            return _invert({number: id_ for number, id_ in known.items() if number in self._file})
        # The devkit counts classes from 1 in an order of its own; the benchmark's rows translate it.
        devkit = dict(enumerate(map(int, truth.read_text().split()), 1))
        translated = {devkit[number]: id_ for number, id_ in known.items() if number in devkit}
        return _invert({n: translated[c] for n, c in devkit.items() if c in translated and n in self._file})


class _Parquet:
    """The parquet files of ILSVRC/imagenet-1k, split validation."""

    def __init__(self, folder: Path):
        from datasets import Image, load_dataset

        self._files = sorted(map(str, folder.glob("validation-*.parquet")))
        table = load_dataset("parquet", data_files=self._files, split="train").cast_column("image", Image(decode=False))
        self._table = table
        # Chunk by chunk: the images of all chunks together are too large for one array.
        paths = [path for chunk in table.data.column("image").chunks for path in chunk.field("path").to_pylist()]
        self._row = {_number(path): i for i, path in enumerate(paths)}
        labels = table.data.column("label").to_pylist()
        self._label = {number: labels[row] for number, row in self._row.items()}

    def __contains__(self, number: int) -> bool:
        return number in self._row

    def files(self, numbers: list[int]) -> list[Path]:
        return [Path(file) for file in self._files]

    def open(self, number: int) -> io.BytesIO:
        return io.BytesIO(self._table[self._row[number]]["image"]["bytes"])

    def by_class(self, rows: list[dict]) -> dict[int, list[int]]:
        return _invert(self._label)


def _pictures(root: Path) -> _Files | _Parquet:
    for folder in (root, root / "val", root / "data"):
        if next(folder.glob("validation-*.parquet"), None):
            return _Parquet(folder)
        if next(folder.glob(JPEGS), None) or next(folder.glob(f"n*/{JPEGS}"), None):
            return _Files(folder)
    raise UserError(
        f"no ILSVRC2012 validation image under {root}; expected class folders, one flat folder of {JPEGS}, or "
        f"validation-*.parquet, there or in val/ or data/"
    )


def _read_queries(file: Path) -> list[dict]:
    with open(file, newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or [])]
        if missing:
            raise UserError(f"{file} has no column {missing[0]!r}; expected FlexIT's queries.csv from {QUERIES_SOURCE}")
        return list(reader)


def _number(path: str | None) -> int:
    """00042240 of `.../ILSVRC2012_val_00042240.JPEG` or `ILSVRC2012_val_00042240_n02091032.JPEG`."""
    found = re.search(r"ILSVRC2012_val_(\d{8})", path or "")
    if not found:
        raise UserError(f"{path!r} names no ILSVRC2012 validation image; expected ILSVRC2012_val_<8 digits>.JPEG")
    return int(found[1])


def _invert(label: dict[int, int]) -> dict[int, list[int]]:
    members: dict[int, list[int]] = {}
    for number in sorted(label):
        members.setdefault(label[number], []).append(number)
    return members
