"""Uni-Edit (Jiao et al. 2025, arXiv 2504.13109): the source inverted in part and without words, and led away from its
prompt towards the target's where the two differ."""

import torch
from torch.nn.functional import avg_pool2d, interpolate

from bench.diffusion import ddim
from bench.diffusion.grid import Grid, encode_steps
from bench.diffusion.guidance import guided_eps
from bench.types import DiffusionModel, EditBatch, EditResult, Noise
from methods import latents
from methods.flows.predicted import inverted

_DISTILLED, _OTHERS = ("abs", "token"), ("signed", "latent")  # the authors' two programmes


class UniEdit:
    """With m of n steps left by `alpha`, NFE m + 1 + 2 m of a distilled model, or with guidance 1.

    Args:
        steps: n.
        alpha: share of the steps that are done, from the cleanest.
        omega: strength of the guidance away from the source's prompt.
        w_s, w_t: guidance of the inversion, and of either prompt in the edit.
        zero_init: see `methods.flows.predicted`.
        mask: `abs`: where the outputs for both prompts differ, by the mean of their absolute difference over channels,
            as the authors' programme for FLUX does; `signed`: by the mean itself, as their programme for others does;
            None: by the model.
        cell: `token`: of 2 x 2 cells of the latents, or `latent`, of each; None: by the model.
    """

    version = 1

    def __init__(
        self,
        steps: int,
        alpha: float = 0.6,
        omega: float = 5.0,
        w_s: float = 1.0,
        w_t: float = 1.0,
        zero_init: bool = False,
        mask: str | None = None,
        cell: str | None = None,
    ):
        self.steps, self.alpha, self.omega, self.w_s, self.w_t = steps, alpha, omega, w_s, w_t
        self.zero_init, self.mask, self.cell = zero_init, mask, cell

    def __call__(self, model: DiffusionModel, batch: EditBatch, noise: Noise) -> EditResult:
        grid, k = latents.grid(model, batch, self.steps), encode_steps(self.alpha, self.steps)
        z = inverted(model, batch, grid, k, [""] * len(batch.samples), self.w_s, self.zero_init)
        z = self.generate(model, batch, grid, k, z)
        return EditResult(latents.images(model, z), notes=latents.cut(model, batch))

    def generate(self, model: DiffusionModel, batch: EditBatch, grid: Grid, k: int, z: torch.Tensor) -> torch.Tensor:
        """Latents at level k to the edit's clean ones."""
        source, target = (latents.condition(model, batch, queries) for queries in (batch.sources, batch.targets))
        null, own = latents.null(model, batch), _DISTILLED if model.distilled else _OTHERS
        mask, cell = self.mask or own[0], self.cell or own[1]
        for level in range(k, 0, -1):
            t = grid.timesteps[level - 1]
            wanted, there = (guided_eps(model, z, t, words, null, self.w_t) for words in (target, source))
            apart = wanted - there
            share = where_apart(apart, mask, cell)
            output = share * wanted + (1 - share) * there + self.omega * (1 + share) * apart
            z = ddim.step(z, output, grid, level, level - 1)
        return z


def where_apart(apart: torch.Tensor, mask: str, cell: str) -> torch.Tensor:
    """Where two outputs differ, `[B, 1, h, w]` from 0 to 1 in each picture, of their difference `[B, C, h, w]`."""
    found = (apart.abs() if mask == "abs" else apart).mean(1, keepdim=True)
    if cell == "token":
        found = interpolate(avg_pool2d(found, 2), scale_factor=2)
    low, high = found.amin((1, 2, 3), keepdim=True), found.amax((1, 2, 3), keepdim=True)
    return (found - low) / (high - low).clamp(min=torch.finfo(found.dtype).tiny)
