"""Every method on a CUDA device that computes nothing: no tensor is made elsewhere, no step waits for the device."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from bench.config import cli, validate
from bench.config.instances import instance
from bench.diffusion.noise import SampleNoise
from bench.edits.plan import plan
from bench.types import EditBatch
from tests.helpers import adm, class_models, fake_cuda, flexit, flow_folders, pipeline_folders
from tests.helpers.models import SHIPPED, with_picture_input

FLOWS = ("rf_inversion", "rf_solver", "fireflow", "flowedit")
FEATURES = ("method.inject=1", "method.first_block=0")
TUNED = ("null_text", "style_diffusion")
CASES = {
    **{name: ([f"method={name}"], "steps") for name in ("sdedit", "encode_decode", "edict")},
    **{name: ([f"method={name}"], "steps") for name in ("ddim", "direct", "negative_prompt")},
    **{name: ([f"method={name}", "method.inner_steps=1"], "steps") for name in TUNED},
    **{f"siminversion {w}": (["method=siminversion", f"w_s={w}"], "steps") for w in ("0.5", "auto", "auto_step")},
    "masactrl": (["method=siminversion", "control=masactrl"], "steps"),
    "no control": (["method=siminversion", "control=none"], "steps"),
    "replace": (["method=direct", "method.edit=replace", "data.types=[colour]"], "steps"),
    "diffedit": (["method=diffedit", "method.n=1"], "steps"),
    "diffedit glide": (["method=diffedit", "method.n=1", "method.mask_operator=glide", "method.encode=noise"], "steps"),
    "cross_attention_control": (["method=cross_attention_control", "method.refine_from=1"], "steps"),
    "refined": (["method=cross_attention_control", "method.refine_from=0"], "steps"),
    "instruct_pix2pix": (["method=instruct_pix2pix"], "steps"),
    "ilvr": (["method=ilvr", "method.down=4", "method.range_t=0"], "method.respacing", 2, 3),
    "flexit": (["method=flexit"], "method.updates"),
    **{name: ([f"method={name}", "model=flux"], "steps") for name in ("rf_inversion", "flowedit")},
    **{name: ([f"method={name}", "model=flux", *FEATURES], "steps") for name in ("rf_solver", "fireflow")},
    "flowedit sd3": (["method=flowedit", "model=sd3"], "steps"),
    **{name: ([f"method={name}"], "steps") for name in ("uni_edit", "uni_inv", "edit_friendly")},
    "plug_and_play": (["method=plug_and_play", "model=sd14", "method.inversion_steps=2"], "steps"),
    **{f"sdedit {name}": (["method=sdedit", f"model={name}"], "steps") for name in ("sdxl", "flux")},
    "cin256": (["method=diffedit", "method.n=1", "model=cin256"], "steps"),
    "dit256": (["method=diffedit", "method.n=1", "model=dit256"], "steps"),
    "flux_kontext": (["method=flux_kontext"], "method.call.num_inference_steps"),
    **{name: ([f"method={name}"], None) for name in ("copy", "retrieve", "precomputed")},
}
PIPELINES = {
    name for name in cli.names("method") if "parts/pipeline@" in (cli.CONF / f"method/{name}.yaml").read_text()
}
STOPS = {  # each image until its own error is small, which decides what is computed next
    "null_text": "methods/tuning.py, tuned",
    "style_diffusion": "methods/tuning.py, tuned",
    "refined": "methods/cross_attention_control.py, _refined",
}
LIBRARIES = {"flexit": ("methods/flexit.py, _seen", "bench/models/vqgan_networks.py, decode")}
"""torchvision's rotation copies its matrix to the device, and diffusers' VQModel makes a loss that nobody reads."""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Words that name small models of each kind, and the pictures of another program."""
    root = tmp_path_factory.mktemp("models")
    pictures = root / "pictures"
    pictures.mkdir()
    for id_ in ("00000", "00001"):
        Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(pictures / f"{id_}.png")
    flux = flow_folders.flux_folder(root / "flux")
    return {
        "instruct_pix2pix": [
            "model=instruct_pix2pix",
            f"model.path={with_picture_input(SHIPPED, root / 'picture')}",
            "data.size=64",
        ],
        "ilvr": ["model=adm256", f"model.path={adm.folder(root / 'adm')}", "data.size=32"],
        "flexit": [*flexit.tiny(root / "flexit"), "data.size=32"],
        **{name: [f"model.path={flux}", "data.size=64"] for name in (*FLOWS, "sdedit flux")},
        "flowedit sd3": [f"model.path={flow_folders.sd3_folder(root / 'sd3')}", "data.size=64"],
        "sdedit sdxl": [f"model.path={flow_folders.sdxl_folder(root / 'sdxl')}", "data.size=64"],
        "plug_and_play": [f"model.path={flow_folders.sd_folder(root / 'sd')}", "data.size=64"],
        "cin256": [f"model.path={class_models.cin_folder(root / 'cin')}", "data.size=64"],
        "dit256": [f"model.path={class_models.dit_folder(root / 'dit')}", "data.size=64"],
        "flux_kontext": pipeline_folders.words("flux_kontext", root / "kontext")[1:],
        "precomputed": [f"method.root={pictures}"],
    }


@pytest.fixture(scope="module")
def device():
    """Waits for it, and the models that were loaded there."""
    with fake_cuda.cuda() as counted:
        yield counted, {}


def waits(words, counted, loaded):
    """For a batch."""
    (cfg,) = cli.jobs(["data=shapes", "limit=2", "metrics=pixel", *words])
    run = plan(cfg)[0]
    samples = [run.data[i] for i in range(2)]
    if cfg.model.queries == "ids":
        samples = [replace(sample, source=1, target=2) for sample in samples]
    key = run.checkpoint and run.checkpoint.folder
    if key and key not in loaded:
        loaded[key] = run.checkpoint.load(torch.device("cuda"), torch.float32)
    method = instance(validate.knobs(run.cfg["method"]), "method")
    images = torch.stack([torch.from_numpy(sample.image) for sample in samples]).to("cuda")
    batch = EditBatch(samples, images, real_image=run.data.real_image, points=[method])
    if run.results:
        batch.results = run.results.read
    counted.clear()
    with torch.no_grad():  # in inference mode the device is three times as slow
        noise = SampleNoise(0, [sample.id for sample in samples], "cuda")
        result = method(loaded.get(key), batch, noise)
    assert result.images.device.type == "cuda"
    assert result.images.dtype == torch.uint8
    assert result.images.shape == images.shape
    return counted.copy()


@pytest.mark.parametrize("case", CASES)
def test_no_step_waits_for_the_device(case, models, device):
    words, knob, *counts = CASES[case]
    words = [*words, *models.get(case, [])]
    once, more = (waits([*words, f"{knob}={count}"] if knob else words, *device) for count in counts or (1, 2))
    found, allowed = more - once, STOPS.get(case) or LIBRARIES.get(case)
    assert all(allowed and place.startswith(allowed) for place in found), found
    assert bool(found) == bool(allowed)


def test_every_method_is_among_them():
    """Of pipelines, which are diffusers' own and wait as it does, one."""
    run = {word.removeprefix("method=") for words, *_ in CASES.values() for word in words if word.startswith("method=")}
    assert run - {"flux_kontext"} == set(cli.names("method")) - {"custom", *PIPELINES}


# --- the device itself ---


def test_a_tensor_on_the_wrong_device_is_found(device):
    with pytest.raises(RuntimeError, match="same device"):
        torch.zeros(2, device="cuda") + torch.zeros(2)


@pytest.mark.parametrize(
    "ask",
    [
        lambda x: bool(x.any()),
        lambda x: x.sum().item(),
        lambda x: x.tolist(),
        lambda x: x.cpu(),
        lambda x: x[torch.tensor([0])],
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: torch.tensor([1.0], device=x.device),
        lambda x: torch.ones(1).to(x.device),
    ],
)
@pytest.mark.parametrize("inference", [True, False])
def test_each_way_to_wait_is_counted(ask, inference, device):
    counted, _ = device
    with torch.inference_mode(inference):
        x = torch.ones(3, device="cuda")
        counted.clear()
        ask(x)
    assert counted.total() > 0


def test_what_does_not_wait_is_not_counted(device):
    counted, _ = device
    counted.clear()
    with torch.inference_mode():
        x = torch.ones(3, device="cuda")
        torch.where(x > 0, x, 2 * x)[torch.arange(2, device="cuda")] + torch.tensor(1.0)
        torch.full((1,), 3, device=x.device), torch.ones(3).to("cuda", non_blocking=True), x.to(torch.float16)
        assert torch.arange(3).tolist() == [0, 1, 2]
    assert not counted
