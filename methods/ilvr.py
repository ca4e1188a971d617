"""ILVR (Choi et al. 2021) on a class-conditional pixel model: sampling from noise while the source's low frequencies
are held."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from bench.diffusion.device import marked
from bench.diffusion.path import Diffusion
from bench.errors import UnfitSize, UserError
from bench.types import DiffusionModel, EditBatch, EditResult, Noise
from bench.types.grid import Grid
from methods import latents


@dataclass(frozen=True)
class ILVR:
    """Ancestral sampling with the variance that the model predicts; after a step the low frequencies are replaced by
    those of the noised source. NFE `respacing`.

    Args:
        down: N, by which the low-pass filter shrinks the picture; it must leave at least 2 pixels a side.
        range_t: steps are numbered S - 1, the noisiest, to 0; those up to this number are not refined.
        respacing: S, steps of the sampler.
        pairing: level that the source is noised to after step i: `code`, that of step i, as published; `paper`, the one
            that the step has reached, as the paper writes.
        clip: holds the predicted picture to [-1, 1], as published.
    """

    version = 1

    down: int = 32
    range_t: int = 20
    respacing: int = 100
    pairing: str = "code"
    clip: bool = True

    def __call__(self, model: DiffusionModel, batch: EditBatch, noise: Noise) -> EditResult:
        sampler = _Sampler(model, batch, noise, self)
        x = self._refined(sampler, batch)
        for i in range(min(self.range_t, self.respacing - 1), -1, -1):
            x = sampler.step(x, i)
        return EditResult(latents.images(model, x))

    def _refined(self, sampler: "_Sampler", batch: EditBatch) -> torch.Tensor:
        """The picture after the steps that are refined, `[B, C, h, w]`; points that differ in `range_t` alone have the
        steps in common that all of them refine."""
        alike = [p for p in batch.points if isinstance(p, ILVR) and replace(p, range_t=self.range_t) == self]
        earlier = min((p for p in alike if p.range_t > self.range_t), key=lambda p: p.range_t, default=None)

        def refine() -> torch.Tensor:
            x, first = sampler.start, self.respacing - 1
            if earlier:
                x, first = earlier._refined(sampler, batch), min(earlier.range_t, first)
            for i in range(first, self.range_t, -1):
                x = sampler.refine(sampler.step(x, i), i)
            return x

        return batch.shared(("ilvr", self), refine)


class _Sampler:
    """The steps of one batch. Each sample has three streams of noise: its start, and a draw for each step and for each
    noised source."""

    def __init__(self, model: DiffusionModel, batch: EditBatch, noise: Noise, knobs: ILVR):
        self.model, self.noise, self.knobs = model, noise, knobs
        self.grid = respaced(latents.trained_levels(model), knobs.respacing)
        self.source = latents.clean(model, batch)
        self.filters = [torch.from_numpy(lowpass(side, knobs.down)).to(self.source) for side in self.source.shape[-2:]]
        self.target = latents.condition(model, batch, batch.targets)
        self.start = latents.start_noise(model, batch, noise)

    def step(self, x: torch.Tensor, i: int) -> torch.Tensor:
        """One ancestral step; the last one, number 0, adds no noise."""
        eps, share = self.model.eps_and_variance(x, self.grid.timesteps[i], self.target)
        mean, deviation = posterior(x, eps, share, self.grid, i, self.knobs.clip)
        return mean + deviation * self._draw("step", i) if i else mean

    def refine(self, x: torch.Tensor, i: int) -> torch.Tensor:
        """The picture after step i, with the low frequencies of the source noised to a level."""
        level = self.grid.levels[i + 1 if self.knobs.pairing == "code" else i]
        reference = self.grid.path.noised(self.source, self._draw("reference", i), level)
        rows, columns = self.filters
        return x + rows @ (reference - x) @ columns.mT

    def _draw(self, stream: str, i: int) -> torch.Tensor:
        return self.noise(f"{stream} {i}", tuple(self.source.shape[1:]))


def respaced(alphas_cumprod: np.ndarray, steps: int) -> Grid:
    """Timesteps spread evenly from the first to the last, both included. Level 0 is 1, no noise at all.

    Raises:
        UserError: there are fewer.
    """
    if steps > len(alphas_cumprod):
        raise UserError(f"method.respacing={steps}, but the model was trained on {len(alphas_cumprod)} noise levels")
    timesteps = np.linspace(0, len(alphas_cumprod) - 1, steps).round().astype(int).tolist()
    return Grid(tuple(timesteps), (1.0, *(float(alphas_cumprod[t]) for t in timesteps)), Diffusion())


def posterior(
    x: torch.Tensor, eps: torch.Tensor, share: torch.Tensor, grid: Grid, i: int, clip: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of the picture that step i goes to, `[B, C, h, w]` (Nichol and Dhariwal 2021).

    Args:
        eps: predicted noise.
        share: in [-1, 1]; where the variance lies, on a logarithmic scale, between its least and its largest value.
        clip: whether the predicted picture is held to [-1, 1].
    """
    here, there = grid.levels[i + 1], grid.levels[i]
    beta = 1 - here / there
    x0 = grid.path.clean(x, eps, here)
    x0 = marked(x0).clamp(-1, 1) if clip else x0
    mean = beta * math.sqrt(there) / (1 - here) * x0 + (1 - there) * math.sqrt(1 - beta) / (1 - here) * x
    if there == 1:  # the last step, whose least variance is 0
        return mean, torch.zeros_like(x)
    least, largest = math.log(beta * (1 - there) / (1 - here)), math.log(beta)
    share = (share + 1) / 2
    return mean, ((share * largest + (1 - share) * least) / 2).exp()


def lowpass(side: int, down: int) -> np.ndarray:
    """P of the filter P x P^T, float64 `[side, side]`: lines of pixels are shrunk by `down` and enlarged again.

    Raises:
        UnfitSize: fewer than 2 pixels would be left, or a part of one.
    """
    if side % down or side < 2 * down:
        raise UnfitSize(
            f"method.down={down} leaves {side / down:g} of {side} px a side; expected a whole number of at least 2: "
            f"set method.down to a power of two that divides {side}, or data.size to a multiple of {2 * down}"
        )
    return resizing(side // down, side) @ resizing(side, side // down)


def resizing(size: int, to: int) -> np.ndarray:
    """Matrix that resizes a line of pixels, float64 `[to, size]`: cubic (a = -1/2), stretched where it shrinks;
    lines are mirrored at their ends, which neither torch nor Pillow does."""
    stretch = max(size / to, 1.0)
    centres = (np.arange(to)[:, None] + 0.5) * size / to - 0.5
    reach = math.ceil(2 * stretch)
    taps = np.arange(-reach, size + reach)
    far = np.abs(centres - taps) / stretch
    near = 1.5 * far**3 - 2.5 * far**2 + 1
    weights = np.where(far <= 1, near, np.where(far <= 2, -0.5 * far**3 + 2.5 * far**2 - 4 * far + 2, 0))
    matrix = np.zeros((size, to))
    period = taps % (2 * size)
    np.add.at(matrix, np.minimum(period, 2 * size - 1 - period), weights.T)
    return matrix.T / matrix.sum(0)[:, None]
