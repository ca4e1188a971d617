"""Pages of pictures: a line for each sample with a column for each way of editing it, or a picture with its words."""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from bench.data.own import sample
from bench.data.preprocess import NATIVE
from bench.edits.folder import Store
from bench.errors import BadSample
from bench.report import write
from bench.types import EditData, EditSample

CELL = 112
"""Default side of a picture, in pixels."""
_GAP, _LINE, _WIDTH = 4, 16, 640  # wide enough for most words
_INK, _MARKED, _OUTLINE = (30, 30, 30), (190, 0, 60), (255, 0, 90)

OUTLINES = "outlines: true mask on the source, the method's own mask on its edit"
CHANGED = "bold: the words that change"

Words = list[tuple[str, bool]]
"""Words, and whether each is marked."""


class Line(NamedTuple):
    """A line of pictures.

    Attributes:
        words: above it.
        pictures: None leaves a place empty, a text stands in it.
        labels: what stands under each picture, if anything.
    """

    words: Words
    pictures: list[Image.Image | str | None]
    labels: tuple[str, ...] = ()


def sheet(title: str, heads: list[str], lines: list[Line], notes: list[str], cell: int = CELL) -> Image.Image:
    """Pictures of side `cell` under column heads, a title above, notes below. Nothing is cut: what is too long for its
    place takes several lines."""
    step = cell + _GAP
    width = max(_WIDTH, _GAP + step * len(heads))
    inner, topped = width - 2 * _GAP, [_broken(plain(head), cell) for head in heads]
    words = [_broken(line.words, inner) for line in lines]
    labels = [[_broken(plain(label), cell) for label in line.labels] for line in lines]
    named, noted = _broken([(word, True) for word, _ in plain(title)], inner), [_broken(plain(n), inner) for n in notes]
    deep = [len(above) * _LINE + step + _deepest(below) for above, below in zip(words, labels, strict=True)]
    top = (len(named) + 1) * _LINE + _deepest(topped)
    page = Image.new("RGB", (width, top + sum(deep) + _LINE * (sum(map(len, noted)) + 1)), "white")
    pen = ImageDraw.Draw(page)
    _write(pen, named, _GAP, _GAP, marked=_INK)
    for column, head in enumerate(topped):
        _write(pen, head, _GAP + column * step, top - len(head) * _LINE)
    y = top
    for line, above, below, depth in zip(lines, words, labels, deep, strict=True):
        _write(pen, above, _GAP, y)
        for column, shown in enumerate(line.pictures):
            at = _GAP + column * step, y + len(above) * _LINE
            if isinstance(shown, str):
                _write(pen, _broken(plain(shown), cell), at[0], at[1] + cell // 2 - _LINE)
            elif shown is not None:
                page.paste(shown, at)
        for column, label in enumerate(below):
            _write(pen, label, _GAP + column * step, y + len(above) * _LINE + cell)
        y += depth
    _write(pen, [row for note in noted for row in note], _GAP, y + _LINE // 2)
    return page


def cards(title: str, shown: list[tuple[Image.Image, list[Words]]], notes: list[str], columns: int) -> Image.Image:
    """Pictures of one size in rows of `columns`, each with its paragraphs below it."""
    side, step = shown[0][0].width, shown[0][0].width + 4 * _GAP
    width = max(_WIDTH, step * columns)
    named = _broken([(word, True) for word, _ in plain(title)], width - 2 * _GAP)
    noted = [row for note in notes for row in _broken(plain(note), width - 2 * _GAP)]
    texts = [[row for words in paragraphs for row in _broken(words, side)] for _, paragraphs in shown]
    rows = [range(start, min(start + columns, len(shown))) for start in range(0, len(shown), columns)]
    deep = [side + _LINE * (1 + max(len(texts[i]) for i in row)) for row in rows]
    top = (len(named) + 1) * _LINE
    page = Image.new("RGB", (width, top + sum(deep) + _LINE * (len(noted) + 1)), "white")
    pen, y = ImageDraw.Draw(page), top
    _write(pen, named, _GAP, _GAP, marked=_INK)
    for row, depth in zip(rows, deep, strict=True):
        for column, i in enumerate(row):
            page.paste(shown[i][0], (_GAP + column * step, y))
            _write(pen, texts[i], _GAP + column * step, y + side)
        y += depth
    _write(pen, noted, _GAP, y)
    return page


def pages(things: list[Any], most: int) -> list[list[Any]]:
    """Things in parts of at most so many, each as large as the others where that can be."""
    count = -(-len(things) // most)
    ends = [len(things) * i // count for i in range(count + 1)]
    return [things[start:end] for start, end in pairwise(ends)]


def page_of(title: str, stem: Path, number: int, count: int) -> tuple[str, Path]:
    """Title and stem of one of several pages, counted from 1: `a`, `a.2`, `a.3`."""
    if count == 1:
        return title, stem
    return f"{title} ({number} of {count})", stem if number == 1 else stem.with_name(f"{stem.name}.{number}")


def plain(text: str) -> Words:
    """A text without marks; its line breaks stay."""
    lines = [[(word, False) for word in line.split()] for line in text.split("\n")]
    return [word for i, line in enumerate(lines) for word in ([("\n", False)] if i else []) + line]


def changed(source: str, target: str) -> tuple[Words, Words]:
    """Both texts with the words marked that the other has not."""
    texts = [source.split(), target.split()]
    bare = [[word.strip("[](),.;:!?\"'").lower() for word in text] for text in texts]
    marks = [[True] * len(text) for text in texts]
    for a, b, size in difflib.SequenceMatcher(None, *bare, autojunk=False).get_matching_blocks():
        marks[0][a : a + size] = marks[1][b : b + size] = [False] * size
    return tuple(list(zip(text, mark, strict=True)) for text, mark in zip(texts, marks, strict=True))


def queries(sample: EditSample) -> tuple[Words, Words]:
    """What the picture shows and what it should show, with the words that change marked."""
    source, target = ("∅" if query is None else str(query) for query in (sample.source, sample.target))
    return changed(source, target)


def caption(sample: EditSample) -> Words:
    """Words above a line."""
    name = f"{sample.id} {sample.type or ''}:"
    if sample.lacks_captions:
        return plain(f"{name} {sample.instruction}")
    source, target = queries(sample)
    return [*plain(name), *source, ("→", False), *target]


def _broken(words: Words, width: float) -> list[Words]:
    """Words in lines that fit a width; a word that is too long for one goes on in the next."""
    lines: list[Words] = [[]]
    room = width
    for word, marked in words:
        if word == "\n":
            lines.append([])
            room = width
            continue
        size = _font(marked).getlength(f"{word} ")
        if size > room + _font(marked).getlength(" ") and lines[-1]:
            lines.append([])
            room = width
        while _font(marked).getlength(word) > width and len(word) > 1:
            kept = next(n for n in range(len(word) - 1, 0, -1) if n == 1 or _font(marked).getlength(word[:n]) <= width)
            lines[-1].append((word[:kept], marked))
            lines.append([])
            word = word[kept:]
        lines[-1].append((word, marked))
        room -= _font(marked).getlength(f"{word} ")
    return [line for line in lines if line] or []


def _deepest(blocks: list[list[Words]]) -> int:
    return _LINE * max(map(len, blocks), default=0)


def _write(
    pen: ImageDraw.ImageDraw, lines: list[Words], x: float, y: float, marked: tuple[int, int, int] = _MARKED
) -> None:
    for number, line in enumerate(lines):
        at = x
        for word, bold in line:
            pen.text((at, y + number * _LINE), word, marked if bold else _INK, _font(bold))
            at += _font(bold).getlength(f"{word} ")


def cell_of(data: EditData) -> int:
    """Side of a cell for the pictures of a data set: of small ones, and else large enough to see."""
    return CELL if data.size != NATIVE and data.size <= CELL else 160


def picture(pixels: np.ndarray, cell: int = CELL) -> Image.Image:
    """uint8 `[3, H, W]` at the size of a cell, in the middle of a white one where it is no square."""
    image = Image.fromarray(pixels.transpose(1, 2, 0))
    return _fitted(image, cell, Image.Resampling.NEAREST if max(image.size) < cell else Image.Resampling.BOX, "white")


def _fitted(image: Image.Image, cell: int, resample: Image.Resampling, beside: Any) -> Image.Image:
    width, height = (max(1, round(cell * side / max(image.size))) for side in image.size)
    fitted = image.resize((width, height), resample)
    if width == height:
        return fitted
    page = Image.new(image.mode, (cell, cell), beside)
    page.paste(fitted, ((cell - width) // 2, (cell - height) // 2))
    return page


def outlined(cell: Image.Image, mask: np.ndarray | None) -> Image.Image:
    """The cell with the border of the mask, inside the mask."""
    if mask is None or mask.all() or not mask.any():
        return cell
    area = _fitted(Image.fromarray(mask.astype(np.uint8) * 255), cell.width, Image.Resampling.NEAREST, 0)
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


def edit(store: Store, id_: str, cell: int = CELL, mask: bool = True) -> Image.Image:
    """A saved edit with the outline of the mask that its method worked with; a grey place where it failed."""
    if not store.edit_file(id_).exists():
        empty = Image.new("RGB", (cell, cell), "lightgray")
        ImageDraw.Draw(empty).text((8, cell / 2 - 6), "failed", _INK, _font(False))
        return empty
    with Image.open(store.edit_file(id_)) as image:
        shown = picture(np.asarray(image.convert("RGB")).transpose(2, 0, 1), cell)
    if not mask or not store.mask_file(id_).exists():
        return shown
    with Image.open(store.mask_file(id_)) as area:
        return outlined(shown, np.asarray(area) > 127)


def save(image: Image.Image, stem: Path, forms: Iterable[str]) -> list[Path]:
    """Writes a page as `<stem>.<form>`, equal pages in equal bytes; returns the files."""
    told = {"title": stem.name, "creationDate": None, "modDate": None}  # of a PDF
    return write.files(stem, forms, lambda file, form: image.save(file, format=form.upper(), **told))


@lru_cache
def _font(bold: bool) -> ImageFont.FreeTypeFont:
    weight = "bold" if bold else "normal"
    found = font_manager.findfont(font_manager.FontProperties(family="DejaVu Sans", weight=weight))
    return ImageFont.truetype(found, 11)  # PIL's own font has no arrows
