"""What the report says of the runs it finds."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench import run
from bench.errors import UserError
from bench.report import tables
from bench.report.__main__ import main, report
from bench.scores import labels
from bench.scores.selection import Selection
from bench.scores.stored import Scored


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """Copy, and two methods at two ratios, over the same six edits."""
    out = tmp_path_factory.mktemp("out")
    few = [f"out={out}", "steps=4", "limit=6"]
    assert run.main(["-m", "method=copy,sdedit", "r=[0.5,0.8]", *few]) == 0
    assert run.main(["method=diffedit", "method.n=2", "r=[0.5,0.8]", *few]) == 0
    return out


@pytest.fixture(scope="module")
def files(out):
    return report(out, rows=4)


def test_summary_has_a_row_for_each_operating_point(out, files):
    table = pd.read_csv(out / "summary.csv")
    assert table.method.tolist() == ["copy", "diffedit", "diffedit", "sdedit", "sdedit"]
    assert table.r.tolist()[1:] == [0.5, 0.8, 0.5, 0.8]
    for name in ("edit_success", "psnr_background", "mask_iou"):
        assert {name, f"{name}_lo", f"{name}_hi", f"{name}_n"} <= set(table)
    assert {"data", "model", "profile", "guidance", "steps", "seed", "n", "nfe", "nfe_spent"} <= set(table)
    assert "seconds" not in table  # of batches that several runs shared
    edited = table[table.method != "copy"]
    assert (edited.psnr_background_lo <= edited.psnr_background).all()
    assert (edited.psnr_background <= edited.psnr_background_hi).all()
    assert edited.nfe.tolist() == [4 + 6, 4 + 9, 4, 6]
    assert (edited.nfe_spent <= edited.nfe).all()


def test_summary_means_are_those_of_the_per_image_tables(out, files):
    table = pd.read_csv(out / "summary.csv")
    for _, row in table[table.method != "copy"].iterrows():
        images = pd.read_csv(f"{row.folder}/per_image.shapes-v1.csv")
        assert row.psnr_background == pytest.approx(images.psnr_background.mean())
        assert row.edit_success == pytest.approx(images.edit_success.mean())


def test_printed_table_names_profile_backbone_and_notice(out):
    text = tables.readable(tables.collect(out)).text()
    head = text.splitlines()
    assert head[0].startswith("data shapes; profile shapes-v1 (shapes judge); model shapes; N = 6; metric version 1 (")
    assert head[1] == "embedded model of a drawn world, comparable with no paper"
    assert "edit_success ↑ (%)" in text
    assert "perceptual ↓" in text


def test_pictures_and_the_numbers_behind_them(out, files):
    names = {file.name for file in files}
    stem = "shapes.shapes-v1.trade-off"
    assert names == {
        "shapes.shapes-v1.table.md",
        "shapes.shapes-v1.types.csv",
        f"{stem}.png",
        f"{stem}.pdf",
        f"{stem}.csv",
        "shapes.contact-sheet.png",
        "index.html",
    }
    plotted = pd.read_csv(out / "report" / f"{stem}.csv")
    assert plotted.method.tolist() == ["diffedit", "diffedit", "sdedit", "sdedit"]  # copy has no finite PSNR
    with Image.open(out / "report/shapes.contact-sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB")).reshape(-1, 3)
    assert (pixels == (255, 0, 90)).all(1).any()  # outlines of masks
    assert sheet.width > 7 * 112


def test_variants_name_the_knobs_that_differ(out):
    rows = tables.collect(out)
    assert set(rows.variant) == {""}
    run = rows.scored.iloc[1]
    other = Scored(run.folder, replace(run.summary, knobs=run.summary.knobs | {"threshold": 0.25}))
    assert labels.labels([run, other]) == ["threshold=0.5", "threshold=0.25"]


def test_what_most_runs_have_is_said_once(out):
    run = tables.collect(out).scored.iloc[1]
    others = [replace(run.summary, knobs=run.summary.knobs | more) for more in ({"threshold": 0.25}, {"n": 3})]
    runs = [run, *(Scored(run.folder, summary) for summary in others)]
    assert labels.labels(runs) == ["", "threshold=0.25", "n=3"]
    usual = labels.usual([labels.knobs(run) for run in runs])
    assert usual == {"threshold": 0.5, "n": run.summary.knobs["n"]}


def test_seeds_tell_runs_apart(out):
    run = tables.collect(out).scored.iloc[1]
    runs = [Scored(run.folder, replace(run.summary, seed=seed)) for seed in (0, 1, 2)]
    assert labels.labels(runs) == ["seed=0", "seed=1", "seed=2"]


def change(table, row, metric=None, **fields):
    """Another value in the summary of one run, or in what it says of a metric."""
    run = table.scored.iloc[row]
    if metric:
        fields = {"metrics": run.summary.metrics | {metric: replace(run.summary.metrics[metric], **fields)}}
    run.summary = replace(run.summary, **fields)


def test_incomplete_runs_are_marked(out):
    table = tables.collect(out)
    change(table, 1, n_expected=9)
    assert "6/9 incomplete" in tables.readable(table).text()


def test_cells_count_what_has_no_value(out):
    table = tables.collect(out)
    assert "nan=" not in tables.readable(table).text()
    change(table, 1, "psnr_background", n=3, n_nan=2)
    text = tables.readable(table).text()
    assert "(n=3, nan=2)" in text
    assert "nan=: without one; the others are identical" in text


def test_means_by_type_are_those_of_the_per_image_tables(out, files):
    types = pd.read_csv(out / "report/shapes.shapes-v1.types.csv")
    row = pd.read_csv(out / "summary.csv").iloc[1]
    images = pd.read_csv(f"{row.folder}/per_image.shapes-v1.csv")
    of_run = types[(types.method == row.method) & (types.r == row.r) & (types.metric == "mse")]
    assert of_run.n.sum() == 6
    expected = images.groupby("type").mse.mean()
    assert dict(zip(of_run.type, of_run.value, strict=True)) == pytest.approx(expected.to_dict())


def test_runs_scored_by_other_versions_or_weights_are_told_apart(out):
    table = tables.collect(out)
    assert "do not compare" not in tables.readable(table).text()
    change(table, 1, "ssim", version=2)
    assert "scored with different metric versions or weights" in tables.readable(table).text()


def test_doubtful_weights_and_different_n_are_said(out):
    table = tables.collect(out)
    change(table, 1, n=5)
    change(table, 2, doubts={"clip": "random"})
    text = tables.readable(table).text()
    assert "embedded model of a drawn world, comparable with no paper; scored with weights that may not" in text
    assert "clip is random" in text
    assert "fid: values for different n do not compare" in text
    assert "N = 5 to 6" in text


def test_figures_go_where_they_are_told(out, tmp_path):
    assert main([f"out={out}", f"to={tmp_path / 'figures'}", "rows=1", "data=shapes", "page=false"]) == 0
    table = (tmp_path / "figures/shapes.shapes-v1.table.md").read_text()
    assert table == tables.readable(tables.collect(out)).markdown() + "\n"
    assert len(list((tmp_path / "figures").iterdir())) == 7


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["out=/nowhere"], "no run under out=/nowhere"),
        (["ot=x"], "unknown option 'ot'; did you mean out"),
        (["rows=0", "out=."], "rows=0, expected a whole number from 1"),
        (["nonsense"], "unknown option 'nonsense'"),
    ],
)
def test_wrong_words(capsys, words, sentence):
    assert main(words) == 2
    assert sentence in capsys.readouterr().err


def test_unknown_data(out):
    with pytest.raises(UserError, match=r"no run of data=shape under .*did you mean shapes"):
        report(out, Selection(data=("shape",)))


def test_summaries_keep_what_comparing_runs_needs(out):
    """Half-samples of distances of sets, and the class of each sample; CSFID has too few images here."""
    run = tables.collect(out).scored.iloc[-1]
    fid = run.summary.metrics["fid"]
    assert (len(fid.halves), fid.halves_of) == (100, "group")
    assert run.summary.metrics["csfid"].halves == []
    images = pd.read_csv(f"{run.folder}/per_image.shapes-v1.csv")
    assert images.columns[:4].tolist() == ["id", "type", "group", "class"]
    assert images["class"].notna().all()
