"""InstructPix2Pix (Brooks et al. 2023): a model that has been trained to follow orders, with guidance by text and by
picture."""

import math

import numpy as np
import torch

from bench.errors import BadSample, UserError
from bench.types import Condition, DiffusionModel, EditBatch, EditResult, Noise
from methods import latents


class InstructPix2Pix:
    """Euler-ancestral sampling from noise beside the source's latents. NFE 3 S.

    Args:
        steps: S; the SimInversion paper's runs use 50, the authors' own default is 100.
        guidance: text guidance (7.5).
        picture_guidance: guidance by the source picture (1.5).
    """

    version = 1

    def __init__(self, steps: int, guidance: float = 7.5, picture_guidance: float = 1.5):
        self.steps, self.guidance, self.picture_guidance = steps, guidance, picture_guidance

    def __call__(self, model: DiffusionModel, batch: EditBatch, noise: Noise) -> EditResult:
        if not model.picture_channels:
            raise UserError(
                "method=instruct_pix2pix needs a model whose UNet takes a picture beside the latents, and this one "
                "does not: use model=instruct_pix2pix"
            )
        bad = {s.id: "has no instruction" for s in batch.samples if not s.instruction}
        if bad:
            raise BadSample("no sample of this batch has an instruction", bad)
        orders = latents.condition(model, batch, [sample.instruction for sample in batch.samples])
        null, source = latents.null(model, batch), latents.clean(model, batch) / model.latent_scale  # unscaled
        conditions = Condition.cat([orders, null, null])
        pictures = torch.cat([source, source, torch.zeros_like(source)])
        sigmas, timesteps = noise_levels(latents.trained_levels(model), self.steps)
        x = noise("start", tuple(source.shape[1:])) * sigmas[0]
        for i, t in enumerate(timesteps):
            entry = (x / math.sqrt(sigmas[i] ** 2 + 1)).repeat(3, 1, 1, 1)
            full, seen, free = model.eps(entry, t, conditions, picture=pictures).chunk(3)
            eps = free + self.guidance * (full - seen) + self.picture_guidance * (seen - free)
            down, up = ancestral(sigmas[i], sigmas[i + 1])
            x = x + eps * (down - sigmas[i])
            if up > 0:
                x = x + up * noise(f"ancestral {i}", tuple(source.shape[1:]))
        return EditResult(latents.images(model, x))


def noise_levels(alphas_cumprod: np.ndarray, steps: int) -> tuple[list[float], list[float]]:
    """Sigmas, noisiest first and 0 last, and the (fractional) timesteps of all but the last: evenly spaced, sigma
    interpolated in its logarithm as k-diffusion does."""
    sigmas = np.log(np.sqrt((1 - alphas_cumprod) / alphas_cumprod))
    timesteps = np.linspace(len(sigmas) - 1, 0, steps)
    levels = np.exp(np.interp(timesteps, np.arange(len(sigmas)), sigmas))
    return [*levels.tolist(), 0.0], timesteps.tolist()


def ancestral(sigma: float, to: float) -> tuple[float, float]:
    """Level that a step goes down to, and the noise added afterwards, so that together they make `to`."""
    up = min(to, math.sqrt(to**2 * (sigma**2 - to**2) / sigma**2))
    return math.sqrt(to**2 - up**2), up
