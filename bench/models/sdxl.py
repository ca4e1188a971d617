"""Stable Diffusion XL: which files it is made of. The networks are `bench.models.sdxl_unet`. No torch until it is
loaded."""

from typing import TYPE_CHECKING, Any, ClassVar

from bench.errors import UserError
from bench.models.prompted_folder import PromptedFolder
from bench.models.unet_layers import attention_layers

if TYPE_CHECKING:
    import torch

    from bench.models.prompts import Prompts
    from bench.models.sdxl_unet import StableDiffusionXLModel
    from bench.models.text_encoders import Where

_TIME_IDS = 6  # original height and width, crop, target height and width


class StableDiffusionXL(PromptedFolder):
    """A folder with a UNet, an autoencoder, two CLIP text encoders with their tokenizers, and a schedule.

    Args:
        path: see `bench.models.folder.DiffusersFolder`.
        negative: prompt that stands for the unconditional model; None: what the folder says, zeros or the empty prompt.
        original_size: pixels a side that the model is told the picture had; None: the picture's own.
    """

    family = "sdxl"
    takes = "Stable Diffusion XL"
    pipelines = ("StableDiffusionXLPipeline", "StableDiffusionXLImg2ImgPipeline")
    multiple = 8
    classes: ClassVar = {
        "unet": "UNet2DConditionModel",
        "vae": "AutoencoderKL",
        "text_encoder": "CLIPTextModel",
        "text_encoder_2": "CLIPTextModelWithProjection",
        "tokenizer": "CLIPTokenizer",
        "tokenizer_2": "CLIPTokenizer",
    }
    networks: ClassVar = {
        "unet": ("in_channels", "sample_size", "block_out_channels", "cross_attention_dim", "addition_time_embed_dim"),
        "vae": ("block_out_channels", "latent_channels", "scaling_factor"),
        "text_encoder": ("hidden_size", "max_position_embeddings"),
        "text_encoder_2": ("hidden_size", "max_position_embeddings", "projection_dim"),
    }
    tokenizers = ("tokenizer", "tokenizer_2")
    autoencoder = "vae"
    official: ClassVar = {
        "unet": {
            "in_channels": 4,
            "block_out_channels": [320, 640, 1280],
            "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
            "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
            "transformer_layers_per_block": [1, 2, 10],
            "attention_head_dim": [5, 10, 20],
            "cross_attention_dim": 2048,
            "use_linear_projection": True,
        },
        "vae": {"block_out_channels": [128, 256, 512, 512], "latent_channels": 4},
    }
    scheduler = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule")
    predictions = ("epsilon", "v_prediction")

    def __init__(self, path: str, negative: str | None = None, original_size: int | None = None):
        super().__init__(path)
        self.negative, self.original_size = negative, original_size
        unet, pooled = self.config["unet"], self.config["text_encoder_2"]["projection_dim"]
        told = unet.get("projection_class_embeddings_input_dim")
        if self.index.get("requires_aesthetics_score") or told != _TIME_IDS * unet["addition_time_embed_dim"] + pooled:
            raise UserError(
                f"model folder {self.folder} is told other numbers than the base model's six of size and crop (a "
                f"refiner is); expected {self.takes} base"
            )
        widths = [self.config[part]["hidden_size"] for part in ("text_encoder", "text_encoder_2")]
        if sum(widths) != unet["cross_attention_dim"]:
            raise UserError(f"{self.folder}: text encoders of {widths} numbers do not fit the UNet")

    def identity(self) -> dict[str, Any]:
        return super().identity() | {"negative": self.negative, "original_size": self.original_size}

    def encoders(self, where: "Where") -> "Prompts":
        from bench.models.sdxl_unet import prompts

        return prompts(self, where)

    def load(
        self, device: "torch.device", dtype: "torch.dtype", prompts: "Prompts | None" = None
    ) -> "StableDiffusionXLModel":
        from bench.models.sdxl_unet import StableDiffusionXLModel

        return StableDiffusionXLModel.load(self, device, dtype, prompts or self.prompt_reader(device, dtype))

    @classmethod
    def more(cls, config: dict[str, Any]) -> dict[str, Any]:
        return {"layers": attention_layers(config["unet"])}
