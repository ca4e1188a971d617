"""SDEdit (Meng et al. 2021) as DiffEdit adapts it: noise the source up to ratio r, denoise with the query."""

from bench.diffusion import ddim
from bench.diffusion.grid import encode_steps
from bench.types import DiffusionModel, EditBatch, EditResult, Noise
from methods import latents


class SDEdit:
    """Deterministic DDIM from a seeded noising of the source; not Meng et al.'s repeated stochastic SDE.

    Args:
        r: encoding ratio in [0, 1]; 0 is the autoencoder round trip.
        guidance: w of `bench.diffusion.guidance.guided_eps`.
        steps: steps of the full schedule, of which r uses k. NFE 2k.
    """

    version = 1

    def __init__(self, r: float, guidance: float, steps: int):
        self.r, self.guidance, self.steps = r, guidance, steps

    def __call__(self, model: DiffusionModel, batch: EditBatch, noise: Noise) -> EditResult:
        levels = latents.grid(model, batch, self.steps)
        k = encode_steps(self.r, self.steps)
        y = latents.clean(model, batch)
        if k > 0:
            y = levels.path.noised(y, latents.start_noise(model, batch, noise), levels.levels[k])
        target, null = latents.condition(model, batch, batch.targets), latents.null(model, batch)
        y = ddim.sample(model, y, levels, k, target, null, self.guidance)
        return EditResult(latents.images(model, y), notes=latents.cut(model, batch))
