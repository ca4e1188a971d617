"""Uni-Inv (Jiao et al. 2025, arXiv 2504.13109): inversion that asks at the level a step reaches, at a point predicted
with the output of the step before."""

from functools import partial

import torch

from bench.diffusion.grid import Grid
from bench.diffusion.guidance import guided_eps
from bench.diffusion.path import Flow
from bench.types import DiffusionModel, EditBatch, Query
from methods import latents


def inverted(
    model: DiffusionModel,
    batch: EditBatch,
    grid: Grid,
    k: int,
    queries: list[Query],
    w: float,
    zero_init: bool,
) -> torch.Tensor:
    """The source at level k. A further level only adds to what a smaller k has computed.

    On a diffusion path, as the authors' Stable Diffusion XL: the picture's own level is alpha-bar 1, the first
    prediction, which is made at timestep 0, goes to the grid's level 0, and the first step to its level 1.

    Args:
        zero_init: the first step's prediction is the picture itself, for an evaluation less.
    """
    words, null = latents.condition(model, batch, queries), latents.null(model, batch)
    clean, path = latents.clean(model, batch), grid.path
    own = grid.levels[0] if isinstance(path, Flow) else 1.0

    def first() -> torch.Tensor:
        return torch.zeros_like(clean) if zero_init else guided_eps(model, clean, 0, words, null, w)

    def further(z: torch.Tensor, output: torch.Tensor, j: int) -> tuple[torch.Tensor, torch.Tensor]:
        start, end = grid.levels[j] if j else own, grid.levels[j + 1]
        guessed = path.step(z, output, start, end if j or isinstance(path, Flow) else grid.levels[0])
        found = guided_eps(model, guessed, grid.timesteps[j], words, null, w)
        return path.step(z, found, start, end), found

    key = ("predicted", grid, tuple(queries), w, zero_init)
    z, output = clean, batch.shared((*key, 0), first)
    for j in range(k):
        z, output = batch.shared((*key, j + 1), partial(further, z, output, j))
    return z
