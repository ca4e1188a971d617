"""CLIPScore against transformers' own similarity of pictures and texts, on a tiny network."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel

from metrics.clip import ClipScore
from metrics.features import ClipImage
from tests.helpers import clip
from tests.helpers.scores import noisy, score_batch

TEXTS = ["a red star", "a green circle on the left"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return clip.folder(tmp_path_factory.mktemp("clip") / "model")


@pytest.fixture
def pictures():
    made = noisy(np.random.default_rng(0), 2, 48)
    made[1, 0] //= 3
    return made


def cosines(model, pictures, texts):
    """Of each picture and its text: transformers' logits are exp(logit_scale) times them."""
    network, tokenizer = CLIPModel.from_pretrained(model).eval(), AutoTokenizer.from_pretrained(model)
    images = [Image.fromarray(x.transpose(1, 2, 0)) for x in pictures]
    pixels = CLIPImageProcessor.from_pretrained(model)(images, return_tensors="pt").pixel_values
    told = tokenizer(texts, return_tensors="pt", padding=True)
    with torch.no_grad():
        logits = network(pixel_values=pixels, **told).logits_per_image / network.logit_scale.exp()
    return logits.diagonal().numpy()


def test_the_score_is_100_times_the_cosine(model, pictures):
    values = ClipScore(model).score(score_batch(pictures, target=TEXTS))
    expected = 100 * cosines(model, pictures, TEXTS)
    assert abs(expected[0] - expected[1]) > 1
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-4)


def test_the_edited_region_is_black_outside_the_mask(model, pictures):
    """And has the full prompt still."""
    mask = np.zeros((48, 48), bool)
    mask[8:30, 4:40] = True
    values = ClipScore(model, region="edited").score(score_batch(pictures, target=TEXTS, mask=[mask] * 2))
    np.testing.assert_allclose(values, 100 * cosines(model, pictures * mask, TEXTS), rtol=1e-4, atol=1e-4)
    for nothing in (None, np.zeros((48, 48), bool)):
        batch = score_batch(pictures, target=TEXTS, mask=[mask, nothing])
        assert np.isnan(ClipScore(model, region="edited").score(batch)).tolist() == [False, True]


def test_scale_floor_and_prefix(model, pictures):
    """Hessel et al. 2021: 2.5 max(cosine, 0) and "A photo depicts"."""
    plain = cosines(model, pictures, [f"A photo depicts {text}" for text in TEXTS])
    floor = float(2.5 * plain.mean())
    metric = ClipScore(model, scale=2.5, floor=floor, prefix="A photo depicts")
    values = metric.score(score_batch(pictures, target=TEXTS))
    np.testing.assert_allclose(values, np.maximum(2.5 * plain, floor), rtol=1e-4, atol=1e-5)


def test_samples_without_words_are_undefined_and_others_keep_their_places(model, pictures):
    batch = score_batch(np.concatenate([pictures, pictures]), target=[None, TEXTS[1], 3, TEXTS[0]])
    values = ClipScore(model).score(batch)
    assert np.isnan(values).tolist() == [True, False, True, False]
    expected = 100 * cosines(model, pictures[[1, 1]], [TEXTS[1], TEXTS[0]])
    np.testing.assert_allclose(values[[1, 3]], expected, rtol=1e-4, atol=1e-4)


def test_cmmds_features_are_unit_vectors(model, pictures):
    """So that a distance of two of them is sqrt(2 - 2 cosine)."""
    made = ClipImage(model)(torch.from_numpy(pictures))
    torch.testing.assert_close(made.norm(dim=-1), torch.ones(2))
