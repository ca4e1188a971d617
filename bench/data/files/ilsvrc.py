"""The ILSVRC2012 validation images as users have them: in class folders, in one folder, or in the hub's parquet."""

import io
import re
from pathlib import Path

from bench.data.files.annotations import read_text
from bench.data.files.parquet import ImageTable
from bench.errors import UserError

JPEGS = "ILSVRC2012_val_*.JPEG"  # leaves out training images and the "._" files that some systems add
ORIGIN = (
    "image-net.org (ILSVRC2012_img_val.tar, after registration) or `hf download --repo-type dataset "
    "ILSVRC/imagenet-1k --include 'data/validation-*'` (gated)"
)


class Files:
    """Image files in class folders or in one flat folder. Images go by their number in the official file names."""

    def __init__(self, folder: Path):
        self.folder = folder
        found = [*folder.glob(JPEGS), *folder.glob(f"n*/{JPEGS}")]
        self._file = {number_of(file.name): file for file in sorted(found)}

    def __contains__(self, number: int) -> bool:
        return number in self._file

    def files(self, numbers: list[int]) -> dict[str, Path]:
        """The files that hold these images, by a name that does not depend on where they lie."""
        return {str(number): self._file[number] for number in numbers}

    def open(self, number: int) -> Path:
        """The file of an image."""
        return self._file[number]

    def by_class(self, rows: list[dict]) -> dict[int, list[int]]:
        """Image numbers of each class id that this layout can tell: from the thousand class folders, from the
        devkit's ground truth beside a flat folder, else from the benchmark's own rows."""
        synsets = sorted({file.parent.name for file in self._file.values()} - {self.folder.name})
        if len(synsets) == 1000:  # sorted synsets are the class ids
            label = {number: synsets.index(file.parent.name) for number, file in self._file.items()}
            return _invert(label)
        known = {row["number"]: row["source_id"] for row in rows}
        truth = self.folder.parent / "ILSVRC2012_validation_ground_truth.txt"
        truth = truth if truth.is_file() else self.folder / truth.name
        if not truth.is_file():
            return _invert({number: id_ for number, id_ in known.items() if number in self._file})
        # The devkit counts classes from 1 in an order of its own; the benchmark's rows translate it.
        words = read_text(truth, "take it from the devkit again, or away").split()
        if wrong := next((word for word in words if not word.isdecimal()), None):
            raise UserError(f"{truth} holds {wrong!r:.40}; expected a class number a line, as in the devkit")
        devkit = dict(enumerate(map(int, words), 1))
        translated = {devkit[number]: id_ for number, id_ in known.items() if number in devkit}
        return _invert({n: translated[c] for n, c in devkit.items() if c in translated and n in self._file})


class Parquet:
    """The parquet files of ILSVRC/imagenet-1k, split validation."""

    def __init__(self, folder: Path):
        self._files = sorted(folder.glob("validation-*.parquet"))
        self._table = ImageTable(self._files, ("image", "label"))
        self._row = {number_of(path): i for i, path in enumerate(self._table.paths())}
        labels = self._table.column("label")
        self._label = {number: labels[row] for number, row in self._row.items()}

    def __contains__(self, number: int) -> bool:
        return number in self._row

    def files(self, numbers: list[int]) -> dict[str, Path]:
        """All files: each holds thousands of images."""
        return {file.name: file for file in self._files}

    def open(self, number: int) -> io.BytesIO:
        """The file of an image, as a stream."""
        return self._table.open(self._row[number])

    def by_class(self, rows: list[dict]) -> dict[int, list[int]]:
        """Image numbers of each class id, from the label column."""
        return _invert(self._label)


def pictures_under(root: Path) -> Files | Parquet:
    """The images under a folder, in whichever layout it has.

    Raises:
        UserError: it has none of them.
    """
    for folder in (root, root / "val", root / "data"):
        if next(folder.glob("validation-*.parquet"), None):
            return Parquet(folder)
        if next(folder.glob(JPEGS), None) or next(folder.glob(f"n*/{JPEGS}"), None):
            return Files(folder)
    raise UserError(
        f"no ILSVRC2012 validation image under {root}; expected class folders, one flat folder of {JPEGS}, or "
        f"validation-*.parquet, there or in val/ or data/"
    )


def number_of(path: str | None) -> int:
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
