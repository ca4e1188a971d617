"""What a classifier of ImageNet sees in an edit, as FlexIT's evaluation asks it."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import functional as transforms

from bench.types import ScoreBatch, Undefined
from metrics import vit

_SIZE = 384


class _Predicted:
    """Base: 100 where DeiT (the mean of its two heads), allowed the benchmark's target classes alone, names what the
    subclass asks for, else 0; the mean is FlexIT's percentage.

    The edit is resized from its saved file to 384 px (PIL bilinear, central square), whatever the profile's size.

    Args:
        weights: deit_base_distilled_patch16_384-d0272ac0.pth, or `random`.
        architecture: timm's name of the network.
    """

    version, unit = 1, "%"

    def __init__(self, weights: Path, architecture: str = "deit_base_distilled_patch16_384"):
        self.weights, self.architecture = Path(weights), architecture

    def load(self) -> None:
        """Reads the network; see `vit.load`."""
        vit.load(self.architecture, self.weights, _SIZE)

    def found(self, batch: ScoreBatch) -> tuple[np.ndarray, np.ndarray]:
        """Whether each edit is taken for its source class, and for its target class; bool `[B]` each."""
        if batch.classes is None or any(sample.classes is None for sample in batch.samples):
            raise Undefined("needs the benchmark's target classes, and this data set has none")
        key = ("classes", self.architecture, str(self.weights))
        found = batch.shared(key, lambda: self._predict(batch))
        classes = np.array([sample.classes for sample in batch.samples])
        return found == classes[:, 0], found == classes[:, 1]

    def _predict(self, batch: ScoreBatch) -> np.ndarray:
        network = vit.load(self.architecture, self.weights, _SIZE).to(batch.edits.device)
        images = [transforms.center_crop(transforms.resize(Image.fromarray(x), _SIZE), _SIZE) for x in batch.saved]
        pixels = torch.stack([transforms.to_tensor(image) for image in images]).to(batch.edits.device)
        logits = network(vit.normalised(pixels))[:, batch.classes]
        return np.array(batch.classes)[logits.argmax(-1).cpu().numpy()]


class Accuracy(_Predicted):
    """Taken for the target class: correctly edited."""

    higher_is_better = True

    def score(self, batch: ScoreBatch) -> np.ndarray:
        return 100.0 * self.found(batch)[1]


class Unedited(_Predicted):
    """Taken for the source class."""

    higher_is_better = False

    def score(self, batch: ScoreBatch) -> np.ndarray:
        return 100.0 * self.found(batch)[0]


class Misedited(_Predicted):
    """Taken for neither: wrongly edited."""

    higher_is_better = False

    def score(self, batch: ScoreBatch) -> np.ndarray:
        source, target = self.found(batch)
        return 100.0 * ~(source | target)
