"""How a noise level mixes picture and noise. A level is one float, whose meaning its path knows. No torch import."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class Path(ABC):
    """Everything that a deterministic sampler needs to know of a model beside what its network says.

    Latents and outputs are `[B, C, h, w]`; coefficients are computed in float64 whatever their dtype.
    """

    @abstractmethod
    def mix(self, level: float) -> tuple[float, float]:
        """Shares of picture and noise in latents at a level."""

    @abstractmethod
    def move(self, start: float, end: float) -> tuple[float, float]:
        """(scale, shift): latents at `end` are scale * latents at `start` + shift * the network's output, whichever
        level is the noisier. DDIM's step on a diffusion path, Euler's on a flow's."""

    @abstractmethod
    def clean(self, z: "torch.Tensor", output: "torch.Tensor", level: float) -> "torch.Tensor":
        """The picture that latents at a level and the network's output for them stand for."""

    @abstractmethod
    def prediction(self, z: "torch.Tensor", x0: "torch.Tensor", level: float) -> "torch.Tensor":
        """The output that stands for picture `x0`: the inverse of `clean`. Undefined where the level has no noise."""

    def step(self, z: "torch.Tensor", output: "torch.Tensor", start: float, end: float) -> "torch.Tensor":
        """Latents moved from level `start` to `end`."""
        scale, shift = self.move(start, end)
        return scale * z + shift * output

    def noised(self, x0: "torch.Tensor", noise: "torch.Tensor", level: float) -> "torch.Tensor":
        """Clean latents mixed with noise up to a level."""
        picture, share = self.mix(level)
        return picture * x0 + share * noise


@dataclass(frozen=True)
class Diffusion(Path):
    """A level is alpha-bar in (0, 1]; the network says the noise (DiffEdit Eq. 2; SimInversion Eq. 2 and 3)."""

    def mix(self, level: float) -> tuple[float, float]:
        return math.sqrt(level), math.sqrt(1 - level)

    def move(self, start: float, end: float) -> tuple[float, float]:
        shift = math.sqrt(end) * (math.sqrt(1 / end - 1) - math.sqrt(1 / start - 1))
        return math.sqrt(end / start), shift

    def clean(self, z: "torch.Tensor", output: "torch.Tensor", level: float) -> "torch.Tensor":
        return (z - math.sqrt(1 - level) * output) / math.sqrt(level)

    def prediction(self, z: "torch.Tensor", x0: "torch.Tensor", level: float) -> "torch.Tensor":
        return (z - math.sqrt(level) * x0) / math.sqrt(1 - level)


@dataclass(frozen=True)
class Flow(Path):
    """A level is sigma in [0, 1], z = (1 - sigma) x0 + sigma noise; the network says the velocity, noise - x0, which
    is never converted to noise: at sigma = 1 the prediction would be lost."""

    def mix(self, level: float) -> tuple[float, float]:
        return 1 - level, level

    def move(self, start: float, end: float) -> tuple[float, float]:
        return 1.0, end - start

    def clean(self, z: "torch.Tensor", output: "torch.Tensor", level: float) -> "torch.Tensor":
        return z - level * output

    def prediction(self, z: "torch.Tensor", x0: "torch.Tensor", level: float) -> "torch.Tensor":
        return (z - x0) / level
