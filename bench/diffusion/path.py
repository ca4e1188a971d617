"""What a noise level means: `bench.types.Path` of diffusion models and of flows. No torch import."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.types.grid import Path

if TYPE_CHECKING:
    import torch


class _Linear(Path):
    """What follows from `move` and `mix` alone."""

    def step(self, z: "torch.Tensor", output: "torch.Tensor", start: float, end: float) -> "torch.Tensor":
        scale, shift = self.move(start, end)
        return scale * z + shift * output

    def noised(self, x0: "torch.Tensor", noise: "torch.Tensor", level: float) -> "torch.Tensor":
        picture, share = self.mix(level)
        return picture * x0 + share * noise


@dataclass(frozen=True)
class Diffusion(_Linear):
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
class Flow(_Linear):
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
