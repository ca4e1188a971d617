"""RF-Inversion (Rout et al. 2024, arXiv 2410.10792): a flow drawn to noise on its way up, and to the source on its way
down."""

import torch

from bench.diffusion import ddim
from bench.diffusion.grid import Grid
from bench.diffusion.guidance import guided_eps
from bench.types import DiffusionModel, EditBatch, EditResult, Noise, Query
from methods import latents


class RFInversion:
    """Algorithms 1 and 2 as diffusers' pipeline of the authors runs them. NFE k + k of a distilled model, with k of n
    steps left by `strength`.

    Args:
        steps: n.
        guidance: of the edit.
        gamma: how strongly inversion is drawn to one noise.
        eta: how strongly the edit is drawn to the source, in steps from `start` n to `stop` n, rounded down.
        start, stop: shares of the steps, from the noisiest.
        decay: power p of (1 - i / k), by which eta falls with the step i.
        inversion_guidance: the authors ask a distilled model at 0.
        source_text: `empty` or `caption`, what inversion is told.
        strength: share of the steps that are done.
        times: `coded`: inversion asks at i / (k + 1) though the steps, in the order of sampling, reach another level;
            `consistent`: at the level that they do reach.
    """

    version = 1

    def __init__(
        self,
        steps: int,
        guidance: float,
        gamma: float = 0.5,
        eta: float = 0.9,
        start: float = 0.0,
        stop: float = 0.25,
        decay: float = 0.0,
        inversion_guidance: float = 0.0,
        source_text: str = "empty",
        strength: float = 1.0,
        times: str = "coded",
    ):
        self.steps, self.guidance, self.gamma, self.eta = steps, guidance, gamma, eta
        self.start, self.stop, self.decay, self.inversion_guidance = start, stop, decay, inversion_guidance
        self.source_text, self.strength, self.times = source_text, strength, times

    def __call__(self, model: DiffusionModel, batch: EditBatch, noise: Noise) -> EditResult:
        grid = latents.flow(model, batch, self.steps)
        # in float arithmetic as the authors do it: 0.7 of 10 steps drops int(10 - 7.0)
        k = self.steps - int(self.steps - self.steps * self.strength)
        queries = batch.sources if self.source_text == "caption" else [""] * len(batch.samples)
        x0, towards = latents.clean(model, batch), latents.start_noise(model, batch, noise)
        inverted = batch.shared(
            ("rf_inversion", grid, k, self.gamma, self.inversion_guidance, self.times, tuple(queries)),
            lambda: self.invert(model, batch, grid, k, queries, x0, towards),
        )
        z = self.generate(model, batch, grid, k, x0, inverted)
        return EditResult(latents.images(model, z), notes=latents.cut(model, batch))

    def invert(
        self,
        model: DiffusionModel,
        batch: EditBatch,
        grid: Grid,
        k: int,
        queries: list[Query],
        x0: torch.Tensor,
        towards: torch.Tensor,
    ) -> torch.Tensor:
        """Clean latents to noise."""
        words, null = latents.condition(model, batch, queries), latents.null(model, batch)
        falling, y = grid.levels[k::-1], x0
        for i in range(k):
            at = i / (k + 1) if self.times == "coded" else falling[0] - falling[i]
            velocity = guided_eps(model, y, 1000 * at, words, null, self.inversion_guidance)
            velocity = velocity + self.gamma * ((towards - y) / (1 - at) - velocity)
            y = y + (falling[i] - falling[i + 1]) * velocity
        return y

    def generate(
        self, model: DiffusionModel, batch: EditBatch, grid: Grid, k: int, x0: torch.Tensor, z: torch.Tensor
    ) -> torch.Tensor:
        """Noise to the edit's clean latents."""
        words, null = latents.condition(model, batch, batch.targets), latents.null(model, batch)
        drawn = range(int(self.start * self.steps), min(int(self.stop * self.steps), self.steps))
        for i in range(k):
            level = k - i
            velocity = guided_eps(model, z, grid.timesteps[level - 1], words, null, self.guidance)
            if i in drawn:
                eta = self.eta * (1 - i / k) ** self.decay
                velocity = velocity + eta * (grid.path.prediction(z, x0, grid.levels[level]) - velocity)
            z = ddim.step(z, velocity, grid, level, level - 1)
        return z
