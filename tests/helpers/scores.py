"""Batches of edits to score, made by hand."""

import numpy as np
import torch

from bench.types import EditSample, ScoreBatch


def score_batch(edits: np.ndarray, sources: np.ndarray | None = None, edit_masks=None, **fields) -> ScoreBatch:
    """A batch on the CPU.

    Args:
        edits, sources: uint8 `[B, 3, H, W]`; the sources are the edits themselves where None.
        edit_masks: masks of the method.
        fields: any field of `EditSample`, as one value a sample.
    """
    sources = edits if sources is None else sources
    samples = [
        EditSample(
            **({"id": str(i), "image": image, "source": "", "target": ""} | {k: v[i] for k, v in fields.items()})
        )
        for i, image in enumerate(sources)
    ]
    pixels = (torch.from_numpy(np.ascontiguousarray(x)) for x in (edits, sources))
    return ScoreBatch(samples, *pixels, edit_masks or [None] * len(samples))


def noisy(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    """Pictures of noise over a gradient, uint8 `[count, 3, size, size]`."""
    ramp = np.linspace(60, 190, size)[None, None, None] + np.zeros((count, 3, size, 1))
    return np.clip(ramp + 40 * rng.standard_normal(ramp.shape), 0, 255).astype(np.uint8)


def disturbed(rng: np.random.Generator, images: np.ndarray, spread: float) -> np.ndarray:
    """Pictures with Gaussian noise of a standard deviation, in grey levels, added."""
    return np.clip(images + spread * rng.standard_normal(images.shape), 0, 255).round().astype(np.uint8)
