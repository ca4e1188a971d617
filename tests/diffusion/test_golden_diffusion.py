"""Our samplers against outputs of diffusers and of the authors' code on a tiny random model (goldens, fp32)."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from bench.data.preprocess import read_rgb
from bench.diffusion import ddim
from bench.diffusion.device import to_float, to_uint8
from bench.diffusion.grid import encode_steps, leading, strength_level
from bench.models.stable_diffusion import StableDiffusion
from methods.diffedit import binarise, contrast
from tests.helpers.shared import SHARED, needs_shared

GOLDEN = SHARED / "golden"
# Fresh loops were measured at 2e-6 for z_T and 3e-5 for final latents of magnitude 20 to 37; a wrong convention shows
# as 3e-2 or more.
Z_T, FINAL = 1e-4, 1e-3

pytestmark = needs_shared


@pytest.fixture(scope="module")
def model():
    with torch.inference_mode():
        yield StableDiffusion(str(GOLDEN / "model")).load(torch.device("cpu"), torch.float32)


def case(name):
    arrays = np.load(GOLDEN / f"{name}.npz")
    settings = json.loads((GOLDEN / f"{name}.json").read_text())
    return {key: torch.from_numpy(arrays[key]) for key in arrays}, settings


def close(found, expected, relative):
    assert (found - expected).abs().max() <= relative * expected.abs().max()


@pytest.mark.parametrize("name", ["pub0/ddim_roundtrip_T10", "pub0/ddim_roundtrip_T20", "pub1/ddim_roundtrip_T10"])
def test_ddim_round_trip(model, name):
    arrays, settings = case(f"diffusers/{name}_off1")
    steps = settings["num_inference_steps"]
    levels = model.grid(steps)
    words = model.condition([settings["source_prompt"]])
    z_t = ddim.invert(model, arrays["z0"], levels, steps, words)[-1]
    close(z_t, arrays["z_T"], Z_T)
    close(ddim.sample(model, z_t, levels, steps, words, words, 1.0), arrays["roundtrip_final"], FINAL)


def test_offset_zero_of_a_bare_scheduler_is_an_argument(model):
    arrays, settings = case("diffusers/pub0/ddim_roundtrip_T10_off0")
    levels = leading(10, model.alphas_cumprod, offset=0)
    words = model.condition([settings["source_prompt"]])
    close(ddim.invert(model, arrays["z0"], levels, 10, words)[-1], arrays["z_T"], Z_T)


def test_encoder_gives_the_posterior_mean_scaled(model):
    arrays, _ = case("diffusers/pub0/ddim_roundtrip_T10_off1")
    pixels = torch.from_numpy(read_rgb(GOLDEN / "samples/pub0.png", 256))[None]
    close(model.encode(to_float(pixels)), arrays["z0"], 1e-4)


@pytest.mark.parametrize(
    "name", ["pub0/sdedit_T10_s0.5", "pub0/sdedit_T20_s0.8", "pub0/sdedit_T20_s0.25", "pub1/sdedit_T10_s0.5"]
)
def test_sdedit(model, name):
    arrays, settings = case(f"diffusers/{name}")
    steps = settings["num_inference_steps"]
    levels, k = model.grid(steps), encode_steps(settings["strength"], steps)
    assert levels.timesteps[k - 1] == arrays["noise_timestep"].item()
    noised = levels.path.noised(arrays["image_latents_sampled"], arrays["noise"], levels.levels[k])
    close(noised, arrays["noised_latents"], Z_T)
    target, null = model.condition([settings["target_prompt"]]), model.condition([None])
    final = ddim.sample(model, noised, levels, k, target, null, settings["guidance_scale"])
    close(final, arrays["final_latents"], FINAL)


@pytest.mark.parametrize("sample", ["pub0", "pub1", "pub2"])
def test_encode_decode(model, sample):
    arrays, settings = case(f"diffusers/{sample}/diffedit_T10_s0.8_maskones_nullinv")
    levels, k = model.grid(10), encode_steps(settings["inpaint_strength"], 10)
    null, target = model.condition([None]), model.condition([settings["target_prompt"]])
    start = ddim.invert(model, arrays["z0_sampled"], levels, k, null)[-1]
    close(start, arrays["z_start"], Z_T)
    final = ddim.sample(model, start, levels, k, target, null, settings["guidance_scale"])
    close(final, arrays["final_latents"], FINAL)


def test_diffedit_mask(model):
    """diffusers is an oracle for the mask (one image, equal negative prompts), not for the blend: it fills with the
    level just left."""
    arrays, settings = case("diffusers/pub0/diffedit_T10_s0.8_r3.0")
    levels, level = model.grid(10), strength_level(settings["mask_encode_strength"], 10)
    assert levels.timesteps[level - 1] == arrays["mask_encode_timestep"].item()
    n = settings["num_maps_per_mask"]
    target, source = (model.condition([settings[key]] * n) for key in ("target_prompt", "source_prompt"))
    noises = arrays["mask_noise"][:, None]
    maps = contrast(model, arrays["mask_image_latents_sampled"], noises, levels, level, target, source)
    maps = maps.transpose(0, 1)
    found = binarise(maps, "mean_ratio", settings["mask_thresholding_ratio"], "clip", 0.5, "average")
    assert torch.equal(found[0, 0].bool(), arrays["mask"][0].bool())
    # what the stored network outputs say of the map itself: chunks are source, null, target, null
    out = arrays["mask_unet_output"].chunk(4)
    expected = (out[2] - out[0]).abs().mean((0, 1))
    close(maps.mean(1)[0], expected, 1e-4)


def test_diffedit_blend_differs_from_diffusers_by_one_level(model):
    """With the fill that diffusers uses, shifted by a level, its own latents come out."""
    arrays, settings = case("diffusers/pub0/diffedit_T10_s0.8_r3.0")
    levels, k = model.grid(10), 8
    source, target, null = (model.condition([settings.get(key)]) for key in ("source_prompt", "target_prompt", "no"))
    trajectory = ddim.invert(model, arrays["z0_sampled"], levels, k, source)
    close(trajectory.flip(0)[:k, 0], arrays["inverted_latents"], Z_T)
    mask = arrays["mask"][:, None].float()

    def late(y, level):
        return mask * y + (1 - mask) * trajectory[level + 1]

    final = ddim.sample(model, trajectory[k], levels, k, target, null, settings["guidance_scale"], after=late)
    close(final, arrays["final_latents"], FINAL)


def test_decoded_picture(model):
    arrays, _ = case("diffusers/pub0/diffedit_T10_s0.8_r3.0")
    with Image.open(GOLDEN / "diffusers/pub0/diffedit_T10_s0.8_r3.0.png") as image:
        expected = np.asarray(image.convert("RGB")).astype(int)
    found = to_uint8(model.decode(arrays["final_latents"]))[0].permute(1, 2, 0).numpy()
    assert np.abs(found - expected).max() <= 1
