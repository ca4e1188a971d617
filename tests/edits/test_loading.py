"""What is asked of a model in words is found before it is loaded; where its networks wait changes no edit."""

import json
import logging
import sys

import numpy as np
import pytest
from PIL import Image

from bench import run
from bench.edits import loading
from bench.models import checkpoint as checkpoints
from bench.models.flux import Flux
from bench.models.prompts import Prompts
from tests.helpers import pipeline_folders
from tests.helpers.adm import folder as adm_folder
from tests.helpers.flow_folders import flux_folder, sd3_folder

DATA = """
import numpy as np
from bench.data.base import Benchmark
from bench.errors import BadSample
from bench.types import EditSample

class Words(Benchmark):
    ids = ["a", "b", "c", "d"]
    def __init__(self, size):
        self.size = size
    def __getitem__(self, index):
        if index == 2:
            raise BadSample("it is not there")
        target = 7 if index == 1 else f"a {self.ids[index]} dog"
        picture = np.full((3, 64, 64), 50 * index, np.uint8)
        return EditSample(self.ids[index], picture, "a cat", target, instruction="make it a dog")
    def identity(self):
        return {"size": 64}
"""
METHOD = """
from bench.errors import UserError
from bench.types import EditResult

class Asks:
    def __init__(self, say):
        self.say = say
    def queries(self, sample):
        return {"list": [f"seven of {sample.id}"], "text": "seven", "break": 1 / (self.say != "break")}[self.say]
    def __call__(self, model, batch, noise):
        model.condition([f"seven of {sample.id}" for sample in batch.samples])
        return EditResult(batch.images)

class AsksLate(Asks):
    queries = property()
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    made = {"flux": flux_folder(root / "flux"), "sd3": sd3_folder(root / "sd3")}
    return {name: [f"model={name}", f"model.path={folder}", "data.size=64"] for name, folder in made.items()}


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Data and methods of somebody's own."""
    (tmp_path / "own_words.py").write_text(DATA)
    (tmp_path / "own_asks.py").write_text(METHOD)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("own_words", "own_asks"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return ["data=custom", "data._target_=own_words.Words"]


@pytest.fixture
def read(monkeypatch):
    """Prompts that are read ahead, and those that come later."""
    ahead, late, before, after = [], [], Prompts.read_ahead, Prompts._read_late
    monkeypatch.setattr(Prompts, "read_ahead", lambda self, asked, *to: ahead.append(asked) or before(self, asked, *to))
    monkeypatch.setattr(Prompts, "_read_late", lambda self, texts: late.append(texts) or after(self, texts))
    checkpoints.free()
    yield ahead, late
    checkpoints.free()


def go(out, *words):
    return run.main([f"out={out}", "metrics=pixel", "steps=2", *words])


def journal(out):
    (file,) = out.glob("*/*/*/edits-*.jsonl")
    return {entry["id"]: entry for entry in map(json.loads, file.read_text().splitlines())}


def pictures(out):
    return [np.asarray(Image.open(file)) for file in sorted(out.glob("*/*/*/edits/*.png"))]


def test_all_that_a_run_asks_is_read_before(models, own, read, tmp_path):
    ahead, late = read
    assert go(tmp_path / "out", "method=sdedit", "r=[0.5,1]", *models["sd3"], *own) == 1
    assert ahead == [["a cat", "a a dog", "make it a dog", 7, "a d dog"]]
    assert late == []


def test_a_sample_that_cannot_be_read_or_told_fails_by_itself(models, own, read, tmp_path):
    assert go(tmp_path / "out", "method=sdedit", *models["flux"], *own) == 1
    found = journal(tmp_path / "out")
    assert {id_ for id_, entry in found.items() if "error" not in entry} == {"a", "d"}
    assert found["b"]["error"].startswith("target is 7; this model takes text")
    assert found["c"]["error"] == "it is not there"
    assert read[1] == []


def test_what_is_pending_is_read_and_no_more(models, own, read, tmp_path):
    words = ["method=sdedit", *models["flux"], *own]
    assert go(tmp_path / "out", *words, "limit=1") == 0
    assert go(tmp_path / "out", *words) == 1
    assert read[0] == [["a cat", "a a dog", "make it a dog"], ["a cat", 7, "make it a dog", "a d dog"]]


def test_a_method_may_say_what_it_asks_besides(models, own, read, tmp_path, caplog):
    words = ["method=custom", "method._target_=own_asks.Asks", *models["flux"], *own]
    with caplog.at_level(logging.WARNING):
        assert go(tmp_path / "out", *words, "+method.say=list") == 1
        assert read[1] == []
        assert not caplog.records


def test_what_a_method_asks_besides_is_read_when_it_comes(models, own, read, tmp_path, caplog):
    words = ["method=custom", "method._target_=own_asks.AsksLate", *models["flux"], *own, "limit=1"]
    with caplog.at_level(logging.WARNING):
        assert go(tmp_path / "out", *words, "+method.say=late") == 0
    assert read[1] == [["seven of a"]]
    assert "prompt that was not read ahead" in caplog.text


@pytest.mark.parametrize(
    ("say", "sentence"),
    [
        ("text", "method=Asks: queries gives a str, seven for 'a'; expected a list of prompts"),
        ("break", "method=Asks: ZeroDivisionError: division by zero"),
    ],
)
def test_a_method_that_cannot_say_it_stops_its_own_run(models, own, read, tmp_path, capsys, say, sentence):
    words = ["method=custom", "method._target_=own_asks.Asks", *models["flux"], *own, "limit=1"]
    assert go(tmp_path / "out", *words, f"+method.say=[{say},list]") == 1
    assert sentence in capsys.readouterr().err
    assert len(pictures(tmp_path / "out")) == 1


@pytest.mark.parametrize("name", ["flux", "sd3"])
def test_where_networks_wait_is_no_part_of_a_run(models, tmp_path, name, capsys):
    words = ["method=sdedit", "limit=2", *models[name]]
    found = {}
    for how in ("none", "model", "sequential"):
        assert go(tmp_path / how, *words, f"model.offload={how}") == 0
        (folder,) = (tmp_path / how).glob("*/*/*")
        found[how] = folder.relative_to(tmp_path / how), [picture.tobytes() for picture in pictures(tmp_path / how)]
    assert found["none"] == found["model"] == found["sequential"]
    assert len(found["none"][1]) == 2


def test_a_tuned_inversion_may_wait_too(tmp_path):
    """It optimises through networks that inference mode has moved."""
    words = ["method=null_text", "control=none", "method.inner_steps=1", "limit=1"]
    found = []
    for how in ("none", "model", "sequential"):
        assert go(tmp_path / how, *words, f"model.offload={how}") == 0
        found.append(pictures(tmp_path / how)[0].tobytes())
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["model.offload=modle"], "model.offload=modle, did you mean model"),
        (["model.offload=null"], "model.offload=null, expected one value"),
        (["model.offload=[model,none]"], "model.offload=['model', 'none'], expected one value"),
    ],
)
def test_words_that_do_not_exist(tmp_path, capsys, words, sentence):
    assert go(tmp_path, *words) == 2
    assert sentence in capsys.readouterr().err


def test_a_model_of_one_network_has_nothing_that_could_wait(tmp_path, capsys):
    folder = adm_folder(tmp_path / "adm")
    words = ["method=ilvr", "model=adm256", f"model.path={folder}", "data.size=32", "model.offload=model"]
    assert go(tmp_path / "out", *words) == 2
    assert "model.offload=model, but model=adm256 has no networks that could wait" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("how", "advice"),
    [
        ("none", "on a GPU, model.offload=model or sequential or model.dtype=float16"),
        ("model", "on a GPU, model.offload=sequential or model.dtype=float16"),
        ("sequential", "on a GPU, model.dtype=float16"),
    ],
)
def test_too_little_memory_names_the_word(models, tmp_path, capsys, monkeypatch, how, advice):
    def full(self, *_, **__):
        raise MemoryError

    monkeypatch.setattr(Flux, "load", full)
    checkpoints.free()
    assert go(tmp_path, "method=sdedit", "limit=1", *models["flux"], f"model.offload={how}") == 1
    said = f"out of memory on cpu as the model is loaded; use a smaller data.size or model.size or, {advice}"
    assert said in capsys.readouterr().err


def test_samples_are_not_read_for_a_model_without_the_hook(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "asked", None)
    assert go(tmp_path, "method=sdedit", "limit=1") == 0


ITS_OWN = ("ledits_pp_xl",)  # moves its autoencoder by itself


@pytest.mark.parametrize("name", ["ledits_pp_xl", "flux_kontext", "instruct_pix2pix"])
def test_networks_of_a_whole_pipeline_wait_too(tmp_path, name):
    words, found = pipeline_folders.words(name, tmp_path / "model"), []
    for how in ("none", "model", *(() if name in ITS_OWN else ("sequential",))):
        assert go(tmp_path / how, *words, "data=shapes", "limit=2", f"model.offload={how}") == 0
        (folder,) = (tmp_path / how).glob("*/*/*")
        found.append((folder.relative_to(tmp_path / how), [one.tobytes() for one in pictures(tmp_path / how)]))
    assert all(one == found[0] for one in found)
    assert len(found[0][1]) == 2
