"""Inversion-based editing against outputs of the original authors' code on a tiny random model (goldens, fp32).

A subset of the stored cases runs each time; EDIT_BENCH_ALL_GOLDENS=1 runs all of them.
"""

import json
import os

import numpy as np
import pytest
import torch

from bench.data.preprocess import read_rgb
from bench.models.stable_diffusion import StableDiffusion
from bench.types import EditBatch, EditSample
from methods import branches
from methods.ddim import DDIM
from methods.direct import Direct
from methods.negative_prompt import NegativePrompt
from methods.null_text import NullText
from methods.siminversion import SimInversion
from tests.helpers.shared import SHARED, needs_shared

GOLDEN = SHARED / "golden"
# The original's fp32 is 1e-5 (relative) from its float64; a wrong convention shows as 3e-2 or more. Masks are exact.
Z_T, FINAL = 1e-4, 1e-3
EACH_TIME = [
    "masactrl/pub0/ddim_masactrl_T10",
    "masactrl/pub0/directinversion_masactrl_T10",
    "p2p/pub0/ddim_p2p_refine_blend_eq_T10",
    "p2p/pub0/ddim_p2p_replace_blend_T10",
    "p2p/pub0/directinversion_p2p_refine_blend_eq_T10",
    "p2p/pub0/directinversion_p2p_vary_w2.5_refine_T10",
    "p2p/pub0/negative-prompt-inversion_p2p_refine_blend_eq_T10",
    "p2p/pub0/null-text-inversion_p2p_refine_blend_eq_T10",
    "p2p/pub0/siminversion_p2p_w0.5_refine_blend_eq_T10",
    "p2p/pub1/siminversion_p2p_w1_refine_T10",
    "p2p/pub2/ddim_p2p_refine_blend_eq_T10",
]
METHODS = {
    "ddim": DDIM,
    "null-text-inversion": NullText,
    "negative-prompt-inversion": NegativePrompt,
    "directinversion": Direct,
    "siminversion": SimInversion,
}

pytestmark = needs_shared


def cases():
    if os.environ.get("EDIT_BENCH_ALL_GOLDENS") != "1":
        return EACH_TIME
    found = [file for kind in ("p2p", "masactrl") for file in GOLDEN.glob(f"{kind}/*/*.npz")]
    return sorted(str(file.relative_to(GOLDEN).with_suffix("")) for file in found)


@pytest.fixture(scope="module")
def model():
    return StableDiffusion(str(GOLDEN / "model")).load(torch.device("cpu"), torch.float32)


def method(settings):
    """The operating point that a case was made with."""
    knobs = {"w_t": 7.5, "steps": settings["num_steps"], "keep_source": True}
    if "masactrl" in settings["method"]:
        knobs |= {"control": "masactrl", "start_layer": settings["start_layer"], "start_step": settings["start_step"]}
    else:
        weight = settings["equalizer"]["values"][0] if settings["equalizer"] else 1.0
        knobs |= {"edit": settings["controller"], "reweight": weight, "local_blend": settings["local_blend"]}
        knobs |= {"words": "published"}
        if settings["source_guidance_w"] is not None:
            knobs["w_s"] = settings["source_guidance_w"]
        if settings["num_inner_steps"]:
            knobs |= {"inner_steps": settings["num_inner_steps"], "epsilon": settings["early_stop_epsilon"]}
    return METHODS[settings["method"].split("+")[0]](**knobs)


def close(found, expected, relative):
    expected = torch.from_numpy(expected)
    assert (found - expected).abs().max() <= relative * expected.abs().max()


@pytest.mark.parametrize("name", cases())
def test_branches(model, name):
    arrays, settings = np.load(GOLDEN / f"{name}.npz"), json.loads((GOLDEN / f"{name}.json").read_text())
    prompts = json.loads((GOLDEN / f"samples/{settings['sample']}.json").read_text())
    image = read_rgb(GOLDEN / f"samples/{settings['sample']}.png", 256)
    blend = tuple(settings.get("blend_words") or ()) or None
    sample = EditSample("x", image, prompts["source_prompt"], prompts["target_prompt"], blend=blend)
    batch, point, trace = EditBatch([sample], torch.from_numpy(image)[None]), method(settings), []
    with torch.inference_mode():
        levels = model.grid(point.steps)
        source = point.invert(model, batch, levels)
        target = point.target(model, batch)
        z, steering = branches.generate(model, levels, source, [target], trace)[point.knobs()].value
    close(source.trajectory[-1], arrays["z_T"], Z_T)
    close(torch.cat([trace[-1][0], z]), arrays["final_latents"], FINAL)
    if "inversion_latents" in arrays:
        close(torch.cat(source.trajectory), arrays["inversion_latents"], Z_T)
    for i, expected in enumerate(arrays.get("edit_step_latents", [])):
        close(torch.cat([trace[i][0], *trace[i][1]]), expected, FINAL)
    if "blend_maps" in arrays:  # means over five layers of two heads
        close(steering.totals[0] / 10, arrays["blend_maps"][-1][:, 0], FINAL)
    if "blend_mask" in arrays:
        masks = torch.cat(steering.masks)
        assert torch.equal(masks, torch.from_numpy(arrays["blend_mask"][:, 1]).bool())
