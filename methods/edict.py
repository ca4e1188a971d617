"""EDICT (Wallace et al. 2023): exact inversion by two coupled sequences of latents."""

import torch

from bench.diffusion import ddim
from bench.diffusion.grid import Grid, encode_steps, leading
from bench.diffusion.guidance import guided_eps
from bench.types import DiffusionModel, EditBatch, EditResult, Noise
from methods import latents


class Edict:
    """The source's words invert, the target's generate; no attention is steered. NFE 8 k, 320 at 40 of 50 steps.

    Latents and coefficients are float64, without which the inverse is not one; the denoiser keeps its own dtype.

    Args:
        w_t: guidance scale in both directions (the authors' 3, not 7.5).
        steps: steps of the full schedule, of which `strength` uses k.
        strength: share of the schedule that is inverted, in [0, 1].
        mixing: p of the mixing layers.
    """

    version = 1

    def __init__(self, w_t: float, steps: int, strength: float = 0.8, mixing: float = 0.93):
        self.w_t, self.steps, self.strength, self.mixing = w_t, steps, strength, mixing

    def __call__(self, model: DiffusionModel, batch: EditBatch, noise: Noise) -> EditResult:
        # the authors use a bare scheduler, whose timesteps start at 0: the cleanest step changes nothing
        if model.alphas_cumprod is not None:
            levels = leading(self.steps, model.alphas_cumprod, offset=0)
        else:
            levels = latents.grid(model, batch, self.steps)
        k = encode_steps(self.strength, self.steps)
        latents.check_guidable(model)
        source, target = (latents.condition(model, batch, q) for q in (batch.sources, batch.targets))
        null = latents.null(model, batch)
        pair = batch.shared(
            ("edict", levels, k, self.w_t, self.mixing),
            lambda: self.invert(model, latents.clean(model, batch), levels, k, source, null),
        )
        x, _ = self.generate(model, pair, levels, k, target, null)
        return EditResult(latents.images(model, x.float()), notes=latents.cut(model, batch))

    def invert(self, model, x0: torch.Tensor, levels: Grid, k: int, words, null) -> tuple[torch.Tensor, torch.Tensor]:
        """Clean latents, twice, up to level k: each of the steps of `generate` undone."""
        p, pair = self.mixing, [x0.double(), x0.double()]
        for j in range(k):
            pair[1] = (pair[1] - (1 - p) * pair[0]) / p
            pair[0] = (pair[0] - (1 - p) * pair[1]) / p
            for mine in _order(k - 1 - j)[::-1]:
                pair[mine] = self._moved(model, pair, mine, levels, j, j + 1, words, null)
        return tuple(pair)

    def generate(self, model, pair, levels: Grid, k: int, words, null) -> tuple[torch.Tensor, torch.Tensor]:
        """A pair at level k down to clean latents; the two are updated in turn, each by what the other predicts."""
        p, pair = self.mixing, list(pair)
        for i in range(k):
            level = k - i
            for mine in _order(i):
                pair[mine] = self._moved(model, pair, mine, levels, level, level - 1, words, null)
            pair[0] = p * pair[0] + (1 - p) * pair[1]
            pair[1] = (1 - p) * pair[0] + p * pair[1]
        return tuple(pair)

    def _moved(self, model, pair, mine: int, levels: Grid, start: int, end: int, words, null) -> torch.Tensor:
        t = levels.timesteps[max(start, end) - 1]
        eps = guided_eps(model, pair[1 - mine], t, words, null, self.w_t)
        return ddim.step(pair[mine], eps, levels, start, end)


def _order(i: int) -> tuple[int, int]:
    """Which of the pair is updated first alternates from step to step."""
    return (0, 1) if i % 2 == 0 else (1, 0)
