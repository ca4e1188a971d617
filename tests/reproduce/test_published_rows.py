"""FlexIT's published rows, for who has the data: ImageNet's validation images, queries.csv and the official weights."""

import json
import os

import pytest

from bench import run

IMAGES, QUERIES = os.environ.get("EDIT_BENCH_IMAGENET"), os.environ.get("EDIT_BENCH_QUERIES")
ROWS = {"copy": (0.0, 106.0, 0.20, 0.4), "retrieve": (72.4, 27.2, 0.23, 90.6)}
"""LPIPS x 100, CSFID, SFID, accuracy in percent (README of facebookresearch/SemanticImageTranslation)."""


@pytest.mark.skipif(
    not (IMAGES and QUERIES), reason="EDIT_BENCH_IMAGENET and EDIT_BENCH_QUERIES do not name images and queries.csv"
)
@pytest.mark.parametrize("method", ROWS)
def test_row(method, tmp_path):
    """At 256 px throughout, so that a copy is scored on the very pixels of its source."""
    words = [f"method={method}", "data=imagenet", f"data.root={IMAGES}", f"data.annotations={QUERIES}"]
    assert run.main([*words, "data.size=256", "data.resample=bilinear", f"out={tmp_path}"]) == 0
    (file,) = tmp_path.glob("imagenet/*/*/summary.flexit-v1.json")
    facts = json.loads(file.read_text())["metrics"]
    lpips, csfid, sfid, accuracy = ROWS[method]
    assert facts["lpips_e2"]["value"] == pytest.approx(lpips, abs=0.05 if method == "copy" else 1.5)
    assert facts["csfid"]["value"] == pytest.approx(csfid, rel=0.05)
    assert facts["sfid"]["value"] == pytest.approx(sfid, abs=0.05)
    assert facts["accuracy_percent"]["value"] == pytest.approx(accuracy, abs=5)
