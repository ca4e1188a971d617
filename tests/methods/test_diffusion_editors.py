"""Edit-friendly DDPM inversion and Plug-and-Play features, on a tiny folder of Stable Diffusion's format made here."""

import pytest
import torch

from bench.diffusion import ddim
from bench.diffusion.noise import SampleNoise
from bench.errors import UserError
from bench.models.sd3 import StableDiffusion3
from bench.models.stable_diffusion import StableDiffusion
from bench.types import EditSample
from methods import latents
from methods.edit_friendly import EditFriendly
from methods.plug_and_play import PlugAndPlay
from tests.helpers.flow_folders import sd3_folder, sd_folder
from tests.helpers.models import batch, shipped
from tests.methods.test_flow_editors import check_batch_is_its_rows, pictures, run


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = sd_folder(tmp_path_factory.mktemp("models") / "sd")
    return StableDiffusion(str(folder)).load(torch.device("cpu"), torch.float32)


def samples(count=4):
    return pictures(64, 64, count)


@pytest.fixture(autouse=True)
def square(monkeypatch):
    """The UNet halves its latents three times."""
    monkeypatch.setattr("tests.methods.test_flow_editors.pictures", lambda *_, **__: samples())


@pytest.mark.parametrize(
    ("method", "rows"),
    [
        (EditFriendly(5, skip=2), 10 + 6),
        (EditFriendly(5, skip=0, w_s=1.0, eta=0.5), 5 + 10),
        (PlugAndPlay(4, 7.5, inversion_steps=4), 4 + 12),
        (PlugAndPlay(4, 7.5, inversion_steps=8, attention=1.0, residual=0.0), 8 + 12),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_batch_is_its_rows(model, method, rows):
    assert check_batch_is_its_rows(method, model) == rows


def test_edit_friendly_noise_makes_the_source_again(model):
    """With the source's words and guidance every step arrives at the source of the level below."""
    made, method = batch(samples(2), model), EditFriendly(6, w_s=3.0)
    with torch.inference_mode():
        grid = latents.grid(model, made, 6)
        noisy, draws = method.invert(model, made, grid, SampleNoise(0, ["0", "1"]))
        words, null = latents.condition(model, made, made.sources), latents.null(model, made)
        ends = [method.generate(model, grid, noisy[k], draws[:k], words, null, 3.0) for k in (1, 3, 6)]
    torch.testing.assert_close(ends[1], ends[0], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(ends[2], ends[0], atol=1e-3, rtol=1e-3)
    assert draws[0].abs().max() == 0
    noises = [(z - grid.path.mix(a)[0] * noisy[0]) for z, a in zip(noisy[1:], grid.levels[1:], strict=True)]
    together = torch.corrcoef(torch.stack([noise.flatten() for noise in noises]))
    assert together.fill_diagonal_(0).abs().max() < 0.3  # each level's noise is its own


def test_edit_friendly_inversion_without_words_costs_a_row_a_step(model):
    told = [EditSample(one.id, one.image, "", one.target) for one in samples(1)]
    assert run(EditFriendly(5, skip=2), model, told)[1] == 5 + 6
    assert run(EditFriendly(50), model, samples(1))[1] == 100 + 2 * 32  # the authors' share of the steps is skipped


def test_what_plug_and_play_injects_where_all_rows_are_the_same_changes_nothing(model):
    """They are in the first step without words; later the source's row is the inversion's."""
    told = [EditSample(one.id, one.image, "", "") for one in samples(2)]
    made, method = batch(told, model), PlugAndPlay(4, 7.5, 4, 0.25, 0.25, negative="")
    with torch.inference_mode():
        source = method.inverted(model, made)
        null = latents.null(model, made)
        again = ddim.sample(model, source[-1], model.grid(4), 4, null, null, 1.0)
        torch.testing.assert_close(method.generate(model, made, source), again, atol=1e-3, rtol=1e-3)


def test_plug_and_play_steers_a_share_of_the_steps(model):
    made = batch(samples(1), model)
    with torch.inference_mode():

        def edit(**shares):
            method = PlugAndPlay(4, 7.5, inversion_steps=4, **shares)
            return method.generate(model, made, method.inverted(model, made))

        plain = edit(attention=0.0, residual=0.0)
        found = [edit(attention=share, residual=0.0) for share in (0.2, 0.5, 1.0)]
        found += [edit(attention=0.0, residual=share) for share in (0.5, 0.8)]
    assert torch.equal(found.pop(0), plain)  # rounded down
    assert all(not torch.allclose(one, plain, atol=1e-3) for one in found)
    assert not torch.allclose(found[0], found[1], atol=1e-3)


def test_what_a_residual_block_adds_can_be_changed_and_is_put_back(model):
    z = torch.randn(2, 4, 8, 8)
    with torch.inference_mode():
        words = model.condition(["a cat", "a dog"])
        plain = model.eps(z, 500, words)
        with model.residual(1, 1, lambda x: torch.cat([x[:1], 10 * x[:1]])):
            moved = model.eps(z, 500, words)
        torch.testing.assert_close(moved[0], plain[0])
        assert not torch.allclose(moved[1], plain[1], atol=1e-2)
        assert torch.equal(model.eps(z, 500, words), plain)


def test_models_that_it_cannot_work_on(model, tmp_path):
    flow = StableDiffusion3(str(sd3_folder(tmp_path / "sd3"))).load(torch.device("cpu"), torch.float32)
    for method in (EditFriendly(4), PlugAndPlay(4, 7.5)):
        with pytest.raises(UserError, match="needs the table of noise levels that a diffusion model was trained on"):
            run(method, flow, samples(1))
    with pytest.raises(UserError, match="knows the places of Stable Diffusion's UNet, whose decoder has 4 blocks"):
        run(PlugAndPlay(4, 7.5), shipped(), samples(1))
    with pytest.raises(UserError, match=r"method.inversion_steps=3 passes by timestep 251 of steps=4"):
        run(PlugAndPlay(4, 7.5, inversion_steps=3), model, samples(1))
