"""Two runs against each other, on scores written by hand in the form that runs have."""

import json

import numpy as np
import pandas as pd
import pytest

from bench import compare
from bench.errors import UserError

METRICS = {"psnr": (True, "dB"), "lpips": (False, "x 10^2"), "noise": (True, "")}


def write_run(folder, table: pd.DataFrame, profile="pie-v2", version=1, data=None, fid=3.0, made=None, ids="x"):
    folder.mkdir(parents=True)
    facts = {
        name: {"version": version, "higher_is_better": up, "unit": unit, "kind": "pair"}
        for name, (up, unit) in METRICS.items()
    }
    facts["fid"] = {"version": 1, "higher_is_better": False, "unit": "", "kind": "set", "value": fid, "n": len(table)}
    for name, knobs in (made or {}).items():
        facts[name]["made"] = knobs
    summary = {
        "ids": ids,
        "data": "pie",
        "profile": profile,
        "backbone": "none",
        "notice": "embedded",
        "metrics": facts,
    }
    (folder / f"summary.{profile}.json").write_text(json.dumps(summary | {"weights": {}, "doubts": {}}))
    (folder / "identity.json").write_text(json.dumps({"data": data or {"name": "pie", "size": 512, "hash": "x"}}))
    table.to_csv(folder / f"per_image.{profile}.csv", index=False)
    return folder


def scores(seed: int, better: float = 0.0, count: int = 40) -> pd.DataFrame:
    """Pictures of different difficulty, the same for every run."""
    hard, rng = np.random.default_rng(0).standard_normal(count), np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "id": [f"{i:04d}" for i in range(count)],
            "type": "object",
            "group": [f"g{i // 2}" for i in range(count)],
            "psnr": 25 + 5 * hard + better + 0.3 * rng.standard_normal(count),
            "lpips": 30 - 5 * hard - better + 0.3 * rng.standard_normal(count),
            "noise": rng.standard_normal(count),
        }
    )


@pytest.fixture
def pair(tmp_path):
    return write_run(tmp_path / "a", scores(1)), write_run(tmp_path / "b", scores(2, better=0.5), fid=2.0)


def test_a_small_difference_is_found_since_samples_are_paired(pair):
    table = compare.compare(*pair).set_index("metric")
    assert table.verdict["psnr"] == table.verdict["lpips"] == "B is better, beyond noise"
    assert table.verdict["noise"] == "no difference beyond noise"
    assert table.lo["psnr"] < 0.5 < table.hi["psnr"]
    assert table.difference["lpips"] < 0
    assert (table.p_holm.dropna() >= table.p.dropna()).all()
    swapped = compare.compare(*pair[::-1]).set_index("metric")
    assert swapped.verdict["psnr"] == "A is better, beyond noise"
    assert swapped.difference["psnr"] == pytest.approx(-table.difference["psnr"])


def test_distances_of_sets_have_no_test(pair):
    row = compare.compare(*pair).set_index("metric").loc["fid"]
    assert (row.a, row.b, row.difference) == (3, 2, -1)
    assert np.isnan(row.p)
    assert "no test" in row.verdict


def test_pairs_are_found_by_id_whatever_the_order(pair, tmp_path):
    shuffled = scores(2, better=0.5).sample(frac=1, random_state=0)
    again = write_run(tmp_path / "c", shuffled, fid=2.0)
    first, second = compare.compare(*pair), compare.compare(pair[0], again)
    np.testing.assert_allclose(first.difference, second.difference)


def test_samples_without_a_finite_value_in_both_are_left_out_and_counted(pair, tmp_path):
    table = scores(2, better=0.5)
    table.loc[:3, "psnr"], table.loc[4:5, "psnr"] = np.nan, np.inf
    made = compare.compare(pair[0], write_run(tmp_path / "c", table)).set_index("metric")
    assert (made.n["psnr"], made.left_out["psnr"], made.n["lpips"]) == (34, 6, 40)
    assert np.isfinite(made.difference["psnr"])


def test_a_run_is_equal_to_itself(pair):
    table = compare.compare(pair[0], pair[0])
    assert set(table.verdict[table.metric != "fid"]) == {"equal"}


def test_printed(pair, capsys):
    assert compare.main([str(folder) for folder in pair]) == 0
    text = capsys.readouterr().out
    assert "data pie; profile pie-v2 (none); 40 samples of both" in text
    assert "embedded" in text
    assert "psnr ↑ (dB)" in text
    assert "B is better, beyond noise" in text
    assert "after Holm over 3 metrics" in text


def test_what_does_not_compare_is_refused(pair, tmp_path):
    other = write_run(tmp_path / "v", scores(2), version=2)
    summary = json.loads((other / "summary.pie-v2.json").read_text())
    del summary["metrics"]["fid"]
    (other / "summary.pie-v2.json").write_text(json.dumps(summary))
    with pytest.raises(UserError, match="scored with different metrics, versions or weights"):
        compare.compare(pair[0], other)
    other = write_run(tmp_path / "d", scores(2), data={"name": "pie", "size": 512, "hash": "y"})
    with pytest.raises(UserError, match="edit different data"):
        compare.compare(pair[0], other)
    other = write_run(tmp_path / "p", scores(2), profile="caption-v1")
    with pytest.raises(UserError, match=r"scored by pie-v2 and .* by caption-v1"):
        compare.compare(pair[0], other)
    other = write_run(tmp_path / "i", scores(2).assign(id=[f"x{i}" for i in range(40)]))
    with pytest.raises(UserError, match="no sample in common"):
        compare.compare(pair[0], other)


def test_columns_that_depend_on_other_things_are_said_and_the_others_compared(tmp_path, capsys):
    made = {name: {"size": 64, "_target_": "m", "border": 5, "weights": "a" * 64} for name in METRICS}
    other = made | {"psnr": made["psnr"] | {"size": 32, "border": 0}, "noise": made["noise"] | {"weights": "b" * 64}}
    pair = write_run(tmp_path / "a", scores(1), made=made), write_run(tmp_path / "b", scores(2, 0.5), made=other)
    table = compare.compare(*pair)
    assert table.metric.tolist() == ["lpips", "fid"]
    assert compare.main([str(folder) for folder in pair]) == 0
    text = capsys.readouterr().out
    assert "not compared: psnr: size 64 and 32, border 5 and 0" in text
    assert "not compared: noise: weights aaaaaaaaaa and bbbbbbbbbb" in text


def test_a_column_that_one_run_lacks_is_said_and_the_others_compared(pair):
    summary = json.loads((pair[1] / "summary.pie-v2.json").read_text())
    del summary["metrics"]["psnr"]
    (pair[1] / "summary.pie-v2.json").write_text(json.dumps(summary))
    for runs in (pair, pair[::-1]):
        table = compare.compare(*runs)
        assert sorted(table.metric) == ["fid", "lpips", "noise"]
        assert table.attrs["apart"] == ["not compared: psnr: b is scored without it"]


def test_scores_that_do_not_say_what_they_depend_on_are_of_an_older_version(tmp_path):
    made = {name: {"size": 64} for name in METRICS}
    pair = write_run(tmp_path / "a", scores(1)), write_run(tmp_path / "b", scores(2), made=made)
    table = compare.compare(*pair)
    assert table.metric.tolist() == ["fid"]
    assert "an older version scored one of them" in table.attrs["apart"][0]


def test_distances_of_sets_of_other_samples_are_not_compared(tmp_path):
    pair = write_run(tmp_path / "a", scores(1)), write_run(tmp_path / "b", scores(2, count=38), ids="y")
    table = compare.compare(*pair)
    assert table.metric.tolist() == list(METRICS)
    assert "not compared: fid: a distance of whole sets, here of different samples (40 and 38)" in table.attrs["apart"]


@pytest.mark.parametrize(
    ("count", "verdict", "interval"),
    [
        (4, "too few source pictures to tell: 2", False),
        (10, "too few source pictures to tell: 5", True),
        (16, "B is better, beyond noise", True),
    ],
)
def test_few_source_pictures(tmp_path, capsys, count, verdict, interval):
    """Of five, no sign-flip p is below 0.06, whatever the difference."""
    pair = write_run(tmp_path / "a", scores(1, count=count)), write_run(tmp_path / "b", scores(2, 9.0, count))
    row = compare.compare(*pair).set_index("metric").loc["psnr"]
    assert (row.verdict, np.isfinite(row.lo), row.groups) == (verdict, interval, count // 2)
    assert compare.main([str(folder) for folder in pair]) == 0
    text = capsys.readouterr().out
    assert f"{count}, few" in text
    assert "few: of fewer than 20 source pictures" in text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["a"], "name only a; expected two runs: python -m bench.compare <A> <B>"),
        (["a", "nowhere"], "no run of run=nowhere (there is no such folder)"),
        (["a", "b", "profile=pie"], "profile=pie is not one that both runs have; did you mean pie-v2?"),
        (["a", "b", "proflie=pie-v2"], "unknown option 'proflie'; did you mean profile?"),
        (["a", "empty"], "empty holds no run; expected its folder"),
    ],
)
def test_wrong_words(pair, tmp_path, monkeypatch, capsys, words, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert compare.main(words) == 2
    assert sentence in capsys.readouterr().err
