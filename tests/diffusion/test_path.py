"""What a noise level means, for diffusion and for flows, by their formulas."""

import pytest
import torch

from bench.diffusion.path import Diffusion, Flow

X0, NOISE = torch.tensor([[0.5, -2.0], [1.0, 3.0]]).double().unbind()


def test_a_flow_goes_straight_from_picture_to_noise():
    """z = (1 - s) x0 + s noise; the network says noise - x0, and a step of ds moves by ds times it."""
    flow, velocity = Flow(), NOISE - X0
    for s in (0.0, 0.3, 1.0):
        z = (1 - s) * X0 + s * NOISE
        torch.testing.assert_close(flow.noised(X0, NOISE, s), z)
        torch.testing.assert_close(flow.clean(z, velocity, s), X0)
        torch.testing.assert_close(flow.step(z, velocity, s, 0.7), 0.3 * X0 + 0.7 * NOISE)
        if s:
            torch.testing.assert_close(flow.prediction(z, X0, s), velocity)


@pytest.mark.parametrize("end", [0.9, 0.05])
def test_a_diffusion_step_keeps_picture_and_noise(end):
    """z = sqrt(a) x0 + sqrt(1 - a) noise, and so at the level that a step with that noise reaches."""
    path, a = Diffusion(), 0.4
    z = a**0.5 * X0 + (1 - a) ** 0.5 * NOISE
    torch.testing.assert_close(path.noised(X0, NOISE, a), z)
    torch.testing.assert_close(path.clean(z, NOISE, a), X0)
    torch.testing.assert_close(path.prediction(z, X0, a), NOISE)
    torch.testing.assert_close(path.step(z, NOISE, a, end), end**0.5 * X0 + (1 - end) ** 0.5 * NOISE)
