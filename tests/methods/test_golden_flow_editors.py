"""Editors on flows against outputs of their authors' code on tiny random models (goldens, fp32).

Arrays are compared at ten times what the same run was measured at in float64, pictures within one grey level.
"""

import pytest
import torch

from methods.flowedit import FlowEdit
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
