"""What a number rests on, in a line."""

import json
import re

import pytest

from bench import run
from bench.cite import __main__ as cite
from bench.report import words

RUN = ["limit=3", "steps=2", "metrics=shapes", "metrics.columns=[kept,mse]"]


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    for more in (["method=diffedit", "method.threshold=0.4", "method.n=2"], ["method=copy"]):
        assert run.main([*more, *RUN, f"out={out}"]) == 0
    return out


def told(capsys, *words):
    assert cite.main(list(words)) == 0
    return capsys.readouterr().out.splitlines()


def test_a_line_says_all_that_a_number_rests_on(out, capsys):
    (folder,) = out.glob("*/diffedit/*")
    (line,) = told(capsys, f"run={folder}")
    (facts,) = (json.loads(file.read_text()) for file in (folder / "env").glob("*.json"))
    summary = json.loads((folder / "summary.shapes-v1.json").read_text())
    assert words.commit(facts) in line
    assert "method diffedit v1 (r=0.5, guidance=4, steps=2, n=2, reference=caption, threshold=0.4); " in line
    assert re.search(r"; model shapes \(weights [0-9a-f]{10}, float32\); data shapes \([0-9a-f]{10}\); ", line)
    judge = summary["weights"]["judge"][:10]
    assert f"metric profile shapes-v1 (shapes judge; weights judge {judge}); n = 3; seed 0; " in line
    assert line.endswith("; embedded model of a drawn world, comparable with no paper")


def test_random_weights_and_changed_scores_are_said(out, capsys):
    (folder,) = out.glob("*/copy/*")
    (line,) = told(capsys, f"out={out}", "method=copy")
    assert "no model; " in line
    assert line.endswith("; no noise")
    file = folder / "summary.shapes-v1.json"
    summary = json.loads(before := file.read_text())
    file.write_text(json.dumps(summary | {"doubts": {"judge": "random"}}))
    (line,) = told(capsys, f"out={out}", "run=copy/*")
    file.write_text(before)
    assert "scored with weights that may not compare: judge is random" in line
    assert "changed since it was written" in line


def test_several_runs_are_a_line_each_and_one_without_scores_is_named(out, capsys):
    (folder,) = out.glob("*/copy/*")
    assert len(told(capsys, f"out={out}", "data=shapes")) == 2
    file = folder / "summary.shapes-v1.json"
    file.rename(folder / "hidden")
    assert cite.main([f"out={out}", "data=shapes"]) == 2
    printed = capsys.readouterr()
    (folder / "hidden").rename(file)
    assert printed.out.count("\n") == 1
    assert f"{folder} holds no scores" in printed.err


def test_nothing_chosen_is_a_sentence(capsys):
    assert cite.main([]) == 2
    assert "expected run=<folder or pattern>" in capsys.readouterr().err
