"""Networks that wait on the host: what they compute stays the same, what the device holds falls."""

import pytest
import torch

from bench.models import checkpoint as checkpoints
from bench.models import offload
from bench.models.class_ldm import ClassLDM
from bench.models.dit import DiT
from bench.models.flux import Flux
from bench.models.sd3 import StableDiffusion3
from bench.models.sdxl import StableDiffusionXL
from bench.models.stable_diffusion import StableDiffusion
from bench.models.text_encoders import Where
from tests.helpers import fake_cuda
from tests.helpers.class_models import cin_folder, dit_folder
from tests.helpers.flow_folders import flux_folder, sd3_folder, sdxl_folder
from tests.helpers.models import SHIPPED

CPU = torch.device("cpu")
KINDS = {"sdxl": (StableDiffusionXL, sdxl_folder), "sd3": (StableDiffusion3, sd3_folder), "flux": (Flux, flux_folder)}


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    made = {name: kind(str(folder(root / name))) for name, (kind, folder) in KINDS.items()}
    made |= {"dit": DiT(str(dit_folder(root / "dit"))), "cin": ClassLDM(str(cin_folder(root / "cin")))}
    return made | {"shapes": StableDiffusion(str(SHIPPED))}


def told(model, queries):
    condition = model.condition(queries)
    return condition.guided(2.0) if model.distilled else condition


@pytest.mark.parametrize("how", ["model", "sequential"])
@pytest.mark.parametrize("name", ["sdxl", "sd3", "flux", "dit", "cin", "shapes"])
def test_what_it_computes_does_not_change(sources, name, how):
    source, queries = sources[name], [1, 2] if name in ("dit", "cin") else ["a red cat", "a house"]
    assert source.offloads
    found = []
    for word in ("none", how):
        model = checkpoints.load(source, CPU, torch.float32, word)
        pictures = torch.linspace(-1, 1, 2 * 3 * 64 * 64).view(2, 3, 64, 64)
        with torch.inference_mode():
            z = model.encode(pictures)
            words = told(model, queries)
            found.append([z, words.states, model.eps(z, 500, words), model.decode(z)])
    assert all(a is b is None or torch.equal(a, b) for a, b in zip(*found, strict=True))
    hooks = [hasattr(network, "_hf_hook") for network in (model.vae, model.denoiser)]
    assert hooks == [True, True]


def test_what_is_moved_in_inference_mode_can_be_optimised_through():
    """Weights that are made there are of no use to autograd."""
    modes = []

    class Watched(torch.nn.Linear):
        def to(self, device):
            modes.append((str(device), torch.is_inference_mode_enabled()))
            return self

    network = Watched(2, 2)
    offload.in_turns(network, torch.nn.Linear(2, 2), torch.device("meta"))
    with torch.inference_mode():
        network._hf_hook.pre_forward(network)
    assert modes == [("cpu", False), ("meta", False)]


def _places(model):
    return [{p.device.type for p in network.parameters()} for network in (model.vae, model.denoiser)]


@pytest.mark.parametrize("how", ["none", "model"])
@pytest.mark.parametrize("name", ["sdxl", "flux", "shapes"])
def test_autoencoder_and_denoiser_are_on_the_device_in_turns(sources, name, how):
    """On a device that computes nothing."""
    with fake_cuda.cuda(), torch.no_grad():
        device, seen = torch.device("cuda"), []
        model = checkpoints.load(sources[name], device, torch.float32, how, queries=lambda: ["a cat"])
        z = model.encode(torch.zeros(1, 3, 64, 64, device=device))
        seen.append(_places(model))
        model.eps(z, 500, told(model, ["a cat"]))
        seen.append(_places(model))
        model.decode(z)
        seen.append(_places(model))
        checkpoints.free()
    there, away = {"cuda"}, {"cpu"}
    in_turns = [[there, away], [away, there], [there, away]]
    assert seen == (in_turns if how == "model" else [[there, there]] * 3)


def test_the_device_is_freed_for_a_prompt_that_was_not_read_ahead(sources, monkeypatch):
    places, make = [], Where.network
    with fake_cuda.cuda(), torch.no_grad():
        device = torch.device("cuda")
        model = checkpoints.load(sources["flux"], device, torch.float32, "model", queries=lambda: ["a cat"])
        model.eps(torch.zeros(1, 16, 8, 8, device=device), 500, told(model, ["a cat"]))
        before = _places(model)
        monkeypatch.setattr(Where, "network", lambda *given: places.append(_places(model)) or make(*given))
        assert model.condition(["a dog"]).states.device.type == "cuda"
        checkpoints.free()
    assert before == [{"cpu"}, {"cuda"}]
    assert places == [[{"cpu"}, {"cpu"}]] * 2
    assert [encoder._network for encoder in model.prompts.encoders] == [None, None]


def test_layer_by_layer_nothing_stays_on_the_device(sources):
    """Between two calls weights have no place at all."""
    model = checkpoints.load(sources["sd3"], CPU, torch.float32, "sequential")
    assert _places(model) == [{"meta"}, {"meta"}]
    encoders = [encoder._network for encoder in model.prompts.encoders]
    assert [{p.device.type for p in network.parameters()} for network in encoders] == [{"meta"}] * 3
