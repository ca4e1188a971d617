"""Pictures that are edited, or come back, at another size than the data's: the one rule by which sizes change."""

import math
from dataclasses import replace

import numpy as np
import torch
from PIL import Image, ImageOps
from torch.nn.functional import interpolate

from bench.data.preprocess import NATIVE
from bench.edits.run import Run
from bench.errors import UnfitSize, UserError
from bench.types import EditData, EditResult, EditSample

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
    """Height and width at which a run edits a sample: those of its picture, or `model.size`.

    A picture of its own size keeps its aspect (`model.size`: at the area of such a square), and each side is rounded
    down to what the model takes, as diffusers' pipelines do.

    Raises:
        UnfitSize: the model cannot take such a picture.
    """
    (height, width), side = sample.image.shape[1:], run.cfg["model"]["size"]
    if run.checkpoint is None or (run.data.size != NATIVE and not side):
        return height, width
    if height == width and side:
        return side, side
    scale, multiple = side / math.sqrt(height * width) if side else 1, getattr(run.checkpoint, "multiple", 8)
    size = tuple(int(round(one * scale, 6)) // multiple * multiple for one in (height, width))
    told = f"the picture has {width}x{height} px, and this model takes"
    if 0 in size:
        raise UnfitSize(f"{told} multiples of {multiple}: set {'a larger ' * bool(side)}model.size")
    if height != width and getattr(run.checkpoint, "square", False):
        raise UnfitSize(f"{told} squares alone: set data.size to pixels a side")
    try:
        for one in size if hasattr(run.checkpoint, "check_size") else ():
            run.checkpoint.check_size(one)
    except UserError as error:
        raise UnfitSize(f"{told} no side of {one}: {error}") from None
    return size


def given(samples: list[EditSample], size: tuple[int, int]) -> list[EditSample]:
    """Samples of one size as a method gets them, their picture, mask and truth at another height and width; themselves
    where the size is theirs. Masks get no in-between values."""
    if not samples or samples[0].image.shape[1:] == size:
        return samples
    return [
        replace(one, image=_picture(one.image, size), mask=_mask(one.mask, size), truth=_picture(one.truth, size))
        for one in samples
    ]


def real_image(data: EditData, size: tuple[int, int], class_id: int, rng: np.random.Generator) -> np.ndarray:
    """`EditData.real_image` at a height and width: its central part of that aspect, where the picture has another."""
    found = data.real_image(class_id, rng)
    if found.shape[1:] == size:
        return found
    image = ImageOps.fit(Image.fromarray(found.transpose(1, 2, 0)), size[::-1], Image.Resampling.BICUBIC)
    return np.asarray(image).transpose(2, 0, 1).copy()


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
