"""Every metric on a CUDA device that computes nothing: its networks go there, and no tensor is made elsewhere."""

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from bench.config import cli, files
from bench.config import profile as profiles
from bench.scores import measure
from bench.types import EditSample, ScoreBatch
from tests.helpers import fake_cuda
from tests.helpers.shared import SHARED, needs_shared

SIDE, COUNT = 64, 4
CLIP = SHARED / "golden/metrics/tiny_clip"
STATISTICS = "statistics"  # of FlexIT's training pictures, of which no small file is made here


def resolved(name, columns):
    """A profile with random weights and a tiny CLIP."""
    entries = files.read(cli.CONF / "metrics" / f"{name}.yaml").get("weights") or {}
    words = []
    for weight, entry in entries.items():
        if weight != "judge":
            words.append(f"metrics.weights.{weight}.path={'random' if entry.get('random') else CLIP}")
    (cfg,) = cli.jobs(["data=shapes", f"metrics={name}", f"metrics.columns=[{','.join(columns)}]", *words])
    return profiles.chosen(OmegaConf.to_container(cfg.metrics, resolve=True))


def cases():
    """Profile and column, each class with its arguments once."""
    found = {}
    for name in cli.names("metrics"):
        profile = files.read(cli.CONF / "metrics" / f"{name}.yaml")
        for column, node in profiles.metrics(profile).items():
            if STATISTICS not in str(node.get("weights")):
                found.setdefault(str(node), (name, column))
    return list(found.values())


@pytest.fixture(scope="module")
def batch():
    """Pictures, a mask that is neither empty nor whole, and a truth."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (2, COUNT, 3, SIDE, SIDE), np.uint8)
    mask = np.zeros((SIDE, SIDE), bool)
    mask[8:40, 8:40] = True
    words = {"source": "a red star on the left", "target": "a blue star on the left"}
    attributes = {"shape": "star", "colour": "red"}, {"shape": "star", "colour": "blue"}
    told = {"mask": mask, "classes": (1, 2), "attributes": attributes, **words}
    samples = [EditSample(str(i), image, truth=image, group=str(i), **told) for i, image in enumerate(pictures[0])]
    saved = [picture.transpose(1, 2, 0) for picture in pictures[1]]
    return samples, torch.from_numpy(pictures[1]), torch.from_numpy(pictures[0]), [mask] * COUNT, saved


@needs_shared
@pytest.mark.parametrize(("profile", "column"), cases())
def test_a_metric_works_on_the_device(profile, column, batch):
    samples, edits, sources, masks, saved = batch
    metric, *_ = measure.build(resolved(profile, [column])).values()
    with fake_cuda.cuda(), torch.no_grad():
        given = ScoreBatch(samples, edits.to("cuda"), sources.to("cuda"), masks, saved=saved, classes=[1, 2])
        if hasattr(metric, "load"):
            metric.load()
        if hasattr(metric, "score"):
            values = metric.score(given)
            assert (values.shape, values.dtype) == ((COUNT,), np.float64)
        else:
            metric.update(given)
