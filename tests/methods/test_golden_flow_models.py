"""Methods that are older than the models: SDEdit, inversion and generation on Stable Diffusion XL, Stable Diffusion 3
and FLUX, against outputs of diffusers' pipelines and schedulers on tiny random models (goldens, fp32).

Arrays are compared at ten times what the same run was measured at in float64, pictures within one grey level.
"""

import pytest
import torch

from bench.diffusion import ddim
from bench.diffusion.guidance import guided_eps
from methods import latents
from methods.ddim import DDIM
from methods.siminversion import SimInversion
from tests.helpers.flow_goldens import Case, names
from tests.helpers.models import batch
from tests.helpers.shared import needs_shared

pytestmark = needs_shared


@pytest.mark.parametrize("name", [name for name in names("img2img") if "_euler_" not in name])
def test_sdedit_is_image_to_image(name):
    """diffusers draws the posterior, and rounds strength to other steps: start and number of steps are the stored ones.
    Its Euler for Stable Diffusion XL ends at sigma 0, DDIM at the first alpha-bar."""
    case = Case("img2img", name)
    knobs = {"negative": case.settings.get("negative_prompt")}
    if case.kind == "flux":
        knobs["true_guidance"] = case.settings.get("true_cfg_scale")
    model = case.model(**knobs)
    steps, k = case.settings["num_inference_steps"], len(case.arrays["step_latents"])
    x0, noise = case.tensor("x0_sampled"), case.tensor("noise")
    made = batch([case.sample(target=case.settings["prompt"])], model)
    with torch.inference_mode():
        grid = model.grid(steps) if case.kind == "sdxl" else model.grid_for(steps, x0)
        y = grid.path.noised(x0, noise, grid.levels[k])
        case.close(y, "start_latents", "final_latents")
        target = latents.condition(model, made, made.targets)
        null = latents.null(model, made)
        reached = []
        y = ddim.sample(
            model, y, grid, k, target, null, case.settings["guidance_scale"], lambda z, _: reached.append(z) or z
        )
        case.close(y, "final_latents")
        case.close(torch.cat(reached), "step_latents")
        case.close_pictures(model, y)
    assert model.rows == case.rows


@pytest.mark.parametrize("kind_name", [(kind, name) for kind in ("ddim", "euler") for name in names(kind)])
def test_inversion_and_both_branches(kind_name):
    kind, name = kind_name
    case = Case(kind, name)
    settings = case.settings
    model = case.model(**({"negative": ""} if settings.get("null") == "empty" else {}))
    made = batch([case.sample()], model)
    steps, w = settings["num_inference_steps"], settings["w_inversion"]
    source_only = settings["w_source"] == w
    method = SimInversion(settings["w_target"], steps, control="none", w_s=float(w))
    if not source_only:
        method = DDIM(settings["w_target"], steps, control="none")
    with torch.inference_mode():
        grid = latents.grid(model, made, steps)
        source, null = latents.condition(model, made, made.sources), latents.null(model, made)
        if settings.get("inversion_velocity_at") == "start":
            asked = (0.0, *grid.timesteps)
            trajectory = [latents.clean(model, made)]
            for j in range(steps):
                output = guided_eps(model, trajectory[-1], asked[j], source, null, w)
                trajectory.append(ddim.step(trajectory[-1], output, grid, j, j + 1))
        else:
            trajectory = method.invert(model, made, grid).trajectory
        case.close(
            torch.cat(trajectory)[:: max(1, steps // (len(case.arrays["inversion_latents"]) - 1))], "inversion_latents"
        )
        again = ddim.sample(model, trajectory[-1], grid, steps, source, null, settings["w_source"])
        case.close(again, "reconstruction_final", "final_latents")
        target = latents.condition(model, made, made.targets)
        final = ddim.sample(model, trajectory[-1], grid, steps, target, null, settings["w_target"])
        case.close(final, "final_latents")
        case.close_pictures(model, final)
