"""Pixel metrics of edit against source, both uint8 and compared in [0, 1]."""

import numpy as np
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from bench.types import ScoreBatch, Undefined


def mean_squared_error(a: torch.Tensor, b: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """Mean squared difference of uint8 images `[B, 3, H, W]` scaled to [0, 1], float64 `[B]`.

    With a bool mask `[B, H, W]`, the mean over its True pixels alone (area-true); NaN where it has none.
    """
    squared = ((a.double() - b.double()) / 255).square().mean(1)
    if mask is None:
        return squared.mean((1, 2))
    return (squared * mask).sum((1, 2)) / mask.sum((1, 2))


def peak_signal_noise_ratio(error: torch.Tensor) -> torch.Tensor:
    """dB for mean squared errors of images in [0, 1]; inf for identical images, NaN for NaN."""
    return -10 * torch.log10(error)


class Mse:
    """Mean squared error against the source."""

    version, higher_is_better, unit = 1, False, "x 10^4"

    def score(self, batch: ScoreBatch) -> np.ndarray:
        return 1e4 * mean_squared_error(batch.edits, batch.sources).cpu().numpy()


class Psnr:
    """Peak signal-to-noise ratio, per image (pooling errors first would give another mean).

    Args:
        against: `sources`, or `truths`, the true edited image.
    """

    version, higher_is_better, unit = 1, True, "dB"

    def __init__(self, against: str = "sources"):
        self.against = against

    def score(self, batch: ScoreBatch) -> np.ndarray:
        other = batch.sources if self.against == "sources" else truths(batch)
        return peak_signal_noise_ratio(mean_squared_error(batch.edits, other)).cpu().numpy()


class PsnrBackground:
    """Area-true PSNR against the source outside the true mask; NaN without a mask or where it covers the frame."""

    version, higher_is_better, unit = 1, True, "dB"

    def score(self, batch: ScoreBatch) -> np.ndarray:
        frame = np.ones(batch.edits.shape[-2:], bool)
        outside = [~(frame if sample.mask is None else sample.mask) for sample in batch.samples]
        outside = torch.from_numpy(np.stack(outside)).to(batch.edits.device)
        return peak_signal_noise_ratio(mean_squared_error(batch.edits, batch.sources, outside)).cpu().numpy()


class Ssim:
    """Structural similarity: Gaussian window 11 x 11, sigma 1.5, k 0.01 and 0.03, data range 1; averaged over
    the whole frame, mirrored at its borders (scikit-image leaves out 5 px there)."""

    version, higher_is_better, unit = 1, True, "x 10^2"

    def score(self, batch: ScoreBatch) -> np.ndarray:
        values = structural_similarity_index_measure(
            batch.edits.float() / 255, batch.sources.float() / 255, data_range=1.0, reduction="none"
        )
        return 100 * values.cpu().numpy()


def truths(batch: ScoreBatch) -> torch.Tensor:
    """True edited images, uint8 `[B, 3, H, W]`, on the batch's device.

    Raises:
        Undefined: the data set knows no truth.
    """
    if any(sample.truth is None for sample in batch.samples):
        raise Undefined("needs true edited images, and this data set has none")
    return torch.from_numpy(np.stack([sample.truth for sample in batch.samples])).to(batch.edits.device)
