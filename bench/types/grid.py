"""Noise levels, and how one of them mixes picture and noise. No torch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch


class Path(Protocol):
    """Everything that a deterministic sampler needs to know of a model beside what its network says: what a level, one
    float, means (`bench.diffusion.path` has diffusion's and a flow's).

    Latents and outputs are `[B, C, h, w]`; coefficients are computed in float64 whatever their dtype.
    """

    def mix(self, level: float) -> tuple[float, float]:
        """Shares of picture and noise in latents at a level."""

    def move(self, start: float, end: float) -> tuple[float, float]:
        """(scale, shift): latents at `end` are scale * latents at `start` + shift * the network's output, whichever
        level is the noisier. DDIM's step on a diffusion path, Euler's on a flow's."""

    def clean(self, z: "torch.Tensor", output: "torch.Tensor", level: float) -> "torch.Tensor":
        """The picture that latents at a level and the network's output for them stand for."""

    def prediction(self, z: "torch.Tensor", x0: "torch.Tensor", level: float) -> "torch.Tensor":
        """The output that stands for picture `x0`: the inverse of `clean`. Undefined where the level has no noise."""

    def step(self, z: "torch.Tensor", output: "torch.Tensor", start: float, end: float) -> "torch.Tensor":
        """Latents moved from level `start` to `end`."""

    def noised(self, x0: "torch.Tensor", noise: "torch.Tensor", level: float) -> "torch.Tensor":
        """Clean latents mixed with noise up to a level."""


@dataclass(frozen=True)
class Grid:
    """The noise levels that a sampler visits.

    Attributes:
        timesteps: `[S]`, rising; `timesteps[j]` is where the model is asked between level j and j + 1.
        levels: `[S + 1]`, cleanest first, in the path's terms; level j + 1 is that of `timesteps[j]`.
        path: how a level mixes picture and noise.
    """

    timesteps: tuple[float, ...]
    levels: tuple[float, ...]
    path: Path
