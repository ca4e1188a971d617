"""The part of the frame that a metric of edit against source looks at."""

import numpy as np
import torch

from bench.types import ScoreBatch

REGIONS = ("frame", "masked", "background")
"""`frame`: everything.
`masked`: both pictures black where the edit belongs, and the average still over the whole frame, as PnPInversion's
evaluation has it. The black area counts as kept: PSNR gains -10 log10(share of the background).
`background`: the average over the background alone (area-true)."""


def check(region: str) -> str:
    """The region itself. Raises: ValueError: it is none."""
    if region not in REGIONS:
        raise ValueError(f"region={region!r}, expected one of {', '.join(REGIONS)}")
    return region


def outside(batch: ScoreBatch) -> torch.Tensor:
    """Where the edit does not belong, bool `[B, H, W]` on the batch's device; nowhere where no mask is known."""
    nowhere = np.zeros(batch.edits.shape[-2:], bool)
    kept = [nowhere if sample.mask is None else ~sample.mask for sample in batch.samples]
    return torch.from_numpy(np.stack(kept)).to(batch.edits.device)


def blacked(images: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """uint8 `[B, 3, H, W]`, black where `kept` `[B, H, W]` is False."""
    return images * kept[:, None]


def composed(batch: ScoreBatch, kept: torch.Tensor) -> torch.Tensor:
    """The edits where `kept`, the sources elsewhere: pictures that differ from the sources in the background alone."""
    return torch.where(kept[:, None], batch.edits, batch.sources)


def undefined_without(values: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """`values` `[B]`, NaN where `kept` is nowhere: no background, no measurement of it."""
    return torch.where(kept.flatten(1).any(1), values, torch.nan)
