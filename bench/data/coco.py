"""COCO with BISON's queries: edit a picture towards the caption of a similar one (DiffEdit, sections 4.4 and A.3)."""

import os
import re
import string
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from rapidfuzz.distance import Levenshtein

from bench.data.base import Benchmark, Count, Source
from bench.data.files.annotations import field, read_json
from bench.data.preprocess import read_rgb
from bench.errors import UserError
from bench.files.hashing import sha256, sha256_of_files
from bench.files.paths import find
from bench.types import EditSample

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


class Coco(Benchmark):
    """BISON's items over COCO val2014: the input is the candidate that the caption does *not* describe, the query is
    that caption, the source prompt one of the input's own captions.

    Args:
        root: folder of `val2014/` and `annotations/`.
        captions: COCO's `captions_val2014.json`.
        bison: BISON's `bison_annotations.cocoval2014.json`.
        size: pixels a side.
        reference: which of a picture's five captions: `closest` to the query by word edit distance (a choice of ours:
            the paper does not say), or `first` in the file.
        filter: keep queries that differ from the caption in at most this share of the caption's words (inserted,
            deleted or replaced; the paper's 0.25 leaves 272); None keeps all.
        words: reading of "words", one of `WORDS`.
        resample: one of `bench.data.preprocess.FILTERS`.

    Raises:
        UserError: what is missing, or the record and field that is wrong.
    """

    licence = "pictures: their owners' terms on Flickr; captions CC-BY 4.0; BISON CC-BY-NC 4.0"

    def __init__(
        self,
        root: str,
        captions: str,
        bison: str,
        size: int,
        reference: str = "closest",
        filter: float | None = None,
        words: str = "plain",
        resample: str = "bicubic",
    ):
        self.size, self.resample = size, resample
        self.options = {"reference": reference, "filter": filter, "words": words}
        *self.annotations, self.folder = self.require(root=root, captions=captions, bison=bison)
        self._items = _Items(*self.annotations)
        self.triples = self._items.select(reference, filter, words)
        self.ids = [triple.id for triple in self.triples]
        if not self.folder.is_dir():
            raise UserError(f"{self.folder} is no folder; expected COCO's val2014 pictures from {_PICTURES}")
        there = {entry.name for entry in os.scandir(self.folder)}
        missing = [t for t in self.triples if _file_name(t.image) not in there]
        if missing:
            raise UserError(
                f"{len({t.image for t in missing})} of {len({t.image for t in self.triples})} pictures are not in "
                f"{self.folder}, the first is {_file_name(missing[0].image)} (BISON item {missing[0].id}); get them "
                f"from {_PICTURES}"
            )

    @classmethod
    def sources(cls, root: str, captions: str, bison: str, **_: Any) -> list[Source]:
        """Captions, BISON's items, pictures."""
        return [
            Source(
                "COCO's captions_val2014.json",
                Path(captions),
                "data.captions",
                f"{_BUCKET}/annotations/annotations_trainval2014.zip",
                url=f"{_BUCKET}/annotations/annotations_trainval2014.zip",
                size=252_872_794,
                sha256="031296bbc80c45a1d1f76bf9a90ead27e94e99ec629208449507a4917a3bf009",
                unpack="annotations/captions_val2014.json",
            ),
            Source(
                "BISON's bison_annotations.cocoval2014.json",
                Path(bison),
                "data.bison",
                "github.com/facebookresearch/binary-image-selection, annotations/",
                url="https://raw.githubusercontent.com/facebookresearch/binary-image-selection/master/annotations/"
                "bison_annotations.cocoval2014.json",
            ),
            Source(
                "COCO's val2014 pictures",
                Path(root) / "val2014",
                "data.root",
                _PICTURES,
                url=_PICTURES,
                size=6_645_013_297,
                sha256="fe9be816052049c34717e077d9e34aa60814a55679f804cd043e3cbee3b9fde0",
                unpack="val2014/",
            ),
        ]

    @classmethod
    def listed(
        cls,
        captions: str,
        bison: str,
        reference: str = "closest",
        filter: float | None = None,
        words: str = "plain",
        **_: Any,
    ) -> list[Count]:
        """What `counts` says; of one of the two files alone, how much is in it."""
        texts, items = find(captions), find(bison)
        if texts and items:
            both = _Items(texts, items)
            return both.counts(both.select(reference, filter, words))
        if items:
            return [Count("BISON items", len(_entries(items)), BISON)]
        if texts:
            text, own = _captions(texts)
            return [Count("captions", len(text)), Count("pictures with captions", len(own))]
        return []

    def __getitem__(self, index: int) -> EditSample:
        triple = self.triples[index]
        file = self.folder / _file_name(triple.image)
        return EditSample(
            id=triple.id,
            image=read_rgb(file, self.size, self.resample),
            source=triple.source,
            target=triple.target,
            group=file.name,
        )

    def identity(self) -> dict[str, Any]:
        """Options, and the hashes of both annotation files and of the pictures."""
        names = sorted({_file_name(triple.image) for triple in self.triples})
        return {
            "size": self.size,
            "resample": self.resample,
            **self.options,
            "annotations": [sha256(file) for file in self.annotations],
            "files": sha256_of_files({name: self.folder / name for name in names}),
        }

    def counts(self) -> list[Count]:
        """Items, pictures, and how many queries the paper's filter leaves under each reading of it."""
        return self._items.counts(self.triples)


class _Items:
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


_BUCKET = "https://s3.amazonaws.com/images.cocodataset.org"
_PICTURES = f"{_BUCKET}/zips/val2014.zip"


def _file_name(image: int) -> str:
    """BISON's own file names went through renames in its history; the id is what counts."""
    return f"COCO_val2014_{image:012d}.jpg"


def _captions(file: Path) -> tuple[dict[int, tuple[str, int]], dict[int, list[str]]]:
    """Caption and picture of each caption id; captions of each picture, in the file's order."""
    text, own = {}, defaultdict(list)
    for position, entry in enumerate(field(read_json(file, dict, _BUCKET), "annotations", list, str(file))):
        try:
            number, picture, caption = entry["id"], entry["image_id"], entry["caption"].strip()
        except (TypeError, KeyError, AttributeError):
            number = picture = None
        if type(number) is not int or type(picture) is not int:
            raise UserError(f"{file}, annotation {position}: expected id and image_id, whole numbers, and caption")
        text[number] = caption, picture
        own[picture].append(caption)
    return text, own


def _entries(file: Path) -> list[Any]:
    """Items of BISON's file, as they are written."""
    content = read_json(file, dict, "github.com/facebookresearch/binary-image-selection")
    return field(content, "data", list, str(file))


def _read(captions: Path, file: Path) -> tuple[dict[int, list[str]], list[tuple[str, int, str]]]:
    """Captions of each picture that is an input, and (id, input, query) of each BISON item."""
    text, own = _captions(captions)
    items = {}
    for position, entry in enumerate(_entries(file)):
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
                f"get the official file from {_BUCKET}"
            )
        if others[0] not in own:
            raise UserError(f"{where}: {captions} has no caption of picture {others[0]}; both must be of COCO val2014")
        items[number] = f"{number:05d}", others[0], query
    return {image: own[image] for _, image, _ in items.values()}, list(items.values())
