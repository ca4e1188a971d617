"""Uni-Inv (Jiao et al. 2025, arXiv 2504.13109): inversion by a predicted point, plain generation with the target."""

from bench.diffusion import ddim
from bench.types import DiffusionModel, EditBatch, EditResult, Noise
from methods import latents
from methods.flows.predicted import inverted


class UniInv:
    """See `methods.flows.predicted`. NFE n + 1 + n of a distilled model, or with guidance 1.

    Args:
        steps: n, each way.
        w_s, w_t: guidance of inversion and edit.
        zero_init: begins without a prediction, for an evaluation less.
    """

    version = 1

    def __init__(self, steps: int, w_s: float = 1.0, w_t: float = 1.0, zero_init: bool = False):
        self.steps, self.w_s, self.w_t, self.zero_init = steps, w_s, w_t, zero_init

    def __call__(self, model: DiffusionModel, batch: EditBatch, noise: Noise) -> EditResult:
        grid = latents.grid(model, batch, self.steps)
        z = inverted(model, batch, grid, self.steps, batch.sources, self.w_s, self.zero_init)
        target, null = latents.condition(model, batch, batch.targets), latents.null(model, batch)
        z = ddim.sample(model, z, grid, self.steps, target, null, self.w_t)
        return EditResult(latents.images(model, z), notes=latents.cut(model, batch))
