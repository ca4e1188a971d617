"""The architecture of the embedded model: plain diffusers and transformers parts, small, with an initialisation that
a few thousand steps can start from."""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

WIDTH, CONTEXT = 128, 24


def tokenizer(words: list[str]) -> CLIPTokenizer:
    """A byte-level CLIP tokenizer in which each of `words` is one token and any other text still has some."""
    # Merges are learnt over the whole word list together: learnt word by word they collide.
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=100_000, min_frequency=1, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False
    )
    bpe.train_from_iterator(words, trainer)
    merges = [tuple(pair) for pair in json.loads(bpe.to_str())["model"]["merges"]]
    tokens = alphabet + [c + "</w>" for c in alphabet] + [a + b for a, b in merges]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    vocab = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=CONTEXT)


def stored_tokenizer(folder: Path, words: list[str]) -> CLIPTokenizer:
    """The tokenizer of a training, made the first time: ties between merges are broken differently in every process,
    and a resumed training must give each word the id it had."""
    if not folder.exists():
        tokenizer(words).save_pretrained(folder)
    return CLIPTokenizer.from_pretrained(folder)


def vae() -> AutoencoderKL:
    """Autoencoder 64 px -> 4 x 16 x 16, initialised near an identity (default initialisation crawls)."""
    module = AutoencoderKL(
        block_out_channels=(16, 32, 64),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=64,
        mid_block_add_attention=False,
    )
    _shrink_residuals(module)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, ResnetBlock2D) and part.conv_shortcut is not None:
                nn.init.orthogonal_(part.conv_shortcut.weight)
            if type(part).__name__ in ("Downsample2D", "Upsample2D"):
                nn.init.dirac_(part.conv.weight)
                nn.init.zeros_(part.conv.bias)
        module.quant_conv.bias[4:] = -6.0  # log-variance of the posterior
        module.quant_conv.weight[4:] *= 0.1
    return module


def unet() -> UNet2DConditionModel:
    """Denoiser of 4 x 16 x 16 latents with cross-attention at 16, 8 and 4 cells."""
    module = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(32, 64, 128),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=(2, 4, 4),  # the number of heads, whatever the name says
        norm_num_groups=8,
    )
    _shrink_residuals(module)
    with torch.no_grad():
        nn.init.zeros_(module.conv_out.weight)
        nn.init.zeros_(module.conv_out.bias)
        for part in module.modules():
            if isinstance(part, Attention):
                part.to_out[0].weight.mul_(0.2)
    return module


def text_encoder(tok: CLIPTokenizer) -> CLIPTextModel:
    """Two-layer CLIP text tower."""
    return CLIPTextModel(text_config(tok, WIDTH, heads=4))


def text_config(tok: CLIPTokenizer, width: int, heads: int) -> CLIPTextConfig:
    """Of a two-layer CLIP text tower."""
    return CLIPTextConfig(
        vocab_size=len(tok),
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=2,
        num_attention_heads=heads,
        max_position_embeddings=CONTEXT,
        projection_dim=width,
        bos_token_id=tok.bos_token_id,
        eos_token_id=tok.eos_token_id,
        pad_token_id=tok.pad_token_id,
    )


def scheduler() -> DDIMScheduler:
    """Stable Diffusion 1.x's schedule."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def _shrink_residuals(module: nn.Module) -> None:
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, ResnetBlock2D):
                part.conv2.weight.mul_(0.1)


def ids(tok: CLIPTokenizer, texts: list[str]) -> torch.Tensor:
    """Token ids `[B, context]`."""
    return tok(
        texts, padding="max_length", truncation=True, max_length=tok.model_max_length, return_tensors="pt"
    ).input_ids


def load_vae(folder: Path) -> AutoencoderKL:
    """A trained autoencoder, frozen."""
    return AutoencoderKL.from_pretrained(folder).eval().requires_grad_(False)
