"""The levels that a sampler visits, and the encoding ratio. No torch."""

import math
from typing import TYPE_CHECKING

import numpy as np

from bench.diffusion.path import Diffusion
from bench.errors import UserError
from bench.types.grid import Grid
from bench.types.model import DiffusionModel

if TYPE_CHECKING:
    import torch


def leading(steps: int, alphas_cumprod: np.ndarray, offset: int = 1) -> Grid:
    """Stable Diffusion 1.x's "leading" grid: t_j = offset + j * floor(T / S), so 1, 21, ..., 981 at 50 steps. Level 0
    is alpha-bar[0], never 1.

    The offset is 1 even where a scheduler file says 0: StableDiffusionPipeline rewrites it to 1, so that all
    published editing code ran with 1.

    Raises:
        UserError: steps outside [1, T - 1], or the grid reaches a level that is all noise, which no step leaves.
    """
    count = len(alphas_cumprod)
    if not 1 <= steps < count:
        raise UserError(
            f"steps={steps}, but the model was trained on {count} noise levels: set steps to 1 to {count - 1}"
        )
    timesteps = tuple(offset + j * (count // steps) for j in range(steps))
    alphas = np.asarray(alphas_cumprod, np.float64)
    if not alphas[timesteps[-1]] > 0:
        raise UserError(
            f"steps={steps} starts at timestep {timesteps[-1]}, where the model's schedule leaves nothing of "
            "the picture (zero terminal SNR), so that there is no step from it: set other steps, such as 50"
        )
    return Grid(timesteps, (float(alphas[0]), *(float(alphas[t]) for t in timesteps)), Diffusion())


def grid_for(model: DiffusionModel, steps: int, latents: "torch.Tensor") -> Grid:
    """The levels that a model's sampler visits with latents `[B, C, h, w]`."""
    sized = getattr(model, "grid_for", None)
    return sized(steps, latents) if sized else model.grid(steps)


def encode_steps(r: float, steps: int) -> int:
    """Number of steps k = floor(r * S + 1/2) that an encoding ratio r in [0, 1] stands for (DiffEdit, section 3.1).

    Half is rounded up (12.5 -> 13), unlike Python's round; a truncation would turn 0.57 * 100 into 56.
    """
    return math.floor(r * steps + 0.5)


def strength_level(strength: float, steps: int) -> int:
    """Level, from 1, at which `strength` in (0, 1] of the grid is used up; the model is asked there at
    `timesteps[level - 1]`, which is 481 for 0.5 at 50 steps."""
    return max(encode_steps(strength, steps), 1)
