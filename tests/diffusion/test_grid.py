import numpy as np
import pytest

from bench.diffusion.grid import encode_steps, leading, strength_level
from bench.errors import UserError

ALPHAS = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)


@pytest.mark.parametrize(("steps", "top"), [(10, 901), (30, 958), (50, 981), (100, 991), (500, 999), (999, 999)])
def test_grid_is_the_one_of_stable_diffusion(steps, top):
    made = leading(steps, ALPHAS)
    assert made.timesteps[0] == 1
    assert made.timesteps[-1] == top
    assert len(made.levels) == steps + 1


def test_levels_start_at_alpha_0_and_never_at_1():
    made = leading(50, ALPHAS)
    assert made.levels[0] == ALPHAS[0] == pytest.approx(0.99915)
    assert made.levels[1] == ALPHAS[1]
    assert made.levels[50] == pytest.approx(0.0058, abs=5e-5)


@pytest.mark.parametrize("steps", [0, 1000, -3])
def test_steps_out_of_range_are_refused(steps):
    with pytest.raises(UserError, match="trained on 1000 noise levels: set steps to 1 to 999"):
        leading(steps, ALPHAS)


@pytest.mark.parametrize(("r", "steps", "k"), [(0.57, 100, 57), (0.25, 50, 13), (0.8, 50, 40), (0, 50, 0), (1, 50, 50)])
def test_encoding_ratio_rounds_half_up(r, steps, k):
    assert encode_steps(r, steps) == k


def test_strength_picks_diffusers_timestep():
    for strength, steps, timestep in ((0.5, 50, 481), (0.5, 10, 401), (0.8, 50, 781)):
        assert leading(steps, ALPHAS).timesteps[strength_level(strength, steps) - 1] == timestep
