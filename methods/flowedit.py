"""FlowEdit (Kulikov et al. 2024, arXiv 2412.08629): from picture to picture along the difference of two velocities,
without inversion."""

import torch

from bench.diffusion import ddim
from bench.diffusion.grid import encode_steps
from bench.diffusion.guidance import guided_eps
from bench.errors import UserError
from bench.types import DiffusionModel, EditBatch, EditResult, Noise
from methods import latents

_REAL, _DISTILLED = (3.5, 13.5, 33 / 50), (1.5, 5.5, 24 / 28)  # w_s, w_t, n_max / steps on SD3 and on FLUX


class FlowEdit:
    """Algorithm 1. The authors draw all noise from one global seed; here every sample, level and average has its own.

    NFE (n_max - n_min) n_avg evaluations of both prompts and n_min of the target's: 4 and 2 rows with real guidance, 2
    and 1 of a distilled model.

    Args:
        steps: steps of the full schedule.
        n_max: of them are done, from the cleanest; None: the authors' share of the steps, 33 of 50 on Stable
            Diffusion 3, 24 of 28 on a distilled model.
        n_min: of them, the cleanest, are the target's own sampling.
        n_avg: noises that a difference is averaged over.
        w_s, w_t: guidance of source and target; None: the authors', 3.5 and 13.5, 1.5 and 5.5 on a distilled model.
    """

    version = 1

    def __init__(
        self,
        steps: int,
        n_max: int | None = None,
        n_min: int = 0,
        n_avg: int = 1,
        w_s: float | None = None,
        w_t: float | None = None,
    ):
        self.steps, self.n_max, self.n_min, self.n_avg, self.w_s, self.w_t = steps, n_max, n_min, n_avg, w_s, w_t

    def __call__(self, model: DiffusionModel, batch: EditBatch, noise: Noise) -> EditResult:
        w_s, w_t, share = _DISTILLED if model.distilled else _REAL
        w_s, w_t = (own if given is None else given for given, own in ((self.w_s, w_s), (self.w_t, w_t)))
        n_max = encode_steps(share, self.steps) if self.n_max is None else self.n_max
        if self.n_min > n_max:
            raise UserError(f"method.n_min={self.n_min}, expected at most the {n_max} steps that are done")
        y = self.edited(model, batch, noise, n_max, w_s, w_t)
        return EditResult(latents.images(model, y), notes=latents.cut(model, batch))

    def edited(
        self, model: DiffusionModel, batch: EditBatch, noise: Noise, n_max: int, w_s: float, w_t: float
    ) -> torch.Tensor:
        """Clean latents of the edit."""
        grid, x0 = latents.flow(model, batch, self.steps), latents.clean(model, batch)
        source, target = (latents.condition(model, batch, queries) for queries in (batch.sources, batch.targets))
        null, shape = latents.null(model, batch), tuple(x0.shape[1:])
        y = x0
        for k in range(n_max, self.n_min, -1):
            t, change = grid.timesteps[k - 1], 0
            for number in range(self.n_avg):
                noisy = grid.path.noised(x0, noise(f"flowedit {k} {number}", shape), grid.levels[k])

                def given(noisy: torch.Tensor = noisy, t: float = t) -> torch.Tensor:
                    return guided_eps(model, noisy, t, source, null, w_s)

                left = batch.shared(("flowedit", grid, k, number, w_s), given)
                change = change + guided_eps(model, y + noisy - x0, t, target, null, w_t) - left
            y = ddim.step(y, change / self.n_avg, grid, k, k - 1)
        if self.n_min:
            last = noise(f"flowedit {self.n_min}", shape)
            y = y + grid.path.noised(x0, last, grid.levels[self.n_min]) - x0
            y = ddim.sample(model, y, grid, self.n_min, target, null, w_t)
        return y
