import pytest
import torch

from bench.diffusion import ddim
from bench.diffusion.grid import leading
from bench.diffusion.guidance import guided_eps
from bench.diffusion.path import Diffusion, Flow
from bench.types import Condition
from scripts.shapes_model import scheduler as stable_diffusion_schedule
from tests.helpers.models import Gaussian


def test_inversion_error_falls_as_one_over_steps():
    """Against the exact flow of an analytic model: a first-order scheme, in both senses of the word."""
    model, x0 = Gaussian(), torch.linspace(-1, 1.5, 64, dtype=torch.float64).view(1, 1, 8, 8)
    errors = []
    for steps in (50, 100, 200):
        levels = model.grid(steps)
        found = ddim.invert(model, x0, levels, steps, x0)[-1]
        errors.append((found - model.exact(x0, levels.levels[-1])).abs().max().item())
    assert errors[0] < 0.2
    assert 1.6 < errors[0] / errors[1] < 2.4
    assert 1.6 < errors[1] / errors[2] < 2.4


def test_round_trip_closes_as_steps_grow():
    model, x0 = Gaussian(), torch.linspace(-1, 1.5, 64, dtype=torch.float64).view(1, 1, 8, 8)
    errors = []
    for steps in (50, 200):
        levels = model.grid(steps)
        noisy = ddim.invert(model, x0, levels, steps, x0)[-1]
        errors.append((ddim.sample(model, noisy, levels, steps, x0, x0, 1.0) - x0).abs().max().item())
    assert errors[1] < errors[0] / 3 < 0.1


def test_step_equals_diffusers_in_float64():
    scheduler = stable_diffusion_schedule()
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    scheduler.final_alpha_cumprod = scheduler.final_alpha_cumprod.double()
    scheduler.set_timesteps(20)
    levels = leading(20, scheduler.alphas_cumprod.numpy())
    assert list(levels.timesteps) == scheduler.timesteps.tolist()[::-1]
    torch.manual_seed(0)
    z, eps = torch.randn(2, 1, 4, 8, 8, dtype=torch.float64)
    for j, t in enumerate(levels.timesteps):
        expected = scheduler.step(eps, t, z).prev_sample
        found = ddim.step(z, eps, levels, j + 1, j)
        # atol: diffusers takes the last alpha from its float32 table
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10 if j else 1e-7)


def test_a_step_forth_and_back_is_the_identity():
    torch.manual_seed(0)
    z, eps = torch.randn(2, 1, 4, 8, 8, dtype=torch.float64)
    for path in (Diffusion(), Flow()):
        there = path.step(z, eps, 0.9, 0.3)
        torch.testing.assert_close(path.step(there, eps, 0.3, 0.9), z, rtol=1e-12, atol=1e-12)


class Texts(Gaussian):
    """Predicts its condition, so that guidance can be read off."""

    def eps(self, z, t, condition):
        super().eps(z, t, condition)
        return condition.states


@pytest.mark.parametrize(
    ("w", "expected", "rows"), [(1, 2.0, 1), (0, 10.0, 1), (0.5, 6.0, 2), (7.5, -50.0, 2), (-1, 18.0, 2)]
)
def test_guidance_honours_every_w_and_saves_calls_at_0_and_1(w, expected, rows):
    model = Texts()
    given, null = (Condition(torch.full((1, 1), value)) for value in (2.0, 10.0))
    assert guided_eps(model, torch.zeros(1, 1), 5, given, null, w).item() == expected
    assert model.rows == rows
