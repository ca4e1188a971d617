"""EDICT against its coupled steps written out (Wallace et al. 2023, Eq. 13 to 17; methods.md, section 3)."""

import inspect

import torch

from bench.diffusion.device import to_float
from methods.edict import Edict
from tests.helpers.attentive import Attentive, batch, ddim

W, P, STEPS, K = 3.0, 0.9, 5, 3
PAIRS = [("a red star", "a blue star"), ("one green cat", "a big dog")]


def test_both_directions_are_the_loop_written_out():
    """The authors' timesteps start at 0: 0, 200, 400 of 5 steps. Strength 0.6 is 3 of them."""
    model, made = Attentive(), batch(PAIRS)
    with torch.inference_mode():
        Edict(W, STEPS, strength=0.6, mixing=P)(model, made, None)
    source, target, null = (model.condition(q) for q in (made.sources, made.targets, [None] * 2))
    times = [0, 200, 400]
    alphas = [float(model.alphas_cumprod[t]) for t in (0, *times)]

    def eps(z, t, words):
        return model.eps(z, t, null) + W * (model.eps(z, t, words) - model.eps(z, t, null))

    x = y = model.encode(to_float(made.images)).double()
    for j in range(K):
        t, below, here = times[j], alphas[j], alphas[j + 1]
        y = (y - (1 - P) * x) / P
        x = (x - (1 - P) * y) / P
        if (K - 1 - j) % 2 == 0:  # the step of generation that this one undoes had x first
            y = ddim(y, eps(x, t, source), below, here)
            x = ddim(x, eps(y, t, source), below, here)
        else:
            x = ddim(x, eps(y, t, source), below, here)
            y = ddim(y, eps(x, t, source), below, here)
    for i in range(K):
        t, here, below = times[K - 1 - i], alphas[K - i], alphas[K - 1 - i]
        if i % 2 == 0:
            x = ddim(x, eps(y, t, target), here, below)
            y = ddim(y, eps(x, t, target), here, below)
        else:
            y = ddim(y, eps(x, t, target), here, below)
            x = ddim(x, eps(y, t, target), here, below)
        x = P * x + (1 - P) * y
        y = (1 - P) * x + P * y
    torch.testing.assert_close(model.decoded, x.float(), rtol=1e-6, atol=1e-6)


def test_the_authors_numbers():
    defaults = {name: one.default for name, one in inspect.signature(Edict).parameters.items()}
    assert (defaults["strength"], defaults["mixing"]) == (0.8, 0.93)
