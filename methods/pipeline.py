"""Any pipeline of diffusers that edits pictures, called with what a configuration says of its arguments."""

from collections.abc import Mapping
from typing import Any

import torch

from bench.errors import BadSample, UserError
from bench.types import EditBatch, EditResult, Noise, PipelineModel


class Pipeline:
    """One picture at a time, with a generator for each sample. NFE: what its denoiser is really asked.

    Args:
        call: arguments of the edit; texts that start with `sample.` stand for what a sample holds.
        before: function that is called before the edit -> its arguments.
    """

    version = 1
    alone = True

    def __init__(self, call: Mapping[str, Any], before: Mapping[str, Mapping[str, Any]]):
        self.call, self.before = call, before

    def __call__(self, model: PipelineModel, batch: EditBatch, noise: Noise) -> EditResult:
        if not hasattr(model, "fill"):
            raise UserError("how often a pipeline asks its denoiser, only the pipeline itself can tell")
        filled, bad = [], {}
        for sample in batch.samples:
            try:
                filled.append(model.fill(self.call, self.before, sample))
            except BadSample as error:
                bad[sample.id] = str(error)
        if bad:
            raise BadSample(next(iter(bad.values())), bad)
        made = [model.edit(*one) for one in zip(filled, noise.generators("pipeline"), strict=True)]
        images = torch.stack([picture for picture, _ in made])
        return EditResult(images.to(batch.images.device, non_blocking=True), notes=[note for _, note in made])
