"""Folders of editing pipelines of diffusers, tiny and with random weights, and the words that run them."""

import json

from tests.helpers.flow_folders import flux_folder, made_for, sd_folder, sdxl_folder
from tests.helpers.models import SHIPPED, with_picture_input

NONE = [None, None]


def ledits_pp(folder):
    """Stable Diffusion's own kind of scheduler, which LEDITS++ puts its own in place of."""
    return _scheduled(sd_folder(folder), "PNDMScheduler")


def ledits_pp_xl(folder):
    return _scheduled(sdxl_folder(folder), "EulerDiscreteScheduler")


def instruct_pix2pix(folder):
    return made_for(with_picture_input(SHIPPED, folder), "StableDiffusionInstructPix2PixPipeline")


def instruct_pix2pix_xl(folder):
    made = with_picture_input(sdxl_folder(folder.with_name("plain")), folder)
    return made_for(_scheduled(made, "EulerDiscreteScheduler"), "StableDiffusionXLInstructPix2PixPipeline")


def flux_kontext(folder):
    return made_for(flux_folder(folder), "FluxKontextPipeline")


def inpaint(folder):
    return made_for(sd_folder(folder), "StableDiffusionInpaintPipeline", _diffusers_version="0.40.0")


def _scheduled(folder, kind):
    file = folder / "scheduler/scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"_class_name": kind}))
    return made_for(
        folder,
        json.loads((folder / "model_index.json").read_text())["_class_name"],
        scheduler=[
            "diffusers",
            kind,
        ],
    )


WORDS = {
    "ledits_pp": ["method=ledits_pp", "method.before.invert.num_inversion_steps=3"],
    "ledits_pp_xl": [
        "method=ledits_pp",
        "model.pipeline=LEditsPPPipelineStableDiffusionXL",
        "method.before.invert.num_inversion_steps=4",
        "method.call.use_intersect_mask=false",
    ],
    "instruct_pix2pix": ["method=pipeline", "+method.call.num_inference_steps=2"],
    "instruct_pix2pix_xl": ["method=instruct_pix2pix_xl", "method.call.num_inference_steps=2", "model.dtype=float32"],
    "inpaint": [  # as in docs/methods.md
        "method=pipeline",
        "model.pipeline=StableDiffusionInpaintPipeline",
        "method.call.prompt=sample.target",
        "+method.call.mask_image=sample.mask",
        "+method.call.num_inference_steps=2",
    ],
    "flux_kontext": [
        "method=flux_kontext",
        "method.call.num_inference_steps=2",
        "+method.call.max_area=4096",
        "+method.call._auto_resize=false",
        "model.dtype=float32",
    ],
}
ROWS = {
    "ledits_pp": 3 + 2 * 3,
    "ledits_pp_xl": 4 + 2 * 4,
    "instruct_pix2pix": 3 * 2,
    "instruct_pix2pix_xl": 3 * 2,
    "inpaint": 2 * 2,
    "flux_kontext": 2,
}
"""Evaluations of the denoiser that an edit with these words takes."""


def words(name, folder):
    """What one types to run one of them, made in a folder."""
    return [*WORDS[name], f"model.path={globals()[name](folder)}", "data.size=64", "device=cpu", "metrics=pixel"]
