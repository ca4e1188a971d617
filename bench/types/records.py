"""Records and protocols that the boxes share. No torch models here, and no torch at run time: listing and checking
must work before torch is imported."""

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

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


class EditData(Protocol):
    """A data set: ids in a fixed order; a sample is read when asked for, in a worker process. The defaults of
    `bench.data.base.Benchmark` are enough for most of it."""

    ids: list[str]
    size: int
    annotations: list["Path"]

    def __getitem__(self, index: int) -> EditSample:
        """Raises: BadSample: this one cannot be read."""

    def identity(self) -> dict[str, Any]:
        """What its pixels and words depend on: options and hashes of its files, never a path."""

    def pool(self) -> Any:
        """What `real_image` depends on beyond `identity`."""

    def result_names(self, index: int) -> dict[str, str]:
        """Names that somebody else's edit of a sample may have: convention -> path without its ending."""

    def real_image(self, class_id: int, rng: np.random.Generator) -> np.ndarray:
        """A random real picture of a class, uint8 `[3, H, W]`. Raises: BadSample: it has none."""


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
    points: "list[Method]" = field(default_factory=list)
    kept: "Callable[[Hashable, Callable[[], torch.Tensor]], torch.Tensor]" = lambda key, make: make()

    @property
    def sources(self) -> list[Query]:
        """Source queries, in batch order."""
        return [sample.source for sample in self.samples]

    @property
    def targets(self) -> list[Query]:
        """Target queries, in batch order."""
        return [sample.target for sample in self.samples]


@dataclass
class EditResult:
    """What a method returns for a batch.

    Attributes:
        images: uint8 `[B, 3, H, W]`.
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


class PairMetric(Protocol):
    """A number for each edit. Class attributes are part of the metric's identity: `version` is raised whenever the
    same picture would get another number.

    A metric may have `notes`, sample id -> what is to be said about its value, which tables count.
    """

    version: int
    higher_is_better: bool
    unit: str

    def score(self, batch: ScoreBatch) -> np.ndarray:
        """float64 `[B]`; NaN where one is undefined. Raises: Undefined: all are, for the same reason."""


class SetMetric(Protocol):
    """One number for all edits of a run together.

    A metric may have `interval()`: lower and upper end of the number's 95 % interval, NaN where there is none; and
    `halves()`: its values on `half_samples` of what `halves_of` names ("group" or "class"), the same for every run of
    the same samples, so that runs can be compared.
    """

    version: int
    higher_is_better: bool
    unit: str

    def update(self, batch: ScoreBatch) -> None:
        """Takes in a batch."""

    def compute(self) -> float:
        """The number. Raises: Undefined."""


class Undefined(Exception):
    """A metric has no value here; the message says why: too few pictures, or no truth to compare with."""


class Noise(Protocol):
    """Per-sample noise: independent of batch size, order and sharding."""

    def __call__(self, stream: str, shape: tuple[int, ...]) -> "torch.Tensor":
        """Standard normal float32 `[B, *shape]` of a named stream, on the device."""

    def rng(self, stream: str) -> list[np.random.Generator]:
        """One numpy generator a sample, for choices that are not noise."""


@dataclass(frozen=True)
class AttentionLayer:
    """Where one attention layer of a denoiser stands.

    Attributes:
        index: of its transformer block, in call order (Stable Diffusion 1: down 0 to 5, mid 6, up 7 to 15).
        place: down, mid or up.
        factor: cells of the latents along one side of a cell here.
        cross: attends to the condition; else to the picture itself.
    """

    index: int
    place: str
    factor: int
    cross: bool


AttentionHook = Callable[[AttentionLayer, "torch.Tensor", "torch.Tensor", "torch.Tensor"], "torch.Tensor"]
"""`(layer, query, key, value) -> output`, each `[B, heads, tokens, d]`: what a layer does between its projections."""


class DiffusionModel(Protocol):
    """A denoiser with its autoencoder; every checkpoint flavour is wrapped once, samplers see only this.

    Attributes:
        alphas_cumprod: float64 `[T]`, decreasing.
        size: pixels a side it was made for.
        rows: evaluations of the denoiser so far, counted per batch row.
        latent_scale: scaled latents are the autoencoder's times this.
        picture_channels: channels of the picture that `eps` must be given beside the latents (InstructPix2Pix: 4);
            0 for most.
    """

    alphas_cumprod: np.ndarray
    size: int
    rows: int
    latent_scale: float
    picture_channels: int

    def condition(self, queries: list[Query]) -> "torch.Tensor":
        """Conditioning `[B, L, D]`; None is the unconditional model."""

    def encode(self, images: "torch.Tensor") -> "torch.Tensor":
        """float `[B, 3, H, W]` in [-1, 1] to scaled latents `[B, C, h, w]` (posterior mean)."""

    def decode(self, latents: "torch.Tensor") -> "torch.Tensor":
        """Scaled latents `[B, C, h, w]` to float `[B, 3, H, W]` in [-1, 1]."""

    def eps(
        self,
        z: "torch.Tensor",
        t: float,
        condition: "torch.Tensor",
        values: "torch.Tensor | None" = None,
        picture: "torch.Tensor | None" = None,
    ) -> "torch.Tensor":
        """Predicted noise `[B, C, h, w]` at timestep `t`, in the dtype of `z`; differentiable outside inference mode.

        `values` `[B, L, D]` are states that cross-attention takes its values from instead of the condition (inside
        `attend` only); `picture` `[B, picture_channels, h, w]` goes in beside the latents where a model needs it.
        """

    def tokens(self, query: Query) -> list[tuple[int, str]]:
        """Tokens of a prompt as `condition` sees them: id and the characters it stands for. The start and end tokens
        are there, the padding is not; what exceeds the context is cut."""

    def excess(self, query: Query) -> int:
        """Number of a prompt's tokens that the context has no room for."""

    def attention(self) -> list[AttentionLayer]:
        """Its attention layers in call order. Raises: UserError: it has none that can be steered."""

    def attend(self, hook: AttentionHook) -> AbstractContextManager[None]:
        """While the context lasts, `hook` attends in every layer; afterwards the denoiser is as it was, also after an
        exception. Raises: RuntimeError: at the end, if a layer was passed by."""


class Method(Protocol):
    """An editing method at one operating point; its knobs are constructor arguments, named in its YAML."""

    def __call__(self, model: DiffusionModel | None, batch: EditBatch, noise: Noise) -> EditResult:
        """Edits a batch. `model` is None for methods whose YAML says they do not use one."""
