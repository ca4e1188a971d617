"""ILVR: the original code's outputs on a tiny random model, and what the harness asks of every method."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.data.preprocess import read_rgb
from bench.diffusion.device import to_float
from bench.diffusion.noise import SampleNoise
from bench.errors import BadSample, UserError
from bench.models.adm import ADM
from bench.types import EditSample
from methods import ilvr
from methods.ilvr import ILVR
from tests.helpers import adm, originals
from tests.helpers.models import batch
from tests.helpers.shared import SHARED, needs_shared

GOLDEN = SHARED / "golden/baselines"
CASES = ["pub0_N4_t0", "pub0_N8_t3", "pub1_N16_t5", "pub1_noilvr", "pub0_N8_t0_noclip"]
APART = (
    10 * 2e-5
)  # ten times what float64 coefficients were measured to differ by, of the largest value (golden README)
CPU = torch.device("cpu")


def close(found, expected, relative=APART):
    assert torch.as_tensor(found).shape == expected.shape
    assert np.abs(np.asarray(found) - expected).max() <= relative * np.abs(expected).max()


@needs_shared
def test_lowpass_filter():
    with np.load(GOLDEN / "ilvr/lowpass.npz") as arrays:
        assert len(arrays) == 14
        for name, expected in arrays.items():
            direction, size, down = name.split("_")
            sides = int(size), int(size) // int(down[1:])
            close(ilvr.resizing(*(sides if direction == "down" else sides[::-1])), expected, 10 * 1e-7)


def test_the_filter_keeps_grey_and_is_no_projection():
    filter_ = ilvr.lowpass(64, 8)
    np.testing.assert_allclose(filter_.sum(1), 1)
    assert np.abs(filter_ @ filter_ - filter_).max() > 0.1 * np.abs(filter_).max()


class Recorded:
    """A model and the noises of a case; keeps what the model was shown, after each step and at the end."""

    def __init__(self, model, settings):
        self.model, self.total, self.seen = model, settings["steps_total"], []
        name = settings["noise_rule"].split("'")[1].removesuffix(".x_T")
        counts = {"start": ("x_T", 1), "step": ("step", self.total), "reference": ("reference", self.total)}
        self.draws = {
            stream: torch.from_numpy(originals.noise(f"{name}.{kind}", (count, 3, 32, 32)))
            for stream, (kind, count) in counts.items()
        }

    def __call__(self, stream, shape):
        kind, _, number = stream.partition(" ")
        return self.draws[kind][self.total - 1 - int(number) if number else 0][None]

    def __getattr__(self, name):
        return getattr(self.model, name)

    def eps_and_variance(self, z, t, condition):
        self.seen.append((t, z))
        return self.model.eps_and_variance(z, t, condition)

    def decode(self, latents):
        self.seen.append((None, latents))
        return self.model.decode(latents)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The model that the goldens were made with."""
    folder = tmp_path_factory.mktemp("adm_a")
    adm.folder(folder, originals.state("adm_a", GOLDEN / "adm_a/original_spec.json"))
    with torch.inference_mode():
        yield ADM(str(folder)).load(CPU, torch.float32)


def case(name):
    settings = json.loads((GOLDEN / f"ilvr/{name}.json").read_text())
    with np.load(GOLDEN / f"ilvr/{name}.npz") as arrays:
        return settings, dict(arrays), read_rgb(GOLDEN / f"ilvr/{settings['picture']}", 32)


@needs_shared
@pytest.mark.parametrize("name", CASES)
def test_the_originals_steps(original, name):
    settings, arrays, picture = case(name)
    recorded = Recorded(original, settings)
    for stream, rows in recorded.draws.items():
        expected = settings["noise_sha256_16"]["x_T" if stream == "start" else f"{stream}_noise"]
        assert originals.digest(rows) == expected
    total, range_t = settings["steps_total"], settings["range_t"]
    method = ILVR(
        down=settings["N"] or 4,
        range_t=total if range_t is None else range_t,
        respacing=total,
        clip=settings["clip_denoised"],
    )
    samples = [EditSample("x", picture, None, settings["class_index"])]
    result = method(recorded, batch(samples, original), recorded)
    timesteps, inputs = zip(*recorded.seen, strict=True)
    assert list(timesteps[:-1]) == settings["timesteps"][::-1]
    condition = original.condition([settings["class_index"]])
    first = torch.cat(original.eps_and_variance(inputs[0], timesteps[0], condition), 1)
    close(first, arrays["first_model_output"], 10 * 1e-6)
    kept = arrays.get("steps_kept_index", range(total))
    for i, expected in zip(kept, arrays.get("steps_kept", arrays.get("steps")), strict=True):
        close(inputs[i + 1][0], expected)
    close(inputs[-1], arrays["final"])
    assert np.abs(result.images.numpy().astype(int) - arrays["final_uint8"]).max() == 0


@needs_shared
def test_one_step_of_the_original(original):
    """From the picture that the original had before it: what it predicts, and where it goes before it is refined."""
    settings, arrays, _ = case("pub0_N4_t0")
    grid = ilvr.respaced(original.alphas_cumprod, 10)
    condition = original.condition([settings["class_index"]])
    starts = torch.from_numpy(np.concatenate([arrays["x_T"], arrays["steps"][:-1]]))
    for row, x in enumerate(starts):
        i = 9 - row
        eps, share = original.eps_and_variance(x[None], grid.timesteps[i], condition)
        predicted = grid.path.clean(x[None], eps, grid.levels[i + 1])  # up to 400 before it is clipped
        close(predicted[0].clamp(-1, 1), arrays["pred_xstart"][row], APART * predicted.abs().max().item())
        mean, deviation = ilvr.posterior(x[None], eps, share, grid, i, clip=True)
        close((mean + deviation * torch.from_numpy(arrays["step_noise"][row]))[0], arrays["before_refinement"][row])


@pytest.mark.parametrize("steps", [2, 7, 100, 999, 1000])
def test_timesteps_reach_both_ends(steps):
    grid = ilvr.respaced(np.linspace(0.9999, 0.0001, 1000), steps)
    assert (len(grid.timesteps), grid.timesteps[0], grid.timesteps[-1]) == (steps, 0, 999)
    assert grid.levels[0] == 1
    assert all(a < b for a, b in itertools.pairwise(grid.timesteps))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    with torch.inference_mode():
        yield ADM(str(adm.folder(tmp_path_factory.mktemp("adm")))).load(CPU, torch.float32)


@pytest.fixture(scope="module")
def samples():
    pictures = np.random.default_rng(0).integers(0, 256, (4, 3, 32, 32), np.uint8)
    return [EditSample(str(i), picture, 0, 2 * i + 1) for i, picture in enumerate(pictures)]


SHORT = ILVR(down=8, range_t=2, respacing=6)


def edit(method, model, samples, seed=0):
    made = batch(samples, model)
    return method(model, made, SampleNoise(seed, [sample.id for sample in samples])).images.int(), made.shared


def test_a_batch_of_four_is_four_singles_in_any_order(model, samples):
    together, shared = edit(SHORT, model, samples)
    assert shared.rows == 6 * 4
    alone = torch.cat([edit(SHORT, model, [sample])[0] for sample in samples])
    assert (together - alone).abs().max() <= 1
    assert (together - edit(SHORT, model, samples[::-1])[0].flip(0)).abs().max() <= 1
    assert (together - edit(SHORT, model, samples, seed=1)[0]).abs().max() > 5


def test_points_of_one_filter_share_the_steps_that_all_refine(model, samples):
    points = [replace(SHORT, range_t=range_t) for range_t in (4, 0, 2, 6)] + [replace(SHORT, down=4)]
    made, noise, spent = batch(samples, model), SampleNoise(0, [sample.id for sample in samples]), []
    made.points = points
    for point in points:
        made.shared.open_bill()
        images = point(model, made, noise).images.int()
        assert made.shared.rows == 6 * len(samples)
        spent.append(made.shared.spent // len(samples))
        assert (images - edit(point, model, samples)[0]).abs().max() == 0
    assert spent == [6, 5, 3, 6, 6]


def test_low_frequencies_are_the_sources(model, samples):
    """Refined to the last step but one, at both pairings; the source's own class does not matter."""
    low = torch.from_numpy(ilvr.lowpass(32, 8)).float()
    source = torch.from_numpy(np.stack([sample.image for sample in samples])).float()
    errors = {}
    for pairing in ("code", "paper"):
        for range_t in (0, 5):
            images, _ = edit(ILVR(8, range_t, 6, pairing), model, samples)
            errors[pairing, range_t] = (low @ (images.float() - source) @ low.T).abs().mean().item()
    assert errors["code", 5] == errors["paper", 5] > 1.5 * max(errors["code", 0], errors["paper", 0])
    assert errors["code", 0] != errors["paper", 0]


def test_the_papers_pairing_noises_the_source_to_the_level_that_was_reached(model, samples, monkeypatch):
    """The first step is the same; what is put into it differs by the source's share at the two levels."""
    seen = []

    def eps_and_variance(z, t, condition):
        seen.append(z)
        return torch.zeros_like(z), torch.zeros_like(z)

    def noise(stream, shape):  # none in what is put in
        return SampleNoise(0, ["0"])(stream, shape) * (not stream.startswith("reference"))

    monkeypatch.setattr(model, "eps_and_variance", eps_and_variance)
    for pairing in ("code", "paper"):
        ILVR(8, 0, 6, pairing)(model, batch(samples[:1], model), noise)
    low = torch.from_numpy(ilvr.lowpass(32, 8)).float()
    source = to_float(torch.from_numpy(samples[0].image)[None])
    reached, left = ilvr.respaced(model.alphas_cumprod, 6).levels[-2:]
    expected = (reached**0.5 - left**0.5) * (low @ source @ low.T)
    torch.testing.assert_close(seen[7] - seen[1], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("down", "left"), [(32, "leaves 1 of 32"), (64, "leaves 0.5 of 32"), (3, "leaves 10.6667 of 32")]
)
def test_a_filter_too_wide_for_the_picture(model, samples, down, left):
    with pytest.raises(UserError, match=f"method.down={down} {left} px a side; expected a whole number of at least"):
        edit(ILVR(down, 0, 6), model, samples)


def test_samples_that_ask_for_no_class_are_named(model, samples):
    bad = [samples[0], replace(samples[1], target="a cat"), replace(samples[2], target=11)]
    with pytest.raises(BadSample) as error:
        edit(SHORT, model, bad)
    assert error.value.ids == {
        "1": "target is 'a cat'; this model takes class ids and got the text 'a cat'; set data.queries=ids",
        "2": "target is 11; this model takes class ids from 0 to 10 and got 11",
    }
