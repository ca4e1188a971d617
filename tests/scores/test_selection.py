"""Which runs a command is about: one way to choose for all of them."""

import json

import pytest

from bench import compare, oracle, run, score
from bench.claims.__main__ import main as claims
from bench.errors import UserError
from bench.report.__main__ import main as report
from bench.scores.selection import Selection, named, selected

RUNS = ("shapes/copy/all-1", "shapes/sdedit/r0.3_s5-2", "shapes/sdedit/r0.5_s5-3", "b%3A %231/copy/all-4")


@pytest.fixture
def tree(tmp_path):
    for name in RUNS:
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "identity.json").write_text("{}")
    return tmp_path / "runs"


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({}, [3, 0, 1, 2]),
        ({"data": ("shapes",)}, [0, 1, 2]),
        ({"data": ("b: #1",)}, [3]),
        ({"method": ("copy",)}, [3, 0]),
        ({"method": ("s*", "copy"), "data": ("shapes",)}, [0, 1, 2]),
        ({"run": ("sdedit/r0.5*",)}, [2]),
        ({"run": ("r0.3*",)}, [1]),
        ({"run": ("shapes/*/*",)}, [0, 1, 2]),
        ({"run": ("r0.5*", "r0.3*")}, [1, 2]),
        ({"run": ("r0.5_s5-3",), "method": ("sdedit",)}, [2]),
    ],
)
def test_names_and_patterns(tree, chosen, found):
    assert selected(tree, Selection(**chosen)) == [tree / RUNS[number] for number in found]


def test_folders(tree, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert selected(tree, Selection(run=("runs/shapes/sdedit",))) == [tree / RUNS[1], tree / RUNS[2]]
    (elsewhere := tmp_path / "moved").mkdir()
    (elsewhere / "identity.json").write_text("{}")
    folders = named(tree, Selection(run=(str(elsewhere), "r0.5*", str(elsewhere))))
    assert folders == [elsewhere, tree / RUNS[2]]  # as typed, each once


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"data": ("shape",)}, "no run of data=shape under out=.*; did you mean shapes"),
        ({"data": ("shapes", "pie")}, "no run of data=pie under out="),
        (
            {"data": ("b: #1",), "method": ("sdedit",)},
            "no run of method=sdedit under .* with data=b: #1; one of: copy",
        ),
        ({"run": ("r0.5",)}, r"run=r0\.5 \(there is no such folder\) under .*; 'run=\*r0.5\*' matches 1"),
        ({"run": ("x*",)}, "no run of run=x. under out=.*; one of: copy/all-1, copy/all-4, sdedit/"),
    ],
)
def test_what_matches_nothing_is_told_what_there_is(tree, chosen, sentence):
    with pytest.raises(UserError, match=sentence):
        selected(tree, Selection(**chosen))


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """Three runs of two methods, scored by one profile."""
    out = tmp_path_factory.mktemp("runs")
    words = ["limit=3", "steps=2", "metrics=pixel", f"out={out}"]
    assert run.main(["method=copy", *words]) == 0
    assert run.main(["method=sdedit", "r=[0.3,0.5]", *words]) == 0
    return out


def test_reports_and_claims_of_some_runs(out, tmp_path, capsys):
    assert report([f"out={out}", "method=sdedit", "run=*r0.5*", "page=false", f"to={tmp_path}"]) == 0
    table = (tmp_path / "shapes.pixel-v1.table.md").read_text()
    assert [line.split()[3] for line in table.splitlines() if line.startswith(("| copy", "| sdedit"))] == ["0.5"]
    assert claims([f"out={out}", "run=copy/*", f"to={tmp_path}"]) == 0
    assert report([f"out={out}", "method=sdedt"]) == claims([f"out={out}", "method=sdedt"]) == 2
    assert capsys.readouterr().err.count("no run of method=sdedt under") == 2


def test_each_of_several_is_compared_with_the_first(out, capsys):
    assert compare.main([f"out={out}", "run=copy/*,sdedit/r0.3*,sdedit/r0.5*"]) == 0
    lines = capsys.readouterr().out.splitlines()
    sides = [line for line in lines if line.startswith(("A: ", "B: "))]
    assert [line.split("/")[-2] for line in sides] == ["copy", "sdedit", "copy", "sdedit"]
    assert "r0.3" in sides[1]
    assert "r0.5" in sides[3]
    assert compare.main([f"out={out}", "data=shapes", "method=copy"]) == 2
    assert "expected two runs" in capsys.readouterr().err


def test_the_best_of_some_runs(out, tmp_path):
    assert oracle.main([f"out={out}", "runs=[sdedit/*,copy/*]", "method=sdedit,copy", f"to={tmp_path}"]) == 0
    rows = (tmp_path / "table.md").read_text()
    assert all(name in rows for name in ("copy/all", "sdedit/r0.3", "sdedit/r0.5"))


def test_several_runs_are_scored_and_one_that_cannot_be_stops_no_other(out, capsys):
    assert score.main([f"out={out}", "method=copy,sdedit", "metrics=pixel", "metrics.columns=[mse]"]) == 0
    assert capsys.readouterr().out.count("3 of 3 scored") == 3
    (copy,) = out.glob("*/copy/*")
    changed = next((copy / "edits").glob("*.png"))
    before = changed.read_bytes()
    changed.write_bytes(next(out.glob("*/sdedit/*/edits/*.png")).read_bytes())
    try:
        assert score.main([f"out={out}", "run=*", "metrics=shapes", "metrics.columns=[mse,kept]"]) == 2
    finally:
        changed.write_bytes(before)
    printed = capsys.readouterr()
    assert printed.out.count("3 of 3 scored") == 2
    assert "pictures are not what the method made" in printed.err
    for file in out.glob("*/*/*/summary.shapes-v1.json"):
        assert "kept" in json.loads(file.read_text())["metrics"]
