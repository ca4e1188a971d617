"""Imagen's templated prompts, one slot changed (DiffEdit, section 4.3): on Imagen's pictures or on generated ones."""

import itertools
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from bench.data.base import Benchmark, Count, Source
from bench.data.files.annotations import field, read_json
from bench.data.preprocess import read_rgb
from bench.errors import UserError
from bench.files.hashing import sha256_of_files
from bench.files.paths import listed
from bench.types import EditSample

SLOTS = {
    "style": ("A photo of a", "An oil painting of a"),
    "animal": ("fuzzy panda", "British Shorthair cat", "Persian cat", "Shiba Inu dog", "raccoon"),
    "headwear": ("wearing a cowboy hat and", "wearing a sunglasses and"),
    "top": ("red shirt", "black leather jacket"),
    "activity": ("playing a guitar", "riding a bike", "skateboarding"),
    "place": ("in a garden", "on a beach", "on top of a mountain"),
}
"""The grammar, in the words of the site that showed the pictures."""

PAPER = {
    "British Shorthair cat": "British shorthair cat",
    "wearing a sunglasses and": "wearing sunglasses and",
    "black leather jacket": "black jacket",
}
"""Where the DiffEdit paper prints other words (it also leaves out the full stop)."""

CHOICES = tuple(itertools.product(*(range(len(options)) for options in SLOTS.values())))
"""The option taken in each slot, for each of the 360 prompts (the paper speaks of 300)."""

PICTURE_NAMES = (
    "{prompt}/1_.jpeg",
    "{prompt}.png",
    "{prompt}.jpg",
    "{prompt}.jpeg",
    "{number}.png",
    "{number}.jpg",
    "{number}.jpeg",
)
GENERATED = "generated.json"
"""What `bench.prepare` leaves beside pictures that a model generated."""


def prompt(choice: tuple[int, ...], wording: str = "site") -> str:
    """A prompt in the words of the `site` or of the `paper`."""
    words = [options[i] for options, i in zip(SLOTS.values(), choice, strict=True)]
    if wording == "paper":
        return " ".join(PAPER.get(word, word) for word in words)
    return " ".join(words) + "."


def neighbours(choice: tuple[int, ...], styles: bool) -> list[tuple[str, tuple[int, ...]]]:
    """Every prompt that differs in one slot, with the name of the slot."""
    found = []
    for at, (slot, options) in enumerate(SLOTS.items()):
        if slot == "style" and not styles:
            continue
        found += [(slot, (*choice[:at], i, *choice[at + 1 :])) for i in range(len(options)) if i != choice[at]]
    return found


def edits(pairs: str, styles: bool, seed: int) -> list[tuple[int, str, int]]:
    """Number of the source's prompt, slot, number of the query's prompt, for every sample; options as for `Imagen`."""
    number = {choice: i for i, choice in enumerate(CHOICES)}
    found = []
    for i, choice in enumerate(CHOICES):
        options = neighbours(choice, styles)
        if pairs == "one":
            options = [options[np.random.default_rng([seed, i]).integers(len(options))]]
        found += [(i, slot, number[other]) for slot, other in options]
    return found


def _counted(samples: list[tuple[int, str, int]]) -> list[Count]:
    pairs = sum(len(neighbours(choice, styles=True)) for choice in CHOICES)
    rows = [
        Count("prompts (the paper says 300; its grammar gives 360)", len(CHOICES), 360),
        Count("ordered pairs that differ in one slot", pairs, 3960),
        Count("samples with these options", len(samples)),
    ]
    return rows + [Count(f"slot {name}", sum(slot == name for _, slot, _ in samples)) for name in SLOTS]


class Imagen(Benchmark):
    """Edits of one slot over Imagen's pictures, in the user's folder.

    Args:
        root: holds `<prompt>/1_.jpeg` as on the site, or `<prompt>.png`, or `000.png` to `359.png` in the order of
            `CHOICES`; prompts in either wording, with or without the full stop.
        size: pixels a side.
        pairs: `one` seeded neighbour of each prompt, or `all` of them. The paper's own choice is unreleased.
        styles: whether the style slot may change too.
        seed: of the choice of neighbours.
        wording: of the queries, `site` (as the pictures were made) or `paper`.
        resample: one of `bench.data.preprocess.FILTERS`.

    Raises:
        UserError: what is missing.
    """

    licence = "none stated; the paper's authors had Google's consent"
    origin = "imagen.research.google (each lay at compositional/<prompt>/1_.jpeg; it may be gone)"

    def __init__(
        self,
        root: str,
        size: int,
        pairs: str = "one",
        styles: bool = False,
        seed: int = 0,
        wording: str = "site",
        resample: str = "bicubic",
    ):
        self.size, self.resample, self.wording = size, resample, wording
        self.options = {"pairs": pairs, "styles": styles, "seed": seed, "wording": wording}
        (self.folder,) = self.require(root=root)
        if not self.folder.is_dir():
            raise UserError(f"data.root={self.folder} is no folder; expected the pictures from {self.origin}")
        self._check_origin()
        self.edits = edits(pairs, styles, seed)
        self.ids = [f"{source:03d}-{target:03d}" for source, _, target in self.edits]
        missing = [i for i in range(len(CHOICES)) if self._files[i] is None]
        if missing:
            raise UserError(
                f"{len(missing)} of {len(CHOICES)} pictures are not under {self.folder}, the first is "
                f"{prompt(CHOICES[missing[0]])!r} (or {missing[0]:03d}.png); get them from {self.origin}"
            )

    @classmethod
    def sources(cls, root: str, **_: Any) -> list[Source]:
        """The folder of pictures."""
        return [Source("Imagen's pictures", Path(root), "data.root", cls.origin)]

    @classmethod
    def listed(cls, pairs: str = "one", styles: bool = False, seed: int = 0, **_: Any) -> list[Count]:
        """Prompts and samples, which no file lists: they follow from the grammar."""
        return _counted(edits(pairs, styles, seed))

    def __getitem__(self, index: int) -> EditSample:
        source, slot, target = self.edits[index]
        return EditSample(
            id=self.ids[index],
            image=read_rgb(self._files[source], self.size, self.resample),
            source=prompt(CHOICES[source], self.wording),
            target=prompt(CHOICES[target], self.wording),
            type=slot,
            group=f"{source:03d}",
        )

    def identity(self) -> dict[str, Any]:
        """Options, and the hash of the pictures."""
        return {
            "size": self.size,
            "resample": self.resample,
            **self.options,
            "files": sha256_of_files({f"{i:03d}": file for i, file in enumerate(self._files)}),
        }

    def counts(self) -> list[Count]:
        """Prompts, ordered pairs, samples of each slot."""
        return _counted(self.edits)

    def _check_origin(self) -> None:
        if (self.folder / GENERATED).exists():
            raise UserError(
                f"the pictures in {self.folder} were generated by a model, not by Imagen; score them as data=templated"
            )

    @cached_property
    def _files(self) -> list[Path | None]:
        """Picture of each prompt."""
        known = {_key(path.name): path for path in self.folder.iterdir()}
        files = []
        for i, choice in enumerate(CHOICES):
            wordings = [prompt(choice, wording) for wording in ("site", "paper")]
            names = [n.format(prompt=words, number=f"{i:03d}") for words in wordings for n in PICTURE_NAMES]
            found = (self._under(known, name) for name in names)
            files.append(next((file for file in found if file is not None), None))
        return files

    @staticmethod
    def _under(known: dict[str, Path], name: str) -> Path | None:
        head, _, tail = name.partition("/")
        path = known.get(_key(head))
        if path is not None and tail:
            path = path / tail
        return path if path is not None and listed(path) else None


class Templated(Imagen):
    """The same edits over pictures that a diffusion model generated from the prompts.

    Args:
        root: as `python -m bench.prepare data=imagen generate=true` leaves it.
        model: name of the model that generated them; it is part of the data set's name, since sources from a model's
            own distribution flatter its inversion.
        others: as for `Imagen`.
    """

    licence = "that of the model's outputs"
    origin = "`python -m bench.prepare data=imagen generate=true model=<name>`"

    def __init__(self, root: str, size: int, model: str, **options: Any):
        self.model = model
        super().__init__(root, size, **options)

    def _check_origin(self) -> None:
        file = self.folder / GENERATED
        if not file.exists():
            raise UserError(f"{self.folder} has no {GENERATED}; make it by {self.origin}")
        made_by = field(read_json(file, dict, self.origin), "model", str, str(file))
        if made_by != self.model:
            raise UserError(
                f"the pictures in {self.folder} are by {made_by}, data.model={self.model}; set data.model={made_by}"
            )


def _key(name: str) -> str:
    """What is left of a file name when file systems, browsers and downloaders have done their worst."""
    stem, dot, ending = unquote(name).rpartition(".")
    if not dot or " " in ending or not ending:
        stem, ending = unquote(name), ""
    return f"{stem.rstrip('.').lower()}.{ending.lower()}"
