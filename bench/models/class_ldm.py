"""CompVis' class-conditional latent diffusion, which DiffEdit's ImageNet results were made with: which files it is made
of. The networks are `bench.models.class_latent_diffusion`. No torch until it is loaded."""

from typing import TYPE_CHECKING, Any, ClassVar

from bench.errors import UserError
from bench.models.converted import ConvertedFolder
from bench.models.unet_layers import attention_layers

if TYPE_CHECKING:
    import torch

    from bench.models.class_latent_diffusion import ClassLatentDiffusion

_CHANNELS = 3  # of the latents
OFFICIAL_UNET = {
    "in_channels": _CHANNELS,
    "out_channels": _CHANNELS,
    "block_out_channels": [192, 384, 576, 960],
    "down_block_types": ["DownBlock2D", *["CrossAttnDownBlock2D"] * 3],
    "up_block_types": [*["CrossAttnUpBlock2D"] * 3, "UpBlock2D"],
    "cross_attention_dim": 512,
    "attention_head_dim": 1,
}
"""Configuration of cin256-v2's UNet, where no file is here."""


class ClassLDM(ConvertedFolder):
    """A folder with a UNet, a vector-quantising autoencoder, a table of classes whose last row is the unconditional
    model's, and a schedule."""

    kind = "cin256"
    takes = "cin256-v2's model.ckpt (CompVis/latent-diffusion)"
    instead = (
        "model=dit256 (`hf download facebook/DiT-XL-2-256`, CC-BY-NC 4.0) and model=sd14 (`hf download "
        "CompVis/stable-diffusion-v1-4`) need no conversion"
    )
    networks: ClassVar = {
        "unet": ("in_channels", "sample_size", "block_out_channels", "cross_attention_dim", "attention_head_dim"),
        "vqvae": ("block_out_channels", "latent_channels", "scaling_factor"),
        "class_embedding": ("num_embeddings", "embedding_dim"),
    }
    autoencoder = "vqvae"
    official: ClassVar = {
        "unet": OFFICIAL_UNET,
        "vqvae": {"block_out_channels": [128, 256, 512], "latent_channels": _CHANNELS},
    }
    scheduler = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule")
    predictions = ("epsilon", "v_prediction")

    def __init__(self, path: str):
        super().__init__(path)
        for part, key, expected in (("unet", "attention_head_dim", 1), ("vqvae", "scaling_factor", 1)):
            if (found := self.config[part][key]) != expected:  # diffusers' defaults run too, and give other pictures
                raise UserError(f"{self.folder}/{part}/config.json has {key} {found}; expected {expected}")
        if (width := self.config["class_embedding"]["embedding_dim"]) != self.config["unet"]["cross_attention_dim"]:
            raise UserError(f"{self.folder}: classes are rows of {width} numbers, which the UNet does not take")

    def load(self, device: "torch.device", dtype: "torch.dtype") -> "ClassLatentDiffusion":
        from bench.models.class_latent_diffusion import ClassLatentDiffusion

        return ClassLatentDiffusion.load(self, device, dtype)

    @classmethod
    def more(cls, config: dict[str, Any]) -> dict[str, Any]:
        return {"layers": attention_layers(config["unet"]), "words": False}
