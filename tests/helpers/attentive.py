"""A denoiser of a few hundred numbers, with words and attention, so that a method can be followed by a loop written
out in a test. Everything is float64, and its noise levels are Stable Diffusion's."""

from contextlib import contextmanager
from zlib import crc32

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, interpolate

from bench.models.attention import plain
from bench.models.base import Model
from bench.types import AttentionLayer, Condition, EditBatch, EditSample

START, END = 1, 2
LAYERS = [
    AttentionLayer(0, "down", 1, False),
    AttentionLayer(0, "down", 1, True),
    AttentionLayer(1, "mid", 1, True),
    AttentionLayer(2, "up", 2, True),
    AttentionLayer(3, "up", 1, False),
    AttentionLayer(3, "up", 1, True),
]


class Attentive(Model):
    """Latents `[B, 4, side, side]`; a prompt is six states of 3 numbers, a word is a token, the rest are end tokens.

    Args:
        gain: of the prediction.
        side: of the latents; 4, or 8, the pictures' own.
        sharp: factor on the keys, that makes maps of attention more uneven.

    Attributes:
        decoded: the latents that were decoded last.
    """

    context, width = 6, 3

    def __init__(self, gain: float = 0.4, side: int = 4, sharp: float = 1.0):
        super().__init__(8, np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2))
        random = torch.Generator().manual_seed(0)

        def draw(*shape: int) -> torch.Tensor:
            return torch.randn(shape, generator=random, dtype=torch.float64)

        self.gain, self.side, self.decoded, self._hook = gain, side, None, plain
        self.table = draw(64, self.width)
        inputs = [4 if not layer.cross else self.width for layer in LAYERS]
        self.weights = [[draw(4, 4), sharp * draw(n, 4), draw(n, 4), draw(4, 4)] for n in inputs]

    def tokens(self, query):
        ids = [3 + crc32(word.encode()) % 61 for word in (query or "").split()]
        places, at = [], 0
        for word in (query or "").split():
            at = query.index(word, at)
            places.append((at, at + len(word)))
            at += len(word)
        named = zip(ids, (query or "").split(), places, strict=True)
        return [(START, "", (0, 0)), *named, (END, "", (0, 0))]

    def condition(self, queries):
        ids = [[id_ for id_, *_ in self.tokens(query)] for query in queries]
        return Condition(self.table[torch.tensor([row + [END] * (self.context - len(row)) for row in ids])])

    def encode(self, images):
        small = avg_pool2d(images.double(), images.shape[-1] // self.side)
        return torch.cat([small, small.mean(1, keepdim=True)], 1)

    def decode(self, latents):
        self.decoded = latents
        return latents[:, :3].float()

    def attention(self):
        return LAYERS

    @contextmanager
    def attend(self, hook):
        self._hook = hook
        try:
            yield
        finally:
            self._hook = plain

    def eps(self, z, t, condition, values=None, picture=None):
        self.rows += len(z)
        words = condition.states.double()
        x = z.double() + torch.sin(torch.arange(4, dtype=torch.float64) + t / 150)[:, None, None]
        for layer, (to_q, to_k, to_v, to_out) in zip(LAYERS, self.weights, strict=True):
            cells = avg_pool2d(x, layer.factor).flatten(2).mT
            q, k, v = cells @ to_q, (words if layer.cross else cells) @ to_k, (words if layer.cross else cells) @ to_v
            if layer.cross and values is not None:
                v = values.double() @ to_v
            out = self._hook(layer, q[:, None], k[:, None], v[:, None])[:, 0] @ to_out
            made = out.mT.unflatten(2, (self.side // layer.factor, -1)).tanh()
            x = x + interpolate(made, scale_factor=float(layer.factor))
        return (self.gain * x).to(z.dtype)


def batch(prompts: list[tuple[str, str]]) -> EditBatch:
    """A source and a target prompt a sample, each with a picture of its own."""
    images = np.random.default_rng(0).integers(0, 256, (len(prompts), 3, 8, 8), np.uint8)
    samples = [EditSample(str(i), image, *pair) for i, (image, pair) in enumerate(zip(images, prompts, strict=True))]
    return EditBatch(samples, torch.from_numpy(images))


def ddim(z: torch.Tensor, eps: torch.Tensor, start: float, end: float) -> torch.Tensor:
    """From alpha-bar `start` to `end`: sqrt(e / s) z + sqrt(e) (sqrt(1/e - 1) - sqrt(1/s - 1)) eps."""
    return (end / start) ** 0.5 * z + end**0.5 * ((1 / end - 1) ** 0.5 - (1 / start - 1) ** 0.5) * eps


def levels(model: Attentive, steps: int) -> tuple[list[int], list[float]]:
    """Timesteps t_1 to t_S, and alpha-bar of levels 0 to S: t_j = 1 + j floor(1000 / S), and alpha-bar[0] below."""
    timesteps = [1 + j * (1000 // steps) for j in range(steps)]
    return timesteps, [float(model.alphas_cumprod[t]) for t in (0, *timesteps)]
