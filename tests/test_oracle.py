"""The best of several runs, image by image and metric by metric."""

import json

import numpy as np
import pandas as pd
import pytest

from bench import oracle, run

BETTER = {"up": True, "down": False}


def test_best_is_taken_for_each_image_and_metric_and_nan_only_where_all_are():
    nan = float("nan")
    tables = [
        pd.DataFrame({"up": [1.0, 5, nan, nan], "down": [1.0, 5, 2, nan], "nfe": [9] * 4}, index=list("abcd")),
        pd.DataFrame({"up": [2.0, 4, 3, nan], "down": [2.0, 4, nan, nan], "nfe": [1] * 4}, index=list("abcd")),
    ]
    best = oracle.best_of(tables, BETTER)
    np.testing.assert_array_equal(best["up"], [2, 5, 3, nan])
    np.testing.assert_array_equal(best["down"], [1, 4, 2, nan])
    assert list(best) == ["up", "down"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    out = tmp_path_factory.mktemp("oracle")
    words = ["method=siminversion", "w_s=[0,1]", "steps=3", "limit=4", f"out={out}"]
    assert run.main(words) == 0
    return out


def test_oracle_of_stored_runs(runs, capsys):
    journals = {file: file.read_text() for file in runs.glob("*/*/*/edits-*.jsonl")}
    assert oracle.main(["runs=[siminversion/ws0_*,siminversion/ws1_*]", f"out={runs}"]) == 0
    text = capsys.readouterr().out
    assert "no method can know beforehand" in text
    assert "comparable with no paper" in text
    best = pd.read_csv(runs / "oracle/per_image.csv", dtype={"id": str}).set_index("id")
    tables = [pd.read_csv(f, dtype={"id": str}).set_index("id") for f in runs.glob("*/*/*/per_image.*.csv")]
    facts = json.loads(next(runs.glob("*/*/*/summary.*.json")).read_text())["metrics"]
    for name in ("perceptual", "psnr"):
        both = np.stack([table[name] for table in tables])
        np.testing.assert_allclose(best[name], both.max(0) if facts[name]["higher_is_better"] else both.min(0))
    assert journals == {file: file.read_text() for file in runs.glob("*/*/*/edits-*.jsonl")}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "runs= is missing"),
        (["runs=[siminversion/ws0_*]"], "needs at least two"),
        (["runs=[siminversion/ws0_*,ddim/*]"], "no run of run=ddim/* under out="),
        (["runs=siminversion/*", "profile=pie-v2"], "has no scores of profile pie-v2"),
        (["rums=siminversion/*"], "did you mean runs?"),
    ],
)
def test_wrong_words_get_a_sentence(runs, capsys, words, sentence):
    assert oracle.main([*words, f"out={runs}"]) == 2
    assert sentence in capsys.readouterr().err
