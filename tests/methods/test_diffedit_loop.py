"""DiffEdit, with and without encoding, against its steps written out (methods.md, section 1)."""

import pytest
import torch

from bench.diffusion.device import to_float
from bench.diffusion.noise import SampleNoise
from methods.diffedit import DiffEdit
from methods.sdedit import SDEdit
from tests.helpers.attentive import Attentive, batch, ddim, levels

PAIRS = [("a red star", "a blue star"), ("one green cat", "a big dog")]
STEPS, K, W, N = 5, 3, 2.0, 4  # r = 0.5: floor(2.5 + 0.5)


def edited(method):
    """Latents that a method ends with, and its mask."""
    model, made = Attentive(), batch(PAIRS)
    with torch.inference_mode():
        result = method(model, made, SampleNoise(0, ["0", "1"]))
    return model.decoded, result.mask


def noised(x0, noise, alpha):
    return alpha**0.5 * x0 + (1 - alpha) ** 0.5 * noise


@pytest.fixture
def start():
    """Model, clean latents, the noise that a sample starts from, and what the model is told."""
    model, made = Attentive(), batch(PAIRS)
    x0, noise = model.encode(to_float(made.images)), SampleNoise(0, ["0", "1"])
    told = model.condition(made.targets), model.condition([None] * 2), model.condition(made.sources)
    return model, x0, noise, told


def guided(model, z, t, words, null):
    free = model.eps(z, t, null)
    return free + W * (model.eps(z, t, words) - free)


@pytest.mark.parametrize("encode", ["ddim", "noise"])
def test_decoding_is_the_loop_written_out(start, encode):
    """y <- M y + (1 - M) x after each step, with x the source at the level just reached: encoded without words, or
    mixed with the one noise of the start; at the last level it is the source itself."""
    found, mask = edited(DiffEdit(0.5, W, STEPS, n=N, encode=encode))
    assert 0 < mask.mean() < 1
    model, x0, noise, (words, null, _) = start
    times, alphas = levels(model, STEPS)
    source = [x0]
    for j in range(K):
        eps = model.eps(source[j], times[j], null)
        source.append(ddim(source[j], eps, alphas[j], alphas[j + 1]))
    if encode == "noise":
        source[1:] = [noised(x0, noise("start", (4, 4, 4)), alpha) for alpha in alphas[1 : K + 1]]
    y = source[K]
    for level in range(K, 0, -1):
        y = ddim(y, guided(model, y, times[level - 1], words, null), alphas[level], alphas[level - 1])
        y = mask * y + (1 - mask) * source[level - 1]
    torch.testing.assert_close(found, y)


@pytest.mark.parametrize(("strength", "level"), [(0.5, 3), (0.1, 1), (0.3, 2), (1.0, 5)])
@pytest.mark.parametrize("reference", ["none", "caption"])
def test_the_mask_is_the_loop_written_out(start, strength, level, reference):
    """The same noise for both texts; the contrast's mean over channels, clipped at 3 times its own mean, averaged over
    the noises, mapped onto [0, 1], more than one half."""
    _, mask = edited(DiffEdit(0.5, W, STEPS, mask_noise=strength, n=N, reference=reference))
    model, x0, noise, (words, null, sources) = start
    times, alphas = levels(model, STEPS)
    other, total = null if reference == "none" else sources, 0
    for one in noise("mask", (N, 4, 4, 4)).unbind(1):
        z = noised(x0, one, alphas[level])
        apart = (model.eps(z, times[level - 1], words) - model.eps(z, times[level - 1], other)).abs().mean(1)
        total = total + torch.minimum(apart, 3 * apart.mean((1, 2), keepdim=True))
    for n, one in enumerate(total):
        one = (one - one.min()) / (one.max() - one.min())
        assert torch.equal(mask[n, 0] == 1, one > 0.5)


def test_sdedit_is_the_loop_written_out(start):
    found, _ = edited(SDEdit(0.5, W, STEPS))
    model, x0, noise, (words, null, _) = start
    times, alphas = levels(model, STEPS)
    y = noised(x0, noise("start", (4, 4, 4)), alphas[K])
    for level in range(K, 0, -1):
        y = ddim(y, guided(model, y, times[level - 1], words, null), alphas[level], alphas[level - 1])
    torch.testing.assert_close(found, y)
