"""The model of some runs, which reads all that they will ask it in words before its larger half is loaded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from bench.config.guard import guard
from bench.data.own import sample
from bench.data.reading import read
from bench.diffusion.memory import exhausted, largest
from bench.edits.run import Run
from bench.errors import UserError, short
from bench.models import checkpoint as checkpoints
from bench.models.checkpoint import Checkpoint
from bench.types import DiffusionModel, EditData, EditSample, Method, Query


def load(
    runs: list[Run], methods: dict[str, Method], device: torch.device, stopped: dict[str, UserError]
) -> DiffusionModel | None:
    """The model of runs with the same data and the same model; None where they use none. A run that cannot be gone on
    with is put among the stopped ones.

    Raises:
        UserError: it cannot be loaded, or memory is too small for it.
    """
    first = runs[0]
    if first.checkpoint is None:
        return None
    return model(first.checkpoint, first.cfg, device, lambda: asked(runs, methods, device, stopped))


def model(
    checkpoint: Checkpoint, cfg: dict[str, Any], device: torch.device, queries: Callable[[], list[Query]] | None = None
) -> DiffusionModel:
    """A model as a resolved configuration has it loaded; `queries` as in `bench.models.checkpoint.load`.

    Raises:
        UserError: it cannot be loaded, or memory is too small for it.
    """
    node = cfg["model"]
    dtype, compile_ = getattr(torch, node["dtype"]), checkpoints.compilation(node)
    try:
        folder = Path(cfg["out"]) / ".cache/prompts"
        return checkpoints.load(checkpoint, device, dtype, node["offload"], queries, folder, compile_)
    except Exception as error:
        if not exhausted(error):
            raise
        raise UserError(f"out of memory on {device} as the model is loaded; {lighter(cfg)}") from error


def lighter(cfg: dict[str, Any]) -> str:
    """What to do where a device's memory is too small."""
    words = {"none": "model or sequential", "model": "sequential"}.get(cfg["model"]["offload"])
    offload = f"model.offload={words} or " if words else ""
    return f"use a smaller data.size or model.size or, on a GPU, {offload}model.dtype=float16"


def asked(
    runs: list[Run], methods: dict[str, Method], device: torch.device, stopped: dict[str, UserError]
) -> list[Query]:
    """What methods can ask of their pending samples: whatever these say, and what a method adds by its `queries`; a run
    whose method fails there is put among the stopped ones. A sample that cannot be read is left to the run."""
    data, pending = runs[0].data, {run.key: set(run.pending()) for run in runs}
    indices = [index for index, id_ in enumerate(data.ids) if any(id_ in ids for ids in pending.values())]
    found: dict[Query, None] = {}

    def of(data: EditData, index: int) -> list[Query]:
        one = sample(data, index)
        texts = [one.source, one.target, one.instruction]
        for run in runs:
            if one.id in pending[run.key] and run.key not in stopped:
                try:
                    texts += _own(run, methods[run.key], one)
                except UserError as error:
                    stopped[run.key] = error
        return texts

    for batch, _ in read(data, indices, largest(runs[0].cfg["batch_size"], device), of):
        found |= dict.fromkeys(query for queries in batch for query in queries)
    return list(found)


def _own(run: Run, method: Method, one: EditSample) -> list[str]:
    if not hasattr(method, "queries"):
        return []
    where = f"method={run.cfg['method']['name']}"
    with guard(where, type(method)):
        found = method.queries(one)
    if not isinstance(found, list) or not all(isinstance(query, str) for query in found):
        raise UserError(f"{where}: queries gives {short(found)} for {one.id!r}; expected a list of prompts")
    return found
