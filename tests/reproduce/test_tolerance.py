"""How far a value may be from the published one: what other noise does, or other precision and JPEG."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest

from bench.config import cli
from bench.errors import UserError
from bench.reproduce import tolerance
from bench.reproduce.outcomes import Point
from bench.scores import stored
from scripts import tolerance as script


def point(folder, seed, value, profile="shapes-v1", ids="all", **identity):
    """A run with a stored summary."""
    made = folder / "shapes/sdedit" / f"run{len(list(folder.glob('*/*/*')))}"
    made.mkdir(parents=True)
    (made / "identity.json").write_text(json.dumps({"method": {"r": 0.5}, "seed": seed} | identity))
    fact = {"version": 1, "higher_is_better": True, "unit": "", "kind": "pair", "value": value}
    summary = {"data": "shapes", "profile": profile, "model": "shapes", "seed": seed, "ids": ids}
    stored.summary_file(made, profile).write_text(json.dumps(summary | {"metrics": {"psnr": fact}}))
    return Point("row", "", {}, {}, run=SimpleNamespace(folder=made), summary=stored.read(made, profile).summary)


def test_three_seeds_of_a_method_that_draws_noise(tmp_path):
    first = point(tmp_path, 0, 20.0)
    assert tolerance.of_point(first, "psnr").value is None
    point(tmp_path, 1, 20.5)
    point(tmp_path, 2, 99.0, method={"r": 0.7})  # another operating point
    point(tmp_path, 2, 98.0, ids="first 4")  # of other images
    assert tolerance.of_point(first, "psnr") == (
        None,
        "2 of 3 seeds are run, so that what noise does is not measured",
    )
    third = point(tmp_path, 2, 19.9)
    for one in (first, third):
        assert tolerance.of_point(one, "psnr") == (pytest.approx(0.6), "3 seeds")
    assert tolerance.of_point(first, "nfe").value == 0


def test_a_method_without_noise_is_tolerated_what_precision_and_jpeg_do(tmp_path, monkeypatch):
    monkeypatch.setattr(tolerance, "FILE", file := tmp_path / "tolerance.csv")
    one = point(tmp_path, None, 20.0)
    said = "what precision and JPEG do is not measured on this model and profile"
    assert tolerance.of_point(one, "psnr") == (None, said)
    file.write_text("model,profile,metric,tolerance\nshapes,shapes-v1,psnr,0.25\nshapes,shapes-v1,csfid,\n")
    tolerance._measured.cache_clear()
    assert tolerance.of_point(one, "psnr") == (0.25, "half precision and JPEG")
    assert tolerance.of_point(one, "csfid").value is None
    assert tolerance.of_point(point(tmp_path, None, 20.0, "pie-v2"), "psnr").value is None
    tolerance._measured.cache_clear()


def test_what_is_made_of_several_runs(tmp_path, monkeypatch):
    for seed, (first, second) in enumerate([(1.0, 5.0), (1.5, 5.1), (1.2, 5.3)]):
        pair = point(tmp_path, seed, first), point(tmp_path, seed, second, method={"r": 0.7})
    assert tolerance.together([list(pair)], "psnr", added=False).value == pytest.approx(0.5)
    assert tolerance.together([list(pair)], "psnr", added=True).value == pytest.approx(0.8)
    lone = point(tmp_path, 0, 1.0, method={"r": 0.9})
    assert tolerance.together([[*pair, lone]], "psnr", added=True).value is None


def test_the_script_measures_and_keeps_what_others_measured(tmp_path, capsys):
    file = tmp_path / "tolerance.csv"
    pd.DataFrame([{"model": "sd14", "profile": "pie-v2", "metric": "psnr", "tolerance": 0.1}]).to_csv(file, index=False)
    words = ["method=encode_decode", "data=shapes", "r=0.3", "steps=4", "limit=2"]
    assert script.main([*words, "--to", str(file)]) == 0
    table = tolerance.read(file)
    assert table.columns.tolist() == tolerance.COLUMNS
    assert table[table.model == "sd14"].tolerance.tolist() == [0.1]
    mine = table[table.model == "shapes"].set_index("metric")
    values = mine[["float32", "float32_jpeg", "half", "half_jpeg"]]
    assert mine.tolerance.psnr == pytest.approx(values.loc["psnr"].max() - values.loc["psnr"].min(), rel=1e-4)
    assert values.loc["psnr"].nunique() == 4
    assert pd.isna(mine.tolerance.csfid)  # too few images of a class
    assert set(mine.run) == {" ".join(words)}
    assert f"written: {file}" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["method=sdedit"], ["method=encode_decode", "r=[0.3,0.5]"]])
def test_the_script_wants_one_run_without_noise(tmp_path, words):
    with pytest.raises(UserError, match="expected one run of a method that draws no noise, such as method=siminvers"):
        script.main([*words, "data=shapes", "limit=1", "--to", str(tmp_path / "t.csv")])
    assert not (tmp_path / "t.csv").exists()


def test_the_file_is_what_the_script_writes():
    table = tolerance.read(cli.CONF / "tolerance.csv")
    assert table.columns.tolist() == tolerance.COLUMNS
    values = table[["float32", "float32_jpeg", "half", "half_jpeg"]]
    apart = values.max(axis=1) - values.min(axis=1)
    assert table.tolerance.tolist() == pytest.approx(apart.tolist(), rel=1e-3, abs=1e-4, nan_ok=True)
    assert {"psnr", "structure", "text_agreement"} <= set(table[table.model == "shapes"].metric)
