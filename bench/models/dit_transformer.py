"""DiT's transformer and autoencoder."""

import torch
from diffusers import DDIMScheduler, DiTTransformer2DModel

from bench.models import classes
from bench.models.autoencoded import AutoencodedModel
from bench.models.folder import DiffusersFolder
from bench.models.loading import autoencoder, network
from bench.types import Condition, Query


class DiffusionTransformer(AutoencodedModel):
    """Implements `bench.types.DiffusionModel`. The variance that it predicts beside the noise is not used."""

    def __init__(self, transformer, vae, scheduler):
        super().__init__(transformer.config.sample_size, vae, scheduler.alphas_cumprod.double().numpy())
        self.transformer, self.classes = transformer, transformer.config.num_embeds_ada_norm
        self.multiple *= transformer.config.patch_size
        for block in transformer.transformer_blocks:
            # diffusers spaces the frequencies of the timestep otherwise than DiT, which its weights were trained with
            block.norm1.emb.time_proj.downscale_freq_shift = 0

    @property
    def denoiser(self) -> torch.nn.Module:
        return self.transformer

    @classmethod
    def load(cls, checkpoint: DiffusersFolder, device: torch.device, dtype: torch.dtype) -> "DiffusionTransformer":
        """Reads the folder of a checkpoint; strict. Raises: UserError: a part lacks parameters."""
        transformer = network(checkpoint, DiTTransformer2DModel, "transformer", device, dtype)
        vae = autoencoder(checkpoint, device, dtype)
        return cls(transformer, vae, DDIMScheduler.from_pretrained(checkpoint.folder / "scheduler"))

    def condition(self, queries: list[Query]) -> Condition:
        """Labels of class ids. Raises: BadSample: a query that is no class."""
        return Condition(labels=torch.tensor(classes.indices(queries, self.classes), device=self.device))

    def eps(self, z, t, condition, values=None, picture=None) -> torch.Tensor:
        """Predicted noise in the dtype of `z`."""
        self.rows += len(z)
        times = torch.full((len(z),), t, device=z.device)
        out = self.transformer(z.to(self.transformer.dtype), times, condition.labels).sample
        return out[:, : z.shape[1]].to(z.dtype)
