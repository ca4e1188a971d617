"""Editors on flows: on a flow in closed form, and on tiny folders made here."""

import math

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
from methods import latents
from methods.fireflow import FireFlow
from methods.flowedit import FlowEdit
from methods.flows import solvers
from methods.flows.predicted import inverted
from methods.flows.solvers import Euler, Midpoint, Reusing
from methods.rf_inversion import RFInversion
from methods.rf_solver import RFSolver
from methods.sdedit import SDEdit
from methods.uni_edit import UniEdit, where_apart
from methods.uni_inv import UniInv
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
        UserError, match="follows a flow's velocity, and this model predicts noise: use model=sd3, flux or shapes_flow"
    ):
        FlowEdit(4)(shipped(), batch(pictures(64, 64, 1)), None)


def test_flowedit_has_no_more_steps_of_the_target_than_steps(models):
    with pytest.raises(UserError, match=r"method.n_min=9, expected at most the 8 steps that are done"):
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


# --- inversions ---


def error(steps, solver):
    """How far a solver's inversion is from the flow z' = (1 + level) z, and its round trip from the source."""
    x0, levels = torch.linspace(-1, 1, 9, dtype=torch.float64), tuple(j / steps for j in range(steps + 1))

    def ask(z, level, step, evaluation):
        return (1 + level) * z

    reached = solvers.rise(solver(ask), x0, levels)
    again = solvers.fall(solver(ask), reached, levels)
    return float((reached - x0 * math.exp(1.5)).abs().max()), float((again - x0).abs().max())


@pytest.mark.parametrize(("solver", "order"), [(Euler, 1), (Midpoint, 2), (Reusing, 2)])
def test_errors_fall_with_the_steps_as_a_solvers_order_says(solver, order):
    few, many = error(40, solver), error(80, solver)
    assert few[0] / many[0] == pytest.approx(2**order, rel=0.2)
    assert few[1] / many[1] > 0.8 * 2**order  # a symmetric part of a solver's error cancels on the way back


@pytest.mark.parametrize(
    ("method", "rows"),
    [
        (RFSolver(4, inject=2, first_block=0), 16),
        (RFSolver(4, inject=2, first_block=0, solver="euler"), 8),
        (FireFlow(4), 10),
        (RFInversion(5, 3.5), 10),
        (RFInversion(5, 3.5, source_text="caption", strength=0.6, decay=1.0, stop=1.0, times="consistent"), 6),
    ],
    ids=lambda value: getattr(value, "kind", type(value).__name__),
)
def test_inversions_edit_a_batch_as_its_rows(models, method, rows):
    assert check_batch_is_its_rows(method, models["flux"]) == rows


def test_solvers_run_with_real_guidance_and_without_single_blocks(models):
    _, rows = run(RFSolver(3, w_t=5.0, inject=0), models["sd3"], pictures(count=1))
    assert rows == 6 + 12
    with pytest.raises(
        UserError, match=r"features of single blocks, which this model has none of: set method.inject=0"
    ):
        run(RFSolver(3, inject=1), models["sd3"], pictures(count=1))
    with pytest.raises(UserError, match=r"method.first_block=20, but this model's single blocks are 0 to 1"):
        run(RFSolver(3), models["flux"], pictures(count=1))


def test_injected_features_are_those_of_the_same_evaluation_in_the_noisiest_steps(models):
    """With the same prompt and guidance both ways, what is injected differs from the edit's own by the round trip
    alone; with others it moves the edit."""
    model, samples = models["flux"], pictures(count=1)
    edits = {inject: run(RFSolver(4, inject=inject, first_block=1), model, samples)[0].images for inject in range(3)}
    assert not torch.equal(edits[0], edits[1])
    assert not torch.equal(edits[1], edits[2])
    made = batch(samples, model)
    with torch.inference_mode():
        method = RFSolver(4, inject=1, first_block=1)
        features, _ = method.invert(model, made, model.grid_for(4, model.encode(torch.zeros(1, 3, 32, 48))), 1)
    assert sorted(features.kept) == [(3, 0, 1), (3, 1, 1)]  # step, evaluation, block
    with torch.inference_mode():
        method = FireFlow(4, inject=4, first_block=1)
        features, _ = method.invert(model, made, model.grid_for(4, model.encode(torch.zeros(1, 3, 32, 48))), 4)
    assert sorted(features.kept) == [(0, 0, 1), (0, 1, 1), (1, 1, 1), (2, 1, 1), (3, 1, 1)]
    shape = features.kept[0, 0, 1].shape
    assert shape == (1, 2, 512 + 6, 8)  # words too


def test_points_of_a_solver_share_the_inversion(models):
    model, samples = models["flux"], pictures(count=1)
    points = [FireFlow(4, inject=1), FireFlow(4, inject=3), FireFlow(4, w_t=4.0)]
    made = batch(samples, model)
    made.points = points
    with torch.inference_mode():
        spent = []
        for point in points:
            made.shared.open_bill()
            images = point(model, made, None).images
            assert made.shared.rows == 10
            spent.append(made.shared.spent)
            assert torch.equal(images, run(point, model, samples)[0].images)
    assert spent == [10, 5, 5]


def test_rf_inversion_arrives_where_it_is_drawn_with_all_strength():
    """gamma = 1 leads to the noise itself, if it is asked at the levels it reaches; eta = 1 back to the source."""
    model, samples = Normal(distilled=True), pictures(8, 8, 1)
    made, noise = batch(samples, model), SampleNoise(0, ["0"])
    x0 = model.encode(to_float(made.images))
    towards, grid = noise("start", (3, 8, 8)).double(), model.grid(6)
    for times, exact in (("consistent", True), ("coded", False)):
        method = RFInversion(6, 2.0, gamma=1.0, eta=1.0, stop=1.0, times=times)
        inverted = method.invert(model, made, grid, 6, [""], x0, towards)
        assert torch.allclose(inverted, towards, atol=1e-6) == exact
    torch.testing.assert_close(method.generate(model, made, grid, 6, x0, inverted), x0)
    half = RFInversion(6, 2.0, gamma=1.0, eta=1.0, stop=0.99).generate(model, made, grid, 6, x0, inverted)
    assert not torch.allclose(half, x0, atol=1e-2)  # the last step is the target's own


def test_rf_inversion_asks_at_even_times_as_coded():
    model, samples = Normal(distilled=True), pictures(8, 8, 1)
    run(RFInversion(4, 2.0), model, samples)
    falling = list(model.grid(4).levels[:0:-1])
    assert model.asked == pytest.approx([0, 1 / 5, 2 / 5, 3 / 5, *falling])
    model.asked.clear()
    run(RFInversion(4, 2.0, strength=0.8, times="consistent"), model, samples)  # int(4 - 3.2) = 0 steps are dropped
    assert model.asked == pytest.approx([0, *(1 - level for level in falling[1:]), *falling])


@pytest.mark.parametrize(
    ("kind", "method", "rows"),
    [
        ("flux", UniInv(4), 5 + 4),
        ("sd3", UniInv(4, w_t=3.0, zero_init=True), 4 + 8),
        ("flux", UniEdit(5), 4 + 6),
        ("sd3", UniEdit(5, w_t=2.0), 4 + 12),
        ("sdxl", UniEdit(5, alpha=0.8, zero_init=True), 4 + 8),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, UniInv | UniEdit) else None,
)
def test_predicted_inversions_edit_a_batch_as_its_rows(models, kind, method, rows):
    assert check_batch_is_its_rows(method, models[kind]) == rows


def test_uni_inv_asks_at_the_level_it_reaches():
    model, samples = Normal(), pictures(8, 8, 1)
    run(UniInv(4), model, samples)
    levels = list(model.grid(4).levels)
    assert model.asked == pytest.approx([*levels, *levels[:0:-1]])


def test_uni_inv_goes_back_to_the_source_with_an_order_more_than_inversion_without_prediction():
    samples = [EditSample("0", pictures(8, 8, 1)[0].image, "abcd", "abcd")]

    def error(steps, predicted):
        model = Normal()
        made, grid, words = batch(samples, model), model.grid(steps), model.condition(["abcd"])
        x0 = z = latents.clean(model, made)
        if predicted:
            z = inverted(model, made, grid, steps, ["abcd"], 1.0, False)
        else:
            z = solvers.rise(Euler(lambda z, level, *_: model.eps(z, 1000 * level, words)), z, grid.levels)
        return float((ddim.sample(model, z, grid, steps, words, words, 1.0) - x0).abs().max())

    assert error(20, True) / error(40, True) > 3
    assert error(40, True) < error(40, False) / 4


def test_uni_edits_mask_is_of_each_picture_and_cell():
    apart = torch.zeros(2, 3, 4, 4)
    apart[0, :, 0, 0] = torch.tensor([3.0, -1.0, 1.0])
    apart[0, :, 3, 3] = torch.tensor([-3.0, 0.0, 0.0])
    apart[1] = 10 * apart[0]
    absolute, signed = (where_apart(apart, mask, "latent") for mask in ("abs", "signed"))
    assert torch.equal(absolute[0], absolute[1])
    assert (absolute[0, 0, 0, 0], float(absolute[0, 0, 3, 3])) == (1, pytest.approx(3 / 5))
    assert (signed[0, 0, 0, 0], signed[0, 0, 3, 3], float(signed[0, 0, 1, 1])) == (1, 0, 0.5)
    token = where_apart(apart, "abs", "token")
    assert token[0, 0, :2, :2].eq(1).all()
    assert token[0, 0, :2, 2:].eq(0).all()
    assert where_apart(torch.zeros(1, 3, 4, 4), "abs", "token").eq(0).all()


def test_uni_edit_by_hand():
    """One step, whose mask and guidance are written out: prompts differ more from row to row of tokens."""
    share = torch.tensor([0.0, 0.0, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 1, 1], dtype=torch.float64)[:, None]

    class Rows(Normal):
        def velocity(self, z, level, mean):
            return mean * (1 + 3 * share).expand_as(z)

    model = Rows(distilled=True)
    samples = [EditSample("0", pictures(8, 8, 1)[0].image, "ab", "abcdefgh")]
    made, grid = batch(samples, model), model.grid(5)
    z = torch.randn(1, 3, 8, 8, dtype=torch.float64)
    found = UniEdit(5, omega=2.0).generate(model, made, grid, 1, z)
    there, wanted = 0.2 * (1 + 3 * share), 0.8 * (1 + 3 * share)
    output = share * wanted + (1 - share) * there + 2.0 * (1 + share) * (wanted - there)
    torch.testing.assert_close(found, z - grid.levels[1] * output, atol=1e-6, rtol=1e-6)


def test_points_of_uni_edit_share_the_inversion(models):
    model, samples = models["flux"], pictures(count=1)
    points = [UniEdit(5, alpha=0.8), UniEdit(5, alpha=0.6), UniEdit(5, alpha=0.6, omega=2.0)]
    made = batch(samples, model)
    made.points = points
    with torch.inference_mode():
        for point, rows, spent in zip(points, (5 + 8, 4 + 6, 4 + 6), (13, 6, 6), strict=True):
            made.shared.open_bill()
            images = point(model, made, None).images
            assert (made.shared.rows, made.shared.spent) == (rows, spent)
            assert torch.equal(images, run(point, model, samples)[0].images)


def test_the_journal_says_which_encoder_cuts_a_prompt(models):
    long = " ".join(["a red cat"] * 40)
    samples = [EditSample("0", pictures()[0].image, "a cat", long), *pictures()[1:2]]
    for method in (SDEdit(0.5, 3.0, 2), FlowEdit(2)):
        notes = run(method, models["flux"], samples)[0].notes
        assert notes == [{"cut": "target prompt cut by 125 tokens in text_encoder"}, {}]
    notes = run(SDEdit(0.5, 3.0, 2), models["sd3"], samples)[0].notes
    parts = [f"target prompt cut by 125 tokens in {name}" for name in ("text_encoder", "text_encoder_2")]
    assert notes == [{"cut": ", ".join(parts)}, {}]
