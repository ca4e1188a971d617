"""Pixel metrics of edit against source, both uint8."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from bench.types import ScoreBatch, Undefined
from metrics import regions

_PIXELS, _BLOCK = 2**14, 32  # at a time, and a side: the fastest of 2^12 to 2^17, and of 16 to 64
_RADIUS, _SIGMA, _C1, _C2 = 5, 1.5, (0.01 * 255) ** 2, (0.03 * 255) ** 2  # Wang et al. 2004, for a data range of 255


def squared_error(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Squared difference of uint8 images `[B, 3, H, W]` scaled to [0, 1], averaged over the channels, float64
    `[B, H, W]`; exact up to the last division."""
    return (a.short() - b.short()).int().square().sum(1).double() / (3 * 255**2)


def mean_over(squared: torch.Tensor, kept: torch.Tensor | None = None, over_frame: bool = False) -> torch.Tensor:
    """Mean of `[B, H, W]`, float64 `[B]`.

    With a bool mask `[B, H, W]`, of its True pixels alone: their mean (area-true), or, `over_frame`, their sum over the
    size of the frame, as if both pictures were black elsewhere. NaN where it has none.
    """
    if kept is None:
        return squared.mean((1, 2))
    size = torch.full_like(squared[:, 0, 0], squared[0].numel()) if over_frame else kept.sum((1, 2))
    return regions.undefined_without((squared * kept).sum((1, 2)) / size, kept)


def mean_squared_error(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Of uint8 images `[B, 3, H, W]` scaled to [0, 1], over the whole frame, float64 `[B]`."""
    return mean_over(squared_error(a, b))


def peak_signal_noise_ratio(error: torch.Tensor) -> torch.Tensor:
    """dB for mean squared errors of images in [0, 1]; inf for identical images, NaN for NaN.

    torchmetrics' takes pictures, not the error that PSNR and MSE share in every region, knows no region, and is 1e-6 dB
    off in float64 (measured; 3e-6 in float32). Time is equal: a few ms for 512 px.
    """
    return -10 * torch.log10(error)


def structural_similarity(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Structural similarity of uint8 images `[B, 3, H, W]` around each pixel, averaged over the channels, float64
    `[B, H, W]`: Gaussian window 11 x 11, sigma 1.5, k 0.01 and 0.03, data range 255, mirrored at the borders.

    What torchmetrics computes (to 4e-10 in its float64), whose depthwise convolution took longer than all backbones of
    small pictures; as matrix products the window costs less. It reaches few pixels, so that a block of the picture
    needs few of its matrix, and strips of a few pictures stay in the processor's cache: at 512, 256 and 64 px 6.6, 4.4
    and 1.8 times as fast as whole products (`scripts.bench_cpu ssim`).
    """
    height, width = a.shape[-2:]
    rows, columns = _window(height, a.device), _window(width, a.device)
    similar = torch.empty(len(a), height, width, dtype=torch.float64, device=a.device)
    few = max(1, _PIXELS // (min(height, _BLOCK) * width))
    for start in range(0, len(a), few):
        part = slice(start, start + few)
        for strip, seen in _blocks(height):
            x, y = (images[part, :, seen].double() for images in (a, b))
            blurred = rows[strip, seen] @ torch.stack([x, y, x * y, (x * x).addcmul_(y, y)])
            blurred = torch.cat([blurred[..., near] @ columns[block, near].T for block, near in _blocks(width)], -1)
            mean_x, mean_y, product, squares = blurred
            means = mean_x * mean_y
            mean_squares = mean_x.square_().add_(mean_y.square_())
            above = product.sub_(means).mul_(2).add_(_C2).mul_(means.mul_(2).add_(_C1))
            below = squares.sub_(mean_squares).add_(_C2).mul_(mean_squares.add_(_C1))
            similar[part, strip] = above.div_(below).mean(1)
    return similar


def _blocks(size: int) -> Iterator[tuple[slice, slice]]:
    """Blocks of an axis of a picture, each with the pixels that windows in it see."""
    for start in range(0, size, _BLOCK):
        yield slice(start, start + _BLOCK), slice(max(0, start - _RADIUS), start + _BLOCK + _RADIUS)


def _window(size: int, device: torch.device) -> torch.Tensor:
    """Gaussian averages along an axis of a picture, as a matrix `[size, size]`."""
    steps = torch.arange(-_RADIUS, _RADIUS + 1, device=device)
    weights = torch.softmax(-(steps.double() ** 2) / (2 * _SIGMA**2), 0)
    at = (torch.arange(size, device=device)[:, None] + steps).abs()
    mirrored = torch.where(at < size, at, 2 * (size - 1) - at)
    matrix = torch.zeros(size, size, dtype=torch.float64, device=device)
    return matrix.scatter_add_(1, mirrored, weights.expand(size, -1))


class _Regional:
    """Base of the metrics of edit against source.

    Args:
        region: one of `regions.REGIONS`; other than `frame`, NaN without a mask and where it covers the frame.
    """

    version = 1

    def __init__(self, region: str = "frame"):
        self.region = regions.check(region)

    def error(self, batch: ScoreBatch) -> torch.Tensor:
        """Mean squared error in the region, float64 `[B]`."""
        kept = None if self.region == "frame" else regions.outside(batch)
        squared = batch.shared("squared error", lambda: squared_error(batch.edits, batch.sources))
        return mean_over(squared, kept, over_frame=self.region == "masked")


class Mse(_Regional):
    """Mean squared error against the source."""

    higher_is_better, unit = False, "x 10^4"

    def score(self, batch: ScoreBatch) -> np.ndarray:
        return 1e4 * self.error(batch).cpu().numpy()


class Psnr(_Regional):
    """Peak signal-to-noise ratio, per image (pooling errors first would give another mean); inf for identical images.

    Args:
        against: `sources`, or `truths`, the true edited image (its region is the frame).
    """

    higher_is_better, unit = True, "dB"

    def __init__(self, against: str = "sources", region: str = "frame"):
        super().__init__(region)
        self.against = against

    def score(self, batch: ScoreBatch) -> np.ndarray:
        of_truth = self.against == "truths"
        error = mean_squared_error(batch.edits, truths(batch)) if of_truth else self.error(batch)
        return peak_signal_noise_ratio(error).cpu().numpy()


class Ssim(_Regional):
    """Structural similarity, averaged over the pixels of the region. In the `background`, edits are taken as if they
    had left the region to edit alone, so that windows across its border see no edit.

    Args:
        border: pixels left out at each edge of the picture; 0 is the whole frame, mirrored at its edges, as
            torchmetrics has it now. scikit-image, and torchmetrics until its pull request 2721, leave out 5.
        against: `sources`, or `truths`, the true edited image.
    """

    higher_is_better, unit = True, "x 10^2"

    def __init__(self, region: str = "frame", border: int = 0, against: str = "sources"):
        super().__init__(region)
        self.border, self.against = border, against

    @property
    def smallest(self) -> int:
        """Pixels a side: the mirrored window, and a picture that the border leaves something of."""
        return max(_RADIUS, 2 * self.border) + 1

    def score(self, batch: ScoreBatch) -> np.ndarray:
        if self.against == "truths":
            batch = replace(batch, sources=truths(batch))
        edits, sources = batch.edits, batch.sources
        kept = torch.ones_like(edits[:, 0], dtype=torch.bool) if self.region == "frame" else regions.outside(batch)
        weight = kept if self.region == "background" else torch.ones_like(kept)
        if self.region == "masked":
            edits, sources = regions.blacked(edits, kept), regions.blacked(sources, kept)
        elif self.region == "background":
            edits = regions.composed(batch, kept)
        inner = slice(self.border, -self.border or None)
        similar = structural_similarity(edits, sources)[:, inner, inner]
        weight = weight[:, inner, inner]
        values = (similar * weight).sum((1, 2)) / weight.sum((1, 2))
        return 100 * regions.undefined_without(values, kept).cpu().numpy()


def truths(batch: ScoreBatch) -> torch.Tensor:
    """True edited images, uint8 `[B, 3, H, W]`, on the batch's device.

    Raises:
        Undefined: the data set knows no truth.
    """
    if any(sample.truth is None for sample in batch.samples):
        raise Undefined("needs true edited images, and this data set has none")
    return torch.from_numpy(np.stack([sample.truth for sample in batch.samples])).to(batch.edits.device)
