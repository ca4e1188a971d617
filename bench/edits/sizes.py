"""Pictures that are edited, or come back, at another size than the data's: the one rule by which sizes change."""

from dataclasses import replace

import numpy as np
import torch
from torch.nn.functional import interpolate

from bench.edits.run import Run
from bench.types import EditResult, EditSample

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


def editing_size(run: Run, sample: EditSample) -> tuple[int, int]:
    """Height and width at which a run edits a sample: `model.size`, else the picture's own."""
    side = run.cfg["model"]["size"]
    return (side, side) if side else sample.image.shape[1:]


def given(samples: list[EditSample], size: tuple[int, int]) -> list[EditSample]:
    """Samples of one size as a method gets them, their picture, mask and truth at another height and width; themselves
    where the size is theirs. Masks get no in-between values."""
    if not samples or samples[0].image.shape[1:] == size:
        return samples
    return [
        replace(one, image=_picture(one.image, size), mask=_mask(one.mask, size), truth=_picture(one.truth, size))
        for one in samples
    ]


def _picture(image: np.ndarray | None, size: tuple[int, int]) -> np.ndarray | None:
    return None if image is None else resized(torch.from_numpy(image)[None], size)[0].numpy()


def _mask(mask: np.ndarray | None, size: tuple[int, int]) -> np.ndarray | None:
    if mask is None:
        return None
    return interpolate(torch.from_numpy(mask)[None, None].float(), size, mode="nearest")[0, 0].numpy() > 0


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
