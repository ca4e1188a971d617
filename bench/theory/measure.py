"""What the two papers derive (`bench.theory.quantities`), measured on any model and data. No edit is made."""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import pandas as pd
import torch
from omegaconf import DictConfig, ListConfig

from bench.data.own import sample
from bench.data.reading import alike
from bench.diffusion import device as devices
from bench.diffusion.memory import Portion
from bench.edits import loading, sizes
from bench.edits.plan import plan
from bench.errors import BadSample, UserError
from bench.models import compiled
from bench.theory import quantities
from bench.theory.quantities import Latents, Pictures
from bench.types import DiffusionModel, EditData, EditSample

SCALES = (0, 0.2, 0.5, 0.8, 1, 2)
"""Guidance scales of SimInversion's Figure 6 and Table 2."""
STEPS = (10, 30, 50, 100, 500)
"""Numbers of steps of its Figure 7."""
LIMIT = 32


def _most_steps(model: DiffusionModel) -> float:
    return math.inf if model.alphas_cumprod is None else len(model.alphas_cumprod)


_MEASURE: dict[str, Callable] = {
    "reconstruction": lambda model, batch, cfg: quantities.reconstruction(
        model, batch, cfg["steps"], cfg["w_s"], cfg["pictures"]
    ),
    "gap": lambda model, batch, cfg: quantities.gap(model, batch, [s for s in STEPS if s < _most_steps(model)]),
    "scale": lambda model, batch, cfg: quantities.scale(model, batch, cfg["steps"]),
    "bounds": lambda model, batch, cfg: quantities.constants(model, batch, cfg["steps"]),
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
        return quantities.estimates(self.tables["bounds"])

    def curves(self) -> pd.DataFrame:
        """Both bounds with them."""
        found = self.constants()
        return quantities.bounds(self.alphas, found["C"], found["K1"], found["K2"])


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
    model = loading.model(run.checkpoint, cfg, device)
    _check(parts, model)
    wanted = (choose(data), None) if choose else (data.ids, cfg["limit"] or LIMIT)
    samples, left_out = _samples(data, *wanted)
    portion = Portion(cfg["batch_size"], device)
    of_one_size = (found for found, _ in alike([(samples, {})], len(samples), lambda one: one.image.shape))
    for of_batch in chain.from_iterable(map(portion.batches, of_one_size)):
        compiled.expect(model, portion, len(of_batch))
        with torch.inference_mode():
            batch = Latents(model, sizes.given(of_batch, sizes.editing_size(run, of_batch[0])), device)
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
