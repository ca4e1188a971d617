"""Deterministic DDIM in both directions, with guidance as an argument (DiffEdit Eq. 2; SimInversion Eq. 2, 3, 6).

Pure functions over the `DiffusionModel` protocol; latents `[B, C, h, w]`, conditionings `[B, L, D]`.
"""

import math
from collections.abc import Callable

import torch

from bench.diffusion.grid import Grid
from bench.types import DiffusionModel

BETWEEN = 0.5
"""Guidance scale along which the best one is looked for: SimInversion's recommendation."""


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
    model: DiffusionModel, z: torch.Tensor, t: int, condition: torch.Tensor, null: torch.Tensor, w: float | torch.Tensor
) -> torch.Tensor:
    """w * eps(condition) + (1 - w) * eps(null), for any real w, or one a sample, `[B, 1, 1, 1]` (DiffEdit A.2,
    SimInversion Eq. 6).

    w = 1 and w = 0 cost one call. Diffusers ignores guidance at w <= 1, and so turns every w in [0, 1] into 1.
    """
    if not isinstance(w, torch.Tensor) and w in (0, 1):
        return model.eps(z, t, condition if w == 1 else null)
    given, free = model.eps(torch.cat([z, z]), t, torch.cat([condition, null])).chunk(2)
    return free + w * (given - free)


def invert_step(
    model: DiffusionModel,
    z: torch.Tensor,
    grid: Grid,
    j: int,
    condition: torch.Tensor,
    null: torch.Tensor,
    w: float | torch.Tensor,
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


def invert_with_best_scale(
    model: DiffusionModel,
    x0: torch.Tensor,
    grid: Grid,
    words: torch.Tensor,
    null: torch.Tensor,
    along: float | None,
    bounded: bool = True,
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Inversion that finds w* (Proposition 3) at each of its steps, for 4 evaluations a step.

    Args:
        x0: clean latents `[B, C, h, w]`.
        along: guidance scale of the inversion; None: at each step the w* just found, from predictions that are there
            already, where z_t was guessed at 0.5.
        bounded: holds w* to [0, 1].

    Returns:
        latents at levels 0 to S, and w* of each step `[S, B, 1, 1, 1]`; 0.5 where both predictions change alike, so
        that w does not matter.
    """
    trajectory, found, both = [x0], [], torch.cat([words, null])
    for j, t in enumerate(grid.timesteps):
        z, a_from, a_to = trajectory[j], grid.levels[j], grid.levels[j + 1]
        given, free = model.eps(torch.cat([z, z]), t, both).chunk(2)
        w = BETWEEN if along is None else along
        reached = step(z, free + w * (given - free), a_from, a_to)
        given_there, free_there = model.eps(torch.cat([reached, reached]), t, both).chunk(2)
        moved_free = (free_there - free).flatten(1).double()
        apart = moved_free - (given_there - given).flatten(1).double()
        size = apart.square().sum(1)
        best = torch.where(size > 0, (apart * moved_free).sum(1) / size.clamp(min=1e-300), BETWEEN)
        best = (best.clamp(0, 1) if bounded else best)[:, None, None, None].to(z.dtype)
        found.append(best)
        trajectory.append(reached if along is not None else step(z, free + best * (given - free), a_from, a_to))
    return trajectory, torch.stack(found)
