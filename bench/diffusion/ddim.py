"""Deterministic DDIM in both directions, with guidance as an argument (DiffEdit Eq. 2; SimInversion Eq. 2, 3, 6).

Pure functions over the `DiffusionModel` protocol; latents `[B, C, h, w]`. On a flow's grid the same steps are Euler's.
"""

from collections.abc import Callable

import torch

from bench.diffusion.grid import Grid
from bench.diffusion.guidance import Scale, guided_eps, mixed
from bench.types.model import Condition, DiffusionModel

BETWEEN = 0.5
"""Guidance scale along which the best one is looked for: SimInversion's recommendation."""


def step(z: torch.Tensor, output: torch.Tensor, grid: Grid, start: int, end: int) -> torch.Tensor:
    """Moves latents from the grid's level number `start` to number `end`, whichever is the noisier."""
    return grid.path.step(z, output, grid.levels[start], grid.levels[end])


def invert_step(
    model: DiffusionModel,
    z: torch.Tensor,
    grid: Grid,
    j: int,
    condition: Condition,
    null: Condition | None,
    w: Scale,
) -> torch.Tensor:
    """Level j to level j + 1. The model is asked at the timestep it moves *to* (SimInversion Eq. 3)."""
    eps = guided_eps(model, z, grid.timesteps[j], condition, null, w)
    return step(z, eps, grid, j, j + 1)


def invert(
    model: DiffusionModel,
    z0: torch.Tensor,
    grid: Grid,
    k: int,
    condition: Condition,
    null: Condition | None = None,
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
    condition: Condition,
    null: Condition | None,
    w: Scale,
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
        z = step(z, eps, grid, level, level - 1)
        if after is not None:
            z = after(z, level - 1)
    return z


def invert_with_best_scale(
    model: DiffusionModel,
    x0: torch.Tensor,
    grid: Grid,
    words: Condition,
    null: Condition,
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
    trajectory, found, both = [x0], [], Condition.cat([words, null])
    for j, t in enumerate(grid.timesteps):
        z = trajectory[j]
        given, free = model.eps(torch.cat([z, z]), t, both).chunk(2)
        w = BETWEEN if along is None else along
        reached = step(z, mixed(free, given, w), grid, j, j + 1)
        given_there, free_there = model.eps(torch.cat([reached, reached]), t, both).chunk(2)
        moved_free = (free_there - free).flatten(1).double()
        apart = moved_free - (given_there - given).flatten(1).double()
        size = apart.square().sum(1)
        best = torch.where(size > 0, (apart * moved_free).sum(1) / size.clamp(min=1e-300), BETWEEN)
        best = (best.clamp(0, 1) if bounded else best)[:, None, None, None].to(z.dtype)
        found.append(best)
        if along is None:
            reached = step(z, mixed(free, given, best), grid, j, j + 1)
        trajectory.append(reached)
    return trajectory, torch.stack(found)
