"""Locating and loading model folders, rightly and wrongly made."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from bench.errors import UserError
from bench.models import folder as files
from bench.models import stable_diffusion
from tests.helpers.models import SHIPPED, shipped

CPU = torch.device("cpu")


@pytest.fixture
def copied(tmp_path):
    return shutil.copytree(SHIPPED, tmp_path / "model")


def test_local_folder_and_path_from_the_projects_root(copied):
    assert files.locate(str(copied)) == copied
    assert files.locate("bench/models/shapes").samefile(SHIPPED)


def test_hub_id_that_was_downloaded_before(copied, tmp_path, monkeypatch):
    """The hub's own cache layout: refs/main names a snapshot."""
    hub = tmp_path / "hub/models--some--model"
    (hub / "refs").mkdir(parents=True)
    (hub / "refs/main").write_text("0" * 40)
    shutil.copytree(copied, hub / "snapshots" / ("0" * 40))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    assert files.native_size(files.locate("some/model")) == 64


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
    ],
)
def test_incomplete_folders(copied, damage, sentence):
    damage(copied)
    with pytest.raises(UserError, match=sentence):
        files.locate(str(copied))


def test_file_instead_of_a_folder(tmp_path):
    (tmp_path / "model.ckpt").write_bytes(b"x")
    with pytest.raises(UserError, match="is a file; expected a diffusers folder"):
        files.locate(str(tmp_path / "model.ckpt"))


def test_torn_weights(copied):
    file = copied / "unet/diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"unet cannot be loaded .*download the model again"):
        stable_diffusion.LatentDiffusion.load(copied, CPU, torch.float32)


@pytest.mark.parametrize(("part", "stem"), [("unet", "diffusion_pytorch_model"), ("text_encoder", "model")])
def test_missing_parameters_are_never_replaced_by_random_ones(copied, part, stem):
    file = copied / part / f"{stem}.safetensors"
    state = load_file(file)
    state.pop(sorted(state)[0])
    save_file(state, file, metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"does not fit its config\.json"):
        stable_diffusion.LatentDiffusion.load(copied, CPU, torch.float32)


def test_fp16_variant_is_found(copied):
    for part, stem in (
        ("unet", "diffusion_pytorch_model"),
        ("vae", "diffusion_pytorch_model"),
        ("text_encoder", "model"),
    ):
        (copied / part / f"{stem}.safetensors").rename(copied / part / f"{stem}.fp16.safetensors")
    model = stable_diffusion.LatentDiffusion.load(files.locate(str(copied)), CPU, torch.float32)
    z = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        words = [made.condition(["a red star"]) for made in (model, shipped())]
        torch.testing.assert_close(model.eps(z, 500, words[0]), shipped().eps(z, 500, words[1]))


def test_schedule_comes_from_the_folder_and_unknown_predictions_are_refused(copied):
    file = copied / "scheduler/scheduler_config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps(config | {"prediction_type": "sample"}))
    with pytest.raises(UserError, match="predicts 'sample'; expected epsilon or v_prediction"):
        stable_diffusion.LatentDiffusion.load(copied, CPU, torch.float32)


def test_v_prediction_is_converted(copied):
    file = copied / "scheduler/scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"prediction_type": "v_prediction"}))
    model, plain = stable_diffusion.LatentDiffusion.load(copied, CPU, torch.float32), shipped()
    z = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        v, words = plain.eps(z, 500, plain.condition([None])), model.condition([None])
        a = float(model.alphas_cumprod[500])
        torch.testing.assert_close(model.eps(z, 500, words), a**0.5 * v + (1 - a) ** 0.5 * z)


@torch.inference_mode()
def test_condition():
    model = shipped()
    states = model.condition(["a red star", None, "", "a red star"])
    assert states.shape == (4, 24, 128)
    assert torch.equal(states[1], states[2])
    assert torch.equal(states[0], states[3])
    with pytest.raises(UserError, match="got a class index"):
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
