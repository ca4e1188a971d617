"""Plots and contact sheets of many runs."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from matplotlib import pyplot as plt
from PIL import Image

from bench import run
from bench.report import figures, sheets, style, tables
from bench.scores.stored import Scored


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Twenty-five variants of a run of three edits, as a table."""
    out = tmp_path_factory.mktemp("out")
    assert run.main([f"out={out}", "method=sdedit", "r=0.5", "steps=2", "limit=3"]) == 0
    first = tables.collect(out).scored.iloc[0]
    runs = []
    for number in range(25):
        metrics = first.summary.metrics
        psnr = replace(metrics["psnr_background"], value=10.0 + number, lo=9.0 + number, hi=11.0 + number)
        knobs = first.summary.knobs | {"guidance": number}
        summary = replace(first.summary, knobs=knobs, metrics=metrics | {"psnr_background": psnr})
        folder = shutil.copytree(first.folder, out / "copies" / f"{number:02d}")
        runs.append(Scored(folder, summary))
    return tables.frame(runs)


def test_a_contact_sheet_is_twelve_columns_wide_at_most(many, tmp_path):
    written = figures.contact_sheet(many, tmp_path / "sheet", rows=2)
    assert [file.name for file in written] == ["sheet.png", "sheet.2.png", "sheet.3.png"]
    for file in written:
        with Image.open(file) as image:
            assert image.width <= 12 * (sheets.CELL + 4) + 4
    few = figures.contact_sheet(many[:10], tmp_path / "few", rows=2)
    assert [file.name for file in few] == ["few.png"]
    with Image.open(few[0]) as image:
        assert image.width == 12 * (sheets.CELL + 4) + 4


def test_every_run_is_on_one_sheet(many, tmp_path, monkeypatch):
    heads = []
    sheet = sheets.sheet
    monkeypatch.setattr(
        sheets, "sheet", lambda title, names, *rest: heads.append((title, names)) or sheet(title, names, *rest)
    )
    figures.contact_sheet(many, tmp_path / "sheet", rows=1)
    assert [title for title, _ in heads] == [f"Edits of shapes ({n} of 3)" for n in (1, 2, 3)]
    assert all(names[:2] == ["source", "truth"] for _, names in heads)
    named = [name for _, names in heads for name in names[2:]]
    assert len(named) == len(set(named)) == 25


def test_no_two_curves_of_a_plot_share_a_colour_or_a_mark_and_the_legend_is_outside(many, tmp_path, monkeypatch):
    drawn = []
    finish = style.finish

    def watched(figure, *rest):
        (axes,) = figure.axes
        figure.canvas.draw()
        beside = [legend.get_window_extent().overlaps(axes.get_window_extent()) for legend in figure.legends]
        drawn.append((axes.get_lines(), axes.get_xlim(), axes.get_ylim(), beside))
        return finish(figure, *rest)

    monkeypatch.setattr(style, "finish", watched)
    written = figures.trade_off(many, tmp_path / "plot")
    stems = ["plot", "plot.2", "plot.3"]
    assert [file.name for file in written] == [*(f"{s}.{form}" for s in stems for form in ("png", "pdf")), "plot.csv"]
    curves = [[line for line in lines if not line.get_label().startswith("_")] for lines, *_ in drawn]
    assert [len(of_plot) for of_plot in curves] == [8, 8, 9]
    for of_plot in curves:
        assert (
            len({line.get_color() for line in of_plot}) == len({line.get_marker() for line in of_plot}) == len(of_plot)
        )
    assert len({line.get_label() for of_plot in curves for line in of_plot}) == 25
    assert len({(x, y) for _, x, y, _ in drawn}) == 1
    assert [beside for *_, beside in drawn] == [[False]] * 3
    assert not plt.get_fignums()


def test_a_sample_without_a_true_edit_leaves_its_place_empty(many, tmp_path, monkeypatch):
    lines = []
    sheet = sheets.sheet
    monkeypatch.setattr(sheets, "sheet", lambda *given: lines.extend(given[2]) or sheet(*given))
    start = sheets.start
    taken = iter([True, False, False])

    def without_first(sample):
        found = start(sample)
        if next(taken):
            found.pop("truth")
        return found

    monkeypatch.setattr(sheets, "start", without_first)
    figures.contact_sheet(many[:1], tmp_path / "sheet", rows=3)
    assert [line.pictures[1] is None for line in lines] == [True, False, False]
    assert {len(line.pictures) for line in lines} == {3}


@pytest.mark.parametrize(("count", "sizes"), [(1, [1]), (12, [12]), (13, [6, 7]), (25, [8, 8, 9])])
def test_pages_are_alike(count, sizes):
    found = sheets.pages(list(range(count)), 12)
    assert [len(page) for page in found] == sizes
    assert np.concatenate(found).tolist() == list(range(count))


def test_equal_pages_are_equal_bytes(tmp_path):
    """A PDF would have the time, and the name of the file that it is first written to."""
    page = Image.new("RGB", (8, 8))
    (first,) = sheets.save(page, tmp_path / "page", ["pdf"])
    content = first.read_bytes()
    assert b"Date" not in content
    assert content == sheets.save(page, tmp_path / "page", ["pdf"])[0].read_bytes()
