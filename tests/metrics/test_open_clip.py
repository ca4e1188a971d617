"""Networks of open_clip where a CLIP is wanted, by name and local file."""

import json
import re

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from bench import run
from bench.errors import UserError
from bench.files import weights
from metrics import clip_networks
from metrics.clip import ClipDirection, ClipScore
from metrics.features import ClipImage
from tests.helpers import clip, open_clips
from tests.helpers.scores import disturbed, noisy, score_batch

WORDS = ["a photo of a red dog", "two cats"]


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    sources = noisy(rng, 2, 48)
    return disturbed(rng, sources, 40), sources


@pytest.mark.parametrize("ending", ["safetensors", "pt"])
def test_scores_are_open_clips_own(tmp_path, pictures, ending):
    config, file = open_clips.tiny(tmp_path, ending)
    open_clip.add_model_config(config)
    model, _, prepare = open_clip.create_model_and_transforms("tiny", pretrained=str(file))
    images = torch.stack([prepare(Image.fromarray(picture.transpose(1, 2, 0))) for picture in pictures[0]])
    with torch.no_grad():
        ends = model.eval().encode_image(images), model.encode_text(open_clip.get_tokenizer("tiny")(WORDS))
    expected = 100 * torch.cosine_similarity(*ends).numpy()
    batch = score_batch(*pictures, target=WORDS)
    np.testing.assert_allclose(ClipScore(file, open_clip=str(config)).score(batch), expected, rtol=1e-4)
    unit = ends[0] / ends[0].norm(dim=-1, keepdim=True)
    torch.testing.assert_close(ClipImage(file, open_clip=str(config))(batch.edits), unit, rtol=1e-4, atol=1e-5)


def test_a_long_prompt_is_cut_and_said(tmp_path, pictures):
    config, file = open_clips.tiny(tmp_path)
    metric = ClipScore(file, open_clip=str(config))
    metric.score(score_batch(*pictures, target=["a dog", "a dog on a bench " * 40]))
    assert list(metric.notes) == ["1"]
    assert "cut at CLIP's 77" in metric.notes["1"]


def test_a_file_of_another_network_is_refused(tmp_path):
    _, file = open_clips.tiny(tmp_path)
    with pytest.raises(UserError, match="cannot be loaded as open_clip's ViT-S-32-alt"):
        clip_networks.load(file, "ViT-S-32-alt")


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("ViT-L-14", r"several ways; say of which training .* ViT-L-14/openai or .*ViT-L-14/laion2b_s32b_b82k"),
        ("ViT-L-14/laion", "no training of ViT-L-14 that open_clip knows"),
    ],
)
def test_a_training_that_decides_the_numbers_must_be_said(tmp_path, named, said):
    """Neither the pictures' mean nor QuickGELU is in a file of weights."""
    with pytest.raises(UserError, match=said):
        clip_networks.load(tmp_path / "none.pt", named)


def test_a_training_decides_how_pictures_are_prepared():
    openai, quick = clip_networks._training("ViT-L-14", "openai")
    laion, plain = clip_networks._training("ViT-L-14", "laion2b_s32b_b82k")
    assert (quick, plain) == (True, False)
    assert openai.get("image_mean") != laion["image_mean"]
    assert laion["image_mean"] == (0.5, 0.5, 0.5)
    siglip, _ = clip_networks._training("ViT-B-16-SigLIP", "")
    assert siglip["image_resize_mode"] == "squash"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"open_clip": "ViT-B-23"}, "metrics.weights.clip.open_clip=ViT-B-23 is no network of open_clip; .*ViT-B-32"),
        ({"open_clip": "none.json"}, "none.json does not exist"),
        ({"open_clip": "ViT-B-32"}, "metrics.weights.clip.path=null, but open_clip's ViT-B-32 is read from a file"),
        ({"open_clip": "ViT-B-32", "path": "FOLDER"}, "is a folder; expected a file of open_clip's ViT-B-32"),
        ({"path": "FILE"}, "is a file; expected a folder .* name the network"),
        ({"open_clip": "ViT-B-32", "path": "PAGE"}, "is a web page"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_loaded(tmp_path, entry, said):
    (tmp_path / "page.safetensors").write_text("<!doctype html>")
    _, file = open_clips.tiny(tmp_path)
    places = {"FOLDER": tmp_path, "FILE": file, "PAGE": tmp_path / "page.safetensors"}
    entry = {"path": None, "hub": "openai/clip-vit-large-patch14"} | entry
    entry["path"] = entry["path"] and str(places[entry["path"]])
    (problem,) = weights.missing({"weights": {"clip": entry}})
    assert re.search(said, problem), problem


def test_a_run_scored_by_it_is_stamped_with_network_and_file(tmp_path):
    config, file = open_clips.tiny(tmp_path)
    out, base = tmp_path / "out", ["method=copy", "limit=2", "metrics=caption"]
    columns = "metrics.columns=[clip_score,cmmd]"
    words = [f"metrics.weights.clip.path={file}", f"+metrics.weights.clip.open_clip={config}", columns]
    words += ["+metrics.cmmd={_target_: metrics.mmd.Cmmd, reference: sources}"]
    words += ["+metrics.cmmd.features={_target_: metrics.features.ClipImage, weights: clip}"]
    assert run.main([*base, *words, f"out={out}"]) == 0
    (place,) = (out / "shapes/copy").iterdir()
    summary = json.loads((place / "summary.caption-v1.json").read_text())
    assert {"clip_score", "cmmd"} == summary["metrics"].keys()
    assert np.isfinite(summary["metrics"]["clip_score"]["value"])
    assert "not verified" in summary["doubts"]["clip"]
    entry = {"path": str(file), "open_clip": str(config)}
    before = weights.fingerprints({"weights": {"clip": entry}})["clip"]
    assert summary["weights"]["clip"] == before
    config.write_text(config.read_text().replace("32, ", "32,  "))
    assert weights.fingerprints({"weights": {"clip": entry}})["clip"] != before


# --- direction ---


def test_direction_is_the_cosine_of_both_changes(tmp_path, pictures):
    folder = clip.folder(tmp_path / "clip")
    source, target = ["a red circle", "a blue square"], ["a green circle", "two blue squares"]
    network = clip_networks.load(folder)
    with torch.no_grad():
        ends = [network.images(torch.from_numpy(x)) for x in pictures]
        ends += [network.texts(x, torch.device("cpu")) for x in (target, source)]
    edit, before, wanted, was = (end.double() / end.double().norm(dim=-1, keepdim=True) for end in ends)
    expected = torch.cosine_similarity(edit - before, wanted - was).numpy()
    values = ClipDirection(folder).score(score_batch(*pictures, source=source, target=target))
    np.testing.assert_allclose(values, expected, rtol=1e-4)
    assert (abs(values) <= 1).all()


def test_direction_without_words_or_change_is_undefined_and_counted(tmp_path, pictures):
    edits, sources = (np.repeat(x[:1], 5, 0) for x in pictures)
    edits = np.concatenate([edits[:4], sources[4:]])
    source = ["", 3, "a dog", "a dog", "a dog"]
    target = ["a cat", "a cat", None, "a dog ", "a cat"]
    metric = ClipDirection(clip.folder(tmp_path / "clip"))
    assert np.isnan(metric.score(score_batch(edits, sources, source=source, target=target))).all()
    assert metric.notes == {
        "0": "its source is no words: undefined",
        "1": "its source is the class index 3: undefined",
        "2": "its target is no words: undefined",
        "3": "source and target say the same: undefined",
        "4": "the picture did not change: undefined",
    }
