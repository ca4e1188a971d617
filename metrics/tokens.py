"""Image towers whose tokens a method may want (StyleDiffusion), not only a number."""

from pathlib import Path

import torch
from torch.nn.functional import interpolate

from metrics import clip_networks, states
from metrics.judge import Judge


class ClipTokens:
    """All tokens of a CLIP image tower after its last normalisation; ViT-B/16 has 197 of width 768.

    Args:
        path: folder of a CLIP model in transformers' format.
    """

    version = 1

    def __init__(self, path: str):
        from transformers import CLIPVisionModel

        self.network = states.pretrained(CLIPVisionModel, Path(path), use_safetensors=True)
        processor = clip_networks.processor(Path(path))
        self.mean, self.std = (torch.tensor(v)[:, None, None] for v in (processor.image_mean, processor.image_std))

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 `[B, 3, H, W]` to float32 `[B, N, D]`; pictures are square, and resized bicubically."""
        self.network.to(images.device)
        side = self.network.config.image_size
        x = interpolate(images.float() / 255, (side, side), mode="bicubic", antialias=True, align_corners=False)
        x = (x.clamp(0, 1) - self.mean.to(x)) / self.std.to(x)
        tower = getattr(self.network, "vision_model", self.network)
        return tower.post_layernorm(tower(pixel_values=x).last_hidden_state)


class JudgeTokens:
    """The embedded world's judge: a token for each of the 8 x 8 and the 4 x 4 cells of its last two stages, the former
    padded with zeros to the width of the latter.

    Args:
        path: its folder.
    """

    version = 1

    def __init__(self, path: str):
        self.judge = Judge.load(Path(path))

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 `[B, 3, H, W]` to float32 `[B, N, D]`."""
        fine, coarse = self.judge.to(images.device).maps(images.float() / 255)[-2:]
        fine, coarse = (stage.flatten(2).transpose(1, 2) for stage in (fine, coarse))
        padded = torch.nn.functional.pad(fine, (0, coarse.shape[-1] - fine.shape[-1]))
        return torch.cat([coarse, padded], 1)
