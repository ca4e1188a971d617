import json

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import map_coordinates

from bench.data.preprocess import fit
from bench.types import Undefined
from metrics.features import InceptionPool, vectors
from metrics.frechet import Moments, frechet_distance
from metrics.sets import Csfid, Fid, Sfid
from tests.helpers import seeded
from tests.helpers.scores import disturbed, score_batch
from tests.helpers.shared import SHARED, needs_shared

GOLDEN = SHARED / "golden/metrics"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return seeded.inception(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def flexit():
    """FlexIT's evaluation of 11 pictures: what it was given, and its features and numbers."""
    arrays = np.load(GOLDEN / "flexit/flexit.npz")
    return dict(arrays) | {"output": json.loads((GOLDEN / "flexit/flexit.json").read_text())["output"]}


@pytest.fixture(scope="module")
def batch(flexit):
    """The edits as FlexIT prepares them: PIL bilinear to 256 px."""
    edits = [np.asarray(fit(Image.fromarray(x), 256, Image.Resampling.BILINEAR)) for x in flexit["edited_images"]]
    classes = list(zip(flexit["source_ids"].tolist(), flexit["target_ids"].tolist(), strict=True))
    return score_batch(np.stack(edits).transpose(0, 3, 1, 2), classes=classes)


@pytest.fixture
def statistics(flexit, tmp_path):
    """A file laid out as FlexIT's inception_stats_256.pt."""
    means = zip(flexit["classwise_ids"].tolist(), flexit["classwise_means"], strict=True)
    file = tmp_path / "inception_stats_256.pt"
    torch.save({"mean": flexit["stats_mean"], "classwise": {c: {"mean": mean} for c, mean in means}}, file)
    return file


@needs_shared
def test_seeded_network_is_the_one_of_the_goldens(weights):
    spec = json.loads((GOLDEN / "weights_spec.json").read_text())["inception"]
    state = torch.load(weights, weights_only=True)
    assert len(state) == spec["n_tensors"]
    for name, total in spec["sum_abs"].items():
        assert float(state[name].double().abs().sum()) == pytest.approx(total, rel=1e-6)


@needs_shared
def test_features_are_flexits(weights, batch, flexit):
    """Within 1e-4 of the largest feature: 94 convolutions in float32."""
    features = vectors(batch, "edits", InceptionPool(weights))
    order = [flexit["query_ids"].tolist().index(id_) for id_ in flexit["feature_query_order"]]
    expected = flexit["features"]
    np.testing.assert_allclose(features.numpy()[order], expected, rtol=0, atol=1e-4 * np.abs(expected).max())


class Bare:
    """A network whose layers do nothing, so that its features are the picture as it was prepared."""

    def to(self, device):
        return self

    def __getattr__(self, name):
        return lambda x: x


@pytest.mark.parametrize("size", [160, 512])
def test_pictures_are_prepared_by_plain_bilinear_interpolation(size, monkeypatch):
    """scipy's, at the centres of 299 px, between the four nearest pixels alone, also of larger pictures."""
    monkeypatch.setattr("metrics.features._inception", lambda file: Bare())
    image = np.random.default_rng(0).integers(0, 256, (1, 3, size, size), np.uint8)
    made = InceptionPool("unread")(torch.from_numpy(image)).reshape(3, 299, 299)
    at = np.clip((np.arange(299) + 0.5) * size / 299 - 0.5, 0, size - 1)
    grid = np.meshgrid(at, at, indexing="ij")
    expected = [2 * map_coordinates(channel / 255, grid, order=1) - 1 for channel in image[0]]
    np.testing.assert_allclose(made, expected, atol=1e-4)


@needs_shared
def test_a_picture_has_the_same_features_alone(weights, batch):
    """To 1e-5 of the largest: kernels may add in another order."""
    pool = InceptionPool(weights)
    pair, alone = pool(batch.edits[:2]), pool(batch.edits[1:2])
    torch.testing.assert_close(pair[1:], alone, rtol=0, atol=1e-5 * float(alone.abs().max()))


@needs_shared
def test_flexit_sfid(weights, batch, flexit, statistics):
    made = Sfid(InceptionPool(weights), weights=statistics)
    made.update(batch)
    assert made.compute() == pytest.approx(flexit["output"]["SFID(mean) score"], rel=1e-4)


@needs_shared
def test_flexit_csfid(weights, batch, flexit, statistics):
    """FlexIT's mean takes in a class with a single edit; ours does when told to, and otherwise says why not."""
    made = Csfid(InceptionPool(weights), weights=statistics, least=1)
    made.update(batch)
    assert made.compute() == pytest.approx(flexit["output"]["CSFID(mean) score"], rel=1e-4)
    made.least = 2
    with pytest.raises(Undefined, match="1 of 4 lack them"):
        made.compute()


@needs_shared
def test_frechet_distance_of_torch_fidelitys_features():
    """Their features, our distance: their FID to 1e-5, the error that their own suite allows."""
    features = np.load(GOLDEN / "fid/fid.npz")
    made = Moments(), Moments()
    for moments, name in zip(made, ("features_a", "features_b"), strict=True):
        moments.update(torch.from_numpy(features[name]))
    expected = json.loads((GOLDEN / "fid/fid.json").read_text())["fid"]
    assert expected == pytest.approx(3.788631440684746, rel=1e-12)
    assert frechet_distance(*made) == pytest.approx(expected, rel=1e-5)


@needs_shared
def test_fid_is_zero_for_copies_and_grows_with_the_damage(weights):
    sources = np.load(GOLDEN / "fid/fid.npz")["images_a"][:3].transpose(0, 3, 1, 2)
    rng, values = np.random.default_rng(0), []
    for spread in (0, 10, 60):
        metric = Fid(InceptionPool(weights), "sources")
        metric.update(score_batch(disturbed(rng, sources, spread), sources))
        values.append(metric.compute())
    assert values[0] == pytest.approx(0, abs=1e-6 * values[1])
    assert values[0] < values[1] < values[2]
