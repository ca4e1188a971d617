"""What most models share; a kind of model says the rest."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch

from bench.diffusion.grid import Grid, leading
from bench.errors import UnfitSize, UserError
from bench.types import AttentionHook, AttentionLayer, Condition, Query, Token


def check_sides(images: torch.Tensor, multiple: int, largest: int | None = None) -> None:
    """Raises UnfitSize where a side of images `[B, 3, H, W]` is no multiple of what the networks need, or larger than
    they can place."""
    height, width = images.shape[-2:]
    told, way = f"images of {width}x{height} px; this model", "set data.size or model.size"
    if largest and max(height, width) > largest:
        raise UnfitSize(f"{told} takes {largest} px a side at most: {way}")
    if height % multiple or width % multiple:
        raise UnfitSize(f"{told} needs multiples of {multiple}: {way}")


def timestep(t: float, like: torch.Tensor) -> torch.Tensor:
    """A timestep `[1]` as diffusers' networks make it of a number, made on the device: a copy would be waited for."""
    return torch.full((1,), t, dtype=torch.int64 if isinstance(t, int) else torch.float64, device=like.device)


class Model(ABC):
    """Implements `bench.types.DiffusionModel` but for what its four abstract methods do.

    Args:
        size: pixels a side it was made for.
        alphas_cumprod: float64 `[T]`, decreasing; None for a model that was not trained on such a table, which then
            has a `grid` of its own.
    """

    distilled = False
    latent_scale = 1.0
    picture_channels = 0

    def __init__(self, size: int, alphas_cumprod: np.ndarray | None = None):
        self.size, self.alphas_cumprod, self.rows = size, alphas_cumprod, 0

    def grid(self, steps: int) -> Grid:
        """Stable Diffusion's."""
        return leading(steps, self.alphas_cumprod)

    @abstractmethod
    def condition(self, queries: list[Query]) -> Condition:
        """See `bench.types.DiffusionModel`."""

    @abstractmethod
    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """See `bench.types.DiffusionModel`."""

    @abstractmethod
    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """See `bench.types.DiffusionModel`."""

    @abstractmethod
    def eps(self, z, t, condition, values=None, picture=None) -> torch.Tensor:
        """See `bench.types.DiffusionModel`; adds `len(z)` to `rows`."""

    def tokens(self, query: Query) -> list[Token]:
        """Raises: UserError: it has no words."""
        raise UserError("this model reads no words, so its attention to them cannot be steered; use control=none")

    def excess(self, query: Query) -> int:
        """Nothing is ever cut."""
        return 0

    def attention(self) -> list[AttentionLayer]:
        """Raises: UserError: none of its layers can be steered."""
        raise UserError("this model's attention cannot be steered; use control=none or another model")

    def attend(self, hook: AttentionHook) -> AbstractContextManager[None]:
        """See `attention`."""
        self.attention()
        return nullcontext()
