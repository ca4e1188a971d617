"""Class-conditional latent diffusion against outputs of the original code on a tiny random model (goldens, fp32), and
what it takes and refuses."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from bench import run
from bench.convert.__main__ import convert
from bench.diffusion import ddim
from bench.diffusion.device import to_float
from bench.diffusion.grid import encode_steps, strength_level
from bench.diffusion.noise import SampleNoise
from bench.errors import BadSample, UserError
from bench.models.attention import plain
from bench.models.class_ldm import ClassLDM
from bench.types import EditSample
from methods.ddim import DDIM
from methods.diffedit import DiffEdit, binarise, contrast
from methods.encode_decode import EncodeDecode
from methods.sdedit import SDEdit
from methods.siminversion import SimInversion
from tests.helpers.class_models import CLASSES, cin_folder
from tests.helpers.models import SHIPPED, batch
from tests.helpers.shared import SHARED, needs_shared

GOLDEN = SHARED / "golden/baselines"
CPU = torch.device("cpu")
# Ten times what the same networks were measured at against the original code, relative to the largest value.
INVERSION, LATENTS, PICTURE = 1e-5, 7e-5, 2e-5


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A model of a thousand classes."""
    return cin_folder(tmp_path_factory.mktemp("models") / "cin256")


@pytest.fixture(scope="module")
def model(tiny):
    return ClassLDM(str(tiny)).load(CPU, torch.float32)


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    """The original's model, converted."""
    folder = tmp_path_factory.mktemp("models") / "ldm_a"
    convert("cin256", GOLDEN / "ldm_a/original.safetensors", folder)
    return ClassLDM(str(folder)).load(CPU, torch.float32)


def close(found, expected, relative):
    assert (found - expected).abs().max() <= relative * expected.abs().max()


@pytest.fixture(params=["pub0_T10", "pub1_T20"])
def case(request, golden):
    """Arrays and settings of a case, the grid, and the conditions of source, target and no class."""
    stored = np.load(GOLDEN / f"ldm/{request.param}.npz")
    settings = json.loads((GOLDEN / f"ldm/{request.param}.json").read_text())
    with Image.open(GOLDEN / f"ldm/{request.param}.png") as image:
        settings["pixels"] = torch.from_numpy(np.asarray(image.convert("RGB")).transpose(2, 0, 1).copy())[None]
    grid = golden.grid(settings["steps"])
    assert list(grid.timesteps) == settings["timesteps"]
    assert encode_steps(settings["r"], settings["steps"]) == settings["k"]
    told = [golden.condition([settings.get(f"{name}_class")]) for name in ("source", "target", "no")]
    return {name: torch.from_numpy(stored[name]) for name in stored}, settings, grid, told


@needs_shared
def test_encode_and_decode(golden, case):
    arrays, settings, _, (_, target, null) = case
    z0 = arrays["z0"]
    close(golden.encode(to_float(settings["pixels"])), z0, PICTURE)
    quantised, _, (*_, indices) = golden.vae.quantize(z0)
    assert torch.equal(indices.view(16, 16), arrays["codebook_indices"].long())
    close(quantised, arrays["quantised"], PICTURE)
    close(golden.decode(z0), arrays["reconstruction"], PICTURE)
    close(golden.vae.decode(z0, force_not_quantize=True).sample, arrays["reconstruction_not_quantised"], PICTURE)
    assert torch.equal(target.states, arrays["condition_target"])
    assert torch.equal(null.states, arrays["condition_null"])


@needs_shared
def test_inversion_and_encode_decode(golden, case):
    arrays, settings, grid, (source, target, null) = case
    k, steps = settings["k"], []
    trajectory = ddim.invert(golden, arrays["z0"], grid, k, null)
    close(trajectory[:, 0], arrays["inversion_null"], INVERSION)
    close(ddim.invert(golden, arrays["z0"], grid, k, source)[-1], arrays["inversion_source_last"], INVERSION)

    def kept(y, level):
        steps.append(y)
        return y

    z = ddim.sample(golden, trajectory[-1], grid, k, target, null, settings["guidance"], after=kept)
    close(torch.cat(steps), arrays["encode_decode_steps"], LATENTS)
    close(golden.decode(z), arrays["encode_decode_image"], PICTURE)


@needs_shared
def test_sdedit_and_the_notebooks_sampling(golden, case):
    arrays, settings, grid, (_, target, null) = case
    k, w = settings["k"], settings["guidance"]
    noised = grid.path.noised(arrays["z0"], arrays["start_noise"], grid.levels[k])
    close(noised, arrays["sdedit_noised"], INVERSION)
    close(ddim.sample(golden, noised, grid, k, target, null, w), arrays["sdedit_final"], LATENTS)
    z = ddim.sample(golden, arrays["x_T"], grid, settings["steps"], target, null, w)
    close(z, arrays["sample_latents"], LATENTS)
    close(golden.decode(z), arrays["sample_image"], PICTURE)


@needs_shared
def test_contrast_and_masked_decode(golden, case):
    arrays, settings, grid, (_, target, null) = case
    level = strength_level(0.5, settings["steps"])
    assert grid.timesteps[level - 1] == settings["mask_timestep"]
    maps = contrast(golden, arrays["z0"], arrays["mask_noise"][None], grid, level, target, null)
    raw = maps.mean(1, keepdim=True)
    close(raw, arrays["contrast"], LATENTS)
    assert torch.equal(binarise(maps, "mean_ratio", 3.0, "clip", 0.5, "average"), arrays["mask_mean_ratio"].float())
    mask = (raw > raw.median()).float()
    assert torch.equal(mask, arrays["mask"].float())
    steps, trajectory = [], ddim.invert(golden, arrays["z0"], grid, settings["k"], null)

    def keep_outside(y, level):
        steps.append(mask * y + (1 - mask) * trajectory[level])
        return steps[-1]

    z = ddim.sample(golden, trajectory[-1], grid, settings["k"], target, null, settings["guidance"], after=keep_outside)
    close(torch.cat(steps), arrays["diffedit_steps"], LATENTS)
    close(golden.decode(z), arrays["diffedit_image"], PICTURE)


def samples(count):
    pixels = np.random.default_rng(0).integers(0, 256, (count, 3, 64, 64), np.uint8)
    return [EditSample(str(i), image, i, 999 - i) for i, image in enumerate(pixels)]


@pytest.mark.parametrize(
    "method",
    [
        SDEdit(0.5, 5.0, 4),
        EncodeDecode(0.5, 5.0, 4),
        DiffEdit(0.5, 5.0, 4, n=2),
        DDIM(5.0, 4, control="none"),
        SimInversion(5.0, 4, control="none"),
    ],
    ids=lambda method: type(method).__name__,
)
def test_a_batch_of_four_equals_four_singles(model, method):
    """Up to rounding, which may move single cells of the codebook."""
    four = samples(4)
    with torch.inference_mode():
        together = method(model, batch(four), SampleNoise(0, [s.id for s in four]))
        apart = [method(model, batch([s]), SampleNoise(0, [s.id])) for s in four]
    pixels = (together.images.int() - torch.cat([one.images for one in apart]).int()).abs()
    assert (pixels > 1).float().mean() < 0.01
    if together.mask is not None:
        assert torch.equal(together.mask, torch.cat([one.mask for one in apart]))


def test_class_0_is_a_class(model):
    made = batch(samples(1), model)
    with torch.inference_mode():
        inverted = DDIM(5.0, 2, control="none").invert(model, made, model.grid(2))
        free = DDIM(5.0, 2, control="none", source_text="empty").invert(model, made, model.grid(2))
    assert not torch.equal(inverted.trajectory[-1], free.trajectory[-1])


def test_coarse_masks(model):
    """Cells of the mask cover blocks of latents, and its size must fit into theirs."""
    made = batch(samples(2))
    with torch.inference_mode():
        coarse, fine, same = (
            DiffEdit(0.5, 5.0, 4, n=2, mask_size=size)(model, made, SampleNoise(0, ["0", "1"])).mask
            for size in (8, None, 16)
        )
        maps = made.shared(("contrast", 2, 251, (None, None)), lambda: pytest.fail("is there already"))
    assert torch.equal(fine, same)
    blocks = maps.unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2))
    expected = binarise(blocks, "mean_ratio", 3.0, "minmax", 0.5)
    assert torch.equal(coarse, expected.repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert not torch.equal(coarse, fine)
    for size in (5, 32):
        with pytest.raises(UserError, match=rf"method\.mask_size={size} does not divide the latents' 16 cells a side"):
            DiffEdit(0.5, 5.0, 4, mask_size=size)(model, made, SampleNoise(0, ["0", "1"]))


def test_what_it_is_told(model):
    states = model.condition([0, CLASSES - 1, None]).states
    assert states.shape == (3, 1, 24)
    assert torch.equal(states[2, 0], model.table[CLASSES])
    for query, sentence in (
        ("a cat", "this model takes class ids and got the text 'a cat'; set data.queries=ids"),
        (CLASSES, "this model takes class ids from 0 to 999 and got 1000"),
        (-1, "this model takes class ids from 0 to 999 and got -1"),
    ):
        with pytest.raises(BadSample, match=f"^{re.escape(sentence)}$"):
            model.condition([0, query])


def test_its_attention_is_steered_and_its_words_are_not(model):
    layers = model.attention()
    assert len(layers) == 2 * 4
    assert {layer.factor for layer in layers} == {2}
    with pytest.raises(UserError, match="reads no words, so its attention to them cannot be steered; use control=none"):
        model.tokens(3)
    assert all(module.heads == 1 for module in model._layers.values())
    z, told = torch.randn(2, 3, 16, 16), model.condition([1, None])
    with torch.inference_mode():
        expected = model.eps(z, 501, told)
        with model.attend(plain):
            torch.testing.assert_close(model.eps(z, 501, told), expected)


@pytest.fixture
def copied(tiny, tmp_path):
    return shutil.copytree(tiny, tmp_path / "model")


def changed(file, **values):
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


COMMAND = r"`python -m bench\.convert kind=cin256 <file> <folder>`"


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (
            lambda m: changed(m / "conversion.json", format_version=0),
            rf"by version 0 of .*expected 1: .*{COMMAND}",
        ),
        (lambda m: changed(m / "conversion.json", kind="adm256"), rf"is a adm256 model; expected .*{COMMAND}"),
        (lambda m: (m / "conversion.json").unlink(), rf"has no conversion\.json; expected .*{COMMAND}"),
        (lambda m: (m / "conversion.json").write_text("{}"), "conversion.json has no format_version, kind, sha256"),
        (lambda m: shutil.rmtree(m / "class_embedding"), "has no class_embedding/; expected the folders unet, vqvae"),
        (lambda m: changed(m / "unet/config.json", attention_head_dim=8), "attention_head_dim 8; expected 1"),
        (lambda m: changed(m / "vqvae/config.json", scaling_factor=0.18215), "scaling_factor 0.18215; expected 1"),
        (lambda m: changed(m / "class_embedding/config.json", embedding_dim=7), "rows of 7 numbers, which the UNet"),
    ],
)
def test_folders_of_another_kind_or_version(copied, damage, sentence):
    damage(copied)
    with pytest.raises(UserError, match=sentence):
        ClassLDM(str(copied))


def test_a_missing_folder_names_the_command_and_two_words_that_need_none(tmp_path):
    with pytest.raises(UserError, match=r"kind=cin256 <file> nowhere`.*model=dit256 .*CC-BY-NC.*model=sd14") as error:
        ClassLDM("nowhere")
    assert "\n" not in str(error.value)
    (tmp_path / "model.ckpt").touch()
    with pytest.raises(UserError, match=rf"is a file; expected a folder made of .*{COMMAND}"):
        ClassLDM(str(tmp_path / "model.ckpt"))


def test_a_stable_diffusion_folder_is_refused_with_the_word_for_it():
    with pytest.raises(UserError, match=r"is a Stable Diffusion 1 or 2 model \(model=sd14\); expected one made of cin"):
        ClassLDM(str(SHIPPED))


def test_identity_holds_the_official_files_hash(tiny):
    identity = ClassLDM(str(tiny)).identity()
    assert identity["conversion"] == json.loads((tiny / "conversion.json").read_text())
    assert {"class_embedding/diffusion_pytorch_model.safetensors", "vqvae/config.json"} < identity["files"].keys()


def test_geometry_with_and_without_files(tiny):
    here, nowhere = ClassLDM.geometry(64, str(tiny)), ClassLDM.geometry(256, "nowhere")
    assert (here.side, here.channels, len(here.layers)) == (16, 3, 8)
    assert (nowhere.side, nowhere.channels, len(nowhere.layers)) == (64, 3, 2 * 16)


def test_captions_fail_sample_by_sample(tiny, tmp_path, capsys):
    words = ["data=shapes", "data.size=64", "model=cin256", f"model.path={tiny}", "method=sdedit", "limit=2", "steps=2"]
    assert run.main([*words, "metrics=pixel", f"out={tmp_path}"]) != 0
    assert "2 of 2 samples failed" in (said := capsys.readouterr().err)
    assert "set data.queries=ids" in said
