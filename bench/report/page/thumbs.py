"""Small copies of pictures and masks, written only where they are absent or older than what they show."""

import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import binary_erosion

from bench.config import progress
from bench.files.refused import writing
from bench.files.write import atomic, write

SMALL = 128
"""Pictures of at most so many pixels a side stay what they are, as PNG; the page enlarges them without smoothing."""
QUALITY = 80
TRUE, OWN = (0, 190, 255), (255, 0, 90)
"""Colours of the true mask, an outline, and of the method's own, an outline and a veil."""


class Thumbs:
    """A folder of thumbnails.

    Args:
        folder: created; thumbnails of another size are deleted from it.
        side: longest side in pixels.
    """

    def __init__(self, folder: Path, side: int):
        self.folder, self.side = folder, side
        stamp = folder / "made_with.json"
        made_with = json.dumps({"side": side, "small": SMALL, "quality": QUALITY}) + "\n"
        if stamp.exists() and stamp.read_text() != made_with:
            with writing(folder):
                shutil.rmtree(folder)  # the stamp says that it is ours
        write(stamp, made_with)
        self._pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
        self._used: set[Path] = set()
        self._due: list[Callable[[], None]] = []

    def ending(self, side: int) -> str:
        """Format of the thumbnails of pictures of so many pixels a side."""
        return "png" if side <= SMALL else "webp"

    def use(self, name: str) -> Path:
        """A folder of thumbnails that the page shows; the others are deleted at the end."""
        self._used.add(self.folder / name)
        return self.folder / name

    def relative(self, place: Path) -> str:
        """A folder of thumbnails as the page, which lies beside all of them, names it."""
        return place.relative_to(self.folder.parent).as_posix()

    def copy(self, pairs: list[tuple[Path, Path]]) -> None:
        """Thumbnails of picture files, (picture, thumbnail) each, which `finish` writes."""
        self._due += [partial(self._copy, *pair) for pair in _stale(pairs)]

    def copy_masks(self, pairs: list[tuple[Path, Path]]) -> None:
        """The same for masks that methods worked with: to be laid over their edits."""
        self._due += [partial(self._copy_mask, *pair) for pair in _stale(pairs)]

    def each(self, work: Callable[[Any], None], jobs: list) -> None:
        """Does `work` with each job, several at once."""
        list(self._pool.map(work, jobs))

    def save(self, pixels: np.ndarray, file: Path) -> None:
        """uint8 `[3, H, W]`."""
        self._save(Image.fromarray(pixels.transpose(1, 2, 0)), file)

    def save_mask(self, mask: np.ndarray, file: Path, colour: tuple[int, int, int], veil: int) -> None:
        """bool `[H, W]` as an overlay: an outline inside the mask, and a veil of so much opacity (0 to 255)."""
        area = Image.fromarray(mask.astype(np.uint8) * 255)
        area.thumbnail((self.side, self.side), Image.Resampling.NEAREST)
        inside = np.asarray(area) > 127
        # the frame's edge ends a mask too, so that one of the whole picture is told from none
        core = binary_erosion(inside, np.ones((3, 3)), iterations=1 if max(area.size) <= SMALL else 3)
        overlay = Image.fromarray(np.where(inside, np.where(core, 1, 2), 0).astype(np.uint8), mode="P")
        overlay.putpalette([0, 0, 0, *colour, *colour])
        with atomic(file) as temporary:
            overlay.save(temporary, format="PNG", transparency=bytes([0, veil, 255]), optimize=True)

    def finish(self) -> None:
        """Writes what is due, and deletes folders of thumbnails that the page does not show, so that it carries nothing
        along."""
        with progress.line("page, 3 of 3: edits and masks", len(self._due)) as bar:
            for _ in self._pool.map(lambda copy: copy(), self._due):
                bar.update()
        self._pool.shutdown()
        with writing(self.folder):
            for folder in self.folder.glob("*/*/*"):
                if folder not in self._used:
                    shutil.rmtree(folder)
            for folder in [*self.folder.glob("*/*/"), *self.folder.glob("*/")]:
                if not any(folder.iterdir()):
                    folder.rmdir()

    def _copy(self, picture: Path, file: Path) -> None:
        with Image.open(picture) as image:
            if max(image.size) <= SMALL and file.suffix == ".png":
                write(file, picture.read_bytes())
            else:
                self._save(image.convert("RGB"), file)

    def _copy_mask(self, picture: Path, file: Path) -> None:
        with Image.open(picture) as image:
            self.save_mask(np.asarray(image) > 127, file, OWN, veil=70)

    def _save(self, image: Image.Image, file: Path) -> None:
        image.thumbnail((self.side, self.side), Image.Resampling.LANCZOS)
        with atomic(file) as temporary:
            image.save(temporary, format=file.suffix[1:].upper(), quality=QUALITY)


def _stale(pairs: list[tuple[Path, Path]]) -> list[tuple[Path, Path]]:
    return [(a, b) for a, b in pairs if not b.exists() or b.stat().st_mtime_ns < a.stat().st_mtime_ns]
