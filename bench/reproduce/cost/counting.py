"""How often a method asks the denoiser: the method itself is run on a sample of the embedded world, with answers made
up, so that nothing of the real model or data need be here and a count takes milliseconds."""

import re
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from bench.config import cli, validate
from bench.data.preprocess import NATIVE
from bench.data.shapes import Shapes
from bench.diffusion.noise import SampleNoise
from bench.diffusion.path import Flow
from bench.edits.plan import picture_size
from bench.errors import BadSample, UserError
from bench.models import checkpoint as checkpoints
from bench.models.base import Model
from bench.types import AttentionLayer, Condition, EditBatch, EditSample, Geometry, Grid, Method, Query, Token
from bench.types.bill import Shared

_SIZE = 512  # of a model that is not here and states none
_SAMPLES = 40  # looked through for one that a method takes
_CONTEXT, _WIDTH = 77, 128  # of made-up words


@dataclass(frozen=True)
class Cost:
    """What one edit costs.

    Attributes:
        nfe: evaluations of the denoiser by itself, as the journal's `nfe`.
        spent: after sharing with the points of the same job, as `nfe_spent`.
        updates: gradients that it follows, as the journal's `backward`.
        most: whether it is the most it can be: the method stops earlier where its answers are good enough.
    """

    nfe: int
    spent: int
    updates: int
    most: bool


class _Denoiser(Model):
    """A model with somebody else's geometry, made-up words and made-up answers.

    Answers are fresh noise, with which nothing ever converges, or (`agreeing`) 0, with which everything does at once.
    """

    def __init__(self, geometry: Geometry, agreeing: bool):
        super().__init__(8 * geometry.side, np.linspace(0.9999, 0.0001, 1000))
        self.geometry, self.agreeing = geometry, agreeing
        self.picture_channels, self.distilled = geometry.picture_channels, geometry.distilled
        self._random = torch.Generator().manual_seed(0)

    def grid(self, steps: int) -> Grid:
        """Of a flow, evenly spaced levels."""
        if not self.geometry.flow:
            return super().grid(steps)
        levels = tuple(j / steps for j in range(steps + 1))
        return Grid(tuple(1000 * level for level in levels[1:]), levels, Flow())

    def condition(self, queries: list[Query]) -> Condition:
        """States as wide as the tokens of the embedded world's image tower."""
        return Condition(torch.zeros(len(queries), _CONTEXT, _WIDTH))

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """Latents of nothing."""
        return torch.zeros(len(images), self.geometry.channels, self.geometry.side, self.geometry.side)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Pictures of nothing."""
        return torch.zeros(len(latents), 3, 8, 8)

    def eps(self, z, t, condition, values=None, picture=None) -> torch.Tensor:
        """Counts the rows; gradients pass to states that want them."""
        if self.picture_channels and picture is None:
            raise UserError("edits by instruction: use method=instruct_pix2pix, or another model")
        states = [
            x for x in (condition.states, values) if x is not None and x.requires_grad and torch.is_grad_enabled()
        ]
        self.rows += len(z)
        noise = torch.randn(z.shape, generator=self._random) * (not self.agreeing)
        return noise.to(z.dtype) + sum(0 * states_.sum() for states_ in states)

    def eps_and_variance(self, z, t, condition) -> tuple[torch.Tensor, torch.Tensor]:
        """Counts the rows; the variance is the mean of what it can be."""
        return self.eps(z, t, condition), torch.zeros_like(z)

    def tokens(self, query: Query) -> list[Token]:
        """A token a word. Raises: UserError: the model that is stood in for reads none."""
        if not self.geometry.words:
            return super().tokens(query)
        words = re.finditer(r"\S+", str(query or ""))
        inner = ((2 + zlib.crc32(word[0].encode()), word[0], word.span()) for word in words)
        return [(0, "<start>", (0, 0)), *inner, (1, "<end>", (0, 0))]

    def residual(self, block: int, number: int, change: Callable) -> AbstractContextManager[None]:
        """Changes nothing of nothing."""
        return nullcontext()

    def attention(self) -> list[AttentionLayer]:
        """The layers of the model that is stood in for. Raises: UserError: it has none that can be steered."""
        return list(self.geometry.layers) or super().attention()


def count(methods: list[dict[str, Any]], geometry: Geometry) -> list[Cost]:
    """The cost of each operating point of one job, alone and shared.

    Args:
        methods: resolved configurations of `conf/method`, one an operating point.

    Raises:
        UserError: a method refuses such a model, or every sample that it was offered.
    """
    made = [build(method) for method in methods]
    if all(hasattr(one, "backward") for one in made):  # they ask no denoiser, and say what they do instead
        return [Cost(0, 0, one.backward, most=False) for one in made]
    most, least = ([_once([one], geometry, agreeing)[0] for one in made] for agreeing in (False, True))
    shared = _once(made, geometry, agreeing=False) if len(made) > 1 else most
    return [
        Cost(rows, spent, updates, most=(rows, updates) != (fewest, fewest_updates))
        for (rows, _, updates), (fewest, _, fewest_updates), (_, spent, _) in zip(most, least, shared, strict=True)
    ]


def build(method: dict[str, Any]) -> Method:
    """The method, with the embedded world's networks in place of its own (StyleDiffusion's image tower)."""
    own = {name: value for name, value in method.items() if isinstance(value, dict) and "_target_" in value}
    tower = OmegaConf.to_container(OmegaConf.load(cli.CONF / "model/shapes.yaml").tower)
    return instantiate(validate.knobs(method) | dict.fromkeys(own, tower))


def _once(made: list[Method], geometry: Geometry, agreeing: bool) -> list[tuple[int, int, int]]:
    """For each method in turn: rows by itself, those really evaluated, and updates."""

    def edit(sample: EditSample) -> list[tuple[int, int, int]]:
        model, found = _Denoiser(geometry, agreeing), []
        pixels = torch.from_numpy(sample.image)[None]
        batch = EditBatch([sample], pixels, Shared(lambda: model.rows), points=made)
        for method in made:
            batch.shared.open_bill()
            with torch.inference_mode():
                (notes,) = method(model, batch, SampleNoise(0, [sample.id])).notes or [{}]
            found.append((batch.shared.rows, batch.shared.spent, notes.get("backward", 0)))
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


def size_of(cfg: dict[str, Any]) -> int | str:
    """Pixels a side of the data, or `native`, as `bench.edits.plan` finds it, where the model is here."""
    try:
        return picture_size(cfg)
    except UserError:
        return _SIZE


def editing_size_of(cfg: dict[str, Any]) -> int | str:
    """Pixels a side at which the model edits, or `native`."""
    return cfg["model"]["size"] or size_of(cfg)


def geometry_of(cfg: dict[str, Any]) -> Geometry:
    """That of a configuration's model, whether its files are here or not. Of pictures of their own sizes, it is that of
    the size it was made for: evaluations do not depend on it."""
    size = editing_size_of(cfg)
    if size == NATIVE:
        size = size_of(cfg | {"data": cfg["data"] | {"size": None}})
    return checkpoints.geometry(cfg["model"], size)
