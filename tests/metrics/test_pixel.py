import json

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from bench.types import Undefined
from metrics.masks import MaskIou
from metrics.pixel import Mse, Psnr, Ssim
from tests.helpers.scores import disturbed, noisy, score_batch
from tests.helpers.shared import SHARED, needs_shared


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    sources = noisy(rng, 3, 48)
    return np.stack([disturbed(rng, x, spread) for x, spread in zip(sources, (2, 20, 60), strict=True)]), sources


def half_mask(size: int) -> np.ndarray:
    mask = np.zeros((size, size), bool)
    mask[: size // 2, 5:] = True
    return mask


def test_mse_is_that_of_scikit_image(pictures):
    edits, sources = pictures
    expected = [1e4 * mean_squared_error(a / 255, b / 255) for a, b in zip(edits, sources, strict=True)]
    np.testing.assert_allclose(Mse().score(score_batch(edits, sources)), expected, rtol=1e-6)


def test_psnr_is_that_of_scikit_image(pictures):
    edits, sources = pictures
    expected = [peak_signal_noise_ratio(a, b, data_range=255) for a, b in zip(sources, edits, strict=True)]
    np.testing.assert_allclose(Psnr().score(score_batch(edits, sources)), expected, rtol=1e-6)


@pytest.mark.parametrize(("count", "size"), [(3, 6), (12, 48), (3, 64), (2, 300)])
def test_ssim_is_that_of_scikit_image(count, size):
    """Over the whole frame, in one block and in many: scikit-image leaves out the 5 px that its window reaches beyond
    the picture, so it is given pictures mirrored by as much."""
    rng = np.random.default_rng(0)
    sources = noisy(rng, count, size)
    edits = np.stack([disturbed(rng, x, spread) for x, spread in zip(sources, rng.integers(2, 60, count), strict=True)])
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    padded = [np.pad(x / 255, ((0, 0), (0, 0), (5, 5), (5, 5)), "reflect") for x in (edits, sources)]
    expected = [100 * structural_similarity(a, b, channel_axis=0, **options) for a, b in zip(*padded, strict=True)]
    np.testing.assert_allclose(Ssim().score(score_batch(edits, sources)), expected, rtol=1e-10)


@needs_shared
@pytest.mark.parametrize("name", ["pub0", "pub1"])
def test_whole_frame_values_are_pnps(name):
    """PnPInversion's own evaluation (golden metrics/pnp), in float32: rel. 1e-5."""
    folder = SHARED / "golden/metrics/pnp"
    case = json.loads((folder / "golden.json").read_text())["results"][name]
    pictures = []
    for key in ("tgt_image", "src_image"):
        with Image.open(folder / case[key]) as image:
            pictures.append(np.asarray(image.convert("RGB")).transpose(2, 0, 1)[None])
    batch = score_batch(*pictures)
    assert Psnr().score(batch)[0] == pytest.approx(case["metrics"]["psnr"], rel=1e-5)
    assert Mse().score(batch)[0] == pytest.approx(1e4 * case["metrics"]["mse"], rel=1e-5)
    assert Ssim().score(batch)[0] == pytest.approx(100 * case["metrics"]["ssim"], rel=1e-5)


@pytest.mark.parametrize("metric", [Mse(), Psnr(), Ssim()])
def test_worse_edit_scores_worse(metric, pictures):
    values = metric.score(score_batch(*pictures))  # ever noisier edits
    steps = np.diff(values if metric.higher_is_better else -values)
    assert (steps < 0).all()


def test_one_picture_scores_as_in_a_batch(pictures):
    edits, sources = pictures
    for metric in (Mse(), Psnr(), Ssim()):
        alone = [metric.score(score_batch(edits[i : i + 1], sources[i : i + 1]))[0] for i in range(len(edits))]
        np.testing.assert_allclose(metric.score(score_batch(edits, sources)), alone, rtol=1e-12)


def test_untouched_pictures(pictures):
    batch = score_batch(pictures[1])
    assert (Mse().score(batch) == 0).all()
    assert np.isposinf(Psnr().score(batch)).all()
    np.testing.assert_allclose(Ssim().score(batch), 100, rtol=1e-12)


def test_psnr_against_the_truth(pictures):
    edits, sources = pictures
    batch = score_batch(edits, sources, truth=list(edits[[0, 0, 2]]))
    values = Psnr(against="truths").score(batch)
    assert np.isposinf(values[[0, 2]]).all()
    assert values[1] == pytest.approx(peak_signal_noise_ratio(edits[0], edits[1], data_range=255), rel=1e-6)


@pytest.mark.parametrize("region", ["frame", "background"])
def test_ssim_against_the_truth(pictures, region):
    """It is that of pictures whose sources are the truths."""
    edits, sources = pictures
    truths, mask = list(edits[[1, 0, 2]]), [half_mask(48)] * 3
    values = Ssim(region, against="truths").score(score_batch(edits, sources, truth=truths, mask=mask))
    np.testing.assert_array_equal(values, Ssim(region).score(score_batch(edits, np.stack(truths), mask=mask)))
    assert values[2] == pytest.approx(100, rel=1e-12)
    assert values[0] < 99


@pytest.mark.parametrize("metric", [Psnr, Ssim])
def test_an_unknown_truth_is_undefined(pictures, metric):
    with pytest.raises(Undefined, match="true edited images"):
        metric(against="truths").score(score_batch(*pictures))


def test_background_psnr_averages_over_the_background_alone(pictures):
    edits, sources = pictures
    mask = half_mask(48)
    values = Psnr(region="background").score(score_batch(edits, sources, mask=[mask] * 3))
    expected = [
        peak_signal_noise_ratio(b[:, ~mask], a[:, ~mask], data_range=255) for a, b in zip(edits, sources, strict=True)
    ]
    np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_background_psnr_does_not_see_the_edited_region(pictures):
    edits, sources = pictures
    mask = half_mask(48)
    repainted = np.where(mask, 255 - edits, edits)
    assert (repainted != edits).any()
    scores = [Psnr(region="background").score(score_batch(x, sources, mask=[mask] * 3)) for x in (edits, repainted)]
    np.testing.assert_array_equal(*scores)


def test_background_psnr_needs_a_background(pictures):
    edits, sources = pictures
    masks = [np.ones((48, 48), bool), None, half_mask(48)]
    values = Psnr(region="background").score(score_batch(edits, sources, mask=masks))
    assert np.isnan(values).tolist() == [True, True, False]


def test_mask_iou():
    frame, none, half = np.ones((4, 4), bool), np.zeros((4, 4), bool), half_mask(4)
    half[:2] = True  # 8 of 16
    quarter = half.copy()
    quarter[:, :2] = False
    found = [quarter, half, none, frame, None, half, half, half]
    true = [half, half, half, half, half, None, frame, none]
    images = np.zeros((8, 3, 4, 4), np.uint8)
    values = MaskIou().score(score_batch(images, edit_masks=found, mask=true))
    np.testing.assert_allclose(values, [50, 100, 0, 50] + [np.nan] * 4)
