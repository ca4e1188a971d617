"""Runs that were interrupted before they were scored: what the report says of them, and that its command goes on."""

import json
import shlex

import pytest

from bench import run
from bench.report import unfinished
from bench.report.__main__ import main as report


def interrupt(out, keep):
    """Makes runs as a kill leaves them: some lines of the journal, no scores."""
    for folder in (file.parent for file in out.glob("*/*/*/identity.json")):
        for file in [*folder.glob("summary.*"), *folder.glob("per_image.*")]:
            file.unlink()
        journal = next(folder.glob("edits-0of1.*.jsonl"))
        journal.write_text("".join(line + "\n" for line in journal.read_text().splitlines()[:keep]))


@pytest.mark.parametrize(
    "words", [["method=sdedit", "r=0.3", "steps=2"], ["method=siminversion", "control=none", "steps=2"]]
)
def test_the_report_says_how_to_go_on(tmp_path, capsys, words):
    out = tmp_path / "runs (1)"
    assert run.main([*words, "limit=3", "metrics=pixel", f"out={out}"]) == 0
    (folder,) = (file.parent for file in out.glob("*/*/*/identity.json"))
    interrupt(out, 1)
    capsys.readouterr()
    assert report([f"out={out}"]) == 2
    said = capsys.readouterr().err
    assert f"{folder} is interrupted, not scored: 1 of 3 samples edited; go on with: python -m bench.run " in said
    typed = shlex.split(said.rpartition("python -m bench.run ")[2])
    assert run.main(typed) == 0
    assert len(list(out.glob("*/*/*/identity.json"))) == 1
    assert len(next(folder.glob("edits-0of1.*.jsonl")).read_text().splitlines()) == 3
    assert not unfinished.under(out)


def test_a_run_that_a_shard_began_is_finished_as_a_whole(tmp_path, capsys):
    words = ["method=copy", "limit=4", "metrics=pixel", f"out={tmp_path}", "shard.count=3", "shard.index=1"]
    assert run.main(words) == 0
    (found,) = unfinished.under(tmp_path)
    assert found.edited == 1
    assert run.main(shlex.split(found.command)[3:]) == 0
    assert "4 of 4 scored" in capsys.readouterr().out


def test_beside_scored_runs_and_on_the_page(tmp_path, capsys):
    assert run.main(["method=copy", "limit=2", "metrics=pixel", f"out={tmp_path}"]) == 0
    interrupt(tmp_path, 2)
    assert run.main(["method=copy", "limit=2", "metrics=pixel", "data.seed=7", f"out={tmp_path}"]) == 0
    assert report([f"out={tmp_path}"]) == 0
    said = capsys.readouterr().out
    assert "is edited, not scored: 2 of 2 samples edited; go on with: python -m bench.score run=" in said
    facts = (tmp_path / "report/data.js").read_text().removeprefix("const REPORT = ").rstrip().rstrip(";")
    (table,) = (table for table in json.loads(facts)["overview"] if table["title"] == "Runs without scores")
    assert table["rows"][0]["cells"][1] == "edited, not scored: 2 of 2 samples edited"
