"""Denoisers that torch compiles: the same numbers, one kernel a shape, hooks that are not passed by."""

import json
import weakref
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch._dynamo.utils import counters

from bench import run
from bench.diffusion.memory import Portion
from bench.models import checkpoint as checkpoints
from bench.models import compiled, compiler
from bench.models.adm import ADM
from bench.models.attention import plain
from bench.models.dit import DiT
from bench.models.flux import Flux
from bench.models.sd3 import StableDiffusion3
from bench.models.sdxl import StableDiffusionXL
from bench.models.stable_diffusion import StableDiffusion
from bench.types import Condition
from tests.helpers import adm, class_models, flow_folders
from tests.helpers.toy import Toy

CPU = torch.device("cpu")
USUAL = Portion(4, CPU)
KINDS = {
    "sd": lambda folder: StableDiffusion(str(flow_folders.sd_folder(folder))),
    "sdxl": lambda folder: StableDiffusionXL(str(flow_folders.sdxl_folder(folder))),
    "sd3": lambda folder: StableDiffusion3(str(flow_folders.sd3_folder(folder))),
    "flux": lambda folder: Flux(str(flow_folders.flux_folder(folder))),
    "dit": lambda folder: DiT(str(class_models.dit_folder(folder))),
    "adm": lambda folder: ADM(str(adm.folder(folder))),
}
SIZES = {"flux": 32}  # no file says it


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Torch traces as ever; no kernels are made of what it traced."""
    monkeypatch.setattr(compiled, "BACKEND", "eager")
    yield
    if not checkpoints.free():
        compiled.forget()


def ready(source, how):
    """Compiled here too, where there are no graphs."""
    model = source.load(CPU, torch.float32)
    compiled.compiled(model, source.denoiser(), how)
    return model


def asked(model, kind, count=4):
    size = SIZES.get(kind, model.size)
    with torch.inference_mode():
        shape = model.encode(torch.zeros(1, 3, size, size)).shape[1:]
        z = torch.randn(count, *shape, generator=torch.Generator().manual_seed(1))
        words = [1, 2, 3, 4] if kind in ("dit", "adm") else ["a red cat", "a dog", "the river", "seven things"]
        condition = model.condition(words[:count])
    return z, condition.guided(3.5) if model.distilled else condition


def said(model, z, condition, count, t=500):
    """Of the first so many samples, each twice, as guidance asks."""
    with torch.inference_mode():
        z, condition = z[:count], condition[:count]
        return model.eps(torch.cat([z, z]), t, Condition.cat([condition, condition]))


def graphs():
    return counters["stats"]["unique_graphs"]


@pytest.mark.parametrize(
    ("kind", "how"), [("sdxl", True), ("sd3", True), ("flux", True), ("dit", True), ("adm", True), ("flux", "graphs")]
)
def test_a_batch_that_is_not_full_is_filled_up_and_no_kernel_is_made_for_it(kind, how, tmp_path):
    source = KINDS[kind](tmp_path / "model")
    model = source.load(CPU, torch.float32)
    z, condition = asked(model, kind)
    expected = {count: said(model, z, condition, count) for count in (4, 3, 1)}
    model = ready(source, how)
    before = graphs()
    torch.testing.assert_close(said(model, z, condition, 4), expected[4], rtol=1e-5, atol=1e-5)
    traced = graphs()
    assert traced > before
    said(model, z, condition, 4, t=300)
    rows = model.rows
    for count in (3, 1):
        compiled.expect(model, USUAL, 3)
        torch.testing.assert_close(said(model, z, condition, count), expected[count], rtol=1e-5, atol=1e-5)
    assert graphs() == traced
    assert model.rows == rows + 6 + 2  # what is filled up is not counted


def test_rows_are_filled_up_to_the_least_number_that_will_do(tmp_path):
    model = checkpoints.load(KINDS["sdxl"](tmp_path / "model"), CPU, torch.float32, compile_=True)
    z, condition = asked(model, "sdxl")
    seen = []
    forward = model.compiled._forward
    model.compiled._forward = lambda *args, **kwargs: seen.append(len(args[0])) or forward(*args, **kwargs)
    for count in (2, 4):
        said(model, z, condition, count)
    compiled.expect(model, USUAL, 3)
    for count in (1, 2, 3):
        said(model, z, condition, count)
    compiled.expect(model, USUAL, 4)
    said(model, z, condition, 3)
    assert seen == [4, 8, 4, 4, 8, 6]


def test_a_short_batch_before_any_full_one_is_compiled_as_it_is(tmp_path):
    model = checkpoints.load(KINDS["sdxl"](tmp_path / "model"), CPU, torch.float32, compile_=True)
    z, condition = asked(model, "sdxl")
    compiled.expect(model, USUAL, 3)
    before = graphs()
    said(model, z, condition, 3)
    assert graphs() == before + 1


def test_what_is_only_measured_and_what_asks_for_gradients_is_not_compiled(tmp_path):
    source = KINDS["sdxl"](tmp_path / "model")
    model = checkpoints.load(source, CPU, torch.float32, compile_=True)
    z, condition = asked(model, "sdxl")
    before = graphs()
    compiled.expect(model, Portion("auto", SimpleNamespace(type="cuda"), SimpleNamespace()), 1)
    said(model, z, condition, 4)
    compiled.expect(model, USUAL, 4)
    z = z.clone().requires_grad_()
    states = condition.states.clone(), condition.pooled.clone()
    model.eps(z, 500, Condition(*states)).sum().backward()
    assert graphs() == before
    assert z.grad.abs().sum() > 0


@pytest.mark.parametrize("kind", ["sd", "flux"])
def test_a_hook_sees_every_layer_of_the_network_as_it_is(kind, tmp_path):
    source = KINDS[kind](tmp_path / "model")
    models = [source.load(CPU, torch.float32), checkpoints.load(source, CPU, torch.float32, compile_=True)]
    z, condition = asked(models[0], kind)
    with torch.inference_mode():
        models[1].eps(z, 500, condition)
    outputs, before = [], graphs()
    for model in models:
        seen = []

        def turned(layer, query, key, value, seen=seen):
            seen.append(layer)
            return plain(layer, query, key, value.flip(0))

        with model.attend(turned), torch.inference_mode():
            outputs.append(model.eps(z, 500, condition))
        assert len(seen) == len(model.attention())
    torch.testing.assert_close(*outputs)
    assert graphs() == before
    with torch.inference_mode():
        assert not torch.allclose(models[1].eps(z, 500, condition), outputs[1])
    assert graphs() == before


@pytest.mark.parametrize("how", [True, "graphs"])
def test_a_change_within_the_network_is_not_passed_by(how):
    network = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.ReLU(), torch.nn.Linear(3, 3)).requires_grad_(False)
    compiled.Compiled(network, how)
    with torch.inference_mode():
        free = network(torch.ones(2, 3))
        handle = network[2].register_forward_hook(lambda module, given, output: output + 5)
        torch.testing.assert_close(network(torch.ones(2, 3)), free + 5)
        handle.remove()
        torch.testing.assert_close(network(torch.ones(2, 3)), free)


def test_graphs_hand_out_copies_and_say_where_a_step_begins(monkeypatch, tmp_path):
    """A graph that is replayed writes where it wrote before: stood for by a network that does so."""

    class Replayed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("place", torch.zeros(2, 3))

        def forward(self, x):
            return (self.place.copy_(2 * x),)

    steps = []
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: steps.append(1))
    monkeypatch.setattr(torch, "compile", lambda forward, **options: steps.append(options["mode"]) or forward)
    network = Replayed()
    compiled.Compiled(network, compiler.GRAPHS)
    with torch.inference_mode():
        (first,), (second,) = network(torch.ones(2, 3)), network(torch.zeros(2, 3))
    assert (first == 2).all()
    assert (second == 0).all()
    assert steps == ["reduce-overhead", 1, 1]


def test_kernels_say_the_same_numbers(monkeypatch, tmp_path):
    monkeypatch.setattr(compiled, "BACKEND", "inductor")
    source = KINDS["sdxl"](tmp_path / "model")
    models = [source.load(CPU, torch.float32), checkpoints.load(source, CPU, torch.float32, compile_=True)]
    z, condition = asked(models[0], "sdxl")
    before = graphs()
    with torch.inference_mode():
        expected, found = (model.eps(z, 500, condition) for model in models)
    assert graphs() > before
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_network_is_let_go_of_with_its_model(tmp_path):
    model = checkpoints.load(KINDS["sdxl"](tmp_path / "model"), CPU, torch.float32, compile_=True)
    said(model, *asked(model, "sdxl"), 4)
    alive = weakref.ref(model.unet)
    del model
    assert checkpoints.free()
    assert alive() is None


def test_a_model_is_loaded_anew_where_it_is_compiled(tmp_path):
    source = KINDS["sdxl"](tmp_path / "model")
    free, kept = (checkpoints.load(source, CPU, torch.float32, compile_=how) for how in (False, True))
    assert free is not kept
    assert not hasattr(free, "compiled")
    assert checkpoints.load(source, CPU, torch.float32, compile_=True) is kept


# --- a run ---

RUN = ["method=ddim", "steps=2", "limit=5", "batch_size=2", "metrics=pixel", "device=cpu"]


def edits(out):
    (folder,) = {file.parent.parent for file in Path(out).glob("*/*/*/edits/*.png")}
    pictures = {file.name: np.asarray(Image.open(file)).astype(int) for file in folder.glob("edits/*.png")}
    (journal,) = folder.glob("edits-*.jsonl")
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    (env,) = folder.glob("env/*.json")
    return folder, pictures, entries, json.loads(env.read_text())


def test_a_run_has_the_same_key_and_pictures_and_says_that_it_was_compiled(tmp_path):
    found = {}
    for how in ("false", "true"):
        assert run.main([*RUN, f"model.compile={how}", f"out={tmp_path / how}"]) == 0
        found[how] = edits(tmp_path / how)
    (plain_folder, expected, free, _), (folder, pictures, entries, env) = found["false"], found["true"]
    assert folder.name == plain_folder.name
    assert max(np.abs(pictures[name] - expected[name]).max() for name in expected) <= 1
    assert [one["nfe"] for one in entries] == [one["nfe"] for one in free]
    assert env["compile"] is True
    assert "compile" not in found["false"][3]


def test_a_models_file_need_not_speak_of_it(tmp_path):
    assert run.main([*RUN, "~model.compile", "limit=1", f"out={tmp_path}"]) == 0
    assert "compile" not in edits(tmp_path)[3]


def test_the_last_batch_of_a_run_is_filled_up(tmp_path):
    run.main([*RUN, "limit=4", "model.compile=true", f"out={tmp_path}"])
    before = graphs()
    assert before > 0
    assert run.main([*RUN, "limit=5", "model.compile=true", f"out={tmp_path}"]) == 0
    assert graphs() == before
    assert len(edits_of(tmp_path)) == 5


def edits_of(out):
    return list(Path(out).glob("*/*/*/edits/*.png"))


class Own(Toy):
    """A model of one's own, whose network is none of torch's."""

    @classmethod
    def denoiser(cls):
        return "alphas_cumprod"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["model.compile=graphs"], "model.compile=graphs replays graphs of CUDA, and device=cpu has none"),
        (
            ["model.compile=true"],
            "model.compile=true needs a C++ compiler, and there is no g++ or clang++; install one",
        ),
        (["model.compile=[true,false]"], "model.compile=[True, False], expected one value"),
        (["model.compile=quick"], "model.compile=quick, one of: false, graphs, true"),
        (
            ["model=custom", "model._target_=tests.helpers.toy.Toy", "model.compile=true"],
            "model.compile=true: Toy has no denoiser() that names the network of its model; leave model.compile out",
        ),
    ],
)
def test_what_cannot_be_compiled_is_refused_in_a_sentence(words, sentence, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(compiler.shutil, "which", lambda name: None)
    assert run.main([*RUN, *words, f"out={tmp_path}"]) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert "Traceback" not in err
    assert not edits_of(tmp_path)


def test_a_denoiser_that_is_no_network_is_refused_in_a_sentence(tmp_path, capsys):
    own = ["model=custom", "model._target_=tests.models.test_compiled.Own", "model.compile=true", "data.size=32"]
    assert run.main([*RUN, *own, "control=none", f"out={tmp_path}"]) == 1
    assert "model.compile=true: Greys.alphas_cumprod is no torch.nn.Module" in capsys.readouterr().err
