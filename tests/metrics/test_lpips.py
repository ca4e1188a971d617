import json
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from bench.data.preprocess import fit
from bench.errors import UserError
from metrics.perceptual import Lpips
from tests.helpers import seeded
from tests.helpers.scores import disturbed, noisy, score_batch
from tests.helpers.shared import SHARED, needs_shared


@pytest.fixture(scope="module")
def trunk(tmp_path_factory):
    return seeded.alexnet(tmp_path_factory.mktemp("weights"))


def reference(trunk):
    """The lpips package by itself, its own trunk filled layer by layer in order."""
    import lpips

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    state = torch.load(trunk, weights_only=True)
    layers = [module for module in network.net.modules() if isinstance(module, torch.nn.Conv2d)]
    for number, layer in zip((0, 3, 6, 8, 10), layers, strict=True):
        layer.weight.data, layer.bias.data = state[f"features.{number}.weight"], state[f"features.{number}.bias"]
    return network.eval()


@needs_shared
def test_seeded_trunk_is_the_one_of_the_goldens(trunk):
    spec = json.loads((SHARED / "golden/metrics/weights_spec.json").read_text())["alexnet"]
    state = {k: v for k, v in torch.load(trunk, weights_only=True).items() if k.startswith("features.")}
    assert len(state) == spec["n_tensors"]
    for name, total in spec["sum_abs"].items():
        assert float(state[name].double().abs().sum()) == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize("scale", [1.0, 100])
def test_equals_the_lpips_package(trunk, scale):
    rng = np.random.default_rng(0)
    sources = noisy(rng, 2, 64)
    edits = disturbed(rng, sources, 30)
    a, b = (torch.from_numpy(x).float() / 127.5 - 1 for x in (edits, sources))
    with torch.no_grad():
        expected = scale * reference(trunk)(a, b).flatten().numpy()
    values = Lpips("alex", trunk, scale).score(score_batch(edits, sources))
    assert values.dtype == np.float64
    np.testing.assert_allclose(values, expected, rtol=1e-4)
    assert (values > 0).all()


def test_distance_to_itself_is_zero(trunk):
    assert Lpips("alex", trunk).score(score_batch(noisy(np.random.default_rng(1), 2, 64))).tolist() == [0, 0]


def test_worse_edit_scores_worse(trunk):
    rng = np.random.default_rng(2)
    sources = np.repeat(noisy(rng, 1, 64), 3, 0)
    edits = np.stack([disturbed(rng, x, spread) for x, spread in zip(sources, (5, 20, 60), strict=True)])
    metric = Lpips("alex", trunk)
    assert not metric.higher_is_better
    assert (np.diff(metric.score(score_batch(edits, sources))) > 0).all()


def test_file_without_a_layer_is_refused(trunk, tmp_path):
    state = torch.load(trunk, weights_only=True)
    del state["features.8.bias"]
    torch.save(state, tmp_path / "partial.pth")
    with pytest.raises(UserError, match=r"partial.pth lacks features\.8\.bias"):
        Lpips("alex", tmp_path / "partial.pth").score(score_batch(np.zeros((1, 3, 64, 64), np.uint8)))


@pytest.mark.parametrize(("scale", "unit"), [(1.0, ""), (100, "x 10^2"), (1000, "x 10^3")])
def test_unit_names_the_scale(scale, unit):
    assert Lpips("alex", "unread", scale).unit == unit


@needs_shared
def test_flexit_mean(trunk):
    """FlexIT's own evaluation of 11 pictures, resized to 256 px as it does (golden metrics/flexit); rel. 1e-4."""
    golden = np.load(SHARED / "golden/metrics/flexit/flexit.npz")
    expected = json.loads((SHARED / "golden/metrics/flexit/flexit.json").read_text())["output"]["Mean LPIPS distance"]
    edits, sources = (
        np.stack(
            [np.asarray(fit(Image.fromarray(x), 256, Image.Resampling.BILINEAR)).transpose(2, 0, 1) for x in golden[k]]
        )
        for k in ("edited_images", "input_images")
    )
    values = Lpips("alex", trunk, 100).score(score_batch(edits, sources))
    assert values.mean() == pytest.approx(expected, rel=1e-4)


@pytest.fixture
def masked():
    """An edit of a noisy picture, and a mask of its left third."""
    rng = np.random.default_rng(3)
    source = noisy(rng, 1, 64)
    mask = np.zeros((64, 64), bool)
    mask[:, :21] = True
    return disturbed(rng, source, 30), source, mask


@pytest.mark.parametrize("region", ["masked", "background"])
def test_region_to_edit_is_not_looked_at(masked, region):
    edit, source, mask = masked
    metric = Lpips("squeeze", "random", region=region)
    repainted = np.where(mask, 255 - edit, edit)
    values = [metric.score(score_batch(x, source, mask=[mask]))[0] for x in (edit, repainted)]
    assert values[0] == values[1] > 0
    untouched = np.where(mask, edit, source)
    assert metric.score(score_batch(untouched, source, mask=[mask]))[0] == 0
    for nothing in (None, np.ones((64, 64), bool)):
        assert np.isnan(metric.score(score_batch(edit, source, mask=[nothing]))[0])


def test_regions_by_hand(masked):
    """Black inside the mask; or the source inside it, over the background's share."""
    edit, source, mask = masked
    plain, fields = Lpips("squeeze", "random"), {"mask": [mask]}
    black = plain.score(score_batch(edit * ~mask, source * ~mask))
    np.testing.assert_allclose(
        Lpips("squeeze", "random", region="masked").score(score_batch(edit, source, **fields)), black
    )
    composed = plain.score(score_batch(np.where(mask, source, edit), source)) / (43 / 64)
    background = Lpips("squeeze", "random", region="background").score(score_batch(edit, source, **fields))
    np.testing.assert_allclose(background, composed, rtol=1e-6)
