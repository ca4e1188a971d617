import json

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from bench.errors import UserError
from metrics.clip import ClipScore
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
