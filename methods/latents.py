"""Steps that the DiffEdit family shares; the operating points of a batch compute each of them once."""

import numpy as np
import torch

from bench.diffusion import ddim
from bench.diffusion.device import finite, to_float, to_uint8
from bench.diffusion.grid import Grid, grid_for
from bench.diffusion.path import Flow
from bench.errors import BadSample, UserError
from bench.types import CodesModel, Condition, DiffusionModel, EditBatch, Noise, Query


def clean(model: DiffusionModel, batch: EditBatch) -> torch.Tensor:
    """Latents x_0 of the source, `[B, C, h, w]`. Raises: NotFinite: those of some samples are not."""
    return batch.shared("clean", lambda: finite(model.encode(to_float(batch.images)), "latents", "after encoding"))


def grid(model: DiffusionModel, batch: EditBatch, steps: int) -> Grid:
    """The levels that the model's sampler visits with pictures of the batch's size."""
    return grid_for(model, steps, clean(model, batch))


def flow(model: DiffusionModel, batch: EditBatch, steps: int) -> Grid:
    """The same of a flow, which can be asked at every level. Raises: UserError: the model is none."""
    found = grid(model, batch, steps)
    if not isinstance(found.path, Flow):
        raise UserError(
            "this method follows a flow's velocity, and this model predicts noise: use model=sd3, flux or shapes_flow"
        )
    return found


def condition(model: DiffusionModel, batch: EditBatch, queries: list[Query]) -> Condition:
    """What the model is told, one query a sample.

    Raises:
        BadSample: a query of a kind that the model does not take; all such samples are named.
    """
    try:
        return batch.shared(("condition", tuple(queries)), lambda: model.condition(queries))
    except BadSample:
        bad = {}
        for sample, query in zip(batch.samples, queries, strict=True):
            try:
                model.condition([query])
            except BadSample as error:
                fields = ("source", "target", "instruction")
                name = next((name for name in fields if getattr(sample, name) is query), "query")
                bad[sample.id] = f"{name} is {query!r}; {error}"
        raise BadSample(next(iter(bad.values()), ""), bad) from None


def untold(queries: list[Query]) -> bool:
    """Whether the model is told nothing: by no query, or by the empty prompt. Class 0 is a query."""
    return all(query in (None, "") for query in queries)


def wordless(model: DiffusionModel, queries: list[Query], w: float) -> bool:
    """Whether inversion at guidance w asks the unconditional model alone. A distilled model is told w = 0 with its
    words, as any other scale."""
    return untold(queries) or (w == 0 and not model.distilled)


def null(model: DiffusionModel, batch: EditBatch) -> Condition | None:
    """The unconditional model's condition; None for a distilled model, whose guidance needs none."""
    return None if model.distilled else condition(model, batch, [None] * len(batch.samples))


def check_guidable(model: DiffusionModel) -> None:
    """Raises UserError where a model has no unconditional half, which a method needs."""
    if model.distilled:
        raise UserError(
            "this method needs the unconditional model, and this model is distilled and has no unconditional half; "
            "choose another method or model"
        )


def trained_levels(model: DiffusionModel) -> np.ndarray:
    """The table of alpha-bar that a model was trained on, float64 `[T]`.

    Raises:
        UserError: it was trained on no such table.
    """
    if model.alphas_cumprod is None:
        raise UserError(
            "this method needs the table of noise levels that a diffusion model was trained on, and this model has "
            "none; choose another method or model"
        )
    return model.alphas_cumprod


def states(condition: Condition) -> torch.Tensor:
    """What a model's cross-attention is told, `[B, L, D]`.

    Raises:
        UserError: it has none.
    """
    if condition.states is None:
        raise UserError("this method works on what cross-attention is told, and this model has none; choose another")
    return condition.states


def encoded(model: DiffusionModel, batch: EditBatch, grid: Grid, k: int) -> list[torch.Tensor]:
    """Unconditional DDIM encoding E_r of the source, levels 0 to k (DiffEdit, section 3.1)."""
    return inverted(model, batch, grid, k, [None] * len(batch.samples), 1.0)


def inverted(
    model: DiffusionModel, batch: EditBatch, grid: Grid, k: int, queries: list[Query], w: float
) -> list[torch.Tensor]:
    """DDIM inversion of the source at guidance w, levels 0 to k (SimInversion, Eq. 3 and 6). A further level only adds
    to what a smaller k has computed; w = 0 is the encoding without text."""
    if wordless(model, queries, w):
        queries, w = [None] * len(batch.samples), 1.0
    trajectory = [clean(model, batch)]
    for j in range(k):

        def further(j: int = j) -> torch.Tensor:
            words = condition(model, batch, queries)
            return ddim.invert_step(model, trajectory[j], grid, j, words, null(model, batch), w)

        trajectory.append(batch.shared(("inverted", grid, tuple(queries), w, j + 1), further))
    return trajectory


def start_noise(model: DiffusionModel, batch: EditBatch, noise: Noise) -> torch.Tensor:
    """The one noise that every r of a sample starts from, `[B, C, h, w]`."""
    shape = tuple(clean(model, batch).shape[1:])
    return batch.shared("start", lambda: noise("start", shape))


def images(model: DiffusionModel, latents: torch.Tensor) -> torch.Tensor:
    """Latents to uint8 `[B, 3, H, W]`. Raises: NotFinite: those of some samples are not finite, or become so."""
    return to_uint8(model.decode(finite(latents, "latents")))


def cut(model: DiffusionModel | CodesModel, batch: EditBatch) -> list[dict[str, str]]:
    """For the journal: prompts that did not fit."""
    notes = []
    for sample in batch.samples:
        texts = (("source", sample.source), ("target", sample.target))
        cuts = {side: _cuts(model, text) for side, text in texts if isinstance(text, str)}
        long = [
            f"{side} prompt cut by {n} tokens" + (f" in {encoder}" if encoder else "")
            for side, found in cuts.items()
            for encoder, n in found.items()
        ]
        notes.append({"cut": ", ".join(long)} if long else {})
    return notes


def _cuts(model: DiffusionModel | CodesModel, text: str) -> dict[str, int]:
    """Tokens that each text encoder has no room for; a single one needs no name."""
    if hasattr(model, "cuts"):
        return model.cuts(text)
    excess = model.excess(text)
    return {"": excess} if excess else {}
