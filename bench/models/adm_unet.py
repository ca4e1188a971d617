"""A diffusion model on pixels that predicts its variance beside the noise."""

import numpy as np
import torch
from diffusers import UNet2DModel

from bench.errors import BadSample, UserError
from bench.models import classes
from bench.models.base import Model, check_sides, timestep
from bench.models.converted import ConvertedFolder
from bench.models.loading import network
from bench.types import Condition, Query


class PixelDiffusion(Model):
    """Implements `bench.types.DiffusionModel` over a UNet on pixels in [-1, 1], told a class or, if it was trained
    without, nothing.

    Args:
        alphas_cumprod: float64 `[T]`.
    """

    def __init__(self, unet: UNet2DModel, alphas_cumprod: np.ndarray):
        super().__init__(unet.config.sample_size, alphas_cumprod)
        self.unet = unet
        self.classes = unet.config.num_class_embeds or 0
        self.factor = 2 ** (len(unet.config.block_out_channels) - 1)

    @classmethod
    def load(cls, checkpoint: ConvertedFolder, device: torch.device, dtype: torch.dtype) -> "PixelDiffusion":
        """Reads the folder of a checkpoint; strict. Raises: UserError: a part does not fit its architecture."""
        unet = network(checkpoint, UNet2DModel, "unet", device, dtype).to(memory_format=torch.channels_last)
        first, last, count = (checkpoint.schedule[k] for k in ("beta_start", "beta_end", "num_train_timesteps"))
        return cls(unet, np.cumprod(1 - np.linspace(first, last, count)))

    def condition(self, queries: list[Query]) -> Condition:
        """Class indices.

        Raises:
            BadSample: what is no class of its table.
            UserError: nothing is asked for, of a model that was trained with classes only.
        """
        if self.classes and None in queries:
            raise UserError(
                "this model was trained with classes only and has no unconditional half; use a method that needs none "
                "(method=ilvr), or another model"
            )
        if not self.classes and (asked := [query for query in queries if query is not None]):
            raise BadSample(f"this model was trained without classes and got {asked[0]!r}")
        return Condition(labels=torch.tensor(classes.indices(queries, self.classes), device=self.unet.device))

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """The same pixels.

        Raises:
            UserError: a side is no multiple of what the UNet shrinks by.
        """
        check_sides(images, self.factor)
        return images

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """The same pixels."""
        return latents

    def eps(self, z, t, condition, values=None, picture=None) -> torch.Tensor:
        """Predicted noise `[B, 3, H, W]`."""
        return self.eps_and_variance(z, t, condition)[0]

    def eps_and_variance(self, z: torch.Tensor, t: float, condition: Condition) -> tuple[torch.Tensor, torch.Tensor]:
        """Predicted noise, and where the variance lies, about [-1, 1], on a logarithmic scale between the least and the
        largest that a step can have (Nichol and Dhariwal 2021, Eq. 15); each `[B, 3, H, W]` in the dtype of `z`."""
        self.rows += len(z)
        labels = condition.labels if self.classes else None
        return self.unet(z.to(self.unet.dtype), timestep(t, z), labels).sample.to(z.dtype).chunk(2, 1)
