"""What the two papers derive, of one batch: SimInversion's Figures 6 and 7 and Proposition 3, and the bounds of
DiffEdit's Proposition 1 with the constants they need."""

from typing import Any

import numpy as np
import pandas as pd
import torch

from bench.diffusion import ddim
from bench.diffusion import device as devices
from bench.diffusion.grid import grid_for
from bench.errors import BadSample, UserError
from bench.types import Condition, DiffusionModel, EditSample

_NUDGE = 1e-2  # root mean square of the random direction for K1


class Latents:
    """A batch of samples as the measurements need it: clean latents, words, empty words.

    Raises:
        UserError: what the samples say is nothing that the model takes.
    """

    def __init__(self, model: DiffusionModel, samples: list[EditSample], device: torch.device):
        self.ids = [sample.id for sample in samples]
        images = torch.from_numpy(np.stack([sample.image for sample in samples])).to(device)
        self.x0 = model.encode(devices.to_float(images))
        try:
            self.source = model.condition([sample.source for sample in samples])
            self.target = model.condition([sample.target for sample in samples])
            self.null = model.condition([None] * len(samples))
        except BadSample as error:
            raise UserError(str(error)) from None


Pictures = dict[tuple[str, float], np.ndarray]
"""Reconstructions, uint8 `[3, H, W]`, by id and w_s."""


def reconstruction(
    model: DiffusionModel, batch: Latents, steps: int, scales: list[float], pictures: Pictures | None = None
) -> list[dict[str, Any]]:
    """delta'' (Figure 6): Euclidean distance, over all scaled latents, of the source from what the source branch makes
    of its inversion, both at guidance w_s.

    Args:
        pictures: collects what is made of each sample.
    """
    levels, rows = grid_for(model, steps, batch.x0), []
    for w in scales:
        z = ddim.invert(model, batch.x0, levels, steps, batch.source, batch.null, w)[-1]
        again = ddim.sample(model, z, levels, steps, batch.source, batch.null, w)
        errors = (again - batch.x0).flatten(1).norm(dim=1).tolist()
        rows += [{"id": i, "w_s": w, "error": e} for i, e in zip(batch.ids, errors, strict=True)]
        if pictures is not None:
            shown = devices.to_uint8(model.decode(again)).cpu().numpy()
            pictures |= {(i, w): picture for i, picture in zip(batch.ids, shown, strict=True)}
    return rows


def gap(model: DiffusionModel, batch: Latents, counts: list[int], w: float = 0.5) -> list[dict[str, Any]]:
    """l (Figure 7): mean over the steps of an inversion of |z_t - z_(t-1)| / |z_(t-1)|."""
    rows = []
    for steps in counts:
        levels, z, total = grid_for(model, steps, batch.x0), batch.x0, 0.0
        for j in range(steps):
            after = ddim.invert_step(model, z, levels, j, batch.source, batch.null, w)
            total = total + (after - z).flatten(1).norm(dim=1) / z.flatten(1).norm(dim=1)
            z = after
        gaps = zip(batch.ids, (total / steps).tolist(), strict=True)
        rows += [{"id": i, "steps": steps, "gap": g, "steps_x_gap": steps * g} for i, g in gaps]
    return rows


def scale(model: DiffusionModel, batch: Latents, steps: int) -> list[dict[str, Any]]:
    """w* of Proposition 3 at each step along w_s = 0.5, not held to [0, 1]."""
    levels = grid_for(model, steps, batch.x0)
    arguments = (model, batch.x0, levels, batch.source, batch.null, ddim.BETWEEN)
    _, best = ddim.invert_with_best_scale(*arguments, bounded=False)
    return [
        {"id": i, "t": t, "w": float(w)}
        for t, row in zip(levels.timesteps, best.flatten(1), strict=True)
        for i, w in zip(batch.ids, row, strict=True)
    ]


def constants(model: DiffusionModel, batch: Latents, steps: int) -> list[dict[str, Any]]:
    """What C, K1 and K2 of DiffEdit's Proposition 1 are made of, at each level of the unconditional encoding.

    Norms are root mean squares, the only reading at which the paper's C = 1 makes sense. The paper does not say how it
    estimated; here C is the largest norm of eps(Q), K2 the mean over samples of the largest norm of eps(Q) - eps(none),
    and K1 the largest of two difference quotients of eps(none), along the trajectory and along a random direction: from
    below, as every estimate of a Lipschitz constant by samples.
    """
    levels, z, rows = grid_for(model, steps, batch.x0), batch.x0, []
    noise = torch.Generator().manual_seed(0)
    for j, t in enumerate(levels.timesteps):
        given, free = model.eps(torch.cat([z, z]), t, Condition.cat([batch.target, batch.null])).chunk(2)
        after = ddim.step(z, free, levels, j, j + 1)
        aside = z + _NUDGE * torch.randn(z.shape, generator=noise).to(z)
        there, beside = model.eps(torch.cat([after, aside]), t, Condition.cat([batch.null] * 2)).chunk(2)
        columns = {
            "c": _rms(given),
            "k2": _rms(given - free),
            "k1_along": _rms(there - free) / _rms(after - z).clamp(min=1e-12),
            "k1_aside": _rms(beside - free) / _rms(aside - z),
        }
        values = zip(*(c.tolist() for c in columns.values()), strict=True)
        found = (dict(zip(columns, v, strict=True)) for v in values)
        rows += [{"id": i, "t": t, **one} for i, one in zip(batch.ids, found, strict=True)]
        z = after
    return rows


def estimates(table: pd.DataFrame) -> dict[str, float]:
    """C, K1 and K2 from the rows of `constants`. The first level, where the encoding does not move, is left out."""
    table = table[table.t > table.t.min()]
    return {
        "C": table.c.max(),
        "K1": table[["k1_along", "k1_aside"]].to_numpy().max(),
        "K2": table.groupby("id").k2.max().mean(),
    }


def bounds(alphas: np.ndarray, c: float, k1: float, k2: float) -> pd.DataFrame:
    """Both bounds of Proposition 1 (DiffEdit, Equation 5) at each level: on what SDEdit, and what DDIM encoding and
    decoding, may move a sample. The encoding ratio `r` is the share of the timesteps trained on that are encoded."""
    tau = np.sqrt(1 / alphas - 1)
    return pd.DataFrame(
        {
            "t": np.arange(len(alphas)),
            "r": (np.arange(len(alphas)) + 1) / len(alphas),
            "tau": tau,
            "sdedit": (c + 1) * tau,
            "encode_decode": k2 * tau / np.sqrt(tau**2 + 1) * (tau + np.sqrt(tau**2 + 1)) ** k1,
        }
    )


def _rms(x: torch.Tensor) -> torch.Tensor:
    return x.flatten(1).square().mean(1).sqrt()
