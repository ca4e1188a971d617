"""An item in shards: nothing of it is written before all edits are there, and then what one process would write."""

import pandas as pd
import pytest

import bench.edits.edit
from bench.edits.folder import Store
from bench.reproduce import items
from bench.reproduce.__main__ import main

OWN = """
from bench.types import EditResult
class Dim:
    def __init__(self, by):
        self.by = by
    def __call__(self, model, batch, noise):
        if not self.by:
            raise RuntimeError("never works")
        return EditResult((batch.images // self.by).to(batch.images.dtype))
"""
HEAD = """
title: A title
source: nobody's paper
words: [data=shapes, limit=5, metrics=pixel, method=custom, method._target_=own_dim.Dim]
"""
TABLE = f"""{HEAD}
runs:
  Dim: ["+method.by=[1,2]"]
  Dim once: [+method.by=2]
  Dark: [+method.by=3]
metrics: [psnr, mse]
panels: [{{x: by, y: mse}}]
"""
PICTURES = f"""{HEAD}
runs: {{Dim: ["+method.by=[2,3]"]}}
grid: {{per_type: 2}}
"""
FAILING = f"""{HEAD}
runs: {{"Dim {{by}}": ["+method.by=[2,0]"], Dark: [+method.by=3]}}
metrics: [mse]
"""
NAMELESS = f"""{HEAD}
runs: {{"Dim {{nothing}}": [+method.by=2]}}
"""


@pytest.fixture(scope="module", autouse=True)
def paper(tmp_path_factory):
    folder = tmp_path_factory.mktemp("paper")
    (folder / "mine").mkdir()
    for name, text in {"table": TABLE, "pictures": PICTURES, "failing": FAILING, "nameless": NAMELESS}.items():
        (folder / f"mine/{name}.yaml").write_text(text)
    (folder / "own_dim.py").write_text(OWN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(items, "FOLDER", folder)
        patch.syspath_prepend(folder)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What one process writes."""
    out = tmp_path_factory.mktemp("whole")
    assert go(out) == 0
    return written(out)


def go(out, *words, item="mine/table"):
    return main([item, f"out={out}", "page=false", *words])


def shard(out, index, count=2, **item):
    return go(out, f"shard.count={count}", f"shard.index={index}", **item)


def written(out):
    """Tables and the numbers of figures, by name."""
    files = [*out.glob("tables/**/*.*"), *out.glob("figures/**/*.csv")]
    return {str(file.relative_to(out)): file.read_text() for file in files}


def test_the_last_shard_writes_what_one_process_writes(whole, tmp_path, capsys):
    assert len(whole) == 4
    assert shard(tmp_path, 0, count=3) == 0
    said = capsys.readouterr().out
    assert "mine/table: this shard is done, 9 edits wait for other shards" in said  # 3 runs, one of them in two rows
    assert "written" not in said
    assert shard(tmp_path, 2, count=3) == 0
    assert written(tmp_path) == {}
    assert not list(tmp_path.glob("shapes/*/*/summary*"))
    assert shard(tmp_path, 1, count=3) == 0
    assert written(tmp_path) == whole


def test_shards_that_work_at_the_same_time(whole, tmp_path, monkeypatch, capsys):
    """The first one sees the edits of SDEdit lack, which the other one makes before the first goes on."""
    edit, calls = bench.edits.edit.edit, []

    def interrupted(runs):
        calls.append(len(runs))
        if len(calls) == 2:
            assert shard(tmp_path, 1) == 0
            assert "mine/table: this shard is done, 3 edits wait" in capsys.readouterr().out
            assert written(tmp_path) == {}
        return edit(runs)

    monkeypatch.setattr(bench.edits.edit, "edit", interrupted)
    assert shard(tmp_path, 0) == 0
    assert calls == [2, 1, 2, 1]
    assert written(tmp_path) == whole
    for folder in tmp_path.glob("shapes/*/*"):
        lines = [line for file in folder.glob("edits-*.jsonl") for line in file.read_text().splitlines()]
        assert len(lines) == len(Store(folder).journal()) == 5


def test_a_later_command_without_shards_goes_on_from_there(whole, tmp_path):
    assert shard(tmp_path, 1) == 0
    assert go(tmp_path) == 0
    assert written(tmp_path) == whole


def test_pictures_wait_too(tmp_path):
    assert shard(tmp_path, 0, item="mine/pictures") == 0
    assert not list(tmp_path.glob("figures/**/*.png"))
    assert shard(tmp_path, 1, item="mine/pictures") == 0
    assert len(list(tmp_path.glob("figures/**/*.png"))) == 1


def test_rows_and_items_that_fail_cost_the_others_nothing(tmp_path, capsys):
    assert main(["mine/nameless", "mine/failing", "page=false", f"out={tmp_path}"]) == 2
    said = capsys.readouterr().err
    assert "names no knob of its runs" in said
    assert "failed on every sample of its first batch (RuntimeError: never works)" in said
    table = pd.read_csv(tmp_path / "tables/mine/failing.csv").set_index("row")
    assert table.n.fillna(0).to_dict() == {"Dim 2": 5, "Dim 0": 0, "Dark": 5}
    assert "never works" in table.why["Dim 0"]
