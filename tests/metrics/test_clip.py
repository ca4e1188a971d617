import json
import os

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file

from bench.errors import UserError
from metrics import clip_networks
from metrics.clip import ClipScore
from metrics.features import ClipImage
from tests.helpers.scores import score_batch
from tests.helpers.shared import SHARED, needs_shared

MODEL = SHARED / "golden/metrics/tiny_clip"
PNP = SHARED / "golden/metrics/pnp"
TOLERANCE = 0.02
"""Of 100. The same image processor agrees to 2e-6; the one that resizes by PIL is 0.011 off."""
pytestmark = needs_shared


def picture(file: str) -> np.ndarray:
    with Image.open(PNP / file) as image:
        return np.asarray(image.convert("RGB")).transpose(2, 0, 1)[None]


@pytest.fixture(scope="module")
def golden():
    return json.loads((PNP / "golden.json").read_text())["results"]


@pytest.mark.parametrize("name", ["pub0", "pub1", "pub512"])
@pytest.mark.parametrize(
    ("image", "text", "column"),
    [
        ("tgt_image", "target_prompt", "clip_similarity_target_image"),
        ("src_image", "source_prompt", "clip_similarity_source_image"),
    ],
)
def test_similarity_is_pnps(golden, name, image, text, column):
    """PnPInversion's own evaluation with the same model, to TOLERANCE."""
    case = golden[name]
    value = ClipScore(MODEL).score(score_batch(picture(case[image]), target=[case[text]]))
    assert value[0] == pytest.approx(case["metrics"][column], abs=TOLERANCE)


def test_a_batch_scores_as_its_pictures_alone(golden):
    cases = [golden["pub0"], golden["pub1"]]
    pictures, texts = [picture(case["tgt_image"]) for case in cases], [case["target_prompt"] for case in cases]
    metric = ClipScore(MODEL)
    alone = [metric.score(score_batch(x, target=[text]))[0] for x, text in zip(pictures, texts, strict=True)]
    values = metric.score(score_batch(np.concatenate(pictures), target=texts))
    assert values.dtype == np.float64
    np.testing.assert_allclose(values, alone, atol=1e-4)


def test_a_prompt_longer_than_the_text_tower_is_cut(golden):
    value = ClipScore(MODEL).score(score_batch(picture("pub0_tgt.png"), target=["a dog on a bench " * 40]))
    assert np.isfinite(value).all()


def test_a_folder_without_a_layer_is_refused(tmp_path):
    for file in MODEL.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    state = load_file(tmp_path / "model.safetensors")
    del state["visual_projection.weight"]
    save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"lacks visual_projection\.weight"):
        ClipScore(tmp_path).score(score_batch(picture("pub0_tgt.png"), target=["a dog"]))


def test_prompts_that_were_cut_are_reported(golden):
    metric = ClipScore(MODEL)
    metric.score(score_batch(np.repeat(picture("pub0_tgt.png"), 2, 0), target=["a dog", "a dog on a bench " * 40]))
    assert list(metric.notes) == ["1"]
    assert "cut at CLIP's 77" in metric.notes["1"]


def test_hessels_scale_floor_and_prefix(golden):
    case, rng = golden["pub0"], np.random.default_rng(0)
    images = np.concatenate([picture(case["tgt_image"]), rng.integers(0, 256, (1, 3, 256, 256), np.uint8)])
    texts = [case["target_prompt"]] * 2
    plain = ClipScore(MODEL).score(score_batch(images, target=texts))
    assert ClipScore(MODEL, scale=2.5).score(score_batch(images, target=texts)) == pytest.approx(plain / 40, rel=1e-9)
    prefixed = ClipScore(MODEL, prefix="A photo depicts").score(score_batch(images, target=texts))
    told = ClipScore(MODEL).score(score_batch(images, target=[f"A photo depicts {text}" for text in texts]))
    np.testing.assert_allclose(prefixed, told, rtol=1e-12)
    assert (prefixed != plain).all()
    middle = float(plain.mean())
    floored = ClipScore(MODEL, floor=middle).score(score_batch(images, target=texts))
    np.testing.assert_allclose(floored, np.maximum(plain, middle))


def test_edited_region_alone(golden):
    case = golden["pub0"]
    edit = picture(case["tgt_image"])
    mask = np.zeros(edit.shape[-2:], bool)
    mask[30:150, 40:200] = True
    black = edit * mask
    fields = {"target": [case["target_prompt"]]}
    value = ClipScore(MODEL, region="edited").score(score_batch(edit, mask=[mask], **fields))
    assert value == pytest.approx(ClipScore(MODEL).score(score_batch(black, **fields)), rel=1e-9)
    for mask in (None, np.zeros(edit.shape[-2:], bool)):
        assert np.isnan(ClipScore(MODEL, region="edited").score(score_batch(edit, mask=[mask], **fields))).all()


def test_pil_resizes_a_little_differently(golden):
    case = golden["pub512"]
    batch = score_batch(picture(case["tgt_image"]), target=[case["target_prompt"]])
    difference = abs(ClipScore(MODEL, resize="pil").score(batch) - ClipScore(MODEL).score(batch))
    assert 0 < difference < 0.1


CLIP_B32 = os.environ.get("EDIT_BENCH_CLIP_B32")


@pytest.mark.skipif(not CLIP_B32, reason="EDIT_BENCH_CLIP_B32 names no folder of openai/clip-vit-base-patch32")
def test_hessels_published_values():
    """His README's CLIPScores of two photographs, with right and wrong captions: 0.8584 and 0.7153 on average."""
    folder = SHARED / "data/clipscore_example"
    metric = ClipScore(CLIP_B32, scale=2.5, floor=0, prefix="A photo depicts", resize="pil")
    for file, expected in (("good_captions.json", 0.8584), ("bad_captions.json", 0.7153)):
        values = []
        for name, caption in json.loads((folder / file).read_text()).items():
            with Image.open(folder / "images" / f"{name}.jpg") as image:
                pixels = np.asarray(image.convert("RGB")).transpose(2, 0, 1)[None]
            values.append(metric.score(score_batch(pixels, target=[caption]))[0])
        assert np.mean(values) == pytest.approx(expected, abs=2e-3)


def test_embeddings_for_cmmd_are_unit_vectors_of_the_same_pictures(golden):
    """So that a cosine of two of them is CLIP's own."""
    images = np.concatenate([picture("pub0_tgt.png"), picture("pub1_tgt.png")])
    made = ClipImage(MODEL)(torch.from_numpy(images))
    torch.testing.assert_close(made.norm(dim=-1), torch.ones(2))
    with torch.no_grad():
        plain = clip_networks.load(MODEL).images(torch.from_numpy(images))
    torch.testing.assert_close(made, plain / plain.norm(dim=-1, keepdim=True))
