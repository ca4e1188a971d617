"""Stable Diffusion 3 and 3.5: which files they are made of. The networks are `bench.models.sd3_transformer`. No torch
until it is loaded."""

from typing import TYPE_CHECKING, Any, ClassVar

from bench.errors import UserError
from bench.models.flow_folder import PATCH, FlowFolder
from bench.types import AttentionLayer

if TYPE_CHECKING:
    import torch

    from bench.models.prompts import Prompts
    from bench.models.sd3_transformer import StableDiffusion3Model
    from bench.models.text_encoders import Where


class StableDiffusion3(FlowFolder):
    """A folder with a transformer, an autoencoder, two CLIP text encoders, T5 and a schedule. T5 may be left out.

    Args:
        path: see `bench.models.folder.DiffusersFolder`.
        negative: prompt that stands for the unconditional model; None: the empty one.
        t5_tokens: that T5 reads, pads among them.
    """

    family = "sd3"
    takes = "Stable Diffusion 3 or 3.5"
    pipelines = ("StableDiffusion3Pipeline", "StableDiffusion3Img2ImgPipeline")
    gated = True
    classes: ClassVar = {
        "transformer": "SD3Transformer2DModel",
        "vae": "AutoencoderKL",
        "text_encoder": "CLIPTextModelWithProjection",
        "text_encoder_2": "CLIPTextModelWithProjection",
        "text_encoder_3": "T5EncoderModel",
        "tokenizer": "CLIPTokenizer",
        "tokenizer_2": "CLIPTokenizer",
        "tokenizer_3": "T5TokenizerFast",
    }
    optional = ("text_encoder_3", "tokenizer_3")
    networks: ClassVar = {
        "transformer": ("sample_size", "num_layers", "joint_attention_dim", "pos_embed_max_size"),
        "vae": ("block_out_channels", "latent_channels", "scaling_factor"),
        "text_encoder": ("hidden_size", "max_position_embeddings"),
        "text_encoder_2": ("hidden_size", "max_position_embeddings"),
        "text_encoder_3": ("d_model",),
    }
    tokenizers = ("tokenizer", "tokenizer_2", "tokenizer_3")
    autoencoder = "vae"
    official: ClassVar = {
        "transformer": {"num_layers": 24},
        "vae": {"block_out_channels": [128, 256, 512, 512], "latent_channels": 16},
    }

    def __init__(self, path: str, negative: str | None = None, t5_tokens: int = 256):
        super().__init__(path)
        self.negative, self.t5_tokens = negative, t5_tokens

    @property
    def largest(self) -> int:
        """Pixels a side that the table of positions has room for."""
        return self.multiple * self.config["transformer"]["pos_embed_max_size"]

    def check_size(self, size: int) -> None:
        super().check_size(size)
        if size > self.largest:
            raise UserError(
                f"pictures of {size}x{size} px; this model takes {self.largest} px a side at most: set data.size or "
                "model.size"
            )

    def identity(self) -> dict[str, Any]:
        return super().identity() | {"negative": self.negative, "t5_tokens": self.t5_tokens}

    def encoders(self, where: "Where") -> "Prompts":
        from bench.models.sd3_transformer import prompts

        return prompts(self, where)

    def load(
        self, device: "torch.device", dtype: "torch.dtype", prompts: "Prompts | None" = None
    ) -> "StableDiffusion3Model":
        from bench.models.sd3_transformer import StableDiffusion3Model

        return StableDiffusion3Model.load(self, device, dtype, prompts or self.prompt_reader(device, dtype))

    @classmethod
    def more(cls, config: dict[str, Any]) -> dict[str, Any]:
        count = config["transformer"]["num_layers"]
        return {"flow": True, "layers": tuple(AttentionLayer(n, "joint", PATCH, False) for n in range(count))}
