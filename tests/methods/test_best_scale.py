"""`w_s=auto` and `auto_step` against Proposition 3 written out (methods.md, section 4)."""

import pytest
import torch

from bench.diffusion import ddim as steps_of
from bench.diffusion.device import to_float
from methods import branches
from methods.siminversion import SimInversion
from tests.helpers.attentive import Attentive, batch, ddim, levels

PAIRS = [("a red star", "a blue star"), ("one green cat", "a big dog"), ("the sea", "the moon")]
STEPS = 5
OFF = {"cross_replace": 0, "self_replace": 0, "reweight": 1, "local_blend": False, "keep_source": True}


def best(model, z, after, t, words, null):
    """w* = (x_0 - x_c) x_0 / |x_0 - x_c|^2, where x is how far a prediction moves from z_(t-1) to z_t."""
    x_c = model.eps(after, t, words) - model.eps(z, t, words)
    x_0 = model.eps(after, t, null) - model.eps(z, t, null)
    return float(((x_0 - x_c) * x_0).sum() / (x_0 - x_c).square().sum())


def moved(model, z, j, words, null, w):
    times, alphas = levels(model, STEPS)
    free = model.eps(z, times[j], null)
    return ddim(z, free + w * (model.eps(z, times[j], words) - free), alphas[j], alphas[j + 1])


def inverted(model, x0, words, null, w_s):
    """Latents of levels 0 to S, and the guidance of each step from the clean side. `auto` measures along 0.5 and
    inverts again with the median; `auto_step` takes each step with the w* that a step at 0.5 has found."""
    times, _ = levels(model, STEPS)
    z, scales, trajectory = x0, [], [x0]
    for j in range(STEPS):
        after = moved(model, z, j, words, null, 0.5)
        scales.append(min(max(best(model, z, after, times[j], words, null), 0), 1))
        z = after if w_s == "auto" else moved(model, z, j, words, null, scales[-1])
        trajectory.append(z)
    if w_s == "auto":
        scales, trajectory = [sorted(scales)[STEPS // 2]] * STEPS, [x0]
        for j in range(STEPS):
            trajectory.append(moved(model, trajectory[-1], j, words, null, scales[j]))
    return trajectory, scales


@pytest.mark.parametrize("w_s", ["auto", "auto_step"])
def test_automatic_scales_are_the_loop_written_out(w_s):
    """Each image by itself. The source branch goes back with the scales in reverse; the note is their median."""
    model, made, trace = Attentive(), batch(PAIRS), []
    method = SimInversion(4, STEPS, w_s=w_s, **OFF)
    times, alphas = levels(model, STEPS)
    with torch.inference_mode():
        source = method.invert(model, made, model.grid(STEPS))
        branches.generate(model, model.grid(STEPS), source, [method.target(model, made)], trace)
    for n, (prompt, _) in enumerate(PAIRS):
        words, null = model.condition([prompt]), model.condition([None])
        trajectory, scales = inverted(model, model.encode(to_float(made.images))[n : n + 1], words, null, w_s)
        torch.testing.assert_close(torch.stack(source.trajectory, 1)[n], torch.cat(trajectory))
        assert [float(w[n]) for w in source.w] == pytest.approx(scales[::-1])
        assert source.notes[n] == {"w_s": pytest.approx(sorted(scales)[STEPS // 2], abs=1e-4)}
        z = trajectory[-1]
        for i, (z_source, _) in enumerate(trace):
            t, here, below = times[STEPS - 1 - i], alphas[STEPS - i], alphas[STEPS - 1 - i]
            free = model.eps(z, t, null)
            z = ddim(z, free + scales[STEPS - 1 - i] * (model.eps(z, t, words) - free), here, below)
            torch.testing.assert_close(z_source[n : n + 1], z)


def test_some_scales_lie_between_the_bounds_and_some_are_held_to_them():
    """Else the test above would not tell them."""
    model, made = Attentive(), batch(PAIRS)
    words, null = model.condition(made.sources), model.condition([None] * len(PAIRS))
    x0, grid = model.encode(to_float(made.images)), model.grid(STEPS)
    free = steps_of.invert_with_best_scale(model, x0, grid, words, null, 0.5, bounded=False)[1]
    assert free.min() < 0
    assert ((free > 0) & (free < 1)).sum() > 3
