"""Null-text inversion's optimiser: Adam written out, its rate, and when it stops (methods.md, section 3)."""

import pytest
import torch

from bench.diffusion.device import to_float
from methods.null_text import NullText
from methods.tuning import tuned
from tests.helpers.attentive import Attentive, batch, ddim, levels

PAIRS = [("a red star", "a blue star"), ("one green cat", "a big dog")]


class Adam:
    """Kingma and Ba 2015, Algorithm 1, with the default moments."""

    def __init__(self, rate):
        self.rate, self.m, self.v, self.t = rate, 0.0, 0.0, 0

    def __call__(self, x, gradient):
        self.t += 1
        self.m, self.v = 0.9 * self.m + 0.1 * gradient, 0.999 * self.v + 0.001 * gradient**2
        m, v = self.m / (1 - 0.9**self.t), self.v / (1 - 0.999**self.t)
        return x - self.rate * m / (v**0.5 + 1e-8)


@pytest.mark.parametrize("step", [0, 7, 99])
def test_updates_are_adams_at_the_published_rate(step):
    """1e-2 (1 - i / 100), the optimiser fresh at each step, one for each image."""
    goal, x = torch.tensor([[1.0, -2.0], [0.1, 3.0]]).double(), torch.zeros(2, 2).double()
    (found,), counts = tuned([x], lambda active, own: ((own[0] - goal[active]) ** 2).sum(1), step, 5, 0.0)
    adam = Adam(1e-2 * (1 - step / 100))
    for _ in range(5):
        x = adam(x, 2 * (x - goal))
    torch.testing.assert_close(found, x)
    assert counts == [5, 5]


@pytest.mark.parametrize("step", [0, 3, 50])
def test_an_image_stops_after_the_update_whose_loss_is_below_the_threshold(step):
    """epsilon + 2e-5 i; a loss that equals it goes on. The loss is that before the update, which is still made."""
    threshold, start = 1e-5 + 2e-5 * step, torch.zeros(3, 1, dtype=torch.float64)
    script = {0: [1, threshold, 0.999 * threshold, 1], 1: [0.5 * threshold], 2: [1, 1.001 * threshold, 1, 1]}
    asked = dict.fromkeys(script, 0)

    def losses(active, own):
        made = []
        for n, x in zip(active.tolist(), own[0], strict=True):
            made.append(script[n][asked[n]] + (x - x.detach()).sum())  # slope 1
            asked[n] += 1
        return torch.stack(made)

    (found,), counts = tuned([start], losses, step, 4, 1e-5)
    assert counts == [3, 1, 4]
    rate = 1e-2 * (1 - step / 100)  # what Adam moves by under a constant slope
    assert found.flatten().tolist() == pytest.approx([-rate * count for count in counts], rel=1e-6)
    asked[0], script[0] = 0, [0.5 * threshold]  # an image alone
    (found,), counts = tuned([start[:1]], losses, step, 4, 1e-5)
    assert counts == [1]
    assert float(found) == pytest.approx(-rate, rel=1e-6)


@pytest.mark.parametrize(("updates", "epsilon"), [(3, 0.0), (6, 1.0)])
def test_null_text_is_the_loop_written_out(updates, epsilon):
    """At each step the empty prompt's states, from those of the step before, bring the guided step to the inversion's
    latents; it starts where the last one has really come to. Both branches use what is found."""
    w, steps, model, made = 2.0, 4, Attentive(), batch(PAIRS)
    times, alphas = levels(model, steps)
    with torch.inference_mode():
        source = NullText(w, steps, inner_steps=updates, epsilon=epsilon).invert(model, made, model.grid(steps))
    for n, (prompt, _) in enumerate(PAIRS):
        words, null = model.condition([prompt]), model.condition([None])
        trajectory, counted = [model.encode(to_float(made.images))[n : n + 1]], 0
        for j in range(steps):
            eps = model.eps(trajectory[j], times[j], words)
            trajectory.append(ddim(trajectory[j], eps, alphas[j], alphas[j + 1]))
        z, states = trajectory[-1], null.states.float()  # states are optimised in float32
        for i in range(steps):
            t, here, below, wanted = times[-1 - i], alphas[-1 - i], alphas[-2 - i], trajectory[-2 - i]
            given, adam = model.eps(z, t, words), Adam(1e-2 * (1 - i / 100))

            def reached(states, null=null, z=z, t=t, given=given, here=here, below=below):
                free = model.eps(z, t, null.with_states(states))
                return ddim(z, free + w * (given - free), here, below)

            for _ in range(updates):
                states = states.detach().requires_grad_()
                loss = (reached(states) - wanted).square().mean()
                (gradient,) = torch.autograd.grad(loss, states)
                states, counted = adam(states.detach(), gradient), counted + 1
                if loss < epsilon + 2e-5 * i:
                    break
            for nulls in (source.nulls, source.target_nulls):
                torch.testing.assert_close(nulls[i].states[n : n + 1], states.double(), rtol=1e-4, atol=1e-5)
            z = reached(states)
        torch.testing.assert_close(source.trajectory[-1][n : n + 1], trajectory[-1])
        assert source.notes[n] == {"backward": counted}
