"""COCO with BISON's queries: edit a picture towards the caption of a similar one (DiffEdit, sections 4.4 and A.3)."""

import os
from pathlib import Path
from typing import Any

from bench.data.base import Benchmark, Count, Source
from bench.data.bison import BISON, BUCKET, Items, captions_of, entries
from bench.data.preprocess import read_rgb
from bench.errors import UserError
from bench.files.hashing import sha256, sha256_of_files
from bench.files.paths import find
from bench.types import EditSample


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
        words: reading of "words", one of `bench.data.bison.WORDS`.
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
        self._items = Items(*self.annotations)
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
                f"{BUCKET}/annotations/annotations_trainval2014.zip",
                url=f"{BUCKET}/annotations/annotations_trainval2014.zip",
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
            both = Items(texts, items)
            return both.counts(both.select(reference, filter, words))
        if items:
            return [Count("BISON items", len(entries(items)), BISON)]
        if texts:
            text, own = captions_of(texts)
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


_PICTURES = f"{BUCKET}/zips/val2014.zip"


def _file_name(image: int) -> str:
    """BISON's own file names went through renames in its history; the id is what counts."""
    return f"COCO_val2014_{image:012d}.jpg"
