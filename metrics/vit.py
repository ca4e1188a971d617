"""Vision transformers in the official files of DINO, DINOv2 and DeiT, loaded strictly into timm's architectures."""

from functools import lru_cache
from pathlib import Path

import torch
from torch.nn import functional as F

from metrics import states

MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet


@lru_cache
def load(architecture: str, weights: Path, size: int) -> torch.nn.Module:
    """A network in evaluation mode, float32.

    Args:
        architecture: timm's name, such as `vit_base_patch8_224`.
        weights: the authors' state dict (DeiT's lies under `model`), or `random`.
        size: pixels a side of its input; positional embeddings of another grid are resampled as DINOv2's code does.

    Raises:
        UserError: a tensor is missing, is left over, or has another shape.
    """
    import timm

    headless = {} if architecture.startswith("deit") else {"num_classes": 0}
    with torch.random.fork_rng():
        torch.manual_seed(0)  # of `random`
        network = timm.create_model(architecture, pretrained=False, img_size=size, **headless)
    if str(weights) != "random":
        state = states.load(weights)
        state = state.get("model", state)
        state = dict(state) if isinstance(state, dict) else {}
        state.pop("mask_token", None)  # DINOv2's, used in training alone
        if "pos_embed" in state:
            state["pos_embed"] = _resampled(state["pos_embed"], network.pos_embed.shape[1], network.num_prefix_tokens)
        states.fill(network, state, weights, architecture)
    return network.eval().requires_grad_(False)


def normalised(images: torch.Tensor) -> torch.Tensor:
    """float images `[B, 3, H, W]` less ImageNet's mean, over its spread."""
    mean, spread = (torch.tensor(x, device=images.device)[:, None, None] for x in (MEAN, SPREAD))
    return (images - mean) / spread


def keys(network: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Keys of the last block for every token, class token first, heads concatenated: `[B, 1 + patches, D]`."""
    last = len(network.blocks) - 1
    ((patches, prefix),) = network.forward_intermediates(
        images,
        indices=[last - 1],
        return_prefix_tokens=True,
        output_fmt="NLC",
        intermediates_only=True,
        stop_early=True,
    )
    block = network.blocks[last]
    return block.attn.qkv(block.norm1(torch.cat([prefix, patches], 1))).chunk(3, -1)[1]


def _resampled(embedding: torch.Tensor, tokens: int, prefix: int) -> torch.Tensor:
    """Positional embeddings `[1, prefix + n^2, D]` for another square grid. DINOv2 resamples by the ratio of the grids
    plus a tenth of a cell; timm's own resampling antialiases and gives other features."""
    if embedding.shape[1] == tokens:
        return embedding
    before, after = (round((count - prefix) ** 0.5) for count in (embedding.shape[1], tokens))
    grid = embedding[:, prefix:].reshape(1, before, before, -1).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, scale_factor=(after + 0.1) / before, mode="bicubic")
    return torch.cat([embedding[:, :prefix], grid.permute(0, 2, 3, 1).flatten(1, 2)], 1)
