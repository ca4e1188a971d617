"""Editors on flows against outputs of their authors' code on tiny random models (goldens, fp32).

Arrays are compared at ten times what the same run was measured at in float64, pictures within one grey level. Inversion
in 999 steps runs with EDIT_BENCH_ALL_GOLDENS=1 alone.
"""

import os

import pytest
import torch

from methods import latents
from methods.edit_friendly import EditFriendly
from methods.fireflow import FireFlow
from methods.flowedit import FlowEdit
from methods.flows.predicted import inverted
from methods.plug_and_play import PlugAndPlay
from methods.rf_inversion import RFInversion
from methods.rf_solver import RFSolver
from methods.uni_edit import UniEdit
from methods.uni_inv import UniInv
from tests.helpers.flow_goldens import Case, names
from tests.helpers.models import batch
from tests.helpers.shared import needs_shared

pytestmark = needs_shared


class Stored:
    """The noise of a case, in the order it was drawn."""

    def __init__(self, draws):
        self.draws, self.drawn = draws, 0

    def __call__(self, stream, shape):
        self.drawn += 1
        return self.draws[self.drawn - 1 : self.drawn]


def edit(case, method, noise=None, **given):
    """The method as a run calls it, and what it makes of the picture."""
    model = case.model()
    made = batch([case.sample(**given)], model)
    with torch.inference_mode():
        result = method(model, made, noise)
    return made, result


@pytest.mark.parametrize("name", names("flowedit"))
def test_flow_edit(name):
    case = Case("flowedit", name)
    settings, model, noise = case.settings, case.model(), Stored(case.tensor("noise"))
    knobs = {key: settings[key] for key in ("n_max", "n_min", "n_avg")}
    scales = {"w_s": settings["src_guidance_scale"], "w_t": settings["tar_guidance_scale"]}
    method = FlowEdit(settings["T_steps"], **knobs, **scales)
    made = batch([case.sample()], model)
    with torch.inference_mode():
        y = method.edited(model, made, noise, settings["n_max"], scales["w_s"], scales["w_t"])
        case.close(y, "final_latents")
        case.close_pictures(model, y)
    assert noise.drawn == len(case.arrays["noise"])
    # the released code asks with the source too while it samples the target alone
    spare = 2 * settings["n_min"] if case.kind == "sd3" else 0
    assert made.shared.rows == case.rows - spare
    if name in ("sd3_default_f0", "flux_default_f0"):  # the authors' settings are the defaults
        again = batch([case.sample()], model)
        with torch.inference_mode():
            FlowEdit(settings["T_steps"])(model, again, Stored(case.tensor("noise")))
        assert again.shared.rows == case.rows


@pytest.mark.parametrize("name", names("rfinversion"))
def test_rf_inversion(name):
    """The authors draw the posterior, and invert with the empty prompt."""
    case = Case("rfinversion", name)
    settings, model = case.settings, case.model()
    names_ = {
        "gamma": "gamma",
        "eta": "eta",
        "start": "start_timestep",
        "stop": "stop_timestep",
        "strength": "strength",
    }
    knobs = {own: settings[theirs] for own, theirs in names_.items()}
    method = RFInversion(
        settings["num_inference_steps"],
        settings["guidance_scale"],
        decay=settings["eta_decay_power"] if settings["decay_eta"] else 0.0,
        inversion_guidance=settings["source_guidance_scale"],
        source_text="caption" if settings["source_prompt"] else "empty",
        **knobs,
    )
    made = batch([case.sample(target=settings["prompt"])], model)
    made.shared("clean", lambda: case.tensor("image_latents"))
    ends = {}
    generate = method.generate

    def traced(model, batch, grid, k, x0, z):
        ends["inverted_latents"], ends["final_latents"] = z, generate(model, batch, grid, k, x0, z)
        return ends["final_latents"]

    method.generate = traced
    with torch.inference_mode():
        method(model, made, Stored(case.tensor("y1")))
        for array, found in ends.items():
            case.close(found, array)
        case.close_pictures(model, ends["final_latents"])
    assert made.shared.rows == sum(case.rows.values())


SOLVERS = {"reflow": ("euler", RFSolver), "rf_solver": ("midpoint", RFSolver), "rf_midpoint": ("midpoint", RFSolver)}


@pytest.mark.parametrize("name", [name for name in names("bfl") if "_uni" not in name])
def test_solvers_with_injected_features(name):
    case = Case("bfl", name)
    settings, model = case.settings, case.model()
    knobs = {"first_block": settings["start_layer_index"], "last_block": settings["end_layer_index"]}
    knobs |= {"features": settings["editing_strategy"], "inject": settings["inject"]}
    scales = (settings["guidance_inversion"], settings["guidance"])
    if settings["sampling_strategy"] == "fireflow":
        method = FireFlow(settings["num_steps"], *scales, **knobs)
    else:
        solver, kind = SOLVERS[settings["sampling_strategy"]]
        method = kind(settings["num_steps"], *scales, **knobs, solver=solver)
    made = batch([case.sample()], model)
    with torch.inference_mode():
        grid = latents.flow(model, made, settings["num_steps"])
        features, z = method.invert(model, made, grid, settings["inject"])
        case.close(z, "inverted_latents")
        y = method.generate(model, made, grid, features, z)
        case.close(y, "final_latents")
        case.close_pictures(model, y)
    assert len(features.kept) == case.stored_features
    assert made.shared.rows == sum(case.rows.values())


@pytest.mark.parametrize("name", names("bfl", "flux_uniinv"))
def test_uni_inv(name):
    case = Case("bfl", name)
    settings, model = case.settings, case.model()
    made = batch([case.sample()], model)
    steps, scales = settings["num_steps"], (settings["guidance_inversion"], settings["guidance"])
    with torch.inference_mode():
        grid = latents.flow(model, made, steps)
        case.close(inverted(model, made, grid, steps, made.sources, scales[0], False), "inverted_latents")
        made = batch([case.sample()], model)
        edited = UniInv(steps, *scales)(model, made, None).images[0].permute(1, 2, 0).int()
    assert (edited - case.tensor("decoded").int()).abs().max() <= 1
    assert made.shared.rows == sum(case.rows.values())


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind, start in (("bfl", "flux_uniedit"), ("uniedit_diffusers", ""))
        for name in names(kind, start)
    ],
)
def test_uni_edit(kind, name):
    """The authors' programme for FLUX, and their one for other models, which takes FLUX too."""
    case = Case(kind, name)
    settings, model = case.settings, case.model()
    steps = settings.get("num_steps") or settings["num_inference_steps"]
    w_t = settings["guidance"] if kind == "bfl" else settings["guidance_scale"]
    knobs = {"mask": "signed", "cell": "token" if case.kind == "flux" else None} if kind != "bfl" else {}
    zero_init = settings.get("zero_init", False)
    method = UniEdit(steps, settings["alpha"], settings["omega"], 1.0, w_t, zero_init, **knobs)
    made = batch([case.sample()], model)
    with torch.inference_mode():
        grid, k = latents.grid(model, made, steps), round(settings["alpha"] * steps)
        z = inverted(model, made, grid, k, [""], 1.0, zero_init)
        case.close(z, "inverted_latents")
        y = method.generate(model, made, grid, k, z)
        case.close(y, "final_latents")
        case.close_pictures(model, y)
        assert made.shared.rows == sum(case.rows.values())
        made = batch([case.sample()], model)
        method(model, made, None)
    assert made.shared.rows == sum(case.rows.values())


@pytest.mark.parametrize("name", names("editfriendly"))
def test_edit_friendly_inversion(name):
    case = Case("editfriendly", name)
    settings, model = case.settings, case.model()
    steps, scales = settings["num_diffusion_steps"], (settings["cfg_src"], settings["cfg_tar"])
    method = EditFriendly(steps, settings["skip"], *scales, settings["eta"])
    made, k = batch([case.sample()], model), steps - settings["skip"]
    with torch.inference_mode():
        grid = latents.grid(model, made, steps)
        noisy, draws = method.invert(model, made, grid, Stored(case.tensor("noise")))
        case.close(torch.cat(draws), "zs")
        case.close(noisy[k], "xT", "zs")
        target, null = latents.condition(model, made, made.targets), latents.null(model, made)
        y = method.generate(model, grid, noisy[k], draws[:k], target, null, scales[1])
        case.close(y, "final_latents")
        case.close_pictures(model, y)
        made = batch([case.sample()], model)
        method(model, made, Stored(case.tensor("noise")))
    assert made.shared.rows == sum(case.rows.values())


@pytest.mark.parametrize(
    "name", [name for name in names("pnp") if "inv999" not in name or os.environ.get("EDIT_BENCH_ALL_GOLDENS") == "1"]
)
def test_plug_and_play(name):
    case = Case("pnp", name)
    settings, model = case.settings, case.model()
    knobs = {"attention": settings["pnp_attn_t"], "residual": settings["pnp_f_t"]}
    knobs |= {"inversion_steps": settings["inversion_steps"], "negative": settings["negative_prompt"]}
    method = PlugAndPlay(settings["n_timesteps"], settings["guidance_scale"], **knobs)
    made = batch([case.sample(target=settings["prompt"])], model)
    with torch.inference_mode():
        source = method.inverted(model, made)
        case.close(torch.cat(source[::-1]), "source_latents")
        y = method.generate(model, made, source)
        case.close(y, "final_latents")
        case.close_pictures(model, y)
    assert made.shared.rows == sum(case.rows.values())
