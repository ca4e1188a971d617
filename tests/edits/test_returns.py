"""Methods and models of one's own that fail, or return something else than they should."""

import json
import sys

import pytest
import torch

from bench import run
from bench.types import EditResult
from tests.helpers.toy import Greys, Toy


class Method:
    def __call__(self, model, batch, noise):
        return self.made(batch.images, len(batch.samples))


class Tensor(Method):
    def made(self, images, count):
        return images


class Nothing(Method):
    def made(self, images, count):
        return None


class Fewer(Method):
    def made(self, images, count):
        return EditResult(images[:1])


class Shape(Method):
    def made(self, images, count):
        return EditResult(images, torch.ones(count, 4, 4))


class Bytes(Method):
    def made(self, images, count):
        return EditResult(images, torch.ones(count, 1, 4, 4, dtype=torch.uint8))


class Levels(Method):
    def made(self, images, count):
        return EditResult(images, torch.full((count, 1, 4, 4), 255.0))


class NotANumber(Method):
    def made(self, images, count):
        mask = torch.ones(count, 1, 4, 4)
        mask[:] = torch.nan
        return EditResult(images, mask)


class Notes(Method):
    def made(self, images, count):
        return EditResult(images, notes=[{"a": torch.ones(1)}] * count)


class Interrupted(Method):
    def made(self, images, count):
        raise KeyboardInterrupt


class Exits(Method):
    def made(self, images, count):
        sys.exit(3)


class Knobs(Method):
    def __init__(self, alpha, beta=2):
        raise AssertionError


class Breaks(Method):
    def __init__(self):
        raise ValueError("my own bug")


class Uncallable:
    pass


class Halved(Toy):
    """Decodes to half the size."""

    def load(self, device, dtype):
        model = Greys(self.spread, self.names, device)
        model.decode = lambda latents: latents[:, :, ::2, ::2]
        return model


class Unloadable(Toy):
    def load(self, device, dtype):
        raise FileNotFoundError("weights.pt")


class Empty(Toy):
    def load(self, device, dtype):
        return None


def go(tmp_path, *words):
    return run.main([*words, "metrics=pixel", "limit=2", f"out={tmp_path}"])


def of(name):
    return ["method=custom", f"method._target_=tests.edits.test_returns.{name}"]


RUNS = {
    "Tensor": "method=Tensor returned a Tensor (2, 3, 64, 64); expected bench.types.EditResult(images)",
    "Nothing": "method=Nothing returned a NoneType; expected",
    "Fewer": "method=Fewer returned 1 images for 2 samples",
    "Shape": "method=Shape returned a mask (2, 4, 4) of torch.float32; expected (2, 1, h, w)",
    "Bytes": "method=Bytes returned a mask (2, 1, 4, 4) of torch.uint8",
    "Knobs": "method=Knobs: Knobs needs +method.alpha=<value>",
    "Breaks": f"method=Breaks: ValueError: my own bug ({__file__}, line ",
    "Uncallable": "Uncallable has no __call__",
    "Absent": "there is no tests.edits.test_returns.Absent; ",
}


@pytest.mark.parametrize("name", RUNS)
def test_what_concerns_the_run_leaves_no_folder(name, tmp_path, capsys):
    assert go(tmp_path, *of(name)) == 1
    said = capsys.readouterr().err
    assert RUNS[name] in said
    assert "Traceback" not in said
    assert not list(tmp_path.glob("shapes"))


SAMPLES = {
    "Levels": (2, "the mask of the method is from 255 to 255; expected 0 to 1"),
    "NotANumber": (2, "the mask of the method is not finite"),
    "Notes": (2, "notes that no journal can hold"),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_what_concerns_a_sample_is_recorded(name, tmp_path, capsys):
    count, sentence = SAMPLES[name]
    assert go(tmp_path, *of(name), "batch_size=2") == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert f"{count} of 2 samples failed" in said


def test_an_exit_is_an_error_and_an_interrupt_is_none(tmp_path, capsys):
    assert go(tmp_path, *of("Exits")) == 1
    assert f"(it calls exit(3)) ({__file__}, line " in capsys.readouterr().err
    (journal,) = tmp_path.glob("*/*/*/edits-*.jsonl")
    assert "sys.exit(3)" in json.loads(journal.read_text().splitlines()[0])["traceback"]
    assert go(tmp_path / "other", *of("Interrupted")) == 130
    assert not list(tmp_path.glob("other/shapes"))


IMPORTS = ["x = (\n", "import nosuchpackage\nclass A: pass\n", "1 / 0\n", "raise SystemExit(4)\n"]


@pytest.mark.parametrize("text", IMPORTS)
def test_a_module_that_cannot_be_imported(text, tmp_path, monkeypatch, capsys):
    file = tmp_path / "unimportable.py"
    file.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "unimportable", raising=False)
    assert go(tmp_path / "out", "method=custom", "method._target_=unimportable.A") != 0
    said = capsys.readouterr().err
    assert str(file) in said
    assert "line 1" in said
    assert said.count("\n") == 1


MODELS = {
    "Halved": "the model's decode returned (1, 3, 16, 16) of torch.float32 for a picture of 32 px; expected (1, 3, 32",
    "Unloadable": f"the model Unloadable cannot be loaded: FileNotFoundError: weights.pt ({__file__}, line ",
    "Empty": "Empty.load gives a NoneType, which has no size",
}


@pytest.mark.parametrize("method", ["sdedit", "diffedit"])
@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_is_none(name, method, tmp_path, capsys):
    model = ["model=custom", f"model._target_=tests.edits.test_returns.{name}", "model.guidance=2", "+model.names=true"]
    assert go(tmp_path, *model, "data=shapes", "data.size=32", f"method={method}", "steps=4", "device=cpu") == 1
    assert MODELS[name] in capsys.readouterr().err
    assert not list(tmp_path.glob("shapes"))
