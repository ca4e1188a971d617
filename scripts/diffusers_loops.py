"""Edits by diffusers' own pipelines, one picture at a time, as their documentation calls them."""

from collections.abc import Iterable

import torch
from diffusers import DDIMInverseScheduler, DDIMScheduler, StableDiffusionDiffEditPipeline
from diffusers import StableDiffusionImg2ImgPipeline as Img2Img
from diffusers.utils import logging
from PIL import Image

from bench.models.latent_diffusion import LatentDiffusion
from bench.types import EditSample

logging.set_verbosity_error()


class Loops:
    """The pipelines on the networks of a loaded model.

    Args:
        schedule: keys of the model's scheduler.
        strength: share of the schedule that is inverted, in (0, 1].
    """

    def __init__(self, model: LatentDiffusion, schedule: dict, strength: float, steps: int, guidance: float):
        self.strength, self.steps, self.guidance = strength, steps, guidance
        parts = {
            **{"vae": model.vae, "unet": model.unet, "text_encoder": model.text_encoder, "tokenizer": model.tokenizer},
            **{"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False},
        }
        there, back = DDIMScheduler.from_config(schedule), DDIMInverseScheduler.from_config(schedule)
        self._img2img = Img2Img(**parts, scheduler=there)
        self._diffedit = StableDiffusionDiffEditPipeline(**parts, scheduler=there, inverse_scheduler=back)
        for pipe in (self._img2img, self._diffedit):
            pipe.set_progress_bar_config(disable=True)

    def sdedit(self, samples: Iterable[EditSample]) -> None:
        """From noise of the strength."""
        for sample in samples:
            asked = {"num_inference_steps": self.steps, "guidance_scale": self.guidance}
            self._img2img(sample.target, _picture(sample), self.strength, **asked)

    def diffedit(self, samples: Iterable[EditSample]) -> None:
        """Mask, inversion, sampling inside the mask."""
        for sample in samples:
            mask = self._diffedit.generate_mask(
                _picture(sample),
                target_prompt=sample.target,
                source_prompt=sample.source,
                num_inference_steps=self.steps,
            )
            self._edit(sample, mask)

    def ddim(self, samples: Iterable[EditSample]) -> None:
        """Inversion and sampling of the whole picture."""
        for sample in samples:
            side = sample.image.shape[-1] // self._diffedit.vae_scale_factor
            self._edit(sample, torch.ones(1, side, side))

    def _edit(self, sample: EditSample, mask) -> None:
        asked = {"inpaint_strength": self.strength, "num_inference_steps": self.steps}
        inverted = self._diffedit.invert(prompt="", image=_picture(sample), guidance_scale=1.0, **asked).latents
        self._diffedit(sample.target, mask_image=mask, image_latents=inverted, guidance_scale=self.guidance, **asked)


def _picture(sample: EditSample) -> Image.Image:
    return Image.fromarray(sample.image.transpose(1, 2, 0))
