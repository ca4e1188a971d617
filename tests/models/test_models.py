"""Locating and loading model folders, rightly and wrongly made."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file, save_file

from bench import run
from bench.errors import BadSample, UserError
from bench.files.paths import ROOT
from bench.models import checkpoint as checkpoints
from bench.models.schedule import alphas_cumprod
from bench.models.stable_diffusion import StableDiffusion
from tests.helpers.models import SHIPPED, shipped

CPU = torch.device("cpu")


@pytest.fixture
def copied(tmp_path):
    return shutil.copytree(SHIPPED, tmp_path / "model")


def test_local_folder_and_path_from_the_projects_root(copied):
    assert StableDiffusion(str(copied)).folder == copied
    assert StableDiffusion("bench/models/shapes").folder.samefile(SHIPPED)


def test_gradients_pass_through_a_model_whoever_loads_it(copied):
    with torch.inference_mode():
        model = checkpoints.load(StableDiffusion(str(copied)), CPU, torch.float32)
    checkpoints.free()
    assert not any(weight.is_inference() for weight in model.unet.parameters())


@pytest.fixture
def cached(copied, tmp_path, monkeypatch):
    """The hub's own cache layout: refs/main names a snapshot; a listing names files that nobody reads."""
    hub = tmp_path / "hub/models--some--model"
    (hub / "refs").mkdir(parents=True)
    (hub / "refs/main").write_text("0" * 40)
    shutil.copytree(copied, hub / "snapshots" / ("0" * 40))
    (hub / "trees").mkdir()
    names = ("model_index.json", "unet/diffusion_flax_model.msgpack", "safety_checker/model.safetensors")
    files = {name: {"size": 1, "blob_id": "a"} for name in names}
    (hub / "trees" / f"{'0' * 40}.json").write_text(json.dumps({"format_version": 1, "files": files}))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return hub / "snapshots" / ("0" * 40)


def test_hub_id_that_was_downloaded_before_also_without_files_that_nobody_reads(cached):
    assert StableDiffusion("some/model").size == 64


def test_a_blob_of_the_hub_is_hashed_by_its_name(cached, monkeypatch):
    """It is named by its SHA-256: 34 GB need not be read to be told apart."""
    file, digest = cached / "unet/diffusion_pytorch_model.safetensors", "ab" * 32
    (blobs := cached.parents[1] / "blobs").mkdir()
    file.rename(blobs / digest)
    file.symlink_to(blobs / digest)
    assert StableDiffusion("some/model").identity()["files"]["unet/diffusion_pytorch_model.safetensors"] == digest


def test_a_hub_id_that_is_not_here_says_how_to_get_it(cached):
    with pytest.raises(UserError, match=r"model some/other is not here: .*get it with `hf download some/other`"):
        StableDiffusion("some/other")


def edit_json(file, **changes):
    kept = {name: value for name, value in (json.loads(file.read_text()) | changes).items() if value is not ...}
    file.write_text(json.dumps(kept))


SCHEDULER = "scheduler/scheduler_config.json"
UNET = "unet/diffusion_pytorch_model.safetensors"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda m: shutil.rmtree(m / "scheduler"), "has no scheduler/; expected the folders unet, vae"),
        (lambda m: (m / "model_index.json").unlink(), "has no model_index.json"),
        (lambda m: (m / "vae/diffusion_pytorch_model.safetensors").unlink(), "has no diffusion_pytorch_model.safeten"),
        (
            lambda m: (m / "text_encoder/model.safetensors").rename(m / "text_encoder/pytorch_model.bin"),
            "holds pytorch_model.bin, a pickle, which can run code",
        ),
        (lambda m: (m / UNET).write_text(POINTER), "is a Git LFS pointer, not the file itself; run `git lfs pull`"),
        (lambda m: (m / UNET).write_text("<!DOCTYPE html><html>"), "is a web page, saved in place of the file"),
        (lambda m: (m / UNET).write_bytes((m / UNET).read_bytes()[:100]), "is not whole"),
        (lambda m: (m / UNET).write_bytes((m / UNET).read_bytes()[:-9]), r"is not whole \([\d,]+ of [\d,]+ bytes"),
        (lambda m: (m / UNET).write_bytes(b""), "is not whole"),
        (lambda m: (m / "unet/config.json").unlink(), "unet/config.json is missing"),
        (lambda m: (m / "unet/config.json").write_text('{"a":'), "unet/config.json is no JSON, or only a part of it"),
        (lambda m: (m / "vae/config.json").write_text("[1]"), "holds a list; expected names and values"),
        (lambda m: (m / "vae/config.json").write_text(POINTER), "vae/config.json is a Git LFS pointer"),
        (lambda m: edit_json(m / "unet/config.json", in_channels=...), "config.json has no in_channels"),
        (lambda m: (m / "scheduler/scheduler_config.json").unlink(), "scheduler_config.json is missing"),
        (lambda m: edit_json(m / "scheduler/scheduler_config.json", beta_end=...), "has no beta_end"),
        (lambda m: (m / "tokenizer/tokenizer.json").unlink(), "has no vocabulary; expected tokenizer.json, vocab.json"),
        (lambda m: (m / "tokenizer/tokenizer_config.json").unlink(), "tokenizer_config.json is missing"),
        (
            lambda m: edit_json(m / "scheduler/scheduler_config.json", prediction_type="sample"),
            "has prediction_type 'sample'; expected epsilon or v_prediction",
        ),
        (
            lambda m: edit_json(m / SCHEDULER, beta_schedule="cosine"),
            "has the beta_schedule 'cosine'; expected linear, scaled_linear, squaredcos_cap_v2",
        ),
        (lambda m: edit_json(m / SCHEDULER, beta_end=[0.01, 0.02]), r"has beta_end \[0.01, 0.02\]; expected a number"),
        (
            lambda m: edit_json(m / SCHEDULER, beta_end=float("nan")),
            "has beta_end nan; expected a number between",
        ),
        (lambda m: edit_json(m / SCHEDULER, beta_end=1e-5), "has beta_end 1e-05, below beta_start"),
        (lambda m: edit_json(m / SCHEDULER, beta_start="0.1"), "has beta_start '0.1'; expected a number"),
        (
            lambda m: edit_json(m / SCHEDULER, num_train_timesteps=[1000]),
            r"num_train_timesteps \[1000\]; expected a w",
        ),
        (
            lambda m: edit_json(m / SCHEDULER, trained_betas=[0.1, 2.0]),
            "trained_betas that are not 1000 numbers",
        ),
        (lambda m: edit_json(m / "vae/config.json", scaling_factor=[1, 2]), r"scaling_factor \[1, 2\]; expected a pos"),
        (
            lambda m: edit_json(m / "vae/config.json", latent_channels=[4, 4]),
            r"latent_channels \[4, 4\]; expected a w",
        ),
        (
            lambda m: edit_json(m / "unet/config.json", block_out_channels=32),
            "block_out_channels 32; expected a list",
        ),
        (
            lambda m: edit_json(m / "model_index.json", _class_name="StableDiffusionXLPipeline"),
            "is a Stable Diffusion XL model; expected Stable Diffusion 1 or 2",
        ),
        (lambda m: edit_json(m / "unet/config.json", addition_embed_type="text_time"), "is a Stable Diffusion XL"),
        (
            lambda m: edit_json(m / "model_index.json", _class_name="StableDiffusion3Pipeline"),
            "is a Stable Diffusion 3",
        ),
        (lambda m: edit_json(m / "model_index.json", _class_name="FluxPipeline"), "is a FLUX model; expected Stable"),
        (lambda m: edit_json(m / "model_index.json", _class_name="OtherPipeline"), "is made for OtherPipeline; expec"),
        (lambda m: edit_json(m / "unet/config.json", in_channels=9), "a model of 9 channels .*mask and the masked pic"),
        (
            lambda m: edit_json(m / "model_index.json", _class_name="StableDiffusionInpaintPipeline"),
            "is a Stable Diffusion inpainting model; expected",
        ),
    ],
)
def test_folders_that_are_not_whole_or_of_another_family(copied, damage, sentence):
    damage(copied)
    with pytest.raises(UserError, match=sentence):
        StableDiffusion(str(copied))


def test_what_is_wrong_with_a_folder_is_told_before_torch_is_imported(copied, tmp_path):
    (copied / UNET).write_text(POINTER)
    code = "import sys; from bench import run; s = run.main(sys.argv[1:]); print('torch' in sys.modules); sys.exit(s)"
    words = ["method=sdedit", f"model.path={copied}", "metrics=pixel", f"out={tmp_path / 'out'}"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=ROOT, timeout=100)
    assert done.returncode == 2
    assert done.stdout == "False\n"
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("changes", "steps", "sentence"),
    [
        (
            {"num_train_timesteps": 20},
            20,
            "steps=20, but the model was trained on 20 noise levels: set steps to",
        ),
        (
            {"rescale_betas_zero_snr": True},
            500,
            "steps=500 starts at timestep 999, where the model's schedule",
        ),
    ],
)
def test_steps_that_the_schedule_has_not_are_refused_before_anything_is_edited(
    copied, tmp_path, capsys, changes, steps, sentence
):
    edit_json(copied / SCHEDULER, **changes)
    words = ["method=sdedit", f"model.path={copied}", "metrics=pixel", "limit=1", "r=0.1", f"out={tmp_path / 'out'}"]
    assert run.main([*words, f"steps={steps}"]) == 2
    assert capsys.readouterr().err.startswith(f"error: {sentence}")
    assert not list(tmp_path.glob("out/*/*"))
    assert run.main([*words, "steps=10"]) == 0


@pytest.mark.parametrize(
    "config",
    [
        {"beta_schedule": "linear"},
        {"beta_schedule": "scaled_linear"},
        {"beta_schedule": "squaredcos_cap_v2"},
        {"beta_schedule": "scaled_linear", "rescale_betas_zero_snr": True},
        {"beta_schedule": "linear", "trained_betas": [0.1, 0.2, 0.3], "num_train_timesteps": 3},
    ],
)
def test_the_table_that_is_checked_is_the_one_that_diffusers_makes(config):
    config = {"num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012} | config
    scheduler = DDIMScheduler(**config, clip_sample=False)
    np.testing.assert_allclose(alphas_cumprod(config, "file"), scheduler.alphas_cumprod, rtol=2e-4, atol=1e-7)


@pytest.mark.parametrize("side", [None, [16, 24]])
def test_a_size_that_is_none_only_matters_where_nothing_else_names_one(copied, side, tmp_path, capsys):
    edit_json(copied / "unet/config.json", sample_size=side)
    with pytest.raises(UserError, match=r"sample_size .*set data\.size="):
        _ = StableDiffusion(str(copied)).size
    words = ["method=sdedit", f"model.path={copied}", "metrics=pixel", "steps=1", "limit=1", f"out={tmp_path / 'out'}"]
    assert run.main(words) == 2
    assert "set data.size=" in capsys.readouterr().err
    assert run.main([*words, "data.size=64"]) == 0


def test_a_tokenizer_that_states_no_length_is_cut_where_the_text_encoder_ends(copied):
    edit_json(copied / "tokenizer/tokenizer_config.json", model_max_length=...)
    model = StableDiffusion(str(copied)).load(CPU, torch.float32)
    with torch.inference_mode():
        assert torch.equal(*(m.condition(["blue " * 40]).states for m in (model, shipped())))
    assert model.excess("blue " * 40) == 18


def test_a_text_encoder_that_tells_no_prompts_apart_is_refused(copied):
    file = copied / "text_encoder/model.safetensors"
    state = load_file(file)
    embedding = next(name for name in state if name.endswith("token_embedding.weight"))
    state[embedding] = torch.zeros_like(state[embedding])
    save_file(state, file, metadata={"format": "pt"})
    with pytest.raises(UserError, match="the text encoder says the same of every prompt"):
        StableDiffusion(str(copied)).load(CPU, torch.float32)


def test_weights_in_several_files_give_the_same_predictions(copied):
    unet = UNet2DConditionModel.from_pretrained(copied / "unet")
    (copied / UNET).unlink()
    unet.save_pretrained(copied / "unet", max_shard_size="1MB")
    assert len(StableDiffusion(str(copied)).weights["unet"]) > 1
    model, z = StableDiffusion(str(copied)).load(CPU, torch.float32), torch.randn(1, 4, 16, 16)
    with torch.inference_mode():
        found, expected = (m.eps(z, 500, m.condition(["a red star"])) for m in (model, shipped()))
    torch.testing.assert_close(found, expected)
    next(copied.glob("unet/*-00002-of-*.safetensors")).unlink()
    with pytest.raises(UserError, match=r"has no diffusion_pytorch_model-00002-of-.*; download the model again"):
        StableDiffusion(str(copied))


def test_file_instead_of_a_folder(tmp_path):
    (tmp_path / "model.ckpt").write_bytes(b"x")
    with pytest.raises(UserError, match="is a file; expected a diffusers folder"):
        StableDiffusion(str(tmp_path / "model.ckpt"))


@pytest.mark.parametrize(("part", "stem"), [("unet", "diffusion_pytorch_model"), ("text_encoder", "model")])
def test_missing_parameters_are_never_replaced_by_random_ones(copied, part, stem):
    file = copied / part / f"{stem}.safetensors"
    state = load_file(file)
    state.pop(sorted(state)[0])
    save_file(state, file, metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"does not fit its config\.json"):
        StableDiffusion(str(copied)).load(CPU, torch.float32)


def test_fp16_variant_is_found(copied):
    for part, stem in (
        ("unet", "diffusion_pytorch_model"),
        ("vae", "diffusion_pytorch_model"),
        ("text_encoder", "model"),
    ):
        (copied / part / f"{stem}.safetensors").rename(copied / part / f"{stem}.fp16.safetensors")
    model = StableDiffusion(str(copied)).load(CPU, torch.float32)
    z = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        words = [made.condition(["a red star"]) for made in (model, shipped())]
        torch.testing.assert_close(model.eps(z, 500, words[0]), shipped().eps(z, 500, words[1]))


def test_v_prediction_is_converted(copied):
    file = copied / "scheduler/scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"prediction_type": "v_prediction"}))
    model, plain = StableDiffusion(str(copied)).load(CPU, torch.float32), shipped()
    z = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        v, words = plain.eps(z, 500, plain.condition([None])), model.condition([None])
        a = float(model.alphas_cumprod[500])
        torch.testing.assert_close(model.eps(z, 500, words), a**0.5 * v + (1 - a) ** 0.5 * z)


@torch.inference_mode()
def test_condition():
    model = shipped()
    states = model.condition(["a red star", None, "", "a red star"]).states
    assert states.shape == (4, 24, 128)
    assert torch.equal(states[1], states[2])
    assert torch.equal(states[0], states[3])
    with pytest.raises(BadSample, match="this model takes text"):
        model.condition([3])


@torch.inference_mode()
def test_prompts_beyond_the_context_are_cut_with_a_warning(caplog):
    shipped().condition(["red " * 40])
    assert "prompt of 42 tokens cut to 24" in caplog.text


@torch.inference_mode()
def test_kept_prompts_are_bounded():
    model = shipped()
    for start in range(0, 600, 100):
        model.condition([f"a red star {i}" for i in range(start, start + 100)])
    assert len(model._texts) <= 256


@torch.inference_mode()
def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match="images of 66x66 px; this model needs multiples of 4"):
        shipped().encode(torch.zeros(1, 3, 66, 66))
