"""StyleDiffusion against its training and its two branches written out (methods.md, section 3)."""

import math

import pytest
import torch
from torch.nn.functional import conv1d

from bench.diffusion.device import to_float
from methods import branches, style_diffusion
from methods.style_diffusion import StyleDiffusion
from tests.helpers.attentive import Attentive, batch, ddim, levels

W, EPSILON, UPDATES = 2.0, 1e-5, 3
PAIRS = [("a red star", "a blue star"), ("one green cat", "a big dog")]


def tower(images):
    """Two tokens a picture, as wide as the states of the words."""
    return torch.stack([to_float(images).mean((2, 3)), to_float(images).amax((2, 3))], 1).double()


def method(steps=3, **knobs):
    off = {"cross_replace": 0, "self_replace": 0, "reweight": 1, "local_blend": False, "keep_source": True}
    return StyleDiffusion(W, steps, tower=tower, inner_steps=UPDATES, epsilon=EPSILON, blend_size=4, **off, **knobs)


def inverted(pairs=PAIRS, **knobs):
    model, made, one = Attentive(), batch(pairs), method(**knobs)
    with torch.inference_mode():
        return model, made, one, one.invert(model, made, model.grid(one.steps))


def states(weights, tokens, words):
    """words * h_1 + h_2, where [h_1; h_2] = M(tokens): convolution, convolution, each channel of a picture normalised,
    LeakyReLU, convolution; all of width 1."""
    kernels = [w[..., None] for w in weights[::2]]
    x = conv1d(tokens, kernels[0], weights[1][:, 0])
    x = conv1d(x, kernels[1], weights[3][:, 0])
    x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
    x = torch.where(x > 0, x, 0.01 * x)
    h = conv1d(x, kernels[2], weights[5][:, 0])
    return words * h[:, : len(words[0])] + h[:, len(words[0]) :]


def seen(model, z, t, words, values=None):
    """Prediction, and the cross-attention maps of 4 x 4 cells outside the middle block."""
    maps = []

    def hook(layer, query, key, value):
        scores = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1)
        if layer.cross and layer.place != "mid" and query.shape[-2] == 16:
            maps.append(scores)
        return scores @ value

    with model.attend(hook):
        return model.eps(z, t, words, values), maps


@pytest.mark.parametrize("steps", [3, 4])
def test_training_is_the_loop_written_out(steps):
    """At each step latents and maps approach the inversion's; the maps are those of one inversion step further, of
    the last one at the noisiest. Updates ceil(n exp(-i / 10)), weights from the step before."""
    model, made, _, source = inverted(steps=steps)
    times, alphas = levels(model, steps)
    for n, pair in enumerate(made.samples):
        image = made.images[n : n + 1]
        words, null, tokens = model.condition([pair.source]), model.condition([None]), tower(image)
        trajectory, maps = [model.encode(to_float(image))], []
        for j in range(steps):
            eps, found = seen(model, trajectory[j], times[j], words)
            trajectory.append(ddim(trajectory[j], eps, alphas[j], alphas[j + 1]))
            maps.append(found)
        z, weights = trajectory[-1], [w[0] for w in style_diffusion._fresh(1, 2, 6, tokens)]
        for i in range(steps):
            level, goal = steps - i, maps[min(steps - i, steps - 1)]
            t, here, below = times[level - 1], alphas[level], alphas[level - 1]
            free = model.eps(z, t, null)
            weights = [w.detach().clone().requires_grad_() for w in weights]
            optimiser = torch.optim.Adam(weights, lr=1e-2 * (1 - i / 100))
            for _ in range(math.ceil(UPDATES * math.exp(-i / 10))):
                given, found = seen(model, z, t, words, states(weights, tokens, words.states))
                reached = ddim(z, free + W * (given - free), here, below)
                loss = (reached - trajectory[level - 1]).square().mean()
                loss = loss + sum((a - b).square().mean() for a, b in zip(found, goal, strict=True))
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                if loss < EPSILON + 2e-5 * i:
                    break
            with torch.no_grad():
                values = states(weights, tokens, words.states)
                torch.testing.assert_close(source.values(i, "source", words)[n : n + 1], values, rtol=1e-6, atol=1e-8)
                given = model.eps(z, t, words, values)
                z = ddim(z, free + W * (given - free), here, below)


@pytest.mark.parametrize(("steps", "share", "until"), [(4, 0.5, 2), (3, 0.5, 2), (3, 0, 0), (4, 0.75, 3)])
def test_the_target_has_the_pictures_values_for_a_share_of_the_steps(steps, share, until):
    """The source always; published: the target for i < 25 of 50."""
    model, made, _, source = inverted(steps=steps, value_steps=share)
    words = model.condition(made.targets)
    assert [source.values(i, "target", words) is not None for i in range(steps)] == [i < until for i in range(steps)]
    assert all(source.values(i, "source", words) is not None for i in range(steps))


def test_both_branches_are_the_loop_written_out():
    """Values are the picture's, keys the words'; without words both remain the empty prompt's."""
    model, made, one, source = inverted(steps=3)
    trace, (times, alphas) = [], levels(model, 3)
    words = {"source": model.condition(made.sources), "target": model.condition(made.targets)}
    with torch.inference_mode():
        branches.generate(model, model.grid(3), source, [one.target(model, made)], trace)
        z = dict.fromkeys(words, source.trajectory[-1])
        for i, (z_source, (z_target,)) in enumerate(trace):
            t, here, below = times[2 - i], alphas[3 - i], alphas[2 - i]
            for branch, told in words.items():
                values = source.values(i, branch, told)
                free = model.eps(z[branch], t, source.null)
                z[branch] = ddim(z[branch], free + W * (model.eps(z[branch], t, told, values) - free), here, below)
            torch.testing.assert_close(z_source, z["source"])
            torch.testing.assert_close(z_target, z["target"])


def test_first_weights_are_torchs_own_for_convolutions():
    """Uniform in +- 1 / sqrt(inputs of the layer), of the weights and of the biases."""
    made = style_diffusion._fresh(2, 197, 77, torch.zeros(1))
    for w, inputs in zip(made, (197, 197, 154, 154, 154, 154), strict=True):
        assert torch.equal(w[0], w[1])
        assert 0.97 < w.abs().max() * inputs**0.5 <= 1
        assert w.mean().abs() * inputs**0.5 < 0.15
