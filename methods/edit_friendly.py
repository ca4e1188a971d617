"""Edit-friendly DDPM inversion (Huberman-Spiegelglas et al. 2023, arXiv 2304.06140): the noise of each sampling step
that would have made the source, given to the target's."""

import math

import torch

from bench.diffusion.grid import Grid, encode_steps
from bench.diffusion.guidance import guided_eps
from bench.types import Condition, DiffusionModel, EditBatch, EditResult, Noise
from methods import latents


class EditFriendly:
    """The source is noised to every level with noise of its own, not along one path. NFE 2 n, or n of sources without
    words, and 2 (n - skip).

    Args:
        steps: n.
        skip: noisiest steps that the edit leaves out; None: the authors' 36 of 100.
        w_s, w_t: guidance of inversion and edit.
        eta: how much noise a step draws anew; 1 is DDPM. As published code has it, the variance is eta times DDPM's
            where the mean is made, and eta squared times where noise is added: another process but at 1.
    """

    version = 1

    def __init__(self, steps: int, skip: int | None = None, w_s: float = 3.5, w_t: float = 15.0, eta: float = 1.0):
        self.steps, self.skip, self.w_s, self.w_t, self.eta = steps, skip, w_s, w_t, eta

    def __call__(self, model: DiffusionModel, batch: EditBatch, noise: Noise) -> EditResult:
        latents.trained_levels(model)
        grid = latents.grid(model, batch, self.steps)
        noisy, draws = batch.shared(
            ("edit_friendly", grid, self.w_s, self.eta), lambda: self.invert(model, batch, grid, noise)
        )
        k = self.steps - (encode_steps(0.36, self.steps) if self.skip is None else self.skip)
        target, null = latents.condition(model, batch, batch.targets), latents.null(model, batch)
        z = self.generate(model, grid, noisy[k], draws[:k], target, null, self.w_t)
        return EditResult(latents.images(model, z), notes=latents.cut(model, batch))

    def invert(
        self, model: DiffusionModel, batch: EditBatch, grid: Grid, noise: Noise
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """The source at levels 0 to n, and the noise of each step, cleanest first; that of the cleanest step is 0."""
        x0, path = latents.clean(model, batch), grid.path
        shape, levels = tuple(x0.shape[1:]), enumerate(grid.levels[1:], 1)
        noisy = [x0, *(path.noised(x0, noise(f"edit_friendly {k}", shape), level) for k, level in levels)]
        untold, null = latents.untold(batch.sources), latents.null(model, batch)
        words, w = (null, 1.0) if untold else (latents.condition(model, batch, batch.sources), self.w_s)
        draws = [torch.zeros_like(x0)]
        for k in range(2, self.steps + 1):
            mean, spread = self._step(model, grid, k, noisy[k], words, null, w)
            draws.append((noisy[k - 1] - mean) / spread)
        # the cleanest step's noise is not used, but its authors compute it
        batch.shared.credit(len(x0) * (1 if untold or w in (0, 1) else 2), 0.0)
        return noisy, draws

    def generate(
        self,
        model: DiffusionModel,
        grid: Grid,
        z: torch.Tensor,
        draws: list[torch.Tensor],
        words: Condition,
        null: Condition,
        w: float,
    ) -> torch.Tensor:
        """Clean latents by as many steps as there are draws."""
        for k in range(len(draws), 0, -1):
            mean, spread = self._step(model, grid, k, z, words, null, w)
            z = mean + spread * draws[k - 1]
        return z

    def _step(
        self, model: DiffusionModel, grid: Grid, k: int, z: torch.Tensor, words: Condition, null: Condition, w: float
    ) -> tuple[torch.Tensor, float]:
        """Mean and spread of a sampling step from level k."""
        start, end = grid.levels[k], grid.levels[k - 1]
        variance = (1 - end) / (1 - start) * (1 - start / end)
        output = guided_eps(model, z, grid.timesteps[k - 1], words, null, w)
        along = math.sqrt(1 - end - self.eta * variance)
        return math.sqrt(end) * grid.path.clean(z, output, start) + along * output, self.eta * math.sqrt(variance)
