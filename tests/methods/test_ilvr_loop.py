"""ILVR against the respaced ancestral sampler written out (methods.md, section 1; Nichol and Dhariwal 2021, Eq. 15)."""

import math

import numpy as np
import pytest
import torch

from bench.diffusion.device import to_float
from bench.diffusion.noise import SampleNoise
from methods import ilvr
from methods.ilvr import ILVR
from tests.helpers.attentive import Attentive, batch

PAIRS = [("a red star", "a blue star"), ("one green cat", "a big dog")]


class Pixels(Attentive):
    """Works on pixels of 8 x 8, and says a variance."""

    def encode(self, images):
        return images.double()

    def eps_and_variance(self, z, t, condition):
        told = condition.states.mean((1, 2))[:, None, None, None]
        return 0.8 * z + 0.3 * torch.sin(told + t / 100), torch.tanh(z + told)


def cubic(x):
    """Keys's kernel with a = -1/2."""
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def resized(line, to):
    """A line of pixels, the kernel as wide as what is left out; beyond its ends it is mirrored."""
    scale, stretch = len(line) / to, max(len(line) / to, 1)
    made = []
    for n in range(to):
        at, total, weights = (n + 0.5) * scale - 0.5, 0.0, 0.0
        for tap in range(-3 * len(line), 4 * len(line)):
            weight = cubic((at - tap) / stretch)
            mirrored = tap % (2 * len(line))
            total += weight * line[min(mirrored, 2 * len(line) - 1 - mirrored)]
            weights += weight
        made.append(total / weights)
    return made


@pytest.mark.parametrize(("size", "to"), [(8, 2), (8, 4), (2, 8), (4, 8)])
def test_resizing_is_cubic_interpolation_written_out(size, to):
    line = np.random.default_rng(0).standard_normal(size)
    np.testing.assert_allclose(ilvr.resizing(size, to) @ line, resized(line.tolist(), to), atol=1e-12)


def low(images, down):
    """Shrunk and enlarged again, rows and columns."""
    side = images.shape[-1]
    along = np.array([resized(resized(row, side // down), side) for row in np.eye(side).tolist()]).T
    return torch.from_numpy(along) @ images @ torch.from_numpy(along).T


@pytest.mark.parametrize(("range_t", "down", "pairing", "clip"), [(1, 4, "code", True), (0, 2, "paper", False)])
def test_sampling_is_the_loop_written_out(range_t, down, pairing, clip):
    """Steps S - 1 to 0 at timesteps spread over all 1,000, ends included; the last adds no noise. What is put in: the
    source noised to the level of the step (the code) or to the one reached (the paper), while the step is above
    range_t."""
    steps, model, made = 5, Pixels(), batch(PAIRS)
    noise = SampleNoise(0, ["0", "1"])
    ILVR(down, range_t, steps, pairing, clip)(model, made, noise)
    source, target = model.encode(to_float(made.images)), model.condition(made.targets)
    times = [0, 250, 500, 749, 999]  # 249.75, 499.5 (to even), 749.25
    alphas = [1.0, *(float(model.alphas_cumprod[t]) for t in times)]
    x, shape = noise("start", (3, 8, 8)).double(), (3, 8, 8)
    for i in (4, 3, 2, 1, 0):
        here, there = alphas[i + 1], alphas[i]
        beta = 1 - here / there
        eps, share = model.eps_and_variance(x, times[i], target)
        x0 = (x - (1 - here) ** 0.5 * eps) / here**0.5
        if clip:
            x0 = x0.clip(-1, 1)
        x = (there**0.5 * beta * x0 + (1 - beta) ** 0.5 * (1 - there) * x) / (1 - here)
        if i > 0:
            least = beta * (1 - there) / (1 - here)
            share = (share + 1) / 2
            variance = torch.exp(share * math.log(beta) + (1 - share) * math.log(least))
            x = x + variance**0.5 * noise(f"step {i}", shape)
        if i > range_t:
            level = here if pairing == "code" else there
            reference = level**0.5 * source + (1 - level) ** 0.5 * noise(f"reference {i}", shape)
            x = x - low(x, down) + low(reference, down)
    torch.testing.assert_close(model.decoded, x, rtol=1e-6, atol=1e-6)


def test_the_readmes_numbers():
    assert (ILVR().down, ILVR().range_t, ILVR().respacing, ILVR().pairing, ILVR().clip) == (32, 20, 100, "code", True)
