"""What the documentation says of memory: counted in the official models' architectures, of which no weight is made."""

import pytest
import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel, SD3Transformer2DModel, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, T5Config, T5EncoderModel

from bench.files.paths import ROOT
from bench.models.sdxl import StableDiffusionXL

CLIP_L = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
CLIP_G = {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20}
T5_XXL = {"vocab_size": 32128, "d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64}
SD3 = {"sample_size": 128, "joint_attention_dim": 4096, "pooled_projection_dim": 2048, "out_channels": 16}
MEDIUM = {"num_layers": 24, "num_attention_heads": 24, "caption_projection_dim": 1536, "pos_embed_max_size": 192}
LARGE = {"num_layers": 38, "num_attention_heads": 38, "caption_projection_dim": 2432, "pos_embed_max_size": 192}
FLUX = {"num_layers": 19, "num_single_layers": 38, "guidance_embeds": True}


def clip_l():
    return CLIPTextModel(CLIPTextConfig(**CLIP_L))


def projected(width):
    sizes = CLIP_L if width == 768 else CLIP_G
    return CLIPTextModelWithProjection(CLIPTextConfig(**sizes, projection_dim=width))


def t5():
    return T5EncoderModel(T5Config(**T5_XXL, feed_forward_proj="gated-gelu"))


def vae(channels):
    sizes = StableDiffusionXL.official["vae"]["block_out_channels"]
    quantised = channels == 4
    return AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        block_out_channels=sizes,
        layers_per_block=2,
        latent_channels=channels,
        use_quant_conv=quantised,
        use_post_quant_conv=quantised,
    )


def unet():
    sizes = {"addition_embed_type": "text_time", "addition_time_embed_dim": 256}
    told = {"projection_class_embeddings_input_dim": 6 * 256 + 1280}
    return UNet2DConditionModel(**StableDiffusionXL.official["unet"], **sizes, **told)


MODELS = {
    "`sdxl`": (lambda: [clip_l(), projected(1280)], unet, 4, 77 * 2048 + 1280),
    "`sd3`, medium": (
        lambda: [projected(768), projected(1280), t5()],
        lambda: SD3Transformer2DModel(**SD3, **MEDIUM),
        16,
        (77 + 256) * 4096 + 2048,
    ),
    "`sd3`, 3.5 large": (
        lambda: [projected(768), projected(1280), t5()],
        lambda: SD3Transformer2DModel(**SD3, **LARGE, qk_norm="rms_norm"),
        16,
        (77 + 256) * 4096 + 2048,
    ),
    "`flux`, dev": (lambda: [clip_l(), t5()], lambda: FluxTransformer2DModel(**FLUX), 16, 512 * 4096 + 768),
}
BFLOAT16, FLOAT32 = 2, 4


def weights(*networks):
    return sum(parameter.numel() for network in networks for parameter in network.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_the_documentation_says_how_much_a_model_weighs(name):
    encoders, denoiser, channels, prompt = MODELS[name]
    with torch.device("meta"):
        words, asked, seen = weights(*encoders()), weights(denoiser()), weights(vae(channels))
    words, asked, seen = words * BFLOAT16, asked * BFLOAT16, seen * FLOAT32
    at_once, in_turns = max(words, asked + seen), max(words, asked, seen)
    sizes = (words, asked, seen, words + asked + seen, at_once, in_turns)
    row = " | ".join([name, *(f"{size / 1e9:.1f}" for size in sizes), f"{prompt * BFLOAT16 / 1e6:.1f}"])
    assert f"| {row} |" in (ROOT / "docs/methods.md").read_text(), row
