"""Stable Diffusion 1.4's architecture with random weights, for benchmarks: its speed needs none of its weights."""

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from bench.models.checkpoint import Checkpoint
from bench.models.latent_diffusion import LatentDiffusion
from bench.models.stable_diffusion import StableDiffusion


class Untrained(Checkpoint):
    """Stable Diffusion 1.4's architecture as a model of runs."""

    size = 512
    notice = "random (untrained) weights, comparable with no paper"

    def __init__(self):
        self.schedule = StableDiffusion("bench/models/shapes").schedule

    def identity(self) -> dict[str, str]:
        return {"architecture": "Stable Diffusion 1.4", "weights": "random"}

    @classmethod
    def denoiser(cls) -> str:
        """The part that is asked at each step."""
        return "unet"

    def load(self, device: torch.device, dtype: torch.dtype) -> LatentDiffusion:
        return stable_diffusion(device, dtype)


def stable_diffusion(device: torch.device, dtype: torch.dtype) -> LatentDiffusion:
    """Stable Diffusion 1.4's, with random weights, on the embedded model's words."""
    folder = StableDiffusion("bench/models/shapes").folder
    tokenizer, torch_default = CLIPTokenizer.from_pretrained(folder / "tokenizer"), torch.get_default_dtype()
    tokenizer.model_max_length = CLIPTextConfig().max_position_embeddings  # the embedded model reads fewer
    torch.set_default_dtype(dtype)
    try:
        with torch.device("meta"):
            unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768)
            vae = AutoencoderKL(
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
                block_out_channels=(128, 256, 512, 512),
                layers_per_block=2,
                latent_channels=4,
            )
        unet, vae = (_filled(n, device).to(memory_format=torch.channels_last) for n in (unet, vae))
        with device:
            config = CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=768,
                intermediate_size=3072,
                num_hidden_layers=12,
                num_attention_heads=12,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
            )
            text = CLIPTextModel(config)
    finally:
        torch.set_default_dtype(torch_default)
    networks = [n.eval().requires_grad_(False) for n in (unet, vae, text)]
    return LatentDiffusion(*networks, tokenizer, DDIMScheduler.from_pretrained(folder / "scheduler"))


def _filled(network: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """A network of the meta device with small random weights. They repeat, since a billion draws take longer than what
    is to be measured."""
    network = network.to_empty(device=device)
    draws = torch.randn(2**20, generator=torch.Generator().manual_seed(0), dtype=torch.float32)  # alike in every dtype
    draws = 0.03 * draws.to(device)
    for tensor in network.parameters():
        flat = tensor.data.view(-1)
        for part in flat.split(len(draws)):
            part.copy_(draws[: len(part)])
    return network
