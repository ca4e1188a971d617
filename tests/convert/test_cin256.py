"""The converter, and the official file of class-conditional latent diffusion."""

import argparse
import json
import os
import re
import subprocess
import sys

import pytest
import torch
from diffusers import UNet2DConditionModel, VQModel
from safetensors.torch import load_file

from bench.convert import cin256, reading
from bench.convert.__main__ import main
from bench.errors import UserError
from bench.files.hashing import sha256
from bench.files.paths import ROOT
from bench.models.class_ldm import OFFICIAL_UNET
from tests.helpers.class_models import cin_state, lightning, original_unet, original_vq
from tests.helpers.originals import digest
from tests.helpers.shared import SHARED, needs_shared

GOLDEN = SHARED / "golden/baselines/ldm_a"
WEIGHTS = "diffusion_pytorch_model.safetensors"


@needs_shared
def test_the_original_becomes_exactly_diffusers_tensors(tmp_path):
    state = {name: x.float() for name, x in load_file(GOLDEN / "original.safetensors").items()}
    file = lightning(state, tmp_path / "model.ckpt")
    assert main(["kind=cin256", str(file), str(tmp_path / "made")]) == 0
    spec = json.loads((GOLDEN / "diffusers_spec.json").read_text())
    for part, expected in spec.items():
        found = load_file(tmp_path / "made" / part / WEIGHTS)
        assert {name: digest(x) for name, x in found.items()} == {
            name: entry["sha256_16"] for name, entry in expected["tensors"].items()
        }
        assert {name: list(x.shape) for name, x in found.items()} == {
            name: entry["shape"] for name, entry in expected["tensors"].items()
        }
        config = json.loads((tmp_path / "made" / part / "config.json").read_text())
        sides = {"sample_size"}  # of the pictures it was trained on: no tensor says them
        assert {n: config[n] for n in expected.get("config", {}).keys() - sides} == {
            n: value for n, value in expected.get("config", {}).items() if n not in sides
        }
    facts = json.loads((tmp_path / "made/conversion.json").read_text())
    assert facts == {"format_version": 1, "kind": "cin256", "sha256": sha256(file)}


@needs_shared
def test_names_lead_back_to_the_original():
    spec, original = (json.loads((GOLDEN / f"{n}_spec.json").read_text()) for n in ("diffusers", "original"))
    names = set(spec["unet"]["tensors"])
    back = {original_unet(name, names, 1) for name in names} | {original_vq(n, 3) for n in spec["vqvae"]["tensors"]}
    assert back == {n for n in original if n.startswith(("model.", "first_stage_model."))}


@needs_shared
def test_a_file_of_three_tensors_is_read_and_told_what_it_lacks(tmp_path, capsys):
    file = GOLDEN / "lightning_like.ckpt"
    assert {name: list(x.shape) for name, x in reading.read(file).items()} == {
        "model.diffusion_model.out.0.weight": [4],
        "first_stage_model.quantize.embedding.weight": [2, 3],
        "cond_stage_model.embedding.weight": [3, 2],
    }
    assert main(["kind=cin256", str(file), str(tmp_path / "made")]) == 2
    assert re.search(
        r"is no cin256 model: it has no model\.diffusion_model\.time_embed\.0\.weight, .* and \d+ more",
        capsys.readouterr().err,
    )
    assert not (tmp_path / "made").exists()


def test_a_folder_is_loaded_by_diffusers_without_a_parameter_too_few_or_too_many(tmp_path):
    file = tmp_path / "plain.pt"
    torch.save(cin_state() | {"model_ema.decay": torch.zeros(1), "first_stage_model.loss.x": torch.zeros(1)}, file)
    (tmp_path / "made").mkdir()
    assert main(["kind=cin256", str(file), str(tmp_path / "made")]) == 0
    for part, kind in (("unet", UNet2DConditionModel), ("vqvae", VQModel)):
        _, info = kind.from_pretrained(tmp_path / "made" / part, output_loading_info=True)
        assert not any(info.values())
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


class Worse:
    def __reduce__(self):
        return os.mkdir, ("ran",)


def legacy(state, file):
    torch.save(state, file, _use_new_zipfile_serialization=False)
    return file


def truncated(state, file):
    torch.save(state, file)
    file.write_bytes(file.read_bytes()[:-1000])
    return file


def half(state, file):
    legacy(state, file).write_bytes(file.read_bytes()[:-1000])
    return file


def text(content):
    def write(state, file):
        file.write_text(content)
        return file

    return write


def saved(change):
    def write(state, file):
        torch.save(change(state), file)
        return file

    return write


def without(name):
    return saved(lambda state: {n: x for n, x in state.items() if n != name})


OUT = "model.diffusion_model.out.2.bias"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (truncated, r"model\.ckpt \([\d,]+ bytes\) is no checkpoint, or not all of one; download it again"),
        (half, "is no checkpoint, or not all of one"),
        (text(""), "is not whole \\(it is empty\\); download it again"),
        (text("version https://git-lfs.github.com/spec/v1\n"), "is a Git LFS pointer"),
        (text("<!DOCTYPE html>"), "is a web page, saved in place of the file"),
        (saved(lambda state: [1]), "is no table of names and tensors"),
        (saved(lambda state: state | {"epoch": 3}), "is no table of names and tensors"),
        (lambda s, f: lightning(s, f, worse=Worse()), "holds posix.mkdir, which is no tensor and may run code"),
        (lambda s, f: lightning(s, f, opt=argparse.Namespace()), "holds argparse.Namespace, which is no tensor"),
        (without(OUT), rf"is no cin256 model: it has no {OUT}$"),
        (saved(lambda s: s | {"lpips": s[OUT], "other": s[OUT]}), "it has lpips, other, which such a model has not$"),
        (lambda s, f: f, "does not exist; expected the official file"),
        (lambda s, f: f.parent, "is a folder; expected the official file"),
    ],
)
def test_bad_files_are_told_in_a_sentence(make, sentence, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = make(cin_state(), tmp_path / "model.ckpt")
    assert main(["kind=cin256", str(file), str(tmp_path / "made")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(sentence, error.strip())
    assert not (tmp_path / "made").exists()
    assert not (tmp_path / "ran").exists()


def test_files_of_older_pytorch_and_safetensors_are_read(tmp_path):
    from safetensors.torch import save_file

    state = {"a": torch.ones(2)}
    save_file(state, tmp_path / "a.safetensors")
    for file in (legacy(state, tmp_path / "a.pt"), tmp_path / "a.safetensors"):
        assert torch.equal(reading.read(file)["a"], state["a"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], r"expected kind=.*cin256.* <file> <folder>"),
        (["kind=cin256", "a"], r"expected kind=.* <file> <folder>"),
        (["kind=cin", "a", "b"], "unknown kind 'cin'; did you mean cin256"),
        (["knd=cin256", "a", "b"], "unknown option 'knd'; did you mean kind"),
        (["kind=cin256", "README.md", "docs"], "docs is there already; name a new folder, or an empty one"),
        (["kind=cin256", "README.md", "README.md"], "README.md is there already"),
    ],
)
def test_wrong_words_are_told_before_torch_is_imported(words, sentence):
    code = "import sys; from bench.convert.__main__ import main; s = main(sys.argv[1:]); "
    code += "print('torch' in sys.modules); sys.exit(s)"
    command = [sys.executable, "-c", code, *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=100)
    assert (done.returncode, done.stdout) == (2, "False\n")
    assert done.stderr.count("\n") == 1
    assert re.search(sentence, done.stderr)


def test_a_folder_that_cannot_be_written_is_told(tmp_path, capsys):
    file = tmp_path / "model.pt"
    torch.save(cin_state(), file)
    assert main(["kind=cin256", str(file), str(file / "made")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_reading_says_what_it_refuses(tmp_path):
    file = tmp_path / "a.pt"
    torch.save({}, file)
    with pytest.raises(UserError, match="is no table of names and tensors"):
        reading.read(file)


def test_the_full_networks_architecture_is_read_off_its_tensors():
    """cin256-v2's own sizes, without values."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(**OFFICIAL_UNET, sample_size=64).state_dict()
        widths = [128, 256, 512]
        down, up = ["DownEncoderBlock2D"] * 3, ["UpDecoderBlock2D"] * 3
        sizes = {"block_out_channels": widths, "layers_per_block": 2, "latent_channels": 3, "num_vq_embeddings": 8192}
        vq = VQModel(**sizes, down_block_types=down, up_block_types=up).state_dict()
        state = {original_unet(name, set(unet), layers=2): x for name, x in unet.items()}
        state |= {original_vq(name, levels=3): x for name, x in vq.items()}
        state["cond_stage_model.embedding.weight"] = torch.zeros(1001, 512)
    assert sum(x.numel() for x in unet.values()) == 400_920_579
    parts = cin256.convert(state)
    assert not state
    assert parts["unet"].tensors.keys() == unet.keys()
    assert parts["vqvae"].tensors.keys() == vq.keys()
    assert parts["unet"].config.items() >= (OFFICIAL_UNET | {"sample_size": 64, "layers_per_block": 2}).items()
    assert parts["vqvae"].config.items() >= (sizes | {"sample_size": 256, "scaling_factor": 1.0}).items()
