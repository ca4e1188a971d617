"""What a method, which may be the user's own, returns: checked before anything is saved."""

import json
from typing import Any

import torch

from bench.diffusion import device as devices
from bench.edits import sizes
from bench.errors import UserError
from bench.types import DiffusionModel, EditBatch, EditResult


def check(result: Any, batch: EditBatch, who: str) -> dict[str, str]:
    """Whether a method's result is what `EditResult` says. Its pictures may have another size than the batch's, which
    `bench.edits.sizes` brings back.

    Args:
        who: what the method is called in messages.

    Returns:
        what is wrong with single samples, by id.

    Raises:
        UserError: what is wrong with all of it.
    """
    count, size = len(batch.samples), tuple(batch.images.shape[-2:])
    if not isinstance(result, EditResult):
        raise UserError(
            f"{who} returned a {type(result).__name__}{_shape(result)}; expected bench.types.EditResult(images)"
        )
    images, mask, notes = result.images, result.mask, result.notes
    if not isinstance(images, torch.Tensor):
        raise UserError(f"{who} returned images as a {type(images).__name__}; expected a torch.Tensor")
    if images.ndim and len(images) != count:
        raise UserError(f"{who} returned {len(images)} images for {count} samples; expected one for each")
    shape, expected = tuple(images.shape), (count, 3, *size)
    pictures = images.ndim == 4 and shape[:2] == expected[:2] and 0 not in shape and images.dtype == torch.uint8
    if not (pictures and sizes.alike(shape[2:], size)):
        raise UserError(
            f"{who} returned images {shape} of {images.dtype}; expected {expected} of torch.uint8, or the same frame "
            "at another size"
        )
    wrong = _check_mask(mask, batch, who) if mask is not None else {}
    if notes is not None and (why := _wrong_notes(notes, count)):
        wrong |= dict.fromkeys((sample.id for sample in batch.samples), f"{who} returned notes {why}")
    return wrong


def _check_mask(mask: Any, batch: EditBatch, who: str) -> dict[str, str]:
    count = len(batch.samples)
    if not isinstance(mask, torch.Tensor):
        raise UserError(f"{who} returned a mask as a {type(mask).__name__}; expected a torch.Tensor")
    real = mask.dtype.is_floating_point or mask.dtype == torch.bool
    if mask.ndim != 4 or tuple(mask.shape[:2]) != (count, 1) or 0 in mask.shape or not real:
        raise UserError(
            f"{who} returned a mask {tuple(mask.shape)} of {mask.dtype}; expected ({count}, 1, h, w) of floats from "
            "0 to 1"
        )
    wrong, told = {}, "the mask of the method is"
    for sample, values in zip(batch.samples, mask.float(), strict=True):
        if not values.isfinite().all():
            wrong[sample.id] = f"{told} not finite (NaN or infinity)"
        elif values.min() < 0 or values.max() > 1:
            wrong[sample.id] = f"{told} from {values.min():.4g} to {values.max():.4g}; expected 0 to 1"
    return wrong


def _wrong_notes(notes: Any, count: int) -> str | None:
    if not isinstance(notes, list) or len(notes) != count or not all(isinstance(note, dict) for note in notes):
        return f"{str(notes)[:60]}; expected a list of {count} dicts, one for each sample"
    try:
        json.dumps(notes)
    except (TypeError, ValueError) as error:
        return f"that no journal can hold ({error}); use numbers and text"
    return None


def faults(model: DiffusionModel | None, batch: EditBatch) -> str | None:
    """What is wrong with a model, which may be the user's own, where a method failed on it: the size of what it
    decodes, or that it is not floats. None: nothing, or it cannot be asked."""
    images = batch.images[:1]
    try:
        pixels = model.decode(model.encode(devices.to_float(images)))
    except Exception:
        return None  # the method's own error says it
    if not isinstance(pixels, torch.Tensor):
        return f"the model's decode returned a {type(pixels).__name__}; expected a torch.Tensor"
    if pixels.shape != images.shape or not pixels.dtype.is_floating_point:
        return (
            f"the model's decode returned {tuple(pixels.shape)} of {pixels.dtype} for a picture of "
            f"{images.shape[-1]} px; expected {tuple(images.shape)} of floats from -1 to 1"
        )
    return None


def _shape(result: Any) -> str:
    return f" {tuple(result.shape)}" if hasattr(result, "shape") else ""
