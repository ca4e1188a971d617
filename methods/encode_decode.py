"""Encode-Decode (DiffEdit, section 4): DDIM-encode the source without text, decode with the query."""

from bench.diffusion import ddim
from bench.diffusion.grid import encode_steps
from bench.types import DiffusionModel, EditBatch, EditResult, Noise
from methods import latents


class EncodeDecode:
    """DiffEdit with a mask of ones.

    Args:
        r: encoding ratio in [0, 1]; 0 is the autoencoder round trip.
        guidance: w of the decoding; the encoding is unconditional (section 3.1).
        steps: steps of the full schedule, of which r uses k. NFE k + 2k.
    """

    version = 1

    def __init__(self, r: float, guidance: float, steps: int):
        self.r, self.guidance, self.steps = r, guidance, steps

    def __call__(self, model: DiffusionModel, batch: EditBatch, noise: Noise) -> EditResult:
        levels = latents.grid(model, batch, self.steps)
        k = encode_steps(self.r, self.steps)
        y = latents.encoded(model, batch, levels, k)[k]
        target, null = latents.condition(model, batch, batch.targets), latents.null(model, batch)
        y = ddim.sample(model, y, levels, k, target, null, self.guidance)
        return EditResult(latents.images(model, y), notes=latents.cut(model, batch))
