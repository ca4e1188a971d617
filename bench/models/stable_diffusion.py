"""Stable Diffusion 1 and 2, and what is trained on in their format (InstructPix2Pix, the embedded model): which files
they are made of. The networks are `bench.models.latent_diffusion`. No torch until it is loaded."""

from typing import TYPE_CHECKING, Any, ClassVar

from bench.errors import UserError
from bench.models.folder import DiffusersFolder
from bench.models.unet_layers import attention_layers

if TYPE_CHECKING:
    import torch

    from bench.models.latent_diffusion import LatentDiffusion

_CHANNELS = 4  # of the latents


class StableDiffusion(DiffusersFolder):
    """A folder with a UNet, an autoencoder, a CLIP text encoder, its tokenizer and a schedule."""

    takes = "Stable Diffusion 1 or 2"
    pipelines = (
        "StableDiffusionPipeline",
        "StableDiffusionImg2ImgPipeline",
        "StableDiffusionDiffEditPipeline",
        "StableDiffusionInstructPix2PixPipeline",
    )
    networks: ClassVar = {
        "unet": ("in_channels", "sample_size", "block_out_channels", "cross_attention_dim"),
        "vae": ("block_out_channels", "latent_channels"),
        "text_encoder": ("hidden_size", "max_position_embeddings"),
    }
    tokenizers = ("tokenizer",)
    autoencoder = "vae"
    official: ClassVar = {
        "unet": {"cross_attention_dim": 768, "in_channels": _CHANNELS},
        "vae": {"block_out_channels": [128, 256, 512, 512], "latent_channels": _CHANNELS},
    }
    scheduler = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule")
    predictions = ("epsilon", "v_prediction")
    offers = ("denoiser", "beside")

    def __init__(self, path: str):
        super().__init__(path)
        unet = self.config["unet"]
        if unet.get("addition_embed_type"):
            raise UserError(f"model folder {self.folder} is a Stable Diffusion XL model; expected {self.takes}")
        if self._beside(self.config) not in (0, self.config["vae"]["latent_channels"]):
            raise UserError(
                f"model folder {self.folder} is a model of {unet['in_channels']} channels (those of inpainting are a "
                f"mask and the masked picture), which no method here fits; expected {self.takes}"
            )
        self.offers = "beside" if self._beside(self.config) else "denoiser"

    def load(self, device: "torch.device", dtype: "torch.dtype") -> "LatentDiffusion":
        from bench.models.latent_diffusion import LatentDiffusion

        return LatentDiffusion.load(self, device, dtype)

    @classmethod
    def stated(cls, path: str) -> dict[str, Any]:
        """Of models that are not here, those that edit by instruction are told by their name."""
        channels = _CHANNELS * (2 if "pix2pix" in path else 1)
        return {**cls.official, "unet": cls.official["unet"] | {"in_channels": channels}}

    @classmethod
    def more(cls, config: dict[str, Any]) -> dict[str, Any]:
        return {"layers": attention_layers(config["unet"]), "picture_channels": cls._beside(config)}

    @staticmethod
    def _beside(config: dict[str, Any]) -> int:
        """Channels that go in beside the latents."""
        return config["unet"]["in_channels"] - config["vae"]["latent_channels"]
