"""Seconds in tables: clocked for them, alone, and never taken from what runs shared."""

from types import SimpleNamespace

import pandas as pd
import pytest

from bench.reproduce import items, outcomes, timing
from bench.reproduce.__main__ import main

ITEM = """
title: A tiny table
source: nobody's paper
words: [data=shapes, limit=3, steps=2]
runs:
  Copy: [method=copy]
  SDEdit: [method=sdedit, "r=[0.5,1]"]
differences: {more: [SDEdit half, Copy]}
metrics: [seconds, nfe]
"""


@pytest.fixture
def clocked(tmp_path, monkeypatch):
    (tmp_path / "conf/mine").mkdir(parents=True)
    (tmp_path / "conf/mine/time.yaml").write_text(ITEM.replace("differences: {more: [SDEdit half, Copy]}\n", ""))
    monkeypatch.setattr(items, "FOLDER", tmp_path / "conf")
    monkeypatch.setattr(timing, "IMAGES", 2)
    return tmp_path


def table(out):
    found = pd.read_csv(out / "tables/mine/time.csv", keep_default_na=False)
    return found[found.metric == "seconds"]


def test_seconds_are_clocked_once_and_never_those_of_the_run(clocked):
    out = clocked / "out"
    words = ["mine/time", f"out={out}", "page=false"]
    assert main([*words, "run=false"]) == 0
    assert (table(out).ours == "").all()
    assert main(words) == 0
    file = out / "timed/mine-time/timed.csv"
    times = pd.read_csv(file)
    assert times.groupby("run").size().tolist() == [2, 2, 2]
    shown = table(out).set_index(["row", "point"])
    for (row, point), cell in shown.iterrows():
        folder = out / shown.loc[(row, point), "run"]
        key = folder.name.rsplit("-", 1)[1]
        mine = times[times.run.str.startswith(key)]
        assert float(cell.ours) == pytest.approx(mine.seconds.mean())
        assert float(cell.n) == 2
    assert "each run alone, on cpu" in (out / "tables/mine/time.md").read_text()
    assert not list(out.glob("shapes/*/*/edits/*.png.*"))

    times.assign(seconds=7.0).to_csv(file, index=False)  # what is there is read again
    assert main([*words, "run=false"]) == 0
    assert set(table(out).ours.map(float)) == {7}
    times[:2].to_csv(file, index=False)  # one is lacking: all are clocked again, in one sitting
    assert main(words) == 0
    assert pd.read_csv(file).groupby("run").size().tolist() == [2, 2, 2]


def test_runs_that_are_there_need_not_have_been_clocked(clocked):
    out = clocked / "out"
    assert main(["mine/time", f"out={out}", "page=false"]) == 0
    (out / "timed/mine-time/timed.csv").unlink()
    assert main(["mine/time", f"out={out}", "page=false", "run=false"]) == 0
    assert (table(out).ours == "").all()
    assert table(out).why.str.contains("has not been clocked here yet").all()


def test_pictures_made_elsewhere_have_no_seconds():
    point = outcomes.Point("theirs", "", {"method": {"uses": ["results"]}, "out": "/nowhere"}, {})
    point.run = SimpleNamespace(key="k")
    item = items.Item(name="mine/x", title="t", source="s", metrics=["seconds"])
    said, problems = timing.clock(item, [outcomes.Rows("theirs", None, [point])], may_run=True)
    assert (said, problems) == ([], [])
    assert point.cost("seconds") is None
    assert "made elsewhere" in point.untimed
