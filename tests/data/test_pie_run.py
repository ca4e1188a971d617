"""The authors' own result panels, from files to the published code's numbers, through the commands a user types."""

import json

import pytest

from bench import compare, score
from bench.report import tables
from tests.helpers.shared import SHARED, needs_shared

DATA = SHARED / "data"
PUBLISHED = {
    "ddim+masactrl": {"psnr": 22.773, "mse_e4": 52.807, "ssim_e2": 82.618},
    "directinversion+masactrl": {"psnr": 23.155, "mse_e4": 48.363, "ssim_e2": 84.477},
}
pytestmark = needs_shared


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Summaries of both methods; the backbones whose files are not here are random, and small where that is allowed."""
    out = tmp_path_factory.mktemp("out")
    words = ["data=pie", f"data.root={DATA / 'pie_bench_sample'}", "limit=1", "device=cpu", f"out={out}"]
    words += [f"metrics.weights.clip.path={SHARED / 'golden/metrics/tiny_clip'}"]
    words += [f"metrics.weights.{name}.path=random" for name in ("dino", "squeezenet")]
    words += ["+metrics.structure_distance_e3.architecture=vit_tiny_patch16_224"]
    for method in PUBLISHED:
        assert score.main([f"run={DATA / 'pie_panels' / method}", *words]) == 0
    files = out.glob("pie/precomputed/*/summary.pie-v2.json")
    return out, {json.loads(file.read_text())["knobs"]["label"]: file.parent for file in files}


@pytest.mark.parametrize("method", PUBLISHED)
def test_confirmed_values(scored, method):
    """The panels are JPEG files: no second compression."""
    summary = json.loads((scored[1][method] / "summary.pie-v2.json").read_text())
    assert summary["profile"] == "pie-v2"  # data=pie chooses it
    for name, value in PUBLISHED[method].items():
        assert summary["metrics"][name]["value"] == pytest.approx(value, rel=1e-5)
    assert "structure_distance_e3_random" in summary["metrics"]


def test_table_says_what_the_numbers_rest_on(scored):
    text = tables.readable(tables.collect(scored[0])).text()
    assert "profile pie-v2 (CLIP ViT-L/14, DINO ViT-B/8, LPIPS-squeeze); model no model; N = 1" in text
    assert "clip is named outright and not verified, dino is random, squeezenet is random" in text
    assert "22.77" in text
    assert "84.48" in text


def test_one_picture_is_no_evidence(scored):
    table = compare.compare(*scored[1].values())
    assert set(table.verdict) == {"too few source pictures to tell: 1"}
