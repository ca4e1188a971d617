"""Samples, batches and results. No torch at run time: listing and checking must work before torch is imported."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import BadSample
from bench.types.bill import Shared

if TYPE_CHECKING:
    from pathlib import Path

    import torch

Query = str | int | None
"""A prompt, a class index, or None for the unconditional model."""
SAMPLE = ("type", "group", "class")
"""What a per-image table says of a sample beside its scores; the class is the target's."""


@dataclass(frozen=True)
class EditSample:
    """One edit to make.

    Attributes:
        id: unique in its data set; names the files of its results.
        image: source picture, uint8 `[3, H, W]`, preprocessed to the data set's size.
        source, target: what the picture shows, and what it should show.
        mask: True where the edit belongs, bool `[H, W]`; None where unknown.
        type: edit type, in the data set's own terms.
        group: samples of one source picture share it (clustered statistics).
        classes: class index of source and target, None where the data set has no classes.
        blend: word of the source and of the target that carries the edit; "" for one that is absent.
        instruction: the edit as an order.
        truth: the true edited picture, uint8 `[3, H, W]`; None where unknown.
        attributes: names and values that the truth is made of, source then target; None where unknown.
        where: its place in the list that it was read from, such as `line 2`; "" where the id says it.
    """

    id: str
    image: np.ndarray
    source: Query
    target: Query
    mask: np.ndarray | None = None
    type: str | None = None
    group: str | None = None
    classes: tuple[int, int] | None = None
    blend: tuple[str, str] | None = None
    instruction: str | None = None
    truth: np.ndarray | None = None
    attributes: tuple[dict[str, str], dict[str, str]] | None = None
    where: str = ""

    @property
    def lacks_captions(self) -> bool:
        """Whether it says what to do and neither what the picture shows nor what it should show."""
        return bool(self.instruction) and self.source is None and self.target is None


@dataclass
class EditBatch:
    """Samples to edit together.

    Attributes:
        samples: the records, for methods that need more than the usual fields.
        images: uint8 `[B, 3, H, W]`, on the device.
        shared: see `Shared`; `batch.shared(key, make)` lets the operating points of a batch share work.
        real_image: `EditData.real_image`, for methods that need other pictures.
        results: pictures that somebody else's code made of these samples, uint8 `[B, 3, H, W]`, and what to note of
            each; for methods that need them.
        kept: `kept(key, make)` gives latents `[B, ...]` that other runs over the same pictures need too; `key` names
            all that they depend on besides pictures and model.
        points: the methods, one an operating point, that this batch is handed to in turn; the first may compute for
            the others (`Shared.part`).
    """

    samples: list[EditSample]
    images: "torch.Tensor"
    shared: Shared = field(default_factory=Shared)
    real_image: Callable[[int, np.random.Generator], np.ndarray] | None = None
    results: Callable[[list[EditSample]], tuple[np.ndarray, list[dict[str, Any]]]] | None = None
    points: list[Callable[..., "EditResult"]] = field(default_factory=list)
    kept: "Callable[[Hashable, Callable[[], torch.Tensor]], torch.Tensor]" = lambda key, make: make()

    @property
    def sources(self) -> list[Query]:
        """Source queries, in batch order. Raises: BadSample: see `targets`."""
        self.need_captions()
        return [sample.source for sample in self.samples]

    @property
    def targets(self) -> list[Query]:
        """Target queries, in batch order.

        Raises:
            BadSample: some samples say what to do and not what the edit shows; the unconditional model is no edit.
        """
        self.need_captions()
        return [sample.target for sample in self.samples]

    def need_captions(self) -> None:
        """Raises: BadSample: see `targets`."""
        told = "has an instruction and no captions; choose a method that follows instructions, as instruct_pix2pix does"
        bare = {s.id: told for s in self.samples if s.lacks_captions}
        if bare:
            raise BadSample(told, bare)


@dataclass
class EditResult:
    """What a method returns for a batch.

    Attributes:
        images: uint8 `[B, 3, H, W]`; of another height and width than the batch's, they are brought to the data's size
            by `bench.edits.sizes`.
        mask: the mask it worked with, float `[B, 1, h, w]` in [0, 1], 1 = edit; None if it has none.
        notes: for each sample, facts about this edit that belong in the run's journal beside its cost, such as a word
            that was not found; empty for most. None if it has none at all.
    """

    images: "torch.Tensor"
    mask: "torch.Tensor | None" = None
    notes: list[dict[str, Any]] | None = None


@dataclass
class ScoreBatch:
    """Saved edits beside what they are judged against.

    Attributes:
        samples: the records, read at the profile's size.
        edits, sources: uint8 `[B, 3, H, W]`, on the device.
        edit_masks: mask that the method worked with, bool `[H, W]`, None where it saved none.
        shared: lets metrics of a batch share a backbone's forward pass.
        saved: the edits at the size of their files, uint8 `[H, W, 3]`, for backbones that resize by themselves.
        classes: every target class of the data set, sorted; None where it has no classes.
        recall: `recall(name, weights, images, extract)` is `extract(images)`, kept on disk under the images' content;
            None where nothing is kept.
    """

    samples: list[EditSample]
    edits: "torch.Tensor"
    sources: "torch.Tensor"
    edit_masks: list[np.ndarray | None]
    shared: Shared = field(default_factory=Shared)
    saved: list[np.ndarray] = field(default_factory=list)
    classes: list[int] | None = None
    recall: Callable[[str, "Path", "torch.Tensor", Callable], "torch.Tensor"] | None = None


class Undefined(Exception):
    """A metric has no value here; the message says why: too few pictures, or no truth to compare with."""
