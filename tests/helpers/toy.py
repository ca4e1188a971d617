"""A kind of model of one's own, in one module: class-conditional, on pixels, with a closed-form denoiser, no weights.

Class c is a normal distribution of pixels about a level of grey; what is asked without a class is the mean of all.
"""

import zlib

import numpy as np
import torch

from bench.errors import BadSample
from bench.models.base import Model
from bench.models.checkpoint import Checkpoint
from bench.types import Condition

CLASSES = 8


class Toy(Checkpoint):
    """Args: spread: of a class's pixels. names: whether words are taken too, each standing for some class."""

    size = 32
    notice = "a toy"

    def __init__(self, spread: float = 0.5, names: bool = False):
        self.spread, self.names = spread, names

    def identity(self):
        return {"spread": self.spread, "names": self.names}

    def load(self, device, dtype):
        return Greys(self.spread, self.names, device)


class Broken(Toy):
    """Its denoiser predicts `value` of class 6, at timesteps from `first` to `last` alone."""

    def __init__(self, value: str = "nan", first: int = 0, last: int = 999):
        super().__init__()
        self.value, self.steps = float(value), range(first, last + 1)

    def identity(self):
        return {"value": str(self.value), "steps": str(self.steps)}

    def load(self, device, dtype):
        model, eps = super().load(device, dtype), Greys.eps

        def broken(z, t, condition, **_):
            output = eps(model, z, t, condition)
            output[(condition.labels == 6) & (int(t) in self.steps), :, 3, 5] = self.value
            return output

        model.eps = broken
        return model


class Greys(Model):
    """The best denoiser of each class."""

    def __init__(self, spread, names, device):
        super().__init__(32, np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2))
        self.spread, self.names, self.device = spread, names, device

    def condition(self, queries):
        labels = []
        for query in queries:
            if isinstance(query, str) and self.names:
                query = zlib.crc32(query.encode()) % CLASSES
            if query is not None and not (isinstance(query, int) and 0 <= query < CLASSES):
                raise BadSample(f"this model takes class indices from 0 to {CLASSES - 1} and got {query!r}")
            labels.append(CLASSES if query is None else query)
        return Condition(labels=torch.tensor(labels, device=self.device))

    def encode(self, images):
        return images

    def decode(self, latents):
        return latents

    def eps(self, z, t, condition, values=None, picture=None):
        self.rows += len(z)
        a = float(self.alphas_cumprod[t])
        means = torch.cat([torch.linspace(-0.8, 0.8, CLASSES), torch.zeros(1)]).to(z)
        mean = means[condition.labels][:, None, None, None]
        return (1 - a) ** 0.5 * (z - a**0.5 * mean) / (a * self.spread**2 + 1 - a)
