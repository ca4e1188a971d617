"""DISTS against torchmetrics' own, with random weights in torchvision's format."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torchmetrics.functional.image import dists

from bench.errors import UserError
from metrics.perceptual import Dists
from tests.helpers import seeded
from tests.helpers.scores import disturbed, noisy, score_batch


def test_it_is_torchmetrics_own(tmp_path, monkeypatch):
    file = seeded.vgg16(tmp_path)
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    (tmp_path / "hub/checkpoints/vgg16-397923af.pth").hardlink_to(file)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    rng = np.random.default_rng(0)
    sources = noisy(rng, 2, 64)
    edits = disturbed(rng, sources, 20)
    pair = [torch.from_numpy(x).float() / 255 for x in (edits, sources)]
    expected = dists.deep_image_structure_and_texture_similarity(*pair, reduction="none").detach().numpy()
    values = Dists(file).score(score_batch(edits, sources))
    np.testing.assert_allclose(values, expected, atol=1e-6)
    assert (values > 1e-3).all()
    np.testing.assert_allclose(Dists(file).score(score_batch(edits[:1], edits[:1])), 0, atol=1e-5)


def test_random_weights_are_seeded():
    rng = np.random.default_rng(0)
    batch = score_batch(noisy(rng, 1, 32), noisy(rng, 1, 32))
    value = Dists(Path("random")).score(batch)
    assert value.shape == (1,)
    assert np.isfinite(value).all()


def test_a_file_of_another_network_is_refused(tmp_path):
    with pytest.raises(UserError, match="no state dict of the trunk vgg"):
        Dists(seeded.alexnet(tmp_path)).load()
