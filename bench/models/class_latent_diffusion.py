"""A class-conditional latent diffusion model: UNet, vector-quantising autoencoder, table of classes."""

from collections.abc import Callable

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel, VQModel
from safetensors.torch import load_file

from bench.models import classes
from bench.models.folder import DiffusersFolder
from bench.models.loading import network
from bench.models.unet import UNetModel
from bench.types import Condition, Query


class ClassLatentDiffusion(UNetModel):
    """Implements `bench.types.DiffusionModel`. Latents are what the encoder gives before it is quantised; decoding
    quantises them.

    Args:
        table: `[classes + 1, D]`, the last row for the unconditional model.
    """

    def __init__(self, unet, vae, table: torch.Tensor, scheduler):
        super().__init__(unet, vae, scheduler)
        self.table = table

    @classmethod
    def load(cls, checkpoint: DiffusersFolder, device: torch.device, dtype: torch.dtype) -> "ClassLatentDiffusion":
        """Reads the folder of a checkpoint; strict. Raises: UserError: a part lacks parameters."""
        unet = network(checkpoint, UNet2DConditionModel, "unet", device, dtype).to(memory_format=torch.channels_last)
        vae = network(checkpoint, VQModel, "vqvae", device, dtype)
        (file,) = checkpoint.weights["class_embedding"]
        table = load_file(file)["embedding.weight"].to(device, dtype)
        return cls(unet, vae, table, DDIMScheduler.from_pretrained(checkpoint.folder / "scheduler"))

    def offload(self, how: str, device: torch.device) -> Callable[[], None]:
        self.table = self.table.to(device)
        return super().offload(how, device)

    def condition(self, queries: list[Query]) -> Condition:
        """States `[B, 1, D]` of class ids. Raises: BadSample: a query that is no class."""
        return Condition(self.table[classes.indices(queries, len(self.table) - 1)][:, None])
