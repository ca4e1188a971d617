"""Cross-Attention Control against bloc97's programme written out (methods.md, section 1)."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from bench.diffusion.device import to_float
from bench.diffusion.noise import SampleNoise
from bench.types import AttentionLayer
from methods.controls import Call
from methods.cross_attention_control import CrossAttentionControl
from tests.helpers.attentive import Attentive, batch, ddim

W = 3.0
PAIRS = [("a red star", "a very blue star"), ("one big cat", "one big dog")]
COPIED = [{0: 0, 1: 1, 4: 3, 5: 4}, {n: n for n in range(6)}]  # target's token: source's; 1 for 2 words is no pair


def edited(method, model=None, pairs=PAIRS):
    """Latents that a method ends with."""
    model, made = model or Attentive(), batch(pairs)
    with torch.inference_mode():
        method(model, made, SampleNoise(0, [sample.id for sample in made.samples]))
    return model.decoded


def sampled(model, z, words, copied, tokens, spatial, steps):
    """K-LMS: the four latest predictions, integrated over sigma as the polynomial through them; all three prompts are
    asked about one latent, and the target's maps are the source's while t / 1000 is in the windows, ends included."""
    alphas = model.alphas_cumprod
    times = np.linspace(0, 999, steps)[::-1]
    sigmas = np.append(np.interp(times, np.arange(1000), (1 / alphas - 1) ** 0.5), 0)
    z, earlier, kept = z * sigmas[0], [], {}

    def keep(layer, query, key, value):
        kept[layer] = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1)
        return kept[layer] @ value

    for i, t in enumerate(times):
        entry = z / (sigmas[i] ** 2 + 1) ** 0.5

        def replace(layer, query, key, value, t=t):
            maps = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1)
            low, high = tokens if layer.cross else spatial
            if low <= t / 1000 <= high:
                for column in range(maps.shape[-1]):
                    if not layer.cross:
                        maps[..., column] = kept[layer][..., column]
                    elif column in copied:
                        maps[..., column] = kept[layer][..., copied[column]]
            return maps @ value

        free = model.eps(entry, t, words["null"])
        with model.attend(keep):
            model.eps(entry, t, words["source"])
        with model.attend(replace):
            eps = free + W * (model.eps(entry, t, words["target"]) - free)
        earlier = [eps, *earlier][:4]
        for n, one in enumerate(earlier):
            others = [sigmas[i - m] for m in range(len(earlier)) if m != n]
            basis = np.poly1d(others, True) / np.prod([sigmas[i - n] - other for other in others])
            z = z + np.diff(np.polyval(basis.integ(), sigmas[i : i + 2]))[0] * one
    return z


@pytest.mark.parametrize(
    ("tokens", "spatial"),
    [((0, 1), (0, 1)), ((0.333, 0.998), (2, 3)), ((2, 3), (0.5, 0.666)), ((0.4, 1), (0, 0.5)), ((2, 3), (2, 3))],
)
def test_sampling_is_the_loop_written_out(tokens, spatial):
    """At 4 steps: timesteps 999, 666, 333 and 0."""
    knobs = {"tokens_start": tokens[0], "tokens_end": tokens[1], "spatial_start": spatial[0], "spatial_end": spatial[1]}
    found = edited(CrossAttentionControl(W, 4, start="noise", **knobs))
    model, noise = Attentive(), SampleNoise(0, ["0", "1"])("start", (4, 4, 4)).double()
    for n, pair in enumerate(PAIRS):
        words = dict(zip(("null", "source", "target"), (model.condition([q]) for q in ("", *pair)), strict=True))
        expected = sampled(model, noise[n : n + 1], words, COPIED[n], tokens, spatial, 4)
        torch.testing.assert_close(found[n : n + 1], expected, rtol=1e-4, atol=1e-4)  # its sigmas are float32


def test_self_attention_is_steered_at_all_sizes():
    """Prompt-to-prompt leaves maps of more than 32 x 32 cells alone."""
    model, made = Attentive(), batch(PAIRS[:1])
    steering = CrossAttentionControl(W, 2)._steering(model, made, model.condition([None]), [999.0, 0.0])
    query, key, value = torch.randn(3, 2, 1, 33 * 33, 2, generator=torch.Generator().manual_seed(0)).double()
    call = Call(0, query, key, value, {"words": slice(0, 1)}, {"words": slice(1, 2)})
    expected = (query[:1] @ key[:1].mT / 2**0.5).softmax(-1) @ value[1:]
    torch.testing.assert_close(steering.attend(AttentionLayer(0, "down", 1, False), call)["words"], expected)


def inverted(model, x0, words, null, steps, w, iterations, strength, begin):
    """From t to the next of steps + 1 timesteps, asked at t. After `begin` of the steps a fixed point is sought: what
    is reached is moved by the error of its way back, until that sums to less than 5; the best guess stands. The model
    is asked a quarter of a step early without words."""
    times, z = np.linspace(0, 999, steps + 1).astype(int).tolist(), x0
    for i, (t, after) in enumerate(pairwise(times)):
        here, there = (float(model.alphas_cumprod[n]) for n in (t, after))
        free = model.eps(z, t, null)
        guess = ddim(z, free + w * (model.eps(z, t, words) - free), here, there)
        if i > begin * steps:
            tried, rate = [(np.inf, guess)], strength
            for _ in range(iterations):
                free = model.eps(guess, t - 0.25 * (after - t), null)
                back = ddim(guess, free + w * (model.eps(guess, t, words) - free), there, here)
                tried.append((float((z - back).abs().sum()), guess))
                if tried[-1][0] < 5:
                    break
                rate *= 0.9
                guess = guess + rate * (z - back)
            guess = min(tried, key=lambda one: one[0])[1]
        z = guess
    return z


@pytest.mark.parametrize(("iterations", "strength", "begin"), [(3, 0.9, 0.7), (4, 0.5, 0.2), (2, 0.9, 0.3), (3, 2, 0)])
@pytest.mark.parametrize("gain", [0.4, 0.05])
def test_inversion_is_the_loop_written_out(gain, iterations, strength, begin):
    """It starts from the source's words; a correction starts after, not at, its share of the steps (0.2 and 0.3 of
    10), so that i > 35 of 50."""
    model, made = Attentive(gain), batch(PAIRS)
    method = CrossAttentionControl(
        W, 10, refine_iterations=iterations, refine_strength=strength, refine_from=begin, inversion_guidance=2
    )
    x0, null = model.encode(to_float(made.images)), model.condition([None] * 2)
    found = method._inverted(model, x0, model.condition(made.sources), null)
    for n, (source, _) in enumerate(PAIRS):
        words = model.condition([source])
        expected = inverted(model, x0[n : n + 1], words, null[:1], 10, 2, iterations, strength, begin)
        torch.testing.assert_close(found[n : n + 1], expected, rtol=1e-9, atol=1e-9)


def test_sampling_starts_from_the_inverted_source():
    model = Attentive()
    found = edited(CrossAttentionControl(W, 4), model)
    x0, null = model.encode(to_float(batch(PAIRS).images)), model.condition([None])
    for n, pair in enumerate(PAIRS):
        words = dict(zip(("null", "source", "target"), (model.condition([q]) for q in ("", *pair)), strict=True))
        z = inverted(model, x0[n : n + 1], words["source"], null, 4, 3, 3, 0.9, 0.7)
        expected = sampled(model, z, words, COPIED[n], (0, 1), (0, 1), 4)
        torch.testing.assert_close(found[n : n + 1], expected, rtol=1e-4, atol=1e-4)
