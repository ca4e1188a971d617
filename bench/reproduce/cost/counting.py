"""How often a method asks the denoiser: the method itself is run on a sample of the embedded world, with answers made
up, so that nothing of the real model or data need be here and a count takes milliseconds."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from bench.config import cli, validate
from bench.data.shapes import Shapes
from bench.diffusion.noise import SampleNoise
from bench.errors import BadSample, UserError
from bench.models import architecture, stable_diffusion
from bench.models import folder as files
from bench.types import AttentionHook, AttentionLayer, EditBatch, EditSample, Method
from bench.types.bill import Shared

_SIZE = 512  # of a model that is not here and states none
_SAMPLES = 40  # looked through for one that a method takes


@dataclass(frozen=True)
class Geometry:
    """What of a model decides how often it is asked.

    Attributes:
        side: cells of its latents along a side.
        layers: its attention layers.
        picture_channels: see `bench.types.DiffusionModel`.
    """

    side: int
    layers: tuple[AttentionLayer, ...]
    picture_channels: int


@dataclass(frozen=True)
class Cost:
    """What one edit asks of the denoiser, in rows.

    Attributes:
        nfe: by itself, as the journal's `nfe`.
        backward: of these, rows that gradients pass through again.
        spent, spent_backward: after sharing with the points of the same job, as `nfe_spent`.
        most: whether it is the most it can be: the method stops earlier where its answers are good enough.
    """

    nfe: int
    backward: int
    spent: int
    spent_backward: int
    most: bool


class _Denoiser:
    """Implements `bench.types.DiffusionModel` with the embedded model's words and made-up answers.

    Answers are fresh noise, with which nothing ever converges, or (`agreeing`) 0, with which everything does at once.
    """

    def __init__(self, words: stable_diffusion.LatentDiffusion, geometry: Geometry, agreeing: bool):
        self.words, self.geometry, self.agreeing = words, geometry, agreeing
        self.alphas_cumprod, self.size, self.latent_scale = words.alphas_cumprod, 8 * geometry.side, 1.0
        self.picture_channels, self.rows, self.backward = geometry.picture_channels, 0, 0
        self.condition, self.tokens, self.excess = words.condition, words.tokens, words.excess
        self._random = torch.Generator().manual_seed(0)

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """Latents of nothing."""
        return torch.zeros(len(images), 4, self.geometry.side, self.geometry.side)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Pictures of nothing."""
        return torch.zeros(len(latents), 3, 8, 8)

    def eps(self, z, t, condition, values=None, picture=None) -> torch.Tensor:
        """Counts the rows; gradients pass to states that want them."""
        if self.picture_channels and picture is None:
            raise UserError("edits by instruction: use method=instruct_pix2pix, or another model")
        states = [x for x in (condition, values) if x is not None and x.requires_grad and torch.is_grad_enabled()]
        self.rows += len(z)
        self.backward += len(z) if states else 0
        noise = torch.randn(z.shape, generator=self._random) * (not self.agreeing)
        return noise.to(z.dtype) + sum(0 * states_.sum() for states_ in states)

    def attention(self) -> list[AttentionLayer]:
        """The layers of the model that is stood in for."""
        return list(self.geometry.layers)

    def attend(self, hook: AttentionHook) -> AbstractContextManager[None]:
        """There is nothing to attend."""
        return nullcontext()


def count(methods: list[dict[str, Any]], geometry: Geometry) -> list[Cost]:
    """The cost of each operating point of one job, alone and shared.

    Args:
        methods: resolved configurations of `conf/method`, one an operating point.

    Raises:
        UserError: a method refuses such a model, or every sample that it was offered.
    """
    made = [build(method) for method in methods]
    most, least = ([_once([one], geometry, agreeing)[0] for one in made] for agreeing in (False, True))
    shared = _once(made, geometry, agreeing=False) if len(made) > 1 else most
    return [
        Cost(rows, backward, spent, spent_backward, most=(rows, backward) != fewest[:2])
        for (rows, backward, *_), fewest, (*_, spent, spent_backward) in zip(most, least, shared, strict=True)
    ]


def build(method: dict[str, Any]) -> Method:
    """The method, with the embedded world's networks in place of its own (StyleDiffusion's image tower)."""
    own = {name: value for name, value in method.items() if isinstance(value, dict) and "_target_" in value}
    tower = OmegaConf.to_container(OmegaConf.load(cli.CONF / "model/shapes.yaml").tower)
    return instantiate(validate.knobs(method) | dict.fromkeys(own, tower))


def _once(made: list[Method], geometry: Geometry, agreeing: bool) -> list[tuple[int, int, int, int]]:
    """For each method in turn: rows and backward rows by itself, and those really evaluated."""

    def edit(sample: EditSample) -> list[tuple[int, int, int, int]]:
        model, found = _Denoiser(embedded(), geometry, agreeing), []
        pixels = torch.from_numpy(sample.image)[None]
        batch = EditBatch([sample], pixels, Shared(lambda: model.rows), points=made)
        for method in made:
            batch.shared.open_bill()
            before = model.backward
            with torch.inference_mode():
                method(model, batch, SampleNoise(0, [sample.id]))
            spent = model.backward - before
            found.append((batch.shared.rows, spent, batch.shared.spent, spent))
        return found

    return on_a_sample(edit)


def on_a_sample(work: Callable[[EditSample], Any]) -> Any:
    """What `work` gives for the first sample of the embedded world with words to blend that a method does not refuse.

    Raises:
        UserError: it refuses all.
    """
    world, refusal = Shapes(64), ""
    for number in range(_SAMPLES):
        sample = world[number]
        try:
            if sample.blend and all(sample.blend):
                return work(sample)
        except BadSample as error:
            refusal = str(error)
    raise UserError(f"no sample of the embedded world can be edited in this way: {refusal}")


def embedded() -> stable_diffusion.LatentDiffusion:
    """The embedded model on the CPU."""
    return stable_diffusion.load(files.locate("bench/models/shapes"), torch.device("cpu"), torch.float32)


def size_of(cfg: dict[str, Any]) -> int:
    """Pixels a side, as `bench.edits.plan` finds it, where the model is here."""
    if size := cfg["data"]["size"] or cfg["model"]["size"]:
        return size
    folder = folder_of(cfg["model"]["path"])
    return files.native_size(folder) if folder else _SIZE


@lru_cache
def folder_of(path: str) -> Path | None:
    """Folder of a model, or None where it is not here."""
    try:
        return files.locate(path)
    except UserError:
        return None


def geometry_of(cfg: dict[str, Any]) -> Geometry:
    """That of a configuration's model; where it is not here, Stable Diffusion 1.4's."""
    folder = folder_of(cfg["model"]["path"])
    if folder is None:  # of models that are not here, those that edit by instruction are told by their name
        layers = _stable_diffusion()
        return Geometry(size_of(cfg) // 8, layers, 4 if "pix2pix" in cfg["model"]["path"] else 0)
    return _described(folder, size_of(cfg))


@lru_cache
def _stable_diffusion() -> tuple:
    return tuple(architecture.attention_layers())


@lru_cache
def _described(folder: Path, size: int) -> Geometry:
    factor, channels, layers = architecture.described(folder)
    return Geometry(size // factor, tuple(layers), channels)
