"""Deterministic DDIM in both directions, with guidance as an argument (DiffEdit Eq. 2; SimInversion Eq. 2, 3, 6).

Pure functions over the `DiffusionModel` protocol; latents `[B, C, h, w]`, conditionings `[B, L, D]`.
"""

import math
from collections.abc import Callable

import torch

from bench.schedule import Grid
from bench.types import DiffusionModel


def step(z: torch.Tensor, eps: torch.Tensor, a_from: float, a_to: float) -> torch.Tensor:
    """Moves latents from noise level `a_from` to `a_to` (alpha-bar), whichever is the noisier.

    The two coefficients are computed in float64 whatever the dtype of the latents.
    """
    scale = math.sqrt(a_to / a_from)
    shift = math.sqrt(a_to) * (math.sqrt(1 / a_to - 1) - math.sqrt(1 / a_from - 1))
    return scale * z + shift * eps


def add_noise(z0: torch.Tensor, noise: torch.Tensor, a: float) -> torch.Tensor:
    """Clean latents noised to level `a`: sqrt(a) z0 + sqrt(1 - a) noise."""
    return math.sqrt(a) * z0 + math.sqrt(1 - a) * noise


def guided_eps(
    model: DiffusionModel, z: torch.Tensor, t: int, condition: torch.Tensor, null: torch.Tensor, w: float
) -> torch.Tensor:
    """w * eps(condition) + (1 - w) * eps(null), for any real w (DiffEdit A.2, SimInversion Eq. 6).

    w = 1 and w = 0 cost one call. Diffusers ignores guidance at w <= 1, and so turns every w in [0, 1] into 1.
    """
    if w == 1:
        return model.eps(z, t, condition)
    if w == 0:
        return model.eps(z, t, null)
    given, free = model.eps(torch.cat([z, z]), t, torch.cat([condition, null])).chunk(2)
    return free + w * (given - free)


def invert_step(
    model: DiffusionModel, z: torch.Tensor, grid: Grid, j: int, condition: torch.Tensor, null: torch.Tensor, w: float
) -> torch.Tensor:
    """Level j to level j + 1. The noise is predicted at the timestep it moves *to* (SimInversion Eq. 3)."""
    eps = guided_eps(model, z, grid.timesteps[j], condition, null, w)
    return step(z, eps, grid.levels[j], grid.levels[j + 1])


def invert(
    model: DiffusionModel,
    z0: torch.Tensor,
    grid: Grid,
    k: int,
    condition: torch.Tensor,
    null: torch.Tensor | None = None,
    w: float = 1.0,
) -> torch.Tensor:
    """DDIM encoding of clean latents by k steps; the whole trajectory `[k + 1, B, C, h, w]`, clean first.

    `null` may be omitted at w = 1.
    """
    null = condition if null is None else null
    trajectory = [z0]
    for j in range(k):
        trajectory.append(invert_step(model, trajectory[-1], grid, j, condition, null, w))
    return torch.stack(trajectory)


def sample(
    model: DiffusionModel,
    z: torch.Tensor,
    grid: Grid,
    k: int,
    condition: torch.Tensor,
    null: torch.Tensor,
    w: float,
    after: Callable[[torch.Tensor, int], torch.Tensor] | None = None,
    replace_eps: Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor] | None = None,
) -> torch.Tensor:
    """Decodes latents at level k to clean ones in k guided steps.

    Args:
        after: `(latents, level just reached) -> latents`, applied after each step.
        replace_eps: `(latents, eps, level) -> eps`, applied to the prediction before the step.
    """
    for level in range(k, 0, -1):
        eps = guided_eps(model, z, grid.timesteps[level - 1], condition, null, w)
        if replace_eps is not None:
            eps = replace_eps(z, eps, level)
        z = step(z, eps, grid.levels[level], grid.levels[level - 1])
        if after is not None:
            z = after(z, level - 1)
    return z
