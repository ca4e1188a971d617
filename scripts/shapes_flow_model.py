"""The architecture of the embedded flow: Stable Diffusion 3's parts, small."""

import torch
from diffusers import SD3Transformer2DModel
from torch import nn
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

from bench.models.joint_attention import Processor, find
from scripts.shapes_model import CONTEXT, text_config

WIDTH, HEAD, BLOCKS = 128, 32, 5
TEXT = 64


def transformer() -> SD3Transformer2DModel:
    """Joint blocks over 64 tokens of a picture and the words; every block is the identity at first (adaLN-Zero)."""
    module = SD3Transformer2DModel(
        sample_size=16,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=BLOCKS,
        attention_head_dim=HEAD,
        num_attention_heads=WIDTH // HEAD,
        joint_attention_dim=2 * TEXT,
        caption_projection_dim=WIDTH,
        pooled_projection_dim=2 * TEXT,
        pos_embed_max_size=8,
    )
    ends = [part for block in module.transformer_blocks for part in (block.norm1.linear, block.norm1_context.linear)]
    for part in [*ends, module.norm_out.linear, module.proj_out]:
        nn.init.zeros_(part.weight)
        nn.init.zeros_(part.bias)
    return module


def text_encoder(tok: CLIPTokenizer) -> CLIPTextModelWithProjection:
    """Two-layer CLIP text tower."""
    return CLIPTextModelWithProjection(text_config(tok, TEXT, heads=2))


class Flow(nn.Module):
    """Velocity from latents, levels and token ids: what is trained."""

    def __init__(self, tok: CLIPTokenizer):
        super().__init__()
        self.transformer = transformer()
        self.text = nn.ModuleList([text_encoder(tok), text_encoder(tok)])
        for layer, module in find(self.transformer, (64, 64 + CONTEXT + 1)).items():
            # written out, since the fused kernel's gradient is several times as slow on a CPU
            module.set_processor(Processor(layer, _attend))

    def forward(self, z: torch.Tensor, sigma: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """`[B, 4, 16, 16]`, `[B]`, `[B, context]` to `[B, 4, 16, 16]`."""
        read = [text(ids, output_hidden_states=True) for text in self.text]
        states = torch.cat([one.hidden_states[-2] for one in read], -1)
        states = nn.functional.pad(states, (0, 0, 0, 1))  # the one token of the T5 that is left out
        pooled = torch.cat([one.text_embeds for one in read], -1)
        return self.transformer(
            z, timestep=1000 * sigma, encoder_hidden_states=states, pooled_projections=pooled
        ).sample


def _attend(layer, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1).to(v.dtype) @ v


def optimizers(module: nn.Module, rate: float) -> list[torch.optim.Optimizer]:
    """Muon (torch 2.9 or newer) for the matrices inside, AdamW for the rest."""
    inside = [
        p for name, p in module.named_parameters() if p.ndim == 2 and "embedding" not in name and "proj_out" not in name
    ]
    known = {id(p) for p in inside}
    rest = [p for p in module.parameters() if id(p) not in known]
    return [
        torch.optim.Muon(inside, lr=rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.01),
    ]
