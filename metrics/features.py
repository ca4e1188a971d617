"""Backbones that turn uint8 images into feature vectors, loaded once a process."""

from functools import lru_cache
from pathlib import Path

import torch
from torch.nn import functional as F

from bench.types import ScoreBatch
from metrics.judge import Judge
from metrics.pixel import truths


class InceptionPool:
    """2048 pooled features of the FID Inception network, prepared as pytorch-fid and FlexIT do: float images,
    bilinear to 299 px without antialiasing, 2x - 1. (torch-fidelity resizes as TensorFlow 1 did and gives other
    features for equal weights.)

    Args:
        weights: pt_inception-2015-12-05-6726825d.pth or its twin of torch-fidelity.
    """

    _LAYERS = (
        "Conv2d_1a_3x3 Conv2d_2a_3x3 Conv2d_2b_3x3 MaxPool_1 Conv2d_3b_1x1 Conv2d_4a_3x3 MaxPool_2 Mixed_5b Mixed_5c "
        "Mixed_5d Mixed_6a Mixed_6b Mixed_6c Mixed_6d Mixed_6e Mixed_7a Mixed_7b Mixed_7c AvgPool"
    )

    def __init__(self, weights: Path):
        self.weights = Path(weights)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 `[B, 3, H, W]` to float32 `[B, 2048]`."""
        network = _inception(self.weights).to(images.device)
        x = F.interpolate(images.float() / 255, (299, 299), mode="bilinear", align_corners=False, antialias=False)
        x = 2 * x - 1
        for layer in self._LAYERS.split():
            x = getattr(network, layer)(x)
        return x.flatten(1)


class JudgePool:
    """Pooled features of the shapes judge.

    Args:
        weights: folder written by `metrics.judge.Judge.save`.
    """

    def __init__(self, weights: Path):
        self.weights = Path(weights)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 `[B, 3, H, W]` to float32 `[B, 128]`."""
        return judge_maps(self.weights, images)[-1].mean((2, 3))


def judge_maps(weights: Path, images: torch.Tensor) -> list[torch.Tensor]:
    """`Judge.maps` of uint8 images."""
    return judge(weights).to(images.device).maps(images.float() / 255)


def of(batch: ScoreBatch, which: str, name: str, extract):
    """`extract` of the batch's `edits`, `sources` or `truths`, computed once a batch under (name, which)."""

    def make():
        return extract(truths(batch) if which == "truths" else getattr(batch, which))

    return batch.shared((name, which), make)


@lru_cache
def judge(folder: Path) -> Judge:
    """The judge of a folder."""
    return Judge.load(folder)


@lru_cache
def _inception(file: Path) -> torch.nn.Module:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    network = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(file))
    return network.eval().requires_grad_(False)
