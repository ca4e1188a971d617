"""Pictures that vanish between editing and scoring."""

import json

import pandas as pd
import pytest

from bench import run
from bench.types import EditResult
from tests.helpers.trees import manifest


class Vanishing:
    """Copies the sources, and takes one of them away."""

    version, folder = 1, None

    def __call__(self, model, batch, noise):
        (self.folder / "dog.jpg").unlink(missing_ok=True)
        return EditResult(batch.images)


@pytest.mark.parametrize("size", ["null", "32"])
def test_a_source_that_vanished_since_it_was_edited_is_its_sample_s_failure(tmp_path, monkeypatch, capsys, size):
    rows = [
        {"id": id_, "image": image, "source": "a", "target": "b"}
        for id_, image in (("cake", "pictures/cake.png"), ("dog", "dog.jpg"), ("other", "pictures/cake.png"))
    ]
    monkeypatch.setattr(Vanishing, "folder", manifest(tmp_path / "data", rows))
    words = ["method=custom", "method._target_=tests.scores.test_lost.Vanishing", "model=shapes", "metrics=pixel"]
    words += [f"metrics.size={size}"]
    assert run.main([*words, "data=manifest", f"data.root={tmp_path / 'data'}", f"out={tmp_path / 'out'}"]) == 1
    said = capsys.readouterr()
    assert "1 edited samples are not scored, since their sources cannot be read any more; the first is" in said.err
    assert "2 of 3 scored" in said.out
    (folder,) = (file.parent for file in (tmp_path / "out").glob("*/*/*/summary.pixel-v1.json"))
    assert pd.read_csv(folder / "per_image.pixel-v1.csv").id.tolist() == ["cake", "other"]
    summary = json.loads((folder / "summary.pixel-v1.json").read_text())
    assert (summary["n"], summary["n_expected"], summary["n_failed"]) == (2, 3, 1)
    assert summary["metrics"]["mse"]["n"] == 2
