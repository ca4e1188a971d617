"""Models for tests: one whose best denoiser is known in closed form, and the shipped one in several guises."""

import json
import shutil

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from bench.diffusion.grid import leading
from bench.files.paths import ROOT
from bench.models import checkpoint
from bench.models.stable_diffusion import StableDiffusion
from bench.types import EditBatch, EditSample
from bench.types.bill import Shared

SHIPPED = ROOT / "bench/models/shapes"


def shipped():
    """The embedded model on the CPU, in float32."""
    return checkpoint.load(StableDiffusion(str(SHIPPED)), torch.device("cpu"), torch.float32)


class Gaussian:
    """Best denoiser of x0 ~ N(mean, spread^2), independent of any text, in float64; counts its calls."""

    distilled = False

    def __init__(self, mean: float = 0.3, spread: float = 0.5):
        betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
        self.alphas_cumprod = np.cumprod(1 - betas)
        self.mean, self.spread, self.rows, self.calls = mean, spread, 0, 0
        self.size = 8

    def grid(self, steps):
        return leading(steps, self.alphas_cumprod)

    def eps(self, z, t, condition):
        self.rows += len(z)
        self.calls += 1
        a = float(self.alphas_cumprod[t])
        return (1 - a) ** 0.5 * (z - a**0.5 * self.mean) / (a * self.spread**2 + 1 - a)

    def exact(self, x0, a):
        """Where the probability flow takes latents at level alphas_cumprod[0] when it reaches level a."""
        start = float(self.alphas_cumprod[0])
        ratio = (a * self.spread**2 + 1 - a) / (start * self.spread**2 + 1 - start)
        return a**0.5 * self.mean + ratio**0.5 * (x0 - start**0.5 * self.mean)


def batch(samples: list[EditSample], model=None) -> EditBatch:
    """A batch on the CPU whose bill counts the model's rows."""
    images = torch.from_numpy(np.stack([sample.image for sample in samples]))
    return EditBatch(samples, images, Shared((lambda: model.rows) if model else (lambda: 0)))


def with_picture_input(folder, to):
    """A copy of a model folder whose UNet takes a picture beside the latents, as InstructPix2Pix's does; its new
    weights are random."""
    shutil.copytree(folder, to)
    file = to / "unet/diffusion_pytorch_model.safetensors"
    state, name = load_file(file), "conv_in.weight"
    extra = torch.randn(state[name].shape, generator=torch.Generator().manual_seed(0)) * 0.1
    state[name] = torch.cat([state[name], extra.to(state[name].dtype)], 1).contiguous()
    save_file(state, file, metadata={"format": "pt"})
    config = to / "unet/config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"in_channels": 8}))
    return to
