"""Structure distance: how far the self-similarities of edit and source are apart (Tumanyan et al. 2022, 3.1)."""

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from bench.types import ScoreBatch
from metrics import vit

_SIZE = 224
_PICTURES = 8  # held at a time


class StructureDistance:
    """Mean squared difference of the cosines between all keys of DINO's last block, whole frame, 785 x 785 at 224 px.

    Args:
        weights: dino_vitbase8_pretrain.pth, or `random`.
        published: as PnPInversion's evaluation computes it, whose numbers everyone quotes: pixels from 0 to 255 go into
            ImageNet's normalisation, which is meant for [0, 1], and are shrunk without antialiasing.
        architecture: timm's name of the network.
    """

    version, higher_is_better, unit = 1, False, "x 10^3"

    def __init__(self, weights: Path, published: bool, architecture: str = "vit_base_patch8_224"):
        self.weights, self.published, self.architecture = Path(weights), published, architecture

    def load(self) -> None:
        """Reads the network; see `vit.load`."""
        vit.load(self.architecture, self.weights, _SIZE)

    def score(self, batch: ScoreBatch) -> np.ndarray:
        pairs = zip(batch.edits.split(_PICTURES), batch.sources.split(_PICTURES), strict=True)
        values = [(self._similarity(a) - self._similarity(b)).square().mean((1, 2)) for a, b in pairs]
        return 1000 * torch.cat(values).double().cpu().numpy()

    def _similarity(self, images: torch.Tensor) -> torch.Tensor:
        network = vit.load(self.architecture, self.weights, _SIZE).to(images.device)
        x = images.float() if self.published else images.float() / 255
        x = F.interpolate(x, (_SIZE, _SIZE), mode="bilinear", align_corners=False, antialias=not self.published)
        keys = F.normalize(vit.keys(network, vit.normalised(x)), dim=-1)
        return keys @ keys.transpose(1, 2)
