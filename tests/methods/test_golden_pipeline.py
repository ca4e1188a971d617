"""LEDITS++ through `method=pipeline` against what the same class of diffusers gave by itself (golden/flow)."""

import numpy as np
import pytest
import torch

from bench.models.pipelines import classes
from bench.models.pipelines.folder import PipelineFolder
from bench.types import EditBatch
from methods.pipeline import Pipeline
from tests.helpers.flow_goldens import GOLDEN, Case, names

KINDS = {
    "sd15": ("LEditsPPPipelineStableDiffusion", "StableDiffusionPipeline"),
    "sdxl": ("LEditsPPPipelineStableDiffusionXL", "StableDiffusionXLPipeline"),
}
INVERSION = ("source_prompt", "source_guidance_scale", "num_inversion_steps", "skip")
MADE_WITH = "0.42.1"


class Seeded:
    """The case's generator."""

    def __init__(self, seed):
        self.seed = seed

    def generators(self, stream):
        return [torch.Generator().manual_seed(self.seed)]


@pytest.mark.parametrize("name", names("leditspp") or [pytest.param("", marks=pytest.mark.skip("no ../shared"))])
@pytest.mark.skipif(classes.version() != MADE_WITH, reason=f"diffusers {classes.version()}, made with {MADE_WITH}")
def test_ledits_pp_is_what_diffusers_gives(name):
    case = Case("leditspp", name)
    kind, own = KINDS[case.kind]
    folder = PipelineFolder(str(GOLDEN / "models" / case.kind), kind, [own], multiple=32)
    model, found = folder.load(torch.device("cpu"), torch.float32), []
    model.pipeline.vae.decode = _kept(model.pipeline.vae.decode, found)
    settings = {one: value for one, value in case.settings.items() if one not in ("seed", "scheduler")}
    inversion = {one: settings.pop(one) for one in INVERSION}
    method = Pipeline(settings, {"invert": {"image": "sample.image", **inversion}})
    sample = case.sample(target="a picture")
    batch = EditBatch([sample], torch.from_numpy(sample.image)[None])
    with torch.inference_mode():
        result = method(model, batch, Seeded(case.settings["seed"]))
    latents, expected = found[-1] * model.pipeline.vae.config.scaling_factor, case.tensor("final_latents")
    assert float((latents - expected).abs().max() / expected.abs().max()) <= 1e-4
    difference = result.images[0].permute(1, 2, 0).numpy().astype(int) - case.arrays["decoded"].astype(int)
    assert np.abs(difference).max() <= 1
    assert model.rows == case.rows["inversion"] + case.rows["edit"]


def _kept(decode, found):
    def keep(latents, *args, **kwargs):
        found.append(latents)
        return decode(latents, *args, **kwargs)

    return keep
