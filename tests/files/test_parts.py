"""Files of metric backbones, looked at before anything is edited."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from bench import run
from bench.errors import UserError
from bench.files import weights
from bench.files.paths import ROOT
from tests.helpers import clip as tiny
from tests.helpers import seeded

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
PAGE = b"<!DOCTYPE html><title>Sign in</title>"
ENTRY = {"path": None, "hub": "some/clip"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.folder(tmp_path_factory.mktemp("tiny") / "clip")


@pytest.fixture
def folder(model, tmp_path):
    return shutil.copytree(model, tmp_path / "clip")


def profile(path):
    return {"weights": {"clip": ENTRY | {"path": str(path)}}}


def change_json(file, **values):
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def change_tensors(file, change):
    state = load_file(file)
    change(state)
    save_file(state, file, metadata={"format": "pt"})


def torn(file):
    file.write_bytes(file.read_bytes()[:-100])


def spaced(folder, merges):
    """The vocabulary as older folders have it, in two files."""
    found = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(found["vocab"]))
    lines = [" ".join(pair) if isinstance(pair, list) else pair for pair in found["merges"]]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *lines[:merges]]))


def one_word(folder):
    """Every word is the one that is not known."""
    file = folder / "tokenizer.json"
    whole = json.loads(file.read_text())
    vocab = {"<unk>": 0, "<|startoftext|>": 650, "<|endoftext|>": 651}
    whole |= {"model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"}, "pre_tokenizer": None}
    file.write_text(json.dumps(whole))


FILES = {
    "no vocabulary": (lambda f: (f / "tokenizer.json").unlink(), "clip has no vocabulary"),
    "empty vocabulary": (
        lambda f: (f / "tokenizer.json").write_text('{"model": {"vocab": {}}}'),
        "tokenizer.json has no words",
    ),
    "half a vocabulary": (lambda f: torn(f / "tokenizer.json"), "tokenizer.json is no JSON"),
    "half the merges": (lambda f: spaced(f, 40), "merges.txt has"),
    "pointer": (lambda f: (f / "model.safetensors").write_bytes(POINTER), "model.safetensors is a Git LFS pointer"),
    "page": (lambda f: (f / "model.safetensors").write_bytes(PAGE), "model.safetensors is a web page"),
    "empty": (lambda f: (f / "model.safetensors").write_bytes(b""), "model.safetensors is not whole (it is empty)"),
    "torn": (lambda f: torn(f / "model.safetensors"), "model.safetensors is not whole"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "clip has no model.safetensors"),
    "no configuration": (lambda f: (f / "config.json").unlink(), "config.json is missing"),
    "another model": (lambda f: change_json(f / "config.json", model_type="bert"), "config.json is of a bert model"),
    "no processor": (lambda f: (f / "preprocessor_config.json").unlink(), "clip has no image processor"),
    "half a processor": (lambda f: torn(f / "preprocessor_config.json"), "preprocessor_config.json is no JSON"),
}
LOADED = {
    "a tensor too few": (
        lambda f: change_tensors(f / "model.safetensors", lambda s: s.pop("visual_projection.weight")),
        "lacks visual_projection.weight",
    ),
    "a tensor of another shape": (
        lambda f: change_json(f / "config.json", projection_dim=9),
        "cannot be loaded as CLIPModel",
    ),
    "not finite": (
        lambda f: change_tensors(f / "model.safetensors", lambda s: s["logit_scale"].fill_(torch.nan)),
        "logit_scale that are not finite",
    ),
    "one embedding": (
        lambda f: change_tensors(f / "model.safetensors", lambda s: s["text_projection.weight"].zero_()),
        "says the same of every prompt",
    ),
    "one word": (one_word, "says the same of every prompt"),
    "a larger picture": (
        lambda f: change_json(f / "preprocessor_config.json", crop_size={"height": 48, "width": 48}),
        "its image processor does not fit its model",
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_files_of_a_clip_folder_are_looked_at(folder, kind):
    assert weights.missing(profile(folder)) == []
    change, sentence = FILES[kind]
    change(folder)
    (problem,) = weights.missing(profile(folder))
    assert sentence in problem
    assert str(folder) in problem


@pytest.mark.parametrize("kind", [*LOADED, "no vocabulary"])
def test_nothing_is_edited_for_a_clip_that_cannot_score_it(folder, kind, tmp_path, capsys):
    change, sentence = (LOADED | FILES)[kind]
    change(folder)
    words = ["method=copy", "limit=1", "metrics=caption", "metrics.columns=[clip_score]", f"out={tmp_path / 'out'}"]
    assert run.main([*words, f"metrics.weights.clip.path={folder}"]) != 0
    said = capsys.readouterr().err
    assert f"error: {folder}" in said
    assert sentence in said
    assert "Traceback" not in said
    assert not list((tmp_path / "out").rglob("*.png"))


def test_a_whole_clip_scores(folder, tmp_path):
    words = ["method=copy", "limit=2", "metrics=caption", "metrics.columns=[clip_score]", f"out={tmp_path / 'out'}"]
    assert run.main([*words, f"metrics.weights.clip.path={folder}"]) == 0


def test_files_that_nobody_reads_are_neither_needed_nor_hashed(folder):
    before = weights.fingerprints(profile(folder))
    for name in ("README.md", "flax_model.msgpack", "tf_model.h5", "pytorch_model.bin", "vocab.json", ".gitattributes"):
        (folder / name).write_bytes(POINTER)
    assert weights.missing(profile(folder)) == []
    assert weights.fingerprints(profile(folder)) == before
    tower = {"weights": {"clip": ENTRY | {"path": str(folder), "_target_": "metrics.tokens.ClipTokens"}}}
    (folder / "tokenizer.json").unlink()
    assert weights.missing(tower) == []
    assert weights.missing(profile(folder)) != []


def test_older_folders_have_their_weights_in_a_pickle_and_their_words_in_two_files(folder):
    spaced(folder, None)
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    assert weights.missing(profile(folder)) == []
    torn(folder / "pytorch_model.bin")
    (problem,) = weights.missing(profile(folder))
    assert "pytorch_model.bin is not whole" in problem


@pytest.mark.parametrize(("content", "sentence"), [(POINTER, "LFS pointer"), (PAGE, "web page"), (b"", "is empty")])
def test_a_file_that_is_something_else(tmp_path, content, sentence):
    (file := tmp_path / "alexnet.pth").write_bytes(content)
    (problem,) = weights.missing({"weights": {"net": {"path": str(file), "file": "alexnet-owt-7be5be79.pth"}}})
    assert sentence in problem
    assert str(file) in problem
    (problem,) = weights.missing({"weights": {"net": {"path": str(file)}}})
    assert sentence in problem


def test_half_a_torch_file_and_a_file_for_a_folder(tmp_path):
    torch.save({"a": torch.zeros(1000)}, file := tmp_path / "net.pth")
    entry = {"path": str(file), "file": "alexnet-owt-7be5be79.pth"}
    assert weights.missing({"weights": {"net": entry}}) == []
    (problem,) = weights.missing(profile(file))
    assert "expected a folder" in problem
    torn(file)
    (problem,) = weights.missing({"weights": {"net": entry}})
    assert "net.pth is not whole" in problem


def pixels_alone(tmp_path, *words):
    return run.main(["method=copy", "limit=1", f"out={tmp_path / 'out'}", *words])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (torch.zeros(3), "holds a Tensor; expected a state dict"),
        ({"features.0.weight": torch.zeros(3)}, "lacks features.0.bias"),
        (None, "not finite"),
    ],
)
def test_nothing_is_edited_for_an_lpips_that_cannot_score_it(tmp_path, content, sentence, capsys):
    file = seeded.alexnet(tmp_path)
    if content is None:
        content = torch.load(file, weights_only=True)
        content["features.0.bias"][0] = torch.inf
    torch.save(content, file)
    words = ["metrics=caption", "metrics.columns=[lpips_e2]", f"metrics.weights.alexnet.path={file}"]
    assert pixels_alone(tmp_path, *words) != 0
    said = capsys.readouterr().err
    assert sentence in said
    assert str(file) in said
    assert not list((tmp_path / "out").rglob("*.png"))


def statistics(width=2048):
    return {"mean": torch.zeros(width), "classwise": {0: {"mean": torch.zeros(width)}}}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"mean": torch.zeros(2048)}, "has no 'classwise'; expected"),
        (statistics() | {"classwise": {0: torch.zeros(2048)}}, "class 0 has no 'mean'; expected"),
        (statistics(64), "has means of 64 numbers, and the network gives 2048"),
        (statistics() | {"mean": torch.full((2048,), torch.nan)}, "not finite"),
        ([1, 2], "holds a list"),
    ],
)
def test_nothing_is_edited_for_statistics_that_cannot_score_it(tmp_path, content, sentence, capsys):
    torch.save(content, file := tmp_path / "statistics.pt")
    words = ["metrics=flexit", "metrics.columns=[csfid]", "metrics.weights.inception.path=random"]
    assert pixels_alone(tmp_path, *words, f"metrics.weights.statistics.path={file}") != 0
    said = capsys.readouterr().err
    assert sentence in said
    assert str(file) in said
    assert not list((tmp_path / "out").rglob("*.png"))


def test_nothing_is_edited_for_a_judge_that_cannot_score_it(tmp_path, capsys):
    folder = shutil.copytree(ROOT / "metrics/shapes_judge", tmp_path / "judge")
    change_tensors(folder / "model.safetensors", lambda state: state.pop("log_scale"))
    assert pixels_alone(tmp_path, "metrics=shapes", f"metrics.weights.judge.path={folder}") != 0
    assert "log_scale" in capsys.readouterr().err
    (folder / "model.safetensors").write_bytes(POINTER)
    assert pixels_alone(tmp_path, "metrics=shapes", f"metrics.weights.judge.path={folder}") != 0
    assert "Git LFS pointer" in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob("*.png"))


def test_an_unreadable_folder_is_a_sentence():
    with pytest.raises(UserError, match=r"does not exist"):
        weights.located({"weights": {"clip": ENTRY | {"path": "/nowhere/clip"}}})
