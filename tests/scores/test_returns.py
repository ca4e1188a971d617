"""Metrics of one's own that fail, or give something else than they should."""

import numpy as np
import pytest
import torch

from bench import run


class Metric:
    version, higher_is_better, unit = 1, True, ""


class Longer(Metric):
    def score(self, batch):
        return np.ones(len(batch.samples) + 1)


class Nothing(Metric):
    def score(self, batch):
        return None


class Words(Metric):
    def score(self, batch):
        return ["good"] * len(batch.samples)


class Scalar(Metric):
    def score(self, batch):
        return 0.5


class Raises(Metric):
    def score(self, batch):
        raise ValueError("my own bug")


class Exits(Metric):
    def score(self, batch):
        raise SystemExit(3)


class EmptySet(Metric):
    def update(self, batch):
        pass

    def compute(self):
        return None


class Tensors(Metric):
    def score(self, batch):
        return torch.full((len(batch.samples),), 0.5)


class Unversioned:
    higher_is_better, unit = True, ""

    def score(self, batch):
        return np.ones(len(batch.samples))


class Spelled(Tensors):
    version = "1"


class Bare(Metric):
    pass


class Breaks(Metric):
    def __init__(self):
        raise ValueError("my own bug")


def go(name, tmp_path):
    metric = f"+metrics.mine._target_=tests.scores.test_returns.{name}"
    return run.main(["method=copy", "metrics=pixel", "limit=2", metric, f"out={tmp_path}"])


LATE = {
    "Longer": "metrics.mine: Longer.score returned 3 numbers; expected 2 numbers",
    "Nothing": "metrics.mine: Nothing.score returned None; expected 2 numbers",
    "Words": "metrics.mine: Words.score returned a list, ['good', 'good']; expected 2 numbers",
    "Scalar": "returned an array of shape ()",
    "Raises": f"metrics.mine: ValueError: my own bug ({__file__}, line ",
    "Exits": f"metrics.mine: it calls exit(3) ({__file__}, line ",
    "EmptySet": f"({__file__}, line ",
}


@pytest.mark.parametrize("name", LATE)
def test_what_a_metric_gives(name, tmp_path, capsys):
    assert go(name, tmp_path) == 1
    said = capsys.readouterr().err
    assert LATE[name] in said
    assert "Traceback" not in said
    logs = list(tmp_path.glob("*/*/*/scoring_error.log"))
    assert len(logs) == (name in ("Raises", "Exits", "EmptySet"))
    assert all("Traceback" in log.read_text() for log in logs)
    assert len(list(tmp_path.glob("*/*/*/edits/*.png"))) == 2


EARLY = {
    "Unversioned": "metrics.mine: Unversioned has no version; expected a whole number",
    "Spelled": "metrics.mine: version of Spelled is '1'; expected a whole number",
    "Bare": "metrics.mine: Bare has neither score(batch)",
    "Breaks": f"metrics.mine: ValueError: my own bug ({__file__}, line ",
    "Absent": "there is no tests.scores.test_returns.Absent; ",
}


@pytest.mark.parametrize("name", EARLY)
def test_what_is_no_metric_is_said_before_anything_is_edited(name, tmp_path, capsys):
    assert go(name, tmp_path) == 1
    assert EARLY[name] in capsys.readouterr().err
    assert not list(tmp_path.glob("shapes"))


def test_a_tensor_is_as_good_as_an_array(tmp_path):
    assert go("Tensors", tmp_path) == 0
