"""The columns of pie-v2 against PnPInversion's own evaluation (golden metrics/pnp), and its published panels."""

import json
import warnings

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from PIL import Image
from torchmetrics.functional.image import structural_similarity_index_measure
from torchvision.transforms import functional as transforms

from bench.config.profile import columns
from bench.files.paths import ROOT
from metrics import vit
from metrics.perceptual import Lpips
from metrics.pixel import Mse, Psnr, Ssim
from metrics.structure import StructureDistance
from tests.helpers import seeded
from tests.helpers.scores import disturbed, noisy, score_batch
from tests.helpers.shared import SHARED, needs_shared

PNP = SHARED / "golden/metrics/pnp"
PROFILE = OmegaConf.to_container(OmegaConf.load(ROOT / "conf/metrics/pie.yaml"))
COLUMNS = {
    "structure_distance_e3": ("structure_distance__antialias_off", 1e3),
    "psnr": ("psnr_unedit_part", 1),
    "lpips_e3": ("lpips_unedit_part", 1e3),
    "mse_e4": ("mse_unedit_part", 1e4),
    "ssim_e2": ("ssim_unedit_part", 1e2),
    "clip_whole": ("clip_similarity_target_image", 1),
    "clip_edited": ("clip_similarity_target_image_edit_part", 1),
}
"""Column -> what PnPInversion calls it, and the scale of the published tables."""
PUBLISHED = {
    "directinversion+masactrl": {"psnr": 23.155, "mse_e4": 48.363, "ssim_e2": 84.477},
    "ddim+masactrl": {"psnr": 22.773, "mse_e4": 52.807, "ssim_e2": 82.618},
}
WHOLE_FRAME_SSIM = {"directinversion+masactrl": 84.856, "ddim+masactrl": 83.041}
"""With the border that the published numbers leave out."""


def pixels(file) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def decoded(rle: list[int], size: int) -> np.ndarray:
    """A mask of PIE-Bench, its border forced to belong to the edit."""
    mask = np.zeros(size * size, bool)
    for start, length in zip(rle[::2], rle[1::2], strict=True):
        mask[start : start + length] = True
    mask = mask.reshape(size, size)
    mask[[0, -1]] = mask[:, [0, -1]] = True
    return mask


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    return {
        "clip": SHARED / "golden/metrics/tiny_clip",
        "dino": seeded.dino(folder),
        "squeezenet": seeded.squeezenet(folder),
    }


def metric(name: str, weights):
    node = columns(PROFILE)[name]
    return instantiate(node | {"weights": weights[node["weights"]]} if "weights" in node else node)


@pytest.fixture(scope="module")
def cases():
    results = json.loads((PNP / "golden.json").read_text())["results"]
    return {name: case for name, case in results.items() if "metrics" in case}


def batch(case):
    edit, source = (pixels(PNP / case[key]).transpose(2, 0, 1)[None] for key in ("tgt_image", "src_image"))
    mask = decoded(case["mask_rle"], case["size"])
    assert mask.sum() == case["mask_sum_after_border_rule"]
    return score_batch(edit, source, mask=[mask], target=[case["target_prompt"]])


@needs_shared
def test_seeded_backbones_are_those_of_the_goldens(weights):
    spec = json.loads((SHARED / "golden/metrics/weights_spec.json").read_text())
    for name, file in (("dino_vitb8", weights["dino"]), ("squeezenet1_1", weights["squeezenet"])):
        state = torch.load(file, weights_only=True)
        assert len(state) == spec[name]["n_tensors"]
        for tensor, total in spec[name]["sum_abs"].items():
            assert float(state[tensor].double().abs().sum()) == pytest.approx(total, rel=1e-6)


@needs_shared
@pytest.mark.parametrize("name", COLUMNS)
def test_column_is_pnps(name, weights, cases):
    """Their float32 to 1e-5, relative; SSIM to 2e-5, see the next test, and of the whole frame, as a torchmetrics later
    than the published numbers has it."""
    theirs, scale = COLUMNS[name]
    computed = Ssim("masked", border=0) if name == "ssim_e2" else metric(name, weights)
    rel = 2e-5 if name == "ssim_e2" else 1e-5
    for case in cases.values():
        assert computed.score(batch(case))[0] == pytest.approx(scale * case["metrics"][theirs], rel=rel)


@needs_shared
def test_ssim_is_torchmetrics_in_float64(cases):
    """In float32, which the published code ran in, torchmetrics itself is up to 1.5e-5 away from this."""
    for case in cases.values():
        made = batch(case)
        kept = torch.from_numpy(~made.samples[0].mask)
        pair = [x * kept / 255.0 for x in (made.edits.double(), made.sources.double())]
        expected = 100 * structural_similarity_index_measure(*pair, data_range=1.0)
        assert Ssim("masked").score(made)[0] == pytest.approx(float(expected), rel=1e-10)


def test_profile_has_the_columns_of_the_published_tables_and_no_other():
    assert set(columns(PROFILE)) == set(COLUMNS)
    assert PROFILE["jpeg"] == 75


@needs_shared
@pytest.mark.parametrize("method", PUBLISHED)
def test_published_panel_of_the_cake(method):
    """Values measured on the authors' own result panel, whose last square is the edit."""
    data = SHARED / "data"
    record = json.loads((data / "pie_bench_sample/mapping_file.json").read_text())["000000000001"]
    source = pixels(data / "pie_bench_sample/annotation_images" / record["image_path"])
    panel = pixels(data / "pie_panels" / method / "annotation_images" / record["image_path"])
    edit, source = (x.transpose(2, 0, 1)[None] for x in (panel[-512:, -512:], source))
    made = score_batch(edit, source, mask=[decoded(record["mask"], 512)])
    for name, value in PUBLISHED[method].items():
        assert metric(name, {}).score(made)[0] == pytest.approx(value, rel=1e-5)
    assert Ssim("masked", border=0).score(made)[0] == pytest.approx(WHOLE_FRAME_SSIM[method], rel=1e-5)


@pytest.mark.parametrize("kind", [Psnr, Mse, Ssim])
@pytest.mark.parametrize("region", ["masked", "background"])
def test_a_mask_of_the_whole_frame_leaves_nothing_to_measure(kind, region):
    rng = np.random.default_rng(0)
    sources = noisy(rng, 3, 32)
    masks = [np.ones((32, 32), bool), None, np.pad(np.ones((9, 9), bool), ((3, 20), (5, 18)))]
    values = kind(region=region).score(score_batch(disturbed(rng, sources, 20), sources, mask=masks))
    assert np.isnan(values).tolist() == [True, True, False]


@pytest.mark.parametrize("kind", [Psnr, Mse, Ssim])
@pytest.mark.parametrize("region", ["masked", "background"])
def test_the_region_to_edit_is_not_looked_at(kind, region):
    rng = np.random.default_rng(1)
    sources = noisy(rng, 1, 32)
    edits = disturbed(rng, sources, 20)
    mask = np.zeros((32, 32), bool)
    mask[4:20, 6:26] = True
    repainted = np.where(mask, 255 - edits, edits)
    scores = [kind(region=region).score(score_batch(x, sources, mask=[mask]))[0] for x in (edits, repainted)]
    assert scores[0] == scores[1]
    outside = np.where(mask, edits, 255 - edits)
    assert kind(region=region).score(score_batch(outside, sources, mask=[mask]))[0] != scores[0]


def test_masked_psnr_gains_the_share_of_the_background():
    rng = np.random.default_rng(2)
    sources = noisy(rng, 1, 32)
    mask = np.zeros((32, 32), bool)
    mask[:, :24] = True
    made = score_batch(disturbed(rng, sources, 20), sources, mask=[mask])
    gain = Psnr(region="masked").score(made) - Psnr(region="background").score(made)
    assert gain == pytest.approx(-10 * np.log10(0.25), rel=1e-9)


def test_background_metrics_of_a_clean_background():
    """An edit that keeps its background has the best scores there, whatever it does inside."""
    rng = np.random.default_rng(3)
    sources = noisy(rng, 1, 32)
    mask = np.zeros((32, 32), bool)
    mask[8:24, 8:24] = True
    made = score_batch(np.where(mask, 255 - sources, sources), sources, mask=[mask])
    assert Mse(region="background").score(made)[0] == 0
    assert np.isposinf(Psnr(region="background").score(made)[0])
    assert Ssim(region="background").score(made)[0] == pytest.approx(100, rel=1e-12)
    assert Ssim(region="masked").score(made)[0] == pytest.approx(100, rel=1e-6)


def test_unknown_region_is_refused():
    with pytest.raises(ValueError, match="expected one of frame, masked, background"):
        Ssim(region="outside")


def test_structure_distance_of_a_copy_is_zero_and_grows():
    rng = np.random.default_rng(4)
    sources = np.repeat(noisy(rng, 1, 64), 3, 0)
    edits = np.stack([disturbed(rng, x, spread) for x, spread in zip(sources, (0, 10, 60), strict=True)])
    for published in (True, False):
        values = StructureDistance("random", published, "vit_tiny_patch16_224").score(score_batch(edits, sources))
        assert values[0] == pytest.approx(0, abs=1e-6)
        assert values[0] < values[1] < values[2]


def test_dino_file_is_loaded_strictly(weights, tmp_path):
    state = torch.load(weights["dino"], weights_only=True)
    del state["blocks.11.norm1.bias"]
    torch.save(state, tmp_path / "partial.pth")
    with warnings.catch_warnings(), pytest.raises(Exception, match=r"partial.pth is no state dict.*norm1\.bias"):
        vit.load("vit_base_patch8_224", tmp_path / "partial.pth", 224)


def similarity(pixels: torch.Tensor) -> torch.Tensor:
    """Cosines between the last block's keys by another way: a hook on the layer, one head after the other."""
    network, seen = vit.load("vit_tiny_patch16_224", "random", 224), []
    handle = network.blocks[-1].attn.qkv.register_forward_hook(lambda module, given, made: seen.append(made))
    with torch.no_grad():
        network(pixels)
    handle.remove()
    heads = network.blocks[-1].attn.num_heads
    keys = seen[0].reshape(1, seen[0].shape[1], 3, heads, -1)[:, :, 1]
    keys = torch.cat(list(keys.unbind(2)), -1)[0]
    return torch.cosine_similarity(keys[:, None], keys[None], dim=-1)


def test_corrected_structure_distance_takes_pixels_in_the_unit_interval_antialiased():
    rng = np.random.default_rng(5)
    source = noisy(rng, 1, 320)
    edit = disturbed(rng, source, 30)
    maps = []
    for x in (edit, source):
        pixels = transforms.resize(torch.from_numpy(x).float() / 255, [224, 224], antialias=True)
        maps.append(similarity(transforms.normalize(pixels, vit.MEAN, vit.SPREAD)))
    expected = 1000 * float((maps[0] - maps[1]).square().mean())
    value = StructureDistance("random", published=False, architecture="vit_tiny_patch16_224")
    assert value.score(score_batch(edit, source))[0] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    "metric",
    [
        *(kind(region=region) for kind in (Psnr, Mse, Ssim) for region in ("masked", "background")),
        Lpips("squeeze", "random", 1000, "masked"),
        StructureDistance("random", True, "vit_tiny_patch16_224"),
    ],
    ids=lambda metric: f"{type(metric).__name__} {getattr(metric, 'region', '')}",
)
def test_neither_batch_nor_order_matters(metric):
    """More pictures than are held at a time; kernels may add in another order."""
    rng = np.random.default_rng(6)
    sources = noisy(rng, 9, 64)
    edits = disturbed(rng, sources, 25)
    masks = [rng.random((64, 64)) < 0.3 for _ in range(9)]
    together = metric.score(score_batch(edits, sources, mask=masks))
    order = rng.permutation(9)
    shuffled = metric.score(score_batch(edits[order], sources[order], mask=[masks[i] for i in order]))
    np.testing.assert_allclose(shuffled, together[order], rtol=1e-4)
    alone = [metric.score(score_batch(edits[i : i + 1], sources[i : i + 1], mask=[masks[i]]))[0] for i in range(9)]
    np.testing.assert_allclose(alone, together, rtol=1e-4)
    assert len(set(np.round(together, 3))) > 1
