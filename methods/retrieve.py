"""Retrieve: a random real picture of the target class (FlexIT's RETRIEVE row)."""

import torch

from bench.errors import BadSample
from bench.types import EditBatch, EditResult, Noise


class Retrieve:
    """Returns, for each sample, a real image of its target class, drawn uniformly. The paper does not say which
    pictures it draws from; here they are those of the data set's own (validation) images."""

    version = 1

    def __call__(self, model, batch: EditBatch, noise: Noise) -> EditResult:
        images = []
        for sample, rng in zip(batch.samples, noise.rng("retrieve"), strict=True):
            if sample.classes is None:
                raise BadSample("has no target class, and retrieve needs one; choose another method")
            images.append(torch.from_numpy(batch.real_image(sample.classes[1], rng)))
        return EditResult(torch.stack(images).to(batch.images.device))
