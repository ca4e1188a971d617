"""Pixel metrics of edit against source, both uint8 and compared in [0, 1]."""

import numpy as np
import torch
from torch.nn import functional

from bench.types import ScoreBatch, Undefined
from metrics import regions

_PIXELS = 2**17  # held at a time
_RADIUS, _SIGMA, _C1, _C2 = 5, 1.5, 0.01**2, 0.03**2  # Wang et al. 2004, for a data range of 1


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
    `[B, H, W]`: Gaussian window 11 x 11, sigma 1.5, k 0.01 and 0.03, data range 1, mirrored at the borders.

    What torchmetrics computes (to 4e-10 in its float64), whose depthwise convolution took longer than all backbones of
    small pictures; as two matrix products the window costs less. On one core, ms a picture of 64, 256 and 512 px: this
    1.4, 34, 299; torchmetrics 60, 686, 4175, and in float32 5, 65, 386 (3e-7 off). A few pictures at a time, since 32
    of 512 px would take gigabytes.
    """
    rows, columns = (_window(size, a.device) for size in a.shape[-2:])

    def blur(x: torch.Tensor) -> torch.Tensor:
        return (x @ columns.T).transpose(-1, -2) @ rows.T  # its transpose: large products instead of many small ones

    maps, few = [], max(1, _PIXELS // a[0, 0].numel())
    for part_a, part_b in zip(a.split(few), b.split(few), strict=True):
        x, y = part_a.double().div_(255), part_b.double().div_(255)
        mean_x, mean_y, product, squares = blur(x), blur(y), blur(x * y), blur((x * x).addcmul_(y, y))
        means = mean_x * mean_y
        mean_squares = mean_x.square_().add_(mean_y.square_())
        above = product.sub_(means).mul_(2).add_(_C2).mul_(means.mul_(2).add_(_C1))
        below = squares.sub_(mean_squares).add_(_C2).mul_(mean_squares.add_(_C1))
        maps.append(above.div_(below).mean(1).transpose(1, 2))
    return torch.cat(maps)


def _window(size: int, device: torch.device) -> torch.Tensor:
    """Gaussian averages along an axis of a picture, as a matrix `[size, size]`."""
    steps = torch.arange(-_RADIUS, _RADIUS + 1, dtype=torch.float64, device=device)
    weights = torch.softmax(-(steps**2) / (2 * _SIGMA**2), 0)
    pixels = torch.eye(size, dtype=torch.float64, device=device)[:, None]
    mirrored = functional.pad(pixels, (_RADIUS, _RADIUS), "reflect")
    return functional.conv1d(mirrored, weights[None, None])[:, 0].T


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
    """

    higher_is_better, unit = True, "x 10^2"

    def __init__(self, region: str = "frame", border: int = 0):
        super().__init__(region)
        self.border = border

    @property
    def smallest(self) -> int:
        """Pixels a side: the mirrored window, and a picture that the border leaves something of."""
        return max(_RADIUS, 2 * self.border) + 1

    def score(self, batch: ScoreBatch) -> np.ndarray:
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
