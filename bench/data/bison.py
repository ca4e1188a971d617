"""BISON's items and COCO's captions, joined: which picture is to be edited towards which caption."""

import re
import string
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from rapidfuzz.distance import Levenshtein

from bench.data.base import Count
from bench.data.files.annotations import field, read_json
from bench.errors import UserError

BUCKET = "https://s3.amazonaws.com/images.cocodataset.org"
"""Where COCO's owners keep it."""
WORDS = {
    "plain": lambda text: text.lower().rstrip(string.punctuation + string.whitespace).split(),
    "exact": str.split,
    "letters": lambda text: re.findall(r"[a-z0-9]+", text.lower()),
}
"""Readings of "words", which the paper leaves open: lower case without final punctuation; as written; runs of letters
and digits."""
BISON = 54_253
"""Items that its owners state."""


class Triple(NamedTuple):
    """One edit: a picture, a caption of it, and the caption that the edit should meet."""

    id: str
    image: int
    source: str
    target: str


class Items:
    """BISON's items, each with the captions of its input.

    Raises:
        UserError: the record and field that is wrong.
    """

    def __init__(self, captions: Path, bison: Path):
        self._captions, self._items = _read(captions, bison)

    def select(self, reference: str, filter: float | None, words: str) -> list[Triple]:
        """The edits for one reading of reference caption, filter and words, in BISON's order."""
        split, kept = WORDS[words], []
        if reference == "first" and filter is None:
            return [Triple(id_, image, self._captions[image][0], target) for id_, image, target in self._items]
        pieces = {image: [split(caption) for caption in own] for image, own in self._captions.items()}
        for id_, image, target in self._items:
            query = split(target)
            own = pieces[image][:1] if reference == "first" else pieces[image]
            distances = [Levenshtein.distance(caption, query) for caption in own]
            best = min(range(len(own)), key=distances.__getitem__)
            if filter is None or distances[best] <= filter * len(own[best]):
                kept.append(Triple(id_, image, self._captions[image][best], target))
        return kept

    def counts(self, chosen: list[Triple]) -> list[Count]:
        """As `Coco.counts` gives them; `chosen` are the samples."""
        rows = [
            Count("BISON items", len(self._items), BISON),
            Count("samples with these options", len(chosen)),
            Count("pictures", len({triple.image for triple in chosen})),
        ]
        for reference in ("closest", "first"):
            for words in WORDS:
                kept = len(self.select(reference, 0.25, words))
                rows.append(Count(f"filter=0.25 reference={reference} words={words} (paper: 272)", kept))
        return rows


def captions_of(file: Path) -> tuple[dict[int, tuple[str, int]], dict[int, list[str]]]:
    """Caption and picture of each caption id; captions of each picture, in the file's order."""
    text, own = {}, defaultdict(list)
    for position, entry in enumerate(field(read_json(file, dict, BUCKET), "annotations", list, str(file))):
        try:
            number, picture, caption = entry["id"], entry["image_id"], entry["caption"].strip()
        except (TypeError, KeyError, AttributeError):
            number = picture = None
        if type(number) is not int or type(picture) is not int:
            raise UserError(f"{file}, annotation {position}: expected id and image_id, whole numbers, and caption")
        text[number] = caption, picture
        own[picture].append(caption)
    return text, own


def entries(file: Path) -> list[Any]:
    """Items of BISON's file, as they are written."""
    content = read_json(file, dict, "github.com/facebookresearch/binary-image-selection")
    return field(content, "data", list, str(file))


def _read(captions: Path, file: Path) -> tuple[dict[int, list[str]], list[tuple[str, int, str]]]:
    """Captions of each picture that is an input, and (id, input, query) of each BISON item."""
    text, own = captions_of(captions)
    items = {}
    for position, entry in enumerate(entries(file)):
        where = f"{file}, item {position}"
        try:
            number, caption, true = entry["bison_id"], entry["caption_id"], entry["true_image_id"]
            candidates = [candidate["image_id"] for candidate in entry["image_candidates"]]
        except (TypeError, KeyError):
            number, candidates = None, []
        if number is None or {type(value) for value in (number, caption, true, *candidates)} != {int}:
            raise UserError(
                f"{where}: expected numbers bison_id, caption_id, true_image_id and image_candidates with image_id"
            )
        others = [picture for picture in candidates if picture != true]
        if len(candidates) != 2 or len(others) != 1:
            raise UserError(f"{where}: true_image_id {true} is not one of two candidates")
        if number in items:
            raise UserError(f"{where}: bison_id {number} is there twice; ids must differ")
        query, picture = text.get(caption, (None, None))
        if picture != true:
            found = "is not there" if query is None else f"is of picture {picture}, true_image_id is {true}"
            raise UserError(
                f"{where}: caption {caption} of {captions} {found}; captions that were numbered anew cannot be joined, "
                f"get the official file from {BUCKET}"
            )
        if others[0] not in own:
            raise UserError(f"{where}: {captions} has no caption of picture {others[0]}; both must be of COCO val2014")
        items[number] = f"{number:05d}", others[0], query
    return {image: own[image] for _, image, _ in items.values()}, list(items.values())
