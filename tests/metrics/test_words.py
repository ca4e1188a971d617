"""Metrics that need words, where there are none."""

import numpy as np
import pytest

from bench.data.shapes import Shapes
from bench.files.paths import ROOT
from metrics.clip import ClipScore
from metrics.shapes import TextAgreement
from tests.helpers.scores import score_batch
from tests.helpers.shared import SHARED, needs_shared

CLIP = SHARED / "golden/metrics/tiny_clip"
WORDLESS = [None, 7, 0, "", "  "]


def check(make):
    world = Shapes(64)
    pictures = np.stack([world[i].image for i in range(len(WORDLESS) + 2)])
    targets = [world[0].target, *WORDLESS, world[6].target]
    metric = make()
    values = metric.score(score_batch(pictures, target=targets))
    assert np.isnan(values).tolist() == [False, *[True] * len(WORDLESS), False]
    alone = make().score(score_batch(pictures[[0, -1]], target=[targets[0], targets[-1]]))
    assert values[[0, -1]] == pytest.approx(alone, abs=1e-4)
    assert list(metric.notes) == [str(i + 1) for i in range(len(WORDLESS))]
    assert metric.notes["1"] == "its target is no words: undefined"
    assert metric.notes["2"] == "its target is the class index 7: undefined"
    assert np.isnan(make().score(score_batch(pictures[:2], target=[None, 3]))).all()


def test_text_agreement():
    check(lambda: TextAgreement(ROOT / "metrics/shapes_judge"))


@needs_shared
@pytest.mark.parametrize("knobs", [{}, {"prefix": "A photo depicts"}, {"floor": 0}])
def test_clip_score(knobs):
    check(lambda: ClipScore(CLIP, **knobs))
