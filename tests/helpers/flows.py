"""Flows whose best velocity is known in closed form."""

import torch

from bench.diffusion.grid import Grid
from bench.diffusion.path import Flow
from bench.errors import UserError
from bench.models.base import Model
from bench.types import Condition


class Normal(Model):
    """The best velocity of pixels x0 ~ N(mean, spread^2), in float64; a prompt of n letters has the mean n / 10, none
    has 0. Levels are shifted, so that they are not even.

    Args:
        distilled: guidance, an input, multiplies the mean.
    """

    def __init__(self, spread=0.5, distilled=False):
        super().__init__(8)
        self.spread, self.distilled, self.asked = spread, distilled, []

    def grid(self, steps):
        even = [j / steps for j in range(steps + 1)]
        levels = tuple(3 * level / (1 + 2 * level) for level in even)
        return Grid(tuple(1000 * level for level in levels[1:]), levels, Flow())

    def condition(self, queries):
        if self.distilled and None in queries:
            raise UserError("this model is distilled and has no unconditional half")
        return Condition(states=torch.tensor([[[len(query or "") / 10]] for query in queries]))

    def encode(self, images):
        return images.double()

    def decode(self, latents):
        return latents

    def eps(self, z, t, condition, values=None, picture=None):
        self.rows += len(z)
        self.asked.append(t / 1000)
        mean = condition.states[..., None].to(z)
        if self.distilled:
            mean = mean * condition.guidance.to(z)[:, None, None, None]
        return self.velocity(z, t / 1000, mean)

    def velocity(self, z, level, mean):
        variance = (1 - level) ** 2 * self.spread**2 + level**2
        slope = (level - (1 - level) * self.spread**2) / variance
        return slope * (z - (1 - level) * mean) - mean

    def exact(self, x0, level, mean):
        """Where the flow takes clean pixels when it reaches a level."""
        spread = ((1 - level) ** 2 * self.spread**2 + level**2) ** 0.5
        return (1 - level) * mean + spread / self.spread * (x0 - mean)
