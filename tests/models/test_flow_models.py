"""Stable Diffusion XL, Stable Diffusion 3 and FLUX against diffusers' own pipelines on tiny random models (goldens,
fp32), and on folders made here: what they are told, what they take and refuse."""

import json
import logging
import re
import shutil

import numpy as np
import pytest
import torch
from diffusers import FluxTransformer2DModel
from PIL import Image
from torch.nn.functional import scaled_dot_product_attention

from bench import run
from bench.diffusion.device import to_float, to_uint8
from bench.diffusion.guidance import guided_eps
from bench.errors import BadSample, UserError
from bench.models.flux import Flux
from bench.models.sd3 import StableDiffusion3
from bench.models.sdxl import StableDiffusionXL
from bench.types import Condition
from tests.helpers.flow_folders import flux_folder, sd3_folder, sdxl_folder, sharded
from tests.helpers.shared import SHARED, needs_shared
from tests.models.test_models import edit_json

GOLDEN = SHARED / "golden/flow"
CPU = torch.device("cpu")
KINDS = {"sdxl": StableDiffusionXL, "sd3": StableDiffusion3, "flux": Flux}
FOLDERS = {"sdxl": sdxl_folder, "sd3": sd3_folder, "flux": flux_folder}
CLOSE = 2e-5
# FLUX's T5 amplifies rounding: the stored states are 2.6e-5 from those of the same network in float64
CLOSE_T5 = 5e-5


def load(kind, folder, **knobs):
    return KINDS[kind](str(folder), **knobs).load(CPU, torch.float32)


@pytest.fixture(scope="module")
def golden():
    models = {}

    def get(kind):
        if kind not in models:
            models[kind] = load(kind, GOLDEN / "models" / kind)
        return models[kind]

    return get


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {kind: make(tmp_path_factory.mktemp("models") / kind) for kind, make in FOLDERS.items()}


@pytest.fixture(scope="module")
def models(folders):
    return {kind: load(kind, folder) for kind, folder in folders.items()}


def close(found, expected, relative=CLOSE):
    expected = torch.as_tensor(expected)
    assert (found - expected).abs().max() <= relative * expected.abs().max()


def stored(kind, name):
    file = GOLDEN / kind / f"{name}.npz"
    return np.load(file), json.loads(file.with_suffix(".json").read_text())["settings"]


def told(model, condition, w=1.0):
    return condition.guided(w) if model.distilled else condition


# --- against diffusers ---


@needs_shared
@pytest.mark.parametrize("kind", KINDS)
def test_prompts_are_encoded_as_diffusers_does(golden, kind):
    arrays, settings = stored("encode", kind)
    model = golden(kind)
    with torch.inference_mode():
        for number, prompt in enumerate(settings["prompts"]):
            found, states = model.condition([prompt]), arrays[f"states_{number}"]
            close(found.states[:, : states.shape[1]], states, CLOSE_T5 if kind == "flux" else CLOSE)
            close(found.pooled, arrays[f"pooled_{number}"])
        if kind == "sdxl":
            null = model.condition([None])
            assert null.states.abs().max() == null.pooled.abs().max() == 0
            beside = model.condition([settings["prompts"][0], None])
            close(beside.states[:1], arrays["states_0"])
            assert beside.states[1].abs().max() == 0


@needs_shared
@pytest.mark.parametrize("kind", KINDS)
def test_the_denoiser_says_what_diffusers_does(golden, kind):
    arrays, settings = stored("network", kind)
    model = golden(kind)
    with torch.inference_mode():
        words = model.condition(settings["prompts"])
        for number, t in enumerate(settings["t"]):
            for w in settings.get("guidance", [1.0]):
                end = f"{number}_g{w}" if model.distilled else f"{number}"
                for name, z in (("out", arrays["z"]), ("out_wide", arrays["z_wide"])):
                    found = model.eps(torch.from_numpy(z), t, told(model, words[: len(z)], w))
                    close(found, arrays[f"{name}_{end}"])


@needs_shared
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sample", ["f0", "f1", "f2"])
def test_the_autoencoder_encodes_and_decodes_as_diffusers_does(golden, kind, sample):
    arrays, _ = stored("network", kind)
    pixels = np.asarray(Image.open(GOLDEN / f"samples/{sample}.png").convert("RGB")).transpose(2, 0, 1)
    model = golden(kind)
    with torch.inference_mode():
        z = model.encode(to_float(torch.from_numpy(pixels.copy())[None]))
        again = to_uint8(model.decode(z))[0].permute(1, 2, 0).numpy()
    close(z, arrays[f"x0_{sample}"])
    assert np.abs(again.astype(int) - arrays[f"roundtrip_{sample}"].astype(int)).max() <= 1


@needs_shared
def test_grids_are_diffusers(golden):
    stored_grids = json.loads((GOLDEN / "grids.json").read_text())
    for steps in (10, 28, 50):
        found, expected = golden("sd3").grid(steps), stored_grids["sd3_shift3"][str(steps)]
        assert found.levels[::-1] == pytest.approx(expected["sigmas"], abs=1e-7)
        assert found.timesteps[::-1] == pytest.approx(expected["timesteps"], abs=1e-4)
        found, expected = golden("sdxl").grid(steps), stored_grids["sdxl"]["ddim"][str(steps)]
        assert found.timesteps[::-1] == tuple(expected["timesteps"])
        assert found.levels[:0:-1] == pytest.approx(expected["alphas_cumprod"], abs=1e-6)
        assert found.levels[0] == pytest.approx(stored_grids["sdxl"]["final_alpha_cumprod"], abs=1e-6)
    for size, of_size in stored_grids["flux_dynamic"].items():
        width, height = (int(side) // 8 for side in size.split("x"))
        for steps in (8, 28, 50):
            found = golden("flux").grid_for(steps, torch.zeros(1, 16, height, width))
            assert found.levels[::-1] == pytest.approx(of_size[str(steps)]["sigmas"], abs=1e-7)


# --- on folders made here ---


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_its_rows(models, kind):
    model, prompts = models[kind], ["a red cat", "the house on the river", "a dog", "seven things"]
    z = torch.randn(4, 4 if kind == "sdxl" else 16, 8, 12, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        words = model.condition(prompts)
        out = model.eps(z, 500, told(model, words, 2.0))
        for n, prompt in enumerate(prompts):
            one = model.eps(z[n : n + 1], 500, told(model, model.condition([prompt]), 2.0))
            torch.testing.assert_close(out[n : n + 1], one, atol=1e-5, rtol=1e-5)
            assert not torch.allclose(out[n], out[n - 1], atol=1e-2)
    assert out.shape == z.shape


@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_is_hooked_and_says_where_its_words_are(models, kind):
    model, seen = models[kind], []

    def hook(layer, query, key, value):
        seen.append((layer.place, layer.index, layer.words, query.shape[2]))
        return scaled_dot_product_attention(query, key, value)

    with torch.inference_mode():
        z, words = torch.randn(1, 4 if kind == "sdxl" else 16, 8, 12), told(model, model.condition(["a cat"]))
        plain = model.eps(z, 500, words)
        with model.attend(hook):
            hooked = model.eps(z, 500, words)
    torch.testing.assert_close(hooked, plain, atol=1e-5, rtol=1e-5)
    assert len(seen) == len(model.attention())
    if kind == "sd3":
        assert seen == [("joint", 0, (24, 357), 357), ("picture", 0, None, 24), ("joint", 1, (24, 357), 357)]
    if kind == "flux":
        places = [("double", 0), ("single", 0), ("single", 1)]
        assert seen == [(*place, (0, 512), 536) for place in places]


def test_sizes_tell_sdxl_apart(folders, models):
    told_size = load("sdxl", folders["sdxl"], original_size=1024)
    z, words = torch.randn(1, 4, 8, 12), models["sdxl"].condition(["a cat"])
    with torch.inference_mode():
        wide, tall = (model.eps(z, 500, words) for model in (models["sdxl"], told_size))
    assert not torch.allclose(wide, tall, atol=1e-3)
    assert models["sdxl"]._beside(words, z)["added_cond_kwargs"]["time_ids"].tolist() == [[64, 96, 0, 0, 64, 96]]
    assert KINDS["sdxl"](str(folders["sdxl"])).identity() != KINDS["sdxl"](str(folders["sdxl"]), None, 1024).identity()


@pytest.mark.parametrize("kind", ["sdxl", "sd3"])
def test_a_negative_prompt_stands_for_the_unconditional_model(folders, models, kind):
    model = load(kind, folders[kind], negative="a blue dog")
    with torch.inference_mode():
        close(model.condition([None]).states, models[kind].condition(["a blue dog"]).states, 1e-6)
    assert not torch.allclose(models[kind].condition([None]).states, models[kind].condition(["a blue dog"]).states)
    plain, negative = (KINDS[kind](str(folders[kind]), negative=text) for text in (None, "a blue dog"))
    assert plain.identity() != negative.identity()


def test_flux_is_guided_away_from_a_negative_prompt_in_two_rows(folders, models):
    model, z = load("flux", folders["flux"], negative="a blue dog", true_guidance=4.0), torch.randn(1, 16, 8, 8)
    with torch.inference_mode():
        words, away = models["flux"].condition(["a red cat", "a blue dog"]).guided(3.5)[:1], None
        away = models["flux"].condition(["a blue dog"]).guided(3.5)
        given, free = (models["flux"].eps(z, 500, condition) for condition in (words, away))
        torch.testing.assert_close(model.eps(z, 500, words), free + 4 * (given - free), atol=1e-4, rtol=1e-4)
    assert model.rows == 2
    with pytest.raises(UserError, match=r"model.true_guidance=None; expected a prompt and a scale above 1"):
        Flux(str(folders["flux"]), negative="a dog")


def test_a_prompt_that_one_encoder_cuts_is_said_with_its_name(models, caplog):
    long = " ".join(["a red cat"] * 40)
    with caplog.at_level(logging.WARNING):
        models["sd3"].condition([long])
    assert [record.getMessage()[:47] for record in caplog.records] == [
        "prompt cut by 125 tokens in text_encoder: 'a re",
        "prompt cut by 125 tokens in text_encoder_2: 'a ",
    ]
    assert models["sd3"].cuts(long) == {"text_encoder": 125, "text_encoder_2": 125}
    assert models["sd3"].excess(long) == 0
    assert models["flux"].cuts(long) == {"text_encoder": 125}
    longer = " ".join(["a red cat"] * 200)
    assert models["flux"].cuts(longer) == {"text_encoder": 925, "text_encoder_2": 89}
    assert models["flux"].excess(longer) == 89


def test_t5_may_be_left_out_of_sd3(tmp_path):
    folder = sd3_folder(tmp_path / "sd3", t5=False)
    model = load("sd3", folder)
    states = model.condition(["a cat"]).states
    assert states.shape == (1, 333, 32)
    assert states[:, 77:].abs().max() == 0
    assert not any("_3" in file for file in StableDiffusion3(str(folder)).identity()["files"])


def test_shards_are_the_same_model(folders, models, tmp_path):
    folder = sharded(shutil.copytree(folders["flux"], tmp_path / "flux"), "transformer")
    z, words = torch.randn(1, 16, 8, 8), models["flux"].condition(["a cat"]).guided(2.0)
    with torch.inference_mode():
        torch.testing.assert_close(load("flux", folder).eps(z, 500, words), models["flux"].eps(z, 500, words))
    names = [name for name in Flux(str(folder)).identity()["files"] if name.endswith(".safetensors")]
    first, second = sorted(name for name in names if name.startswith("transformer"))[:2]
    shutil.copy(folder / first, folder / second)
    with pytest.raises(UserError, match=rf"is in {re.escape(first[12:])} and in {re.escape(second[12:])}"):
        Flux(str(folder))
    (folder / second).unlink()
    with pytest.raises(UserError, match=f"has no {re.escape(second[12:])}"):
        Flux(str(folder))


def test_guidance_that_a_distilled_model_cannot_be_told(models, tmp_path):
    z, words = torch.randn(1, 16, 8, 8), models["flux"].condition(["a cat"])
    with torch.inference_mode():
        assert not torch.allclose(*(guided_eps(models["flux"], z, 500, words, None, w) for w in (0, 2.0)), atol=1e-3)
        with pytest.raises(UserError, match="guidance -1, expected at least 0"):
            guided_eps(models["flux"], z, 500, words, None, -1.0)
        schnell = load("flux", flux_folder(tmp_path / "schnell", guidance=False))
        words = schnell.condition(["a cat"])
        guided_eps(schnell, z, 500, words, None, 1.0)
        for w in (0.0, 3.5):
            with pytest.raises(UserError, match=r"expected 1: this model .schnell. knows no guidance"):
                guided_eps(schnell, z, 500, words, None, w)
    with pytest.raises(UserError, match="is distilled and has no unconditional half"):
        models["flux"].condition(["a", None])
    with pytest.raises(BadSample, match="takes text"):
        models["flux"].condition([7])


def test_flux_without_an_unconditional_model_may_be_told_the_empty_prompt(folders, models):
    model = load("flux", folders["flux"], unconditional="empty")
    assert torch.equal(model.condition([None]).states, models["flux"].condition([""]).states)


@pytest.mark.parametrize(
    ("kind", "damage", "sentence"),
    [
        ("flux", lambda m: shutil.rmtree(m / "text_encoder_2"), "has no text_encoder_2/; expected the folders"),
        (
            "flux",
            lambda m: edit_json(m / "model_index.json", text_encoder_2=[None, None]),
            "has no text_encoder_2, wh",
        ),
        (
            "flux",
            lambda m: edit_json(m / "transformer/config.json", in_channels=384),
            "takes 384 channels a token",
        ),
        (
            "sd3",
            lambda m: edit_json(m / "model_index.json", vae=["mine", "AutoencoderKL"]),
            "names mine.Autoencoder",
        ),
        (
            "sd3",
            lambda m: edit_json(m / "model_index.json", transformer=["diffusers", "X"]),
            "names diffusers.X as",
        ),
        (
            "sd3",
            lambda m: edit_json(m / "scheduler/scheduler_config.json", shift="3"),
            "has shift '3'; expected",
        ),
        (
            "sd3",
            lambda m: edit_json(m / "scheduler/scheduler_config.json", _class_name="Euler"),
            "is of a Euler",
        ),
        ("sdxl", lambda m: edit_json(m / "model_index.json", requires_aesthetics_score=True), "a refiner is"),
        ("sdxl", lambda m: edit_json(m / "text_encoder/config.json", hidden_size=9), r"\[9, 16\] numbers do not fit"),
        ("sdxl", lambda m: edit_json(m / "model_index.json", _class_name="FluxPipeline"), "is a FLUX model; expected"),
    ],
)
def test_folders_that_are_not_whole_or_of_another_kind(folders, tmp_path, kind, damage, sentence):
    folder = shutil.copytree(folders[kind], tmp_path / "model")
    damage(folder)
    with pytest.raises(UserError, match=sentence):
        KINDS[kind](str(folder))


def test_a_model_that_is_not_here_is_got_with_its_licence_and_its_parts_alone():
    with pytest.raises(UserError) as caught:
        Flux("black-forest-labs/FLUX.1-none")
    said = str(caught.value)
    assert "accept the licence on the model's page, then `hf auth login`, then `hf download black-forest-labs" in said
    assert "--include 'model_index.json' 'scheduler/*' 'transformer/*' 'vae/*' 'text_encoder/*'" in said
    with pytest.raises(UserError, match="get it with `hf download stabilityai/none --include"):
        StableDiffusionXL("stabilityai/none")


@pytest.mark.parametrize(
    ("kind", "size", "sentence"),
    [
        ("flux", 72, "pictures of 72x72 px; this model takes multiples of 16: set data.size"),
        ("sd3", 144, "pictures of 144x144 px; this model takes 128 px a side at most: set data.size"),
        ("sdxl", 60, "pictures of 60x60 px; this model takes multiples of 8: set data.size"),
    ],
)
def test_sizes_that_it_cannot_take_are_said_before_anything_is_loaded(folders, kind, size, sentence, tmp_path, capsys):
    words = [f"model={kind}", f"model.path={folders[kind]}", f"data.size={size}", "data=shapes", "method=sdedit"]
    assert run.main([*words, "metrics=pixel", f"out={tmp_path}"]) == 2
    assert sentence in capsys.readouterr().err
    model = load(kind, folders[kind])
    with pytest.raises(UserError, match=f"images of {size}x{size} px; this model"):
        model.encode(torch.zeros(1, 3, size, size))


def test_a_token_of_a_flow_is_two_cells_of_its_own_autoencoder_wide(folders, tmp_path):
    folder = shutil.copytree(folders["sd3"], tmp_path / "model")
    assert (StableDiffusion3(str(folder)).multiple, StableDiffusion3(str(folder)).largest) == (16, 128)
    edit_json(folder / "vae/config.json", block_out_channels=[4, 4, 4])
    assert (StableDiffusion3(str(folder)).multiple, StableDiffusion3(str(folder)).largest) == (8, 64)


@pytest.mark.parametrize(
    ("guided", "words", "sentence"),
    [
        (True, ["guidance=-1"], "guidance=-1, expected at least 0: it is an input of model=flux"),
        (False, [], "guidance=3.5, expected 1: model=flux is told none; set guidance=1"),
    ],
)
def test_guidance_is_checked_before_anything_is_loaded(guided, words, sentence, tmp_path, capsys):
    folder = flux_folder(tmp_path / "flux", guidance=guided)
    given = ["model=flux", f"model.path={folder}", "data.size=64", "method=sdedit", "metrics=pixel", *words]
    assert run.main([*given, f"out={tmp_path}"]) == 2
    assert sentence in capsys.readouterr().err


def test_position_ids_are_rows_then_columns(models):
    """A picture on its side is another one: tokens keep their order, rows and columns are told apart."""
    transformer = models["flux"].transformer
    assert isinstance(transformer, FluxTransformer2DModel)
    seen = {}
    handle = transformer.register_forward_pre_hook(lambda m, a, k: seen.update(k), with_kwargs=True)
    try:
        models["flux"].eps(torch.arange(16 * 4 * 6.0).view(1, 16, 4, 6), 250, models["flux"].condition(["a"]).guided(1))
    finally:
        handle.remove()
    assert seen["img_ids"].tolist() == [[0, row, column] for row in range(2) for column in range(3)]
    assert seen["timestep"].tolist() == [0.25]
    assert isinstance(models["flux"].condition(["a"]), Condition)
