"""A latent model's autoencoder, which scores may be taken against: no edit of such a model is nearer to its source than
the autoencoder lets it be."""

import json
from functools import lru_cache
from pathlib import Path

import torch

from bench.diffusion.device import to_float, to_uint8
from bench.errors import NotFinite, UserError, one_line
from bench.types import Undefined

_PIXELS = 2**18  # autoencoded at a time


class Autoencoder:
    """Pictures as an autoencoder gives them back; a vector-quantising one quantises them.

    Args:
        weights: its folder in diffusers' format, such as `vqvae/` of a converted model or `vae/` of Stable Diffusion.
    """

    def __init__(self, weights: Path):
        self.weights = Path(weights)

    def load(self) -> None:
        """Reads the network. Raises: UserError: the folder is of none."""
        _load(self.weights)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 `[B, 3, H, W]` to the same.

        Raises:
            Undefined: it does not take such pictures, or gives what is no picture.
        """
        network, few = _load(self.weights).to(images.device), max(1, _PIXELS // images[0, 0].numel())
        factor = 2 ** (len(network.config.block_out_channels) - 1)
        if any(side % factor for side in images.shape[-2:]):
            raise Undefined(f"the autoencoder takes sides that are multiples of {factor}, got {images.shape[-1]}")
        try:
            return torch.cat([self._again(network, part) for part in images.split(few)])
        except NotFinite as error:
            raise Undefined(f"the autoencoded source is no picture: {error}") from None

    @staticmethod
    def _again(network: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
        made = network.encode(to_float(images))
        latents = made.latent_dist.mode() if hasattr(made, "latent_dist") else made.latents
        return to_uint8(network.decode(latents).sample)


@lru_cache
def _load(folder: Path) -> torch.nn.Module:
    from diffusers import AutoencoderKL, VQModel

    try:
        kind = json.loads((folder / "config.json").read_text()).get("_class_name")
        network = {"VQModel": VQModel, "AutoencoderKL": AutoencoderKL}[kind].from_pretrained(folder)
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise UserError(f"{folder} is no folder of an AutoencoderKL or VQModel ({one_line(error)[:160]})") from None
    return network.eval().requires_grad_(False)
