"""Structure distance, FID's network and PIE's regions, written out, for checkouts without reference outputs."""

import numpy as np
import pytest
import timm
import torch
from torch.nn.functional import interpolate
from torchvision.transforms import functional as transforms

from metrics import vit
from metrics.pixel import Mse, Psnr, Ssim, structural_similarity
from metrics.structure import StructureDistance
from tests.helpers.scores import disturbed, noisy, score_batch

TINY = "vit_tiny_patch16_224"
MEAN, SPREAD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(0)
    sources = noisy(rng, 2, 300)
    sources[:, 1] //= 2
    return disturbed(rng, sources, 30), sources


def similarity(network, pixels):
    """Cosines between the keys of all tokens in the last block, heads together, class token included."""
    seen = []
    handle = network.blocks[-1].attn.qkv.register_forward_hook(lambda module, given, made: seen.append(made))
    with torch.no_grad():
        network(pixels)
    handle.remove()
    width = seen[0].shape[-1] // 3
    keys = seen[0][..., width : 2 * width]
    keys = keys / keys.norm(dim=-1, keepdim=True)
    return keys @ keys.mT


@pytest.mark.parametrize("published", [True, False])
def test_structure_distance_is_its_definition(pair, published):
    """Published: 0 to 255 into ImageNet's normalisation, shrunk to 224 px without antialiasing; corrected: [0, 1], and
    antialiased."""
    network, maps = vit.load(TINY, "random", 224), []
    assert isinstance(network, timm.models.VisionTransformer)
    for images in pair:
        x = torch.from_numpy(images).float() / (1 if published else 255)
        x = interpolate(x, (224, 224), mode="bilinear", align_corners=False, antialias=not published)
        maps.append(similarity(network, transforms.normalize(x, MEAN, SPREAD)))
    expected = 1000 * ((maps[0] - maps[1]) ** 2).mean((1, 2))
    values = StructureDistance("random", published, TINY).score(score_batch(*pair))
    np.testing.assert_allclose(values, expected, rtol=1e-3)


def test_regions_are_their_definitions():
    """Masked: black where the edit belongs, averages over the whole frame. Background: averages over the background
    alone; SSIM with the source put back inside."""
    rng = np.random.default_rng(1)
    sources = noisy(rng, 1, 40)
    edits, mask = disturbed(rng, sources, 30), np.zeros((40, 40), bool)
    mask[4:30, 11:35] = True
    batch, a, b = score_batch(edits, sources, mask=[mask]), edits[0] / 255, sources[0] / 255
    masked = (((a - b) * ~mask) ** 2).mean()
    background = ((a - b)[:, ~mask] ** 2).mean()
    assert Mse("masked").score(batch)[0] == pytest.approx(1e4 * masked)
    assert Mse("background").score(batch)[0] == pytest.approx(1e4 * background)
    assert Psnr(region="masked").score(batch)[0] == pytest.approx(-10 * np.log10(masked))
    assert Psnr(region="background").score(batch)[0] == pytest.approx(-10 * np.log10(background))
    black = structural_similarity(*(torch.from_numpy(x * ~mask) for x in (edits, sources)))[0].numpy()
    assert Ssim("masked").score(batch)[0] == pytest.approx(100 * black.mean())
    assert Ssim("masked", border=5).score(batch)[0] == pytest.approx(100 * black[5:-5, 5:-5].mean())
    put_back = np.where(mask, sources, edits)
    inside = structural_similarity(torch.from_numpy(put_back), torch.from_numpy(sources))[0].numpy()
    assert Ssim("background").score(batch)[0] == pytest.approx(100 * inside[~mask].mean())
