"""How well a method found the region to edit."""

import numpy as np

from bench.types import ScoreBatch


class MaskIou:
    """Intersection over union of the method's mask and the true one; NaN where either is missing or the true one
    covers the frame (any region is right then)."""

    version, higher_is_better, unit = 1, True, "x 10^2"

    def score(self, batch: ScoreBatch) -> np.ndarray:
        pairs = zip(batch.edit_masks, [sample.mask for sample in batch.samples], strict=True)
        return np.array([100 * iou(found, true) for found, true in pairs])


def iou(found: np.ndarray | None, true: np.ndarray | None) -> float:
    """Intersection over union of two bool masks `[H, W]`."""
    if found is None or true is None or true.all() or not true.any():
        return float("nan")
    return float((found & true).sum() / (found | true).sum())
