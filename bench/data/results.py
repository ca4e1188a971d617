"""Pictures that somebody else's code produced, found by the names that such code gives them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unicodedata import normalize
from urllib.parse import quote

import numpy as np
from PIL import Image

from bench.data.preprocess import NATIVE, READING_VERSION, UNREADABLE, as_rgb, seen_size
from bench.errors import BadSample, UserError
from bench.files.hashing import sha256_of_files
from bench.files.paths import files_under, find, sample_name
from bench.types import EditData, EditSample

ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
"""In order of preference."""


class Results:
    """A folder with one edited picture for each sample, all named after the same convention of the data set's, there or
    in one folder below it.

    Pictures of their sources' size are taken whole; of a panel of several such in a row (PIE-Bench's runners save
    2048x512: prompts, source, reconstruction, edit) the last is, as the owners' evaluation does. No picture is ever
    resampled.

    Args:
        root: the folder.
        data: the data set that was edited.

    Raises:
        UserError: no file there is named after a sample, several folders have such files, or the first has another size
            than the data set.
    """

    def __init__(self, root: str | None, data: EditData):
        if root is None:
            raise UserError("method=precomputed needs method.root=<folder of edited pictures>")
        self.folder = find(root)
        if self.folder is None or not self.folder.is_dir():
            raise UserError(f"method.root={root} is no folder; expected one with an edited picture for each sample")
        self.size = data.size
        names = [data.result_names(index) for index in range(len(data.ids))]
        pictures = [file for file in files_under(self.folder) if file.suffix.lower() in ENDINGS]
        self.folder = _base(self.folder, pictures, {name for of in names for name in of.values()})
        there = {str(f.relative_to(self.folder)): f for f in pictures if f.is_relative_to(self.folder)}
        found = {rule: _files(data.ids, [of[rule] for of in names], there) for rule in names[0]}
        self.rule = max(found, key=lambda rule: len(found[rule]))
        self.files = found[self.rule]
        self._name = dict(zip(data.ids, (of[self.rule] for of in names), strict=True))
        if not self.files:
            looked = ", ".join(f"{name}.png ({rule})" for rule, name in names[0].items())
            raise UserError(f"no picture under {self.folder} is named after a sample; sought, for the first: {looked}")
        first, side = (None, NATIVE) if self.size == NATIVE else self._first_side()
        if side != self.size:
            raise UserError(f"{first} is {side} px and is not resampled, data.size={self.size}; set data.size={side}")

    def identity(self) -> dict[str, Any]:
        """Convention, and the hashes of the pictures; not where they lie."""
        return {"named by": self.rule, "reading": READING_VERSION, "files": sha256_of_files(self.files)}

    def read(self, samples: list[EditSample]) -> tuple[np.ndarray, list[dict[str, Any]]]:
        """Pictures of samples, uint8 `[B, 3, H, W]`, and for each the file, what was taken of it, and whether it is a
        JPEG, whose loss must not be added a second time.

        Raises:
            BadSample: one is not there, not readable, or has another size.
        """
        pairs = [self._read(sample.id, *sample.image.shape[1:]) for sample in samples]
        return np.stack([picture for picture, _ in pairs]), [note for _, note in pairs]

    def _read(self, id_: str, height: int, width: int) -> tuple[np.ndarray, dict[str, Any]]:
        file = self.files.get(id_)
        if file is None:
            raise BadSample(f"there is no {self._name[id_]}.png (or .jpg, .jpeg, .webp) in {self.folder}")
        with _opened(file) as image:
            if self.size == NATIVE:
                _check(image, file, width, height)
            elif (side := _side(image, file)) != self.size:
                raise BadSample(f"{file} is {side} px and is not resampled, data.size={self.size}")
            whole, part = seen_size(image)[0], "square" if width == height else f"{width}x{height}"
            pixels = np.asarray(as_rgb(image, str(file)).crop((whole - width, 0, whole, height)))
            taken = "whole" if whole == width else f"last {part} of {whole}x{height}"
            note = {"file": str(file.relative_to(self.folder)), "taken": taken, "jpeg": image.format == "JPEG"}
        return pixels.transpose(2, 0, 1), note

    def _first_side(self) -> tuple[Path, int]:
        """The first picture that can be read, and its size: most often that of all."""
        for file in self.files.values():
            try:
                with _opened(file) as image:
                    return file, _side(image, file)
            except BadSample as error:
                why = error
        raise UserError(f"no picture under {self.folder} can be taken; the last: {why}")


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    """A picture. Raises: BadSample: it is none."""
    try:
        with Image.open(file) as image:
            yield image
    except UNREADABLE as error:
        raise BadSample(f"{file} is not a readable picture ({error})") from None


def _side(image: Image.Image, file: Path) -> int:
    """Pixels a side of a square, or of each square of a row. Raises: BadSample: it is none."""
    width, height = seen_size(image)
    if width % height:
        raise BadSample(f"{file} is {width}x{height} px; expected a square, or a panel of squares in a row")
    return height


def _check(image: Image.Image, file: Path, width: int, height: int) -> None:
    """Raises BadSample for what is neither of its source's size nor a row of such pictures."""
    whole, deep = seen_size(image)
    if deep != height or whole % width:
        raise BadSample(
            f"{file} is {whole}x{deep} px and is not resampled; expected {width}x{height}, as its source is, or a "
            "panel of such pictures in a row"
        )


def _spelled(name: str) -> tuple[str, ...]:
    """The ways in which a name may be written, without its ending."""
    name = normalize("NFC", name)  # some file systems take accents apart
    return name, quote(name, safe="/"), sample_name(name)  # the last as runs store edits


def _base(folder: Path, pictures: list[Path], names: set[str]) -> Path:
    """The uppermost folder from which names of results lead to pictures. Raises: UserError: there are several."""
    wanted, bases = {spelled for name in names for spelled in _spelled(name)}, set()
    for file in pictures:
        parts = file.relative_to(folder).with_suffix("").parts
        bases |= {parts[:i] for i in range(len(parts)) if normalize("NFC", "/".join(parts[i:])) in wanted}
    tops = sorted(base for base in bases if not any(base[:i] in bases for i in range(len(base))))
    if len(tops) > 1:
        first, second = (Path(*base) for base in tops[:2])
        raise UserError(
            f"several folders below {folder} hold pictures that are named after samples, such as {first} and {second}; "
            "set method.root= to one of them"
        )
    return folder.joinpath(*tops[0]) if tops else folder


def _files(ids: list[str], names: list[str], there: dict[str, Path]) -> dict[str, Path]:
    """The file of each sample that has one under this convention."""
    stems: dict[str, list[Path]] = {}
    for name, file in there.items():
        stems.setdefault(normalize("NFC", name[: -len(file.suffix)]), []).append(file)
    found = {}
    for id_, name in zip(ids, names, strict=True):
        if files := next(filter(None, map(stems.get, _spelled(name))), None):
            found[id_] = min(files, key=lambda file: ENDINGS.index(file.suffix.lower()))
    return found
