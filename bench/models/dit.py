"""DiT (Peebles and Xie 2023), a class-conditional transformer on Stable Diffusion's latents: which files it is made of.
The networks are `bench.models.dit_transformer`. No torch until it is loaded."""

from typing import TYPE_CHECKING, Any, ClassVar

from bench.errors import UserError
from bench.models.folder import DiffusersFolder

if TYPE_CHECKING:
    import torch

    from bench.models.dit_transformer import DiffusionTransformer


class DiT(DiffusersFolder):
    """A folder with a transformer, an autoencoder and a schedule."""

    takes = "DiT"
    pipelines = ("DiTPipeline",)
    networks: ClassVar = {
        "transformer": ("sample_size", "patch_size", "in_channels", "out_channels", "num_embeds_ada_norm"),
        "vae": ("block_out_channels", "latent_channels", "scaling_factor"),
    }
    autoencoder = "vae"
    square = True  # diffusers' network takes its tokens for a square
    official: ClassVar = {"vae": {"block_out_channels": [128, 256, 512, 512], "latent_channels": 4}}
    scheduler = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule")

    def __init__(self, path: str):
        super().__init__(path)
        network, latents = self.config["transformer"], self.config["vae"]["latent_channels"]
        if (network["in_channels"], network["out_channels"]) not in ((latents, latents), (latents, 2 * latents)):
            raise UserError(
                f"{self.folder}/transformer takes {network['in_channels']} channels and gives "
                f"{network['out_channels']}; expected {latents}, and as many of noise, alone or with their variance"
            )

    @property
    def multiple(self) -> int:
        return super().multiple * self.config["transformer"]["patch_size"]

    def load(self, device: "torch.device", dtype: "torch.dtype") -> "DiffusionTransformer":
        from bench.models.dit_transformer import DiffusionTransformer

        return DiffusionTransformer.load(self, device, dtype)

    @classmethod
    def more(cls, config: dict[str, Any]) -> dict[str, Any]:
        return {"words": False}
