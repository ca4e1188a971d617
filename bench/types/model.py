"""What a diffusion model offers to samplers and methods. No torch at run time."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from bench.types.grid import Grid
from bench.types.records import Query

if TYPE_CHECKING:
    import torch

Self = TypeVar("Self", bound="Condition")
Token = tuple[int, str, tuple[int, int]]
"""Id, the characters it stands for, and where in the prompt it comes from: first character and one past the last,
equal for a token that comes from nowhere (start and end)."""


@dataclass(frozen=True)
class Condition:
    """What a model is told, one row a sample; opaque to samplers, which only put rows together.

    A model whose condition has further parts derives from it; every part is a tensor of rows, or None in all rows.

    Attributes:
        states: of a prompt's tokens, `[B, L, D]`.
        pooled: of the whole prompt, `[B, P]`.
        labels: class indices, int64 `[B]`.
        guidance: scale that a distilled model takes as an input, float `[B]`.
    """

    states: "torch.Tensor | None" = None
    pooled: "torch.Tensor | None" = None
    labels: "torch.Tensor | None" = None
    guidance: "torch.Tensor | None" = None

    def __len__(self) -> int:
        return len(next(part for part in self._parts().values() if part is not None))

    def __getitem__(self: Self, rows: "slice | list[int] | torch.Tensor") -> Self:
        return replace(self, **{name: part[rows] for name, part in self._parts().items() if part is not None})

    def _parts(self) -> "dict[str, torch.Tensor | None]":
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @staticmethod
    def cat(conditions: "list[Condition]") -> "Condition":
        """Their rows, one after the other."""
        import torch

        given = [name for name, part in conditions[0]._parts().items() if part is not None]
        return replace(conditions[0], **{name: torch.cat([getattr(c, name) for c in conditions]) for name in given})

    def with_states(self: Self, states: "torch.Tensor") -> Self:
        """The same with other states, as optimisation makes them."""
        return replace(self, states=states)

    def guided(self: Self, w: "float | torch.Tensor") -> Self:
        """The same for a distilled model asked at guidance `w`, one for all or one a sample."""
        import torch

        like = next(part for part in self._parts().values() if part is not None)
        if isinstance(w, torch.Tensor):
            scale = w.to(like.device, torch.float32).flatten().expand(len(self))
        else:  # made on the device: a copy to it would be waited for
            scale = torch.full((len(self),), w, dtype=torch.float32, device=like.device)
        return replace(self, guidance=scale)


@dataclass(frozen=True)
class AttentionLayer:
    """Where one attention layer of a denoiser stands.

    Attributes:
        index: of its transformer block, in call order (Stable Diffusion 1: down 0 to 5, mid 6, up 7 to 15).
        place: down, mid or up.
        factor: cells of the latents along one side of a cell here.
        cross: attends to the condition; else to the picture itself.
        words: first and one past the last of its tokens that are words, in a layer whose tokens are words and picture
            together (joint transformers); None in others.
    """

    index: int
    place: str
    factor: int
    cross: bool
    words: tuple[int, int] | None = None

    def cells(self, side: int) -> int:
        """Cells along a side here, of latents with `side`: networks round up where a side is odd."""
        return -(-side // self.factor)


AttentionHook = Callable[[AttentionLayer, "torch.Tensor", "torch.Tensor", "torch.Tensor"], "torch.Tensor"]
"""`(layer, query, key, value) -> output`, each `[B, heads, tokens, d]`: what a layer does between its projections."""


@dataclass(frozen=True)
class Geometry:
    """What of a model decides how often a method asks it: enough to count evaluations where its files are not.

    Attributes:
        side: cells of its latents along a side.
        channels: of its latents.
        layers: its attention layers; none where they cannot be steered.
        words: whether it reads any (`DiffusionModel.tokens`).
        picture_channels, distilled: see `DiffusionModel`.
        flow: its levels are a flow's.
    """

    side: int
    channels: int = 4
    layers: tuple[AttentionLayer, ...] = ()
    words: bool = True
    picture_channels: int = 0
    distilled: bool = False
    flow: bool = False


class DiffusionModel(Protocol):
    """A denoiser, with an autoencoder if it has one; every kind of checkpoint is wrapped once, samplers see only this.
    `bench.models.base.Model` has what most models share.

    Attributes:
        size: pixels a side it was made for.
        rows: evaluations of the denoiser so far, counted per batch row.
        distilled: guidance is one of its inputs (`Condition.guided`), and it has no unconditional half.
        alphas_cumprod: float64 `[T]`, decreasing, of a model that was trained on a table of noise levels; None for
            others, which methods that need the table refuse.
        latent_scale: latents are the autoencoder's times this.
        picture_channels: channels of the picture that `eps` must be given beside the latents (InstructPix2Pix: 4);
            0 for most.
    """

    size: int
    rows: int
    distilled: bool
    alphas_cumprod: np.ndarray | None
    latent_scale: float
    picture_channels: int

    def grid(self, steps: int) -> Grid:
        """The levels that its sampler visits in so many steps, with their path. A model whose levels depend on the
        pictures' size says those of the size it was made for, and has `grid_for(steps, latents)` besides."""

    def condition(self, queries: list[Query]) -> Condition:
        """One row a query; None is the unconditional model.

        Raises:
            BadSample: a query of a kind that it does not take; the sentence says which it takes.
            UserError: it has no unconditional half and is asked for it.
        """

    def encode(self, images: "torch.Tensor") -> "torch.Tensor":
        """float `[B, 3, H, W]` in [-1, 1] to latents `[B, C, h, w]`, of an autoencoder the posterior's mean; the same
        pixels for a model that works on them."""

    def decode(self, latents: "torch.Tensor") -> "torch.Tensor":
        """Latents `[B, C, h, w]` to float `[B, 3, H, W]`, about [-1, 1]."""

    def eps(
        self,
        z: "torch.Tensor",
        t: float,
        condition: Condition,
        values: "torch.Tensor | None" = None,
        picture: "torch.Tensor | None" = None,
    ) -> "torch.Tensor":
        """What the network says at timestep `t`, `[B, C, h, w]` in the dtype of `z`: noise on a diffusion path,
        velocity on a flow's; differentiable outside inference mode.

        `values` `[B, L, D]` are states that cross-attention takes its values from instead of the condition (inside
        `attend` only); `picture` `[B, picture_channels, h, w]` goes in beside the latents where a model needs it.
        """

    def tokens(self, query: Query) -> list[Token]:
        """Tokens of a prompt as `condition` sees them. The start and end tokens are there, the padding is not; what
        exceeds the context is cut."""

    def excess(self, query: Query) -> int:
        """Number of a prompt's tokens that no text encoder has room for. A model with several encoders has
        `cuts(query)` besides: encoder -> number of tokens that it has no room for, without those that read all."""

    def attention(self) -> list[AttentionLayer]:
        """Its attention layers in call order. Raises: UserError: it has none that can be steered."""

    def attend(self, hook: AttentionHook) -> AbstractContextManager[None]:
        """While the context lasts, `hook` attends in every layer; afterwards the denoiser is as it was, also after an
        exception. Raises: RuntimeError: at the end, if a layer was passed by."""
