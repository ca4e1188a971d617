"""FLUX.1: which files it is made of. The networks are `bench.models.flux_transformer`. No torch until it is loaded."""

from typing import TYPE_CHECKING, Any, ClassVar

from bench.errors import UserError
from bench.models.flow_folder import PATCH, FlowFolder
from bench.types import AttentionLayer

if TYPE_CHECKING:
    import torch

    from bench.models.flux_transformer import FluxModel
    from bench.models.prompts import Prompts
    from bench.models.text_encoders import Where


class Flux(FlowFolder):
    """A folder with a transformer, an autoencoder, CLIP, T5 and a schedule. Guidance is an input of dev's transformer;
    schnell's knows none.

    Args:
        path: see `bench.models.folder.DiffusersFolder`.
        t5_tokens: that T5 reads, pads among them (dev 512, schnell 256).
        unconditional: `empty`: the empty prompt stands for the unconditional model, of which there is none; None: what
            asks for it is refused.
        negative: prompt that every evaluation is guided away from, for as many evaluations more.
        true_guidance: scale of that guidance, above 1.
    """

    family = "flux"
    distilled = True
    takes = "FLUX.1"
    pipelines = ("FluxPipeline", "FluxImg2ImgPipeline")
    gated = True
    classes: ClassVar = {
        "transformer": "FluxTransformer2DModel",
        "vae": "AutoencoderKL",
        "text_encoder": "CLIPTextModel",
        "text_encoder_2": "T5EncoderModel",
        "tokenizer": "CLIPTokenizer",
        "tokenizer_2": "T5TokenizerFast",
    }
    networks: ClassVar = {
        "transformer": ("in_channels", "joint_attention_dim", "num_layers", "num_single_layers", "guidance_embeds"),
        "vae": ("block_out_channels", "latent_channels", "scaling_factor"),
        "text_encoder": ("hidden_size", "max_position_embeddings"),
        "text_encoder_2": ("d_model",),
    }
    tokenizers = ("tokenizer", "tokenizer_2")
    autoencoder = "vae"
    official: ClassVar = {
        "transformer": {"num_layers": 19, "num_single_layers": 38},
        "vae": {"block_out_channels": [128, 256, 512, 512], "latent_channels": 16},
    }
    size = 1024  # no file says it

    def __init__(
        self,
        path: str,
        t5_tokens: int = 512,
        unconditional: str | None = None,
        negative: str | None = None,
        true_guidance: float | None = None,
    ):
        super().__init__(path)
        self.t5_tokens, self.unconditional = t5_tokens, unconditional
        self.negative, self.true_guidance = negative, true_guidance
        if (negative is None) != (true_guidance is None) or (true_guidance or 2) <= 1:
            raise UserError(
                f"model.negative={negative} with model.true_guidance={true_guidance}; expected a prompt and a scale "
                "above 1, or null for both"
            )
        self.guided = bool(self.config["transformer"]["guidance_embeds"])
        cells = PATCH**2 * self.config["vae"]["latent_channels"]
        if (channels := self.config["transformer"]["in_channels"]) != cells:
            raise UserError(
                f"model folder {self.folder} takes {channels} channels a token, not the latents' {cells} alone (those "
                f"of FLUX for other work than editing from words do); expected {self.takes}"
            )

    def identity(self) -> dict[str, Any]:
        knobs = ("t5_tokens", "unconditional", "negative", "true_guidance")
        return super().identity() | {name: getattr(self, name) for name in knobs}

    def encoders(self, where: "Where") -> "Prompts":
        from bench.models.flux_transformer import prompts

        return prompts(self, where)

    def load(self, device: "torch.device", dtype: "torch.dtype", prompts: "Prompts | None" = None) -> "FluxModel":
        from bench.models.flux_transformer import FluxModel

        return FluxModel.load(self, device, dtype, prompts or self.prompt_reader(device, dtype))

    @classmethod
    def more(cls, config: dict[str, Any]) -> dict[str, Any]:
        counts = {"double": config["transformer"]["num_layers"], "single": config["transformer"]["num_single_layers"]}
        layers = [AttentionLayer(n, place, PATCH, False) for place, count in counts.items() for n in range(count)]
        return {"flow": True, "distilled": True, "layers": tuple(layers)}
