"""Pictures that are too small for a metric."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from bench import run, score
from metrics.perceptual import Lpips
from metrics.pixel import Ssim
from tests.helpers.scores import noisy, score_batch

RANDOM = Path("random")
METRICS = {
    "ssim": (Ssim(), 6),
    "ssim, old border": (Ssim(border=5), 11),
    "ssim of the background": (Ssim("background"), 6),
    "lpips alex": (Lpips("alex", RANDOM), 31),
    "lpips alex of the background": (Lpips("alex", RANDOM, region="background"), 31),
    "lpips squeeze": (Lpips("squeeze", RANDOM), 17),
    "lpips vgg": (Lpips("vgg", RANDOM), 16),
}


def batch(size):
    rng = np.random.default_rng(0)
    mask = np.zeros((size, size), bool)
    mask[: size // 2] = True
    return score_batch(noisy(rng, 2, size), noisy(rng, 2, size), mask=[mask, mask])


def values(metric, size):
    """NaN where the network cannot take them."""
    try:
        with torch.inference_mode():
            return metric.score(batch(size))
    except RuntimeError as error:
        return np.array([np.nan]) if "size" in str(error) else pytest.fail(str(error))


@pytest.mark.parametrize("name", METRICS)
def test_the_smallest_picture_has_a_value_and_no_smaller_one(name):
    metric, smallest = METRICS[name]
    assert metric.smallest == smallest
    assert np.isfinite(values(metric, smallest)).all()
    assert np.isnan(values(metric, smallest - 1)).all()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    assert run.main(["method=copy", "limit=3", "metrics=pixel", f"out={out}"]) == 0
    return next((out / "shapes/copy").iterdir())


@pytest.mark.parametrize("size", [1, 4, 8, 16, 31])
def test_a_run_of_small_pictures_is_scored_by_what_can(folder, size):
    words = ["metrics=shapes", f"metrics.size={size}", "+metrics.weights.net={path: random, random: true}"]
    for net in ("alex", "squeeze", "vgg"):
        words += [f"+metrics.{net}._target_=metrics.perceptual.Lpips", f"+metrics.{net}.net={net}"]
        words += [f"+metrics.{net}.weights=net"]
    assert score.main([f"run={folder}", *words]) == 0
    facts = json.loads((folder / "summary.shapes-v1.json").read_text())["metrics"]
    table = pd.read_csv(folder / "per_image.shapes-v1.csv")
    for name, smallest in {"ssim": 6, "alex_random": 31, "squeeze_random": 17, "vgg_random": 16}.items():
        undefined = size < smallest
        assert table[name].isna().all() == undefined
        said = f"needs pictures of {smallest} px a side or more; these have {size}" if undefined else None
        assert (facts[name]["reason"], facts[name]["n_nan"]) == (said, 3 * undefined)
    assert facts["mse"]["n"] == 3
    assert facts["structure"]["n"] == 3
    # a choice of columns leaves what is undefined as it is
    assert score.main([f"run={folder}", "metrics=shapes", f"metrics.size={size}", "metrics.columns=[mse]"]) == 0
    again = json.loads((folder / "summary.shapes-v1.json").read_text())["metrics"]
    assert {name: fact["reason"] for name, fact in again.items()} == {n: fact["reason"] for n, fact in facts.items()}
