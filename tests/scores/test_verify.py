"""Runs that were changed by hand, scores of older metrics, models that were never trained."""

import json
import shutil
import sys

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from PIL import Image
from safetensors.numpy import load_file, save_file

from bench import run, score
from bench.edits import verify
from bench.edits.folder import Store
from bench.files.hashing import sha256
from bench.models.folder import UNTRAINED
from bench.models.stable_diffusion import StableDiffusion
from bench.scores import seal
from bench.scores.stored import Summary
from metrics import pixel
from tests.helpers.models import SHIPPED

FEW = ["method.n=1", "steps=2", "limit=4", "metrics=pixel", "r=0.5", "device=cpu"]  # where a sample rounds as it did


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    assert run.main([f"out={out}", *FEW]) == 0
    (folder,) = out.glob("shapes/diffedit/*")
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """A copy of DiffEdit on four scenes, in a folder of its own `out`."""
    return shutil.copytree(made, tmp_path / "out/shapes/diffedit" / made.name)


def altered(folder, profile="pixel-v1"):
    """Everything that is not as the program left it."""
    return [*verify.altered(folder), *seal.altered(folder, profile)]


def stale(facts):
    return seal.stale(Summary.of(facts))


def summary(folder):
    return json.loads((folder / "summary.pixel-v1.json").read_text())


def change(file, what, instead):
    text = file.read_text()
    assert what in text
    file.write_text(text.replace(what, instead, 1))


def repaint(file):
    pixels = np.asarray(Image.open(file)).copy()
    pixels[0, 0] ^= 255
    Image.fromarray(pixels).save(file)


def test_an_untouched_run_is_as_it_was_made(folder):
    assert altered(folder) == []
    assert verify.unchecked(folder) == (0, 4)
    assert altered(folder, "pie-v2") == []  # no scores of that profile


def test_a_run_that_another_shard_is_about_to_begin_is_not_altered(tmp_path):
    with Store(tmp_path / "run").lock():
        assert altered(tmp_path / "run") == []
    (tmp_path / "run/edits-0of1.jsonl").write_text("")
    assert "identity.json or config.yaml is missing" in altered(tmp_path / "run")[0]


CHANGES = {
    "edits/00002.png": (repaint, "edits/00002.png: not the pictures that the method made"),
    "masks/00001.png": (repaint, "masks/00001.png: not the pictures that the method made"),
    "masks/00003.png": (lambda file: file.unlink(), "masks/00003.png: not the pictures that the method made"),
    "identity.json": (lambda f: change(f, '"threshold": 0.5', '"threshold": 0.6'), "not that of the run's key"),
    "config.yaml": (lambda f: change(f, "threshold: 0.5", "threshold: 0.25"), "method.threshold differ from identity"),
    "per_image.pixel-v1.csv": (lambda f: change(f, "00001,", "00001,x"), "changed since the run was scored"),
    "summary.pixel-v1.json": (lambda f: change(f, '"n": 4', '"n": 5'), "changed since it was written"),
    "scores/pixel-v1/mse@1.csv": (lambda f: change(f, "00000,", "00000,1"), "the next scoring computes it again"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_by_hand_has_its_sentence(folder, name):
    touch, expected = CHANGES[name]
    touch(folder / name)
    sentences = altered(folder)
    assert any(name in sentence and expected in sentence for sentence in sentences)
    others = [sentence for sentence in sentences if name not in sentence]
    assert others == [] or name == "identity.json"  # which config.yaml then contradicts


def test_what_is_gone_or_torn_is_said(folder):
    (folder / "summary.pixel-v1.json").write_text("{")
    (folder / "identity.json").unlink()
    sentences = "\n".join(altered(folder))
    assert "summary.pixel-v1.json: cannot be read any more" in sentences
    assert "identity.json or config.yaml is missing" in sentences


def test_entries_without_a_hash_are_passed_by_and_counted(folder):
    journal = next(folder.glob("edits-0of1.*.jsonl"))
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    old = {key: value for key, value in entries[0].items() if "sha256" not in key}
    journal.write_text("".join(json.dumps(entry) + "\n" for entry in [old, *entries[1:]]))
    repaint(folder / f"edits/{old['id']}.png")
    assert altered(folder) == []
    assert verify.unchecked(folder) == (1, 4)
    repaint(folder / f"edits/{entries[3]['id']}.png")
    (sentence,) = altered(folder)
    assert "1 of 4 edits have no hash and were not checked" in sentence


def test_a_folder_of_another_name_is_not_held_against_its_identity(folder):
    moved = folder.rename(folder.parent / "elsewhere")
    assert altered(moved) == []


@pytest.mark.parametrize("name", ["summary.pixel-v1.json", "per_image.pixel-v1.csv", "scores/pixel-v1/psnr@1.csv"])
def test_scores_changed_by_hand_are_not_believed(folder, name):
    """Not even when the columns and the summary were changed alike."""
    right = (folder / name).read_text()
    value = summary(folder)["metrics"]["psnr"]["value"]
    change(folder / name, "0", "9")
    if name.startswith("scores"):
        (folder / "summary.pixel-v1.json").unlink()
    assert score.main([f"run={folder}"]) == 0
    assert summary(folder)["metrics"]["psnr"]["value"] == value
    assert (folder / name).read_text() == right
    assert altered(folder) == []


def test_a_summary_without_a_seal_is_of_an_older_version(folder):
    file = folder / "summary.pixel-v1.json"
    old = {name: value for name, value in summary(folder).items() if name not in ("seal", "per_image", "code")}
    file.write_text(json.dumps(old))
    (sentence,) = altered(folder)
    assert "has no seal" in sentence
    assert score.main([f"run={folder}"]) == 0
    assert altered(folder) == []


def test_a_picture_changed_by_hand_is_not_scored_and_can_be_made_again(folder, capsys):
    picture = folder / "edits/00002.png"
    right, before = picture.read_bytes(), summary(folder)["metrics"]
    repaint(picture)
    (folder / "summary.pixel-v1.json").unlink()
    assert score.main([f"run={folder}"]) == 2
    assert "1 pictures are not what the method made, such as" in capsys.readouterr().err
    picture.unlink()
    assert run.main([f"out={folder.parents[2]}", *FEW]) == 0
    assert picture.read_bytes() == right
    assert summary(folder)["metrics"] == before
    assert altered(folder) == []


def test_other_pictures_are_scored_anew(folder):
    """Pictures deleted and made again, on another device say, need not be what they were."""
    picture, journal = folder / "edits/00002.png", next(folder.glob("edits-0of1.*.jsonl"))
    before, value = sha256(picture), summary(folder)["metrics"]["psnr"]["value"]
    Image.new("RGB", (64, 64)).save(picture)
    journal.write_text(journal.read_text().replace(before, sha256(picture)))
    assert score.main([f"run={folder}"]) == 0
    assert summary(folder)["metrics"]["psnr"]["value"] < value


def test_a_raised_version_is_named_and_scored_again_alone(folder, monkeypatch):
    assert stale(summary(folder)) == {}
    monkeypatch.setattr(pixel.Mse, "version", 2)
    monkeypatch.setattr(seal, "code", lambda: "another source")
    assert stale(summary(folder)) == {"mse": (1, 2)}
    kept = folder / "scores/pixel-v1/ssim@1.csv"
    monkeypatch.setattr(pixel.Ssim, "score", None)  # must not be needed
    assert score.main([f"run={folder}"]) == 0
    assert summary(folder)["metrics"]["mse"]["version"] == 2
    assert stale(summary(folder)) == {}
    assert kept.exists()
    assert (folder / "scores/pixel-v1/mse@2.csv").exists()


def test_metrics_that_a_summary_lacks_are_not_stale_and_cheapness(folder, monkeypatch):
    facts = summary(folder)
    monkeypatch.setattr(seal, "get_class", None)  # nothing is imported while the source is the same
    assert stale(facts) == {}
    assert stale(facts | {"profile": "mine-v1"}) == {}
    monkeypatch.undo()
    del facts["metrics"]["mse"]
    facts["metrics"]["ssim_random"] = facts["metrics"].pop("ssim") | {"version": 0}  # of random weights
    facts["metrics"]["mine"] = facts["metrics"]["psnr"] | {"version": 7}
    assert stale(facts | {"code": "older"}) == {"ssim": (0, 1)}


def test_the_summary_says_which_weights_made_the_pictures(folder):
    weights = "unet/diffusion_pytorch_model.safetensors"
    assert summary(folder)["model_files"][weights] == sha256(SHIPPED / weights)


def fresh(to, dtype=torch.float32):
    """The embedded model's folder with a denoiser as diffusers makes it."""
    shutil.copytree(SHIPPED, to)
    unet = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(to / "unet"))
    unet.to(dtype).save_pretrained(to / "unet")
    return to


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_an_untrained_network_is_told_from_a_trained_one(tmp_path, dtype):
    assert not StableDiffusion(str(SHIPPED)).notice
    model = fresh(tmp_path / "model", dtype)
    assert StableDiffusion(str(model)).notice == UNTRAINED
    if dtype == torch.float32:
        weights = model / "unet/diffusion_pytorch_model.safetensors"
        state = load_file(weights)
        state["mid_block.resnets.1.norm2.bias"][-1] += 1e-6  # trained for a moment
        save_file(state, weights)
        assert StableDiffusion(str(model)).notice is None


def test_a_run_on_an_untrained_network_says_so_wherever_its_model_goes(tmp_path, monkeypatch):
    model = fresh(tmp_path / "model")
    words = ["method=sdedit", "steps=1", "r=1", "limit=1", "metrics=pixel", f"out={tmp_path / 'out'}"]
    assert run.main([*words, "model=sd14", f"model.path={model}", "model.size=64"]) == 0
    (folder,) = (tmp_path / "out").glob("shapes/sdedit/*")
    assert summary(folder)["notice"] == UNTRAINED  # conf/model/sd14.yaml has no notice
    shutil.rmtree(model)
    (folder / "summary.pixel-v1.json").unlink()
    assert score.main([f"run={folder}"]) == 0
    assert summary(folder)["notice"] == UNTRAINED


def test_checking_needs_no_torch(folder, monkeypatch):
    for name in ("bench.scores.measure", "bench.edits.edit", "metrics.pixel"):
        monkeypatch.setitem(sys.modules, name, None)  # importing it would fail
    assert altered(folder) == []
    assert stale(summary(folder)) == {}
