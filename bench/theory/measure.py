"""What the two papers derive, measured on any model and data: SimInversion's Figures 6 and 7 and Proposition 3, and the
bounds of DiffEdit's Proposition 1 with the constants they need.

No edit is made.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from omegaconf import DictConfig, ListConfig

from bench.data.own import sample
from bench.diffusion import ddim
from bench.diffusion import device as devices
from bench.diffusion.grid import grid_for
from bench.diffusion.memory import Portion
from bench.edits.plan import plan
from bench.errors import BadSample, UserError
from bench.models import checkpoint as checkpoints
from bench.types import Condition, DiffusionModel, EditData, EditSample

SCALES = (0, 0.2, 0.5, 0.8, 1, 2)
"""Guidance scales of SimInversion's Figure 6 and Table 2."""
STEPS = (10, 30, 50, 100, 500)
"""Numbers of steps of its Figure 7."""
LIMIT = 32
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


def _most_steps(model: DiffusionModel) -> float:
    return math.inf if model.alphas_cumprod is None else len(model.alphas_cumprod)


_MEASURE: dict[str, Callable] = {
    "reconstruction": lambda model, batch, cfg: reconstruction(model, batch, cfg["steps"], cfg["w_s"], cfg["pictures"]),
    "gap": lambda model, batch, cfg: gap(model, batch, [s for s in STEPS if s < _most_steps(model)]),
    "scale": lambda model, batch, cfg: scale(model, batch, cfg["steps"]),
    "bounds": lambda model, batch, cfg: constants(model, batch, cfg["steps"]),
}


@dataclass
class Measured:
    """What was measured.

    Attributes:
        tables: part -> a row for each sample and w_s, number of steps or level.
        alphas: the model's alpha-bar at every timestep; None where it has no such table.
        facts: what tables and plots must say: `about`, `steps`, `notice`.
        left_out: id -> why a sample is in no table.
        pictures: the reconstructions, if they were asked for.
    """

    tables: dict[str, pd.DataFrame]
    alphas: np.ndarray | None
    facts: dict[str, str | None]
    left_out: dict[str, str] = field(default_factory=dict)
    pictures: Pictures = field(default_factory=dict)

    def constants(self) -> dict[str, float]:
        """C, K1 and K2 as found."""
        return estimates(self.tables["bounds"])

    def curves(self) -> pd.DataFrame:
        """Both bounds with them."""
        found = self.constants()
        return bounds(self.alphas, found["C"], found["K1"], found["K2"])


def scales(cfg: DictConfig) -> list[float]:
    """The guidance scales of `reconstruction`.

    Raises:
        UserError: one that is no number.
    """
    given = [*cfg["w_s"]] if isinstance(cfg["w_s"], list | ListConfig) else [cfg["w_s"]]
    if named := [w for w in given if isinstance(w, str)]:
        raise UserError(f"w_s={named[0]}, expected numbers; parts=[scale] shows what it would find")
    return list(SCALES) if given == [None] else given


def measure(
    cfg: DictConfig,
    parts: list[str],
    choose: Callable[[EditData], list[str]] | None = None,
    pictured: bool = False,
) -> Measured:
    """Measures the parts asked for.

    Args:
        choose: names the samples; None: the first `limit`.
        pictured: whether the reconstructions are wanted as pictures, too.

    Raises:
        UserError: nothing can be measured of any sample, or the data has no words.
    """
    run = plan(cfg)[0]  # checks every value and finds every file, in sentences
    pictures: Pictures | None = {} if pictured else None
    cfg, data, rows = run.cfg | {"w_s": scales(cfg), "pictures": pictures}, run.data, {part: [] for part in parts}
    device = devices.pick(cfg["device"])
    model = checkpoints.load(run.checkpoint, device, getattr(torch, cfg["model"]["dtype"]))
    _check(parts, model)
    wanted = (choose(data), None) if choose else (data.ids, cfg["limit"] or LIMIT)
    samples, left_out = _samples(data, *wanted)
    portion = Portion(cfg["batch_size"], device)
    for some in portion.batches(samples):
        with torch.inference_mode():
            batch = Latents(model, some, device)
            for part in parts:
                rows[part] += _MEASURE[part](model, batch, cfg)
    tables = {part: pd.DataFrame(found) for part, found in rows.items()}
    if samples:
        left_out |= _not_finite(tables)
    samples = [sample for sample in samples if sample.id not in left_out]
    for id_, why in left_out.items():
        print(f"left out {id_}: {why}", file=sys.stderr)
    if not samples:
        raise UserError("nothing can be measured of any sample of this data set")
    facts = {
        "about": f"{cfg['data']['name']}, model {cfg['model']['name']}, n = {len(samples)}",
        "steps": f"{cfg['steps']} steps",
        "notice": run.notice,
    }
    tables = {part: table[~table.id.isin(left_out)].reset_index(drop=True) for part, table in tables.items()}
    return Measured(tables, model.alphas_cumprod, facts, left_out, pictures or {})


def _not_finite(tables: dict[str, pd.DataFrame]) -> dict[str, str]:
    """Samples of which something measured is no number, and which part that was."""
    found = {}
    for part, table in tables.items():
        numbers = table.select_dtypes("number").to_numpy(float)
        bad = table.id[~np.isfinite(numbers).all(1)]
        found = dict.fromkeys(bad, f"its numbers of {part} are not finite; try model.dtype=float32") | found
    return found


def _check(parts: list[str], model: DiffusionModel) -> None:
    """Raises UserError where a model lacks what a part is about."""
    if model.distilled:
        raise UserError("these measurements need a model with an unconditional half, and this one is distilled")
    if "bounds" in parts and model.alphas_cumprod is None:
        raise UserError("parts=[bounds] is about alpha-bar, and this model (a flow) has none; leave it out of parts=")


def _samples(data: EditData, ids: list[str], limit: int | None) -> tuple[list[EditSample], dict[str, str]]:
    """Samples, and why others before them cannot be read."""
    samples, left_out = [], {}
    for id_ in ids:
        if len(samples) == limit:
            break
        try:
            samples.append(sample(data, data.ids.index(id_)))
        except BadSample as error:
            left_out[id_] = str(error)
    return samples, left_out
