"""Grids of pictures: a line for each sample, a column for each way of editing it."""

import textwrap
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from bench.data.own import sample
from bench.edits.folder import Store
from bench.errors import BadSample
from bench.report import write
from bench.types import EditData, EditSample

CELL = 112
"""Default side of a picture, in pixels."""
_GAP, _LINE, _WIDTH = 4, 16, 640  # wide enough for most words
_INK, _OUTLINE = (30, 30, 30), (255, 0, 90)

OUTLINES = "outlines: true mask on the source, the method's own mask on its edit"

Line = tuple[str, list[Image.Image | None]]
"""Words above a line of pictures, and the pictures; None leaves a place empty."""


def sheet(heads: list[str], lines: list[Line], notes: list[str], cell: int = CELL) -> Image.Image:
    """Pictures of side `cell` under column heads (of any number of lines), notes below."""
    step, top = cell + _GAP, _LINE * (1 + max(head.count("\n") + 1 for head in heads))
    width, font = max(_WIDTH, _GAP + step * len(heads)), _font()
    wrapped = [part for note in notes for part in textwrap.wrap(note, max(20, width // 7))]
    sheet_ = Image.new("RGB", (width, top + (step + _LINE) * len(lines) + _LINE * (len(wrapped) + 1)), "white")
    pen = ImageDraw.Draw(sheet_)
    for column, head in enumerate(heads):
        pen.multiline_text((_GAP + column * step, 4), head, _INK, font, spacing=2)
    for i, (words, cells) in enumerate(lines):
        y = top + i * (step + _LINE)
        pen.text((_GAP, y), _shortened(words, pen, font, width - 2 * _GAP), _INK, font)
        for column, picture_ in enumerate(cells):
            if picture_ is not None:
                sheet_.paste(picture_, (_GAP + column * step, y + _LINE))
    pen.multiline_text((_GAP, sheet_.height - _LINE * (len(wrapped) + 0.5)), "\n".join(wrapped), _INK, font)
    return sheet_


def picture(pixels: np.ndarray, cell: int = CELL) -> Image.Image:
    """uint8 `[3, H, W]` at the size of a cell."""
    image = Image.fromarray(pixels.transpose(1, 2, 0))
    return image.resize((cell, cell), Image.Resampling.NEAREST if image.width < cell else Image.Resampling.BOX)


def outlined(cell: Image.Image, mask: np.ndarray | None) -> Image.Image:
    """The cell with the border of the mask, inside the mask."""
    if mask is None or mask.all() or not mask.any():
        return cell
    area = Image.fromarray(mask.astype(np.uint8) * 255).resize(cell.size, Image.Resampling.NEAREST)
    border = ImageChops.subtract(area, area.filter(ImageFilter.MinFilter(3)))
    cell = cell.copy()
    cell.paste(_OUTLINE, mask=border)
    return cell


def samples(data: EditData, ids: Iterable[str]) -> Iterator[EditSample]:
    """Those of these samples that the data set has and that can be read."""
    places = {id_: place for place, id_ in enumerate(data.ids)}
    for id_ in ids:
        if id_ in places:
            with suppress(BadSample):
                yield sample(data, places[id_])


def start(sample: EditSample, cell: int = CELL, mask: bool = True) -> dict[str, Image.Image]:
    """What a line begins with, by the heads of its columns: the source with the true mask, the true edit if known."""
    source = outlined(picture(sample.image, cell), sample.mask if mask else None)
    return {"source": source} | ({} if sample.truth is None else {"truth": picture(sample.truth, cell)})


def caption(sample: EditSample) -> str:
    """Words above a line."""
    source, target = ("∅" if query is None else query for query in (sample.source, sample.target))
    return f"{sample.id}  {sample.type or ''}:  {source} → {target}"


def edit(store: Store, id_: str, cell: int = CELL, mask: bool = True) -> Image.Image:
    """A saved edit with the outline of the mask that its method worked with; a grey place where it failed."""
    if not store.edit_file(id_).exists():
        empty = Image.new("RGB", (cell, cell), "lightgray")
        ImageDraw.Draw(empty).text((8, cell / 2 - 6), "failed", _INK, _font())
        return empty
    with Image.open(store.edit_file(id_)) as image:
        shown = picture(np.asarray(image.convert("RGB")).transpose(2, 0, 1), cell)
    if not mask or not store.mask_file(id_).exists():
        return shown
    with Image.open(store.mask_file(id_)) as area:
        return outlined(shown, np.asarray(area) > 127)


def save(image: Image.Image, stem: Path, forms: Iterable[str]) -> list[Path]:
    """Writes a grid as `<stem>.<form>`; returns the files."""
    return write.files(stem, forms, lambda file, form: image.save(file, format=form.upper()))


def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 11)  # PIL's own font has no arrows


def _shortened(text: str, pen: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont, width: float) -> str:
    if pen.textlength(text, font) <= width:
        return text
    while pen.textlength(text + "…", font) > width:
        text = text[:-1]
    return text + "…"
