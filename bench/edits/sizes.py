"""Pictures that are edited, or come back, at another size than the data's: the one rule by which sizes change."""

import torch
from torch.nn.functional import interpolate

from bench.types import EditResult

STRETCH = 1.25
"""An edit whose sides are to each other as its source's within this factor is the whole picture at another size (some
pipelines know only certain sizes), and else something else, such as a part of it."""


def resized(images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Pictures uint8 `[B, 3, H, W]` at another height and width: bicubic, antialiased, in float32; themselves where the
    size is theirs."""
    if tuple(images.shape[-2:]) == size:
        return images
    found = interpolate(images.float(), size, mode="bicubic", align_corners=False, antialias=True)
    return found.clamp(0, 255).round().to(torch.uint8)


def alike(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether pictures of two heights and widths can show the same frame, see `STRETCH`."""
    ratio = size[0] * other[1] / (size[1] * other[0])
    return 1 / STRETCH <= ratio <= STRETCH


def brought_back(result: EditResult, size: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor | None, dict[str, str]]:
    """A method's pictures, uint8 `[B, 3, H, W]`, and masks, uint8 `[B, H, W]`, at the height and width of their sources
    (masks without in-between values), and what a journal says of it: `returned`, width x height that they came in."""
    images, mask, note = result.images, None, {}
    if tuple(images.shape[-2:]) != size:
        note = {"returned": f"{images.shape[-1]}x{images.shape[-2]}"}
    if result.mask is not None:
        mask = (interpolate(result.mask.float(), size, mode="nearest")[:, 0] * 255).round().to(torch.uint8)
    return resized(images, size), mask, note
