"""Editors on flows: on a flow in closed form, and on tiny folders made here."""

import numpy as np
import pytest
import torch

from bench.diffusion import ddim
from bench.diffusion.device import to_float
from bench.diffusion.noise import SampleNoise
from bench.errors import UserError
from bench.models.flux import Flux
from bench.models.sd3 import StableDiffusion3
from bench.models.sdxl import StableDiffusionXL
from bench.types import EditSample
from methods.flowedit import FlowEdit
from tests.helpers.flow_folders import flux_folder, sd3_folder, sdxl_folder
from tests.helpers.flows import Normal
from tests.helpers.models import batch, shipped

PROMPTS = [("a red cat", "a blue cat"), ("the house", "the green house on the river"), ("a dog", "a"), ("seven", "six")]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Tiny models by their names."""
    kinds = {
        "flux": (Flux, flux_folder),
        "sd3": (StableDiffusion3, sd3_folder),
        "sdxl": (StableDiffusionXL, sdxl_folder),
    }
    found = {}
    for name, (kind, make) in kinds.items():
        folder = make(tmp_path_factory.mktemp("models") / name)
        found[name] = kind(str(folder)).load(torch.device("cpu"), torch.float32)
    return found


def pictures(height=32, width=48, count=4):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, 3, height, width), np.uint8)
    return [EditSample(str(n), one, *PROMPTS[n]) for n, one in enumerate(pixels)]


def run(method, model, samples, points=()):
    """The edits, the bill of one, and what the journal notes."""
    made = batch(samples, model)
    made.points = list(points) or [method]
    with torch.inference_mode():
        result = method(model, made, SampleNoise(0, [sample.id for sample in samples]))
    return result, made.shared.rows / len(samples)


def check_batch_is_its_rows(method, model):
    """A batch of four is four batches of one, but for rounding; each costs the same."""
    samples = pictures()
    together, rows = run(method, model, samples)
    assert not torch.equal(together.images, torch.from_numpy(np.stack([sample.image for sample in samples])))
    for n, sample in enumerate(samples):
        alone, own = run(method, model, [sample])
        assert (alone.images[0].int() - together.images[n].int()).abs().max() <= 1
        assert own == rows
    return rows


@pytest.mark.parametrize(("name", "rows"), [("flux", (4 - 1) * 2 * 2 + 1), ("sd3", (4 - 1) * 2 * 4 + 2)])
def test_flowedit_edits_a_batch_as_its_rows(models, name, rows):
    assert check_batch_is_its_rows(FlowEdit(5, n_max=4, n_min=1, n_avg=2), models[name]) == rows


def by_hand(model, x0, n_max, n_min, w_s, w_t, means, last):
    """FlowEdit where velocity is linear in its point: the noise cancels, and the edit's shift has a recursion."""
    grid, guided = model.grid(10), [w * mean for w, mean in zip((w_s, w_t), means, strict=True)]
    shift = torch.zeros_like(x0)
    for k in range(n_max, n_min, -1):
        level, zero = grid.levels[k], torch.zeros_like(x0)
        velocity = model.velocity(shift, level, guided[1]) - model.velocity(zero, level, guided[0])
        shift = shift + (grid.levels[k - 1] - level) * velocity
    y = x0 + shift
    if n_min:
        y = shift + (1 - grid.levels[n_min]) * x0 + grid.levels[n_min] * last
        for k in range(n_min, 0, -1):
            y = y + (grid.levels[k - 1] - grid.levels[k]) * model.velocity(y, grid.levels[k], guided[1])
    return y


@pytest.mark.parametrize(("n_max", "n_min", "n_avg"), [(10, 0, 1), (7, 0, 3), (7, 3, 1), (7, 7, 1), (0, 0, 1)])
def test_flowedit_follows_the_difference_of_velocities(n_max, n_min, n_avg):
    model, samples = Normal(), pictures(8, 8, 2)
    x0 = model.encode(to_float(torch.from_numpy(np.stack([sample.image for sample in samples]))))
    noise, method = SampleNoise(0, ["0", "1"]), FlowEdit(10, n_max, n_min, n_avg, w_s=1.5, w_t=3.0)
    means = [torch.tensor([len(p[side]) / 10 for p in PROMPTS[:2]])[:, None, None, None].double() for side in (0, 1)]
    expected = by_hand(model, x0, n_max, n_min, 1.5, 3.0, means, noise(f"flowedit {n_min}", (3, 8, 8)).double())
    found = method.edited(model, batch(samples, model), noise, n_max, 1.5, 3.0)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_flowedit_draws_anew_at_each_level_and_average(models):
    drawn = []

    def noise(stream, shape):
        drawn.append(stream)
        return SampleNoise(0, ["0"])(stream, shape)

    with torch.inference_mode():
        FlowEdit(4, 3, 1, 2)(models["flux"], batch(pictures(count=1)), noise)
    assert len(drawn) == len(set(drawn)) == 5


def test_flowedits_points_share_the_source(models):
    model, samples = models["sd3"], pictures(count=2)
    points = [FlowEdit(5, 4, w_t=w) for w in (5.0, 13.5)]
    made = batch(samples, model)
    made.points, noise = points, SampleNoise(0, ["0", "1"])
    with torch.inference_mode():
        found = []
        for point in points:
            made.shared.open_bill()
            found.append(point(model, made, noise).images)
            assert made.shared.rows == 2 * 4 * 4
        assert made.shared.spent == 2 * 4 * 2
        assert torch.equal(found[1], run(points[1], model, samples)[0].images)


def test_a_method_of_flows_refuses_a_model_that_predicts_noise():
    with pytest.raises(
        UserError, match="follows a flow's velocity, and this model predicts noise: use model=sd3 or flux"
    ):
        FlowEdit(4)(shipped(), batch(pictures(64, 64, 1)), None)


def test_flowedit_has_no_more_steps_of_the_target_than_steps(models):
    with pytest.raises(UserError, match="method.n_min=9, expected at most the 8 steps that are done"):
        FlowEdit(12, n_min=9, n_max=8)(models["flux"], batch(pictures(count=1)), None)


def test_eulers_step_on_a_flow_is_ddims_in_its_shares_of_picture_and_noise():
    """With picture and noise that the network's output stands for, both mix them anew at the next level."""
    model, z = Normal(), torch.randn(2, 3, 4, 4, dtype=torch.float64)
    grid, velocity = model.grid(6), torch.randn(2, 3, 4, 4, dtype=torch.float64)
    for start, end in ((6, 5), (3, 2), (1, 0), (2, 4)):
        level, to = grid.levels[start], grid.levels[end]
        clean = grid.path.clean(z, velocity, level)
        picture, share = grid.path.mix(to)
        torch.testing.assert_close(
            ddim.step(z, velocity, grid, start, end), picture * clean + share * (clean + velocity)
        )
