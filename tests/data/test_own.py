"""Data sets of one's own: what they hand out is checked, and what is wrong is said of the sample, or of the class."""

import json

import numpy as np
import pytest

from bench import prepare, run
from bench.data.base import Benchmark
from bench.types import EditSample


class Data(Benchmark):
    """Two flat pictures."""

    licence = "none"

    def __init__(self, size):
        self.size, self.ids, self.annotations = size, ["a", "b"], []

    def __getitem__(self, index):
        return EditSample(self.ids[index], np.zeros((3, self.size, self.size), np.uint8), "a", "b")

    def identity(self):
        return {"count": 2}


class Raises(Data):
    def __getitem__(self, index):
        if index:
            raise IndexError("my own bug")
        return super().__getitem__(index)


class Exits(Data):
    def __getitem__(self, index):
        raise SystemExit(3)


class Dicts(Data):
    def __getitem__(self, index):
        return {"image": 1}


class Floats(Data):
    def __getitem__(self, index):
        return EditSample(self.ids[index], np.zeros((3, 16, 16)), "a", "b")


class Masks(Data):
    def __getitem__(self, index):
        return EditSample(self.ids[index], np.zeros((3, 16, 16), np.uint8), "a", "b", mask=np.ones((8, 8), bool))


class Others(Data):
    def __getitem__(self, index):
        return EditSample("c", np.zeros((3, 16, 16), np.uint8), "a", "b")


class Sizes(Data):
    def __getitem__(self, index):
        return EditSample(self.ids[index], np.zeros((3, 16 + index, 16 + index), np.uint8), "a", "b")


class Twice(Data):
    def __init__(self, size):
        super().__init__(size)
        self.ids = ["a", "a"]


class Numbers(Data):
    def __init__(self, size):
        super().__init__(size)
        self.ids = [1, 2]


class Lengthless(Data):
    def __init__(self, size):
        self.size, self.annotations = size, []


class Breaks(Data):
    def __init__(self, size):
        raise KeyError("nothing")


class Arrays(Data):
    def identity(self):
        return {"pixels": np.zeros(3)}


def go(name, tmp_path):
    words = ["data=custom", f"data._target_=tests.data.test_own.{name}", "data.size=16", "method=copy", "metrics=pixel"]
    return run.main([*words, "model=shapes", f"out={tmp_path}"])


SAMPLES = {
    "Raises": (1, f"IndexError: my own bug ({__file__}, line "),
    "Exits": (2, f"it calls exit(3) ({__file__}, line "),
    "Dicts": (2, "the data set gives a dict, {'image': 1}; expected a bench.types.EditSample"),
    "Floats": (2, "image is float64 [3, 16, 16]; expected uint8 [3, any, any]"),
    "Masks": (2, "mask is bool [8, 8]; expected bool [16, 16]"),
    "Others": (2, "the data set gives the sample 'c'; its ids say 'a'"),
    "Sizes": (1, "the picture has 17x17 px, others 16x16; expected one"),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_that_is_none(name, tmp_path, capsys):
    count, sentence = SAMPLES[name]
    assert go(name, tmp_path) == 1
    said = capsys.readouterr().err
    assert f"{count} of 2 samples failed" in said
    assert sentence in said
    (journal,) = tmp_path.glob("*/*/*/edits-*.jsonl")
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    assert any("traceback" in entry for entry in entries) == (name in ("Raises", "Exits"))


CLASSES = {
    "Twice": "the id 'a' of Twice is there 2 times",
    "Numbers": "ids of Numbers is a list, [1, 2]; expected a list of texts",
    "Lengthless": "Lengthless has no ids; derive it from bench.data.base.Benchmark",
    "Breaks": f"KeyError: 'nothing' ({__file__}, line ",
    "Arrays": "identity() is no JSON",
    "Dat": "there is no tests.data.test_own.Dat; did you mean Data",
}


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_that_is_none(name, tmp_path, capsys):
    assert go(name, tmp_path) == 2
    said = capsys.readouterr().err
    assert CLASSES[name] in said
    assert said.count("\n") == 1
    assert not list(tmp_path.glob("*/*/*"))


def test_the_check_of_a_data_set_says_it_too(capsys):
    assert (
        prepare.main(["data=custom", "data._target_=tests.data.test_own.Raises", "data.size=16", "model=shapes"]) == 1
    )
    assert "unreadable: b: IndexError: my own bug" in capsys.readouterr().out
