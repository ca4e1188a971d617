"""Models on an autoencoder's latents."""

from abc import abstractmethod
from collections.abc import Callable

import numpy as np
import torch

from bench.models import offload
from bench.models.base import Model, check_sides

_PIXELS = 2**18  # that the autoencoder takes at once, whatever the batch: a picture of 512 px a side, or a larger one


class AutoencodedModel(Model):
    """Encodes and decodes; a kind of model says the rest. Latents stay float32 between calls whatever the dtype of the
    networks.

    Args:
        side: of the latents that the denoiser was made for, in cells.
        vae: AutoencoderKL or VQModel.
        alphas_cumprod: float64 `[T]`; None for a flow.
    """

    def __init__(self, side: int | None, vae, alphas_cumprod: np.ndarray | None = None):
        self.factor = 2 ** (len(vae.config.block_out_channels) - 1)
        super().__init__(side * self.factor if isinstance(side, int) else 0, alphas_cumprod)
        self.vae, self.latent_scale = vae, vae.config.scaling_factor
        self.latent_shift = getattr(vae.config, "shift_factor", None) or 0.0
        self.multiple = self.factor  # pixels that a side must be a multiple of
        self.largest: int | None = None  # pixels a side at most
        self.device = vae.device  # where the networks work

    @property
    @abstractmethod
    def denoiser(self) -> torch.nn.Module:
        """What is asked at each step."""

    def offload(self, how: str, device: torch.device) -> Callable[[], None]:
        """Has networks that were loaded on the host work on a device.

        Args:
            how: `model`: autoencoder and denoiser are there in turns; `sequential`: layer after layer.

        Returns:
            what frees the device of the networks that wait there.
        """
        self.device = device
        if how == "model":
            return offload.in_turns(self.vae, self.denoiser, device)
        for network in (self.vae, self.denoiser):
            offload.layer_by_layer(network, device)
        return lambda: None

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """float `[B, 3, H, W]` in [-1, 1] to scaled latents: the posterior's mean, or what is not yet quantised.

        Raises:
            UserError: a side is no multiple of what the networks need.
        """
        check_sides(images, self.multiple, self.largest)
        made = [self.vae.encode(part.to(self.vae.dtype)) for part in self._chunks(images, 1)]
        latents = [one.latent_dist.mode() if hasattr(one, "latent_dist") else one.latents for one in made]
        return (torch.cat(latents).float() - self.latent_shift) * self.latent_scale

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Scaled latents to float `[B, 3, H, W]`, about [-1, 1] (not clipped); a VQModel quantises them."""
        z = (latents / self.latent_scale + self.latent_shift).to(self.vae.dtype)
        return torch.cat([self.vae.decode(part).sample for part in self._chunks(z, self.factor)]).float()

    def _chunks(self, x: torch.Tensor, factor: int) -> tuple[torch.Tensor, ...]:
        return x.split(max(1, _PIXELS // (x.shape[-1] * x.shape[-2] * factor**2)))
