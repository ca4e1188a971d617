"""One command per table and figure: runs made once, values beside the published ones, verdicts that can be believed."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench.reproduce import cells, items, outcomes, published, verdicts
from bench.reproduce.__main__ import main
from bench.reproduce.published import Published
from bench.reproduce.verdicts import Cell
from bench.scores import stored
from bench.scores.stored import Summary
from bench.statistics.intervals import mean_interval

PRINTED = Published(value=25.18, decimals=2, source="a table", text="25.18")
TINY = """
title: A tiny table
source: nobody's paper
words: [data=shapes, limit=6, steps=4]
runs:
  Copy: [method=copy]
  SDEdit: [method=sdedit, "r=[0.5,0.9]"]
  SDEdit once: [method=sdedit, r=0.5]
  Encode-Decode {r}: [method=encode_decode, "r=[0.5,0.9]"]
best_of: {Best: [Encode-Decode 0.5, Encode-Decode 0.9]}
differences: {Change: [SDEdit once, Encode-Decode 0.5]}
metrics: [psnr, edit_success, fid, nfe]
panels: [{x: psnr, y: edit_success}, {x: r, y: psnr}]
published: {item: table9}
absent: {Elsewhere: nobody wrote it}
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A paper of one item with its printed values, and the folder that one run of it left."""
    folder = tmp_path_factory.mktemp("paper")
    (folder / "conf/mine").mkdir(parents=True)
    (folder / "conf/mine/tiny.yaml").write_text(TINY)
    (folder / "published").mkdir()
    lines = ["paper,item,method,settings,metric,value,source"]
    lines += [f"mine,table9,{row},,psnr,12.30,Table 9" for row in ("SDEdit once", "Elsewhere", "Best")]
    (folder / "published/mine.csv").write_text("\n".join(lines) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(items, "FOLDER", folder / "conf")
        patch.setattr(published, "FOLDER", folder / "published")
        published.load.cache_clear()
        out = folder / "out"
        assert main(["mine/tiny", f"out={out}", "page=false"]) == 0
        yield out
    published.load.cache_clear()


def table(out):
    return pd.read_csv(out / "tables/mine/tiny.csv", keep_default_na=False)


def one(out, row, metric, point=""):
    found = table(out)
    (index,) = found.index[(found.row == row) & (found.metric == metric) & (found.point == point)]
    return found.loc[index]


@pytest.mark.parametrize(
    ("ours", "tolerance", "reasons", "expected"),
    [
        (25.184, None, [], "matches"),
        (25.176, 0.0, [], "matches"),
        (25.19, None, [], "differs"),
        (25.28, 0.1, [], "matches"),
        (25.08, 0.1, [], "matches"),
        (25.29, 0.1, [], "differs"),
        (24.0, 0.1, [], "differs"),  # inside the interval, which is wide since pictures differ
        (25.18, 0.1, ["embedded model"], "not comparable"),
        (None, 0.1, ["embedded model"], "not run"),
        (float("inf"), None, [], "not run"),
    ],
)
def test_verdicts(ours, tolerance, reasons, expected):
    cell = Cell("a", "b", "c", "", "psnr", ours=ours, lo=20.0, hi=30.0, tolerance=tolerance, tolerated="three seeds")
    assert verdicts.verdict(cell, PRINTED, reasons)[0] == expected


def test_a_value_that_differs_says_by_how_much_and_what_was_tolerated():
    cell = Cell("a", "b", "c", "", "psnr", ours=24.18, lo=23.0, hi=26.0, tolerance=0.25, tolerated="3 seeds")
    said = "1.00 away, rounding explains 0.005 and 3 seeds 0.250"
    sampling = "within sampling: the published value lies in our 95 % interval over images"
    assert verdicts.verdict(cell, PRINTED, []) == ("differs", f"{said}; {sampling}")
    cell.tolerance, cell.tolerated, cell.hi = None, "what noise does is not measured", 25.0
    assert verdicts.verdict(cell, PRINTED, [])[1] == (
        "1.00 away, rounding explains 0.005; what noise does is not measured"
    )


def test_values_and_their_rows_are_those_of_the_runs(world):
    cell = one(world, "SDEdit", "psnr", "r = 0.9")
    scores = stored.read(world / cell.run, "shapes-v1").table
    assert float(cell.ours) == pytest.approx(scores.psnr.mean())
    assert (float(cell.n), float(cell.n_expected)) == (6, 6)
    assert float(one(world, "Encode-Decode 0.9", "nfe").ours) == 4 * 3  # four steps up, and down with two rows each
    assert one(world, "SDEdit", "r", "r = 0.5").ours == "0.5"
    assert one(world, "Copy", "r").ours == ""
    assert list(dict.fromkeys(table(world).row)) == [
        *("Copy", "SDEdit", "SDEdit once", "Encode-Decode 0.5", "Encode-Decode 0.9", "Best", "Change", "Elsewhere")
    ]


def test_derived_rows_are_made_image_by_image(world):
    scores = {
        row: stored.read(world / one(world, row, "psnr").run, "shapes-v1").table
        for row in ("SDEdit once", "Encode-Decode 0.5", "Encode-Decode 0.9")
    }
    best = np.maximum(scores["Encode-Decode 0.5"].psnr, scores["Encode-Decode 0.9"].psnr)
    assert float(one(world, "Best", "psnr").ours) == pytest.approx(best.mean())
    change = scores["SDEdit once"].psnr - scores["Encode-Decode 0.5"].psnr
    mean, low, high, _ = mean_interval(change.to_numpy(), scores["SDEdit once"].group.tolist())
    cell = one(world, "Change", "psnr")
    assert [float(cell[key]) for key in ("ours", "lo", "hi")] == pytest.approx([mean, low, high])
    assert one(world, "Best", "fid").ours == ""


def test_nothing_on_the_embedded_model_matches_a_paper(world):
    cell = one(world, "SDEdit once", "psnr")
    assert (cell.published, cell.verdict) == ("12.30", "not comparable")
    assert "embedded model of a drawn world" in cell.why
    assert "6 of 256 images" in cell.why
    assert one(world, "Best", "psnr").verdict == "not comparable"
    absent = one(world, "Elsewhere", "psnr")
    assert (absent.published, absent.verdict, absent.why) == ("12.30", "not run", "nobody wrote it")


def test_what_the_user_changes_cannot_match(world):
    item = items.load("mine/tiny")
    rows = outcomes.compose(item, ["steps=4", "seed=3", "batch_size=2"])
    point = rows[0].points[0]
    point.summary = Summary("shapes", "shapes-v1", {}, n=256)
    point.run = type("Run", (), {"data": type("Data", (), {"ids": list(range(256))})})
    words = ["steps=4", "batch_size=2", "data.root=x", "metrics.weights.judge.path=y"]
    assert cells._reasons(item, point, words) == []
    assert cells._reasons(item, point, [*words, "seed=3"]) == ["seed=3 is not what the paper ran"]
    point.summary = Summary("shapes", "shapes-v1", {}, n=255, n_failed=1)
    assert cells._reasons(item, point, words) == ["255 of 256 images, 1 failed"]


def test_what_must_be_said_of_rows_is_said_once():
    def cell(row, notice, ours=1.0):
        return Cell("a", "b", row, "", "psnr", ours=ours, notice=notice)

    of_all, of_some = "embedded model", "embedded model; sd3 at 64 px"
    assert verdicts.notices([cell("A", of_all), cell("B", of_all), cell("C", "", None)]) == [of_all]
    made = [cell("A", of_all), cell("B", of_some), cell("C", f"{of_some}; transferred; really"), cell("B", of_some)]
    assert verdicts.notices(made) == [of_all, "sd3 at 64 px (B, C)", "transferred; really (C)"]
    assert verdicts.notices([*made, cell("D", "")])[0] == "embedded model (A, B, C)"


def test_tables_and_figures_are_written_in_every_form(world):
    text = (world / "tables/mine/tiny.md").read_text()
    assert "Notice: embedded model of a drawn world, comparable with no paper" in text
    assert "| ↳ published" in text
    assert "- published values: Table 9" in text
    assert "Of 3 published values: 2 not comparable, 1 not run" in text
    tex = (world / "tables/mine/tiny.tex").read_text()
    assert all(word in tex for word in (r"\toprule", r"\bottomrule", r"\shortstack[r]{edit success", "embedded model"))
    with Image.open(world / "figures/mine/tiny.png") as image:
        assert image.width > 1000
    assert (world / "figures/mine/tiny.pdf").stat().st_size > 5000
    points = pd.read_csv(world / "figures/mine/tiny.csv")
    assert len(points[(points.row == "SDEdit") & (points.x_metric == "r")]) == 2


def test_only_what_is_missing_is_run(world, capsys):
    before = {file: file.stat().st_mtime_ns for file in world.glob("shapes/*/*/edits/*.png")}
    assert main(["mine/tiny", f"out={world}", "limit=2", "page=false", f"to={world / 'elsewhere'}"]) == 0
    assert before == {file: file.stat().st_mtime_ns for file in world.glob("shapes/*/*/edits/*.png")}
    assert "| Copy " in capsys.readouterr().out
    assert pd.read_csv(world / "elsewhere/tables/mine/tiny.csv").n.max() == 2
    assert {run.summary.n for run in stored.under(world)} == {6}  # what reports and claims read
    assert main(["mine/tiny", f"out={world / 'empty'}", "run=false", "page=false"]) == 0
    assert not list((world / "empty").glob("shapes/*/*/edits"))
    assert one(world / "empty", "SDEdit once", "psnr").verdict == "not run"
    assert main(["mine/tiny", f"out={world}", "page=false"]) == 0


def test_a_run_changed_by_hand_stops_its_row_alone(world, capsys):
    run = world / one(world, "Encode-Decode 0.9", "psnr").run
    file = next(iter(sorted((run / "edits").glob("*.png"))))
    original = file.read_bytes()
    Image.new("RGB", (64, 64), "red").save(file)
    try:
        assert main(["mine/tiny", f"out={world}", "page=false"]) != 0
        assert "not the pictures that the method made" in capsys.readouterr().err
        assert one(world, "Encode-Decode 0.9", "psnr").ours == ""
        assert one(world, "Encode-Decode 0.5", "psnr").ours != ""
        assert "not the pictures" in one(world, "Best", "psnr").why
    finally:
        file.write_bytes(original)
    assert main(["mine/tiny", f"out={world}", "page=false"]) == 0


def test_scores_of_an_older_metric_are_named_and_made_anew_on_request(world, capsys, monkeypatch):
    from metrics.pixel import Psnr

    monkeypatch.setattr(Psnr, "version", Psnr.version + 1)
    monkeypatch.setattr("bench.scores.seal.code", lambda: "changed")
    words = ["mine/tiny", f"out={world}", "page=false"]
    assert main(words) != 0
    said = capsys.readouterr().err
    assert "psnr version 1, now 2" in said
    assert "rescore=true" in said
    assert one(world, "Copy", "psnr").ours == ""
    assert main([*words, "rescore=true"]) == 0
    file = world / one(world, "SDEdit once", "psnr").run / "summary.shapes-v1.json"
    assert json.loads(file.read_text())["metrics"]["psnr"]["version"] == 2
    monkeypatch.undo()
