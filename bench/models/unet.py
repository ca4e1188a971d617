"""Latent diffusion models whose denoiser is diffusers' UNet2DConditionModel."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch

from bench.errors import UserError
from bench.models import attention
from bench.models.autoencoded import AutoencodedModel
from bench.models.base import timestep
from bench.types import AttentionHook, AttentionLayer, Condition


class UNetModel(AutoencodedModel):
    """Predicts noise and offers its attention; a kind of model says what it is told."""

    def __init__(self, unet, vae, scheduler):
        super().__init__(unet.config.sample_size, vae, scheduler.alphas_cumprod.double().numpy())
        self.unet, self.prediction = unet, scheduler.config.prediction_type
        self.picture_channels = unet.config.in_channels - vae.config.latent_channels
        self._layers: dict[AttentionLayer, torch.nn.Module] | None = None

    @property
    def denoiser(self) -> torch.nn.Module:
        return self.unet

    def eps(
        self,
        z: torch.Tensor,
        t: float,
        condition: Condition,
        values: torch.Tensor | None = None,
        picture: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Predicted noise in the dtype of `z`; a v-prediction is converted.

        Raises:
            UserError: the model needs a picture beside the latents and got none.
        """
        self.rows += len(z)
        dtype, entry = self.unet.dtype, z
        if self.picture_channels:
            if picture is None:
                raise UserError(
                    f"this model's UNet takes {self.picture_channels} channels of a picture beside the latents; it "
                    "edits by instruction: use method=instruct_pix2pix, or another model"
                )
            entry = torch.cat([z, picture], 1)
        extra = None if values is None else {"values": values.to(dtype)}
        told = condition.states.to(dtype)
        out = self.unet(
            entry.to(dtype), timestep(t, z), told, cross_attention_kwargs=extra, **self._beside(condition, z)
        ).sample
        out = out.to(z.dtype)
        if self.prediction == "v_prediction":
            a = float(np.interp(t, np.arange(len(self.alphas_cumprod)), self.alphas_cumprod))  # t may lie between two
            out = a**0.5 * out + (1 - a) ** 0.5 * z
        return out

    def _beside(self, condition: Condition, z: torch.Tensor) -> dict[str, Any]:
        """Further arguments of the UNet: what it is told beside the states."""
        return {}

    def attention(self) -> list[AttentionLayer]:
        """Attention layers in call order. Raises: UserError: there is none that can be steered."""
        if self._layers is None:
            self._layers = attention.find(self.unet)
        return list(self._layers)

    def attend(self, hook: AttentionHook) -> AbstractContextManager[None]:
        """See `bench.models.attention.hooked`."""
        self.attention()
        return attention.hooked(self._layers, hook)

    @contextmanager
    def residual(self, block: int, number: int, change: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
        """While the context lasts, `change` is applied to what a residual block of the decoder adds to its input.

        Args:
            block: of the decoder, from the coarsest.
            number: within it.
        """
        conv = self.unet.up_blocks[block].resnets[number].conv2
        handle = conv.register_forward_hook(lambda module, given, output: change(output))
        try:
            yield
        finally:
            handle.remove()
