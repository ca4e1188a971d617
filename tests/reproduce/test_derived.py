"""Rows made of other rows, and what tables mark: known values in, known values out."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bench.reproduce import derived, marks, plots, published, tables
from bench.reproduce.items import Item
from bench.reproduce.outcomes import Point
from bench.reproduce.verdicts import Cell
from bench.scores.stored import Fact, Summary
from bench.statistics.intervals import half_sample_interval, half_samples, reduction_interval

IDS = [f"{i}" for i in range(8)]
CFG = {"data": {"name": "d"}, "metrics": {"name": "p"}}
DISTANCE = Fact("distance", 1, False, "x 10^3", "pair")
FID = Fact("fid", 1, False, "", "set", halves_of="group")
TITLED = {"title": "A title", "source": "a paper"}


def point(row, values, fid=None, halves=(), name="", nfe=10.0, ids="same"):
    table = pd.DataFrame({"distance": np.array(values, float), "group": IDS}, index=IDS)
    facts = {"fid": replace(FID, value=fid, halves=list(halves))}
    summary = Summary("d", "p", {"distance": DISTANCE, **facts}, n=8, n_expected=8, ids=ids, nfe=nfe)
    return Point(row, name, CFG, {}, summary=summary, scores=table)


def derive(points, columns=("distance", "fid"), **said):
    item = Item(name="siminversion/x", **TITLED, **said)
    facts = {"distance": DISTANCE, "fid": FID}
    of = derived.Sources(item, points, list(columns), facts, {id(one): [] for one in points})
    return {(cell.row, cell.point, cell.metric): cell for cell in derived.rows(of)}


def test_a_difference_may_be_made_of_the_best_of_several():
    first, second, other = point("a", [4] * 8), point("b", [2, 6] * 4), point("c", [8] * 8)
    made = derive([first, second, other], best_of={"best": ["a", "b"]}, differences={"gain": ["best", "c"]})
    assert made["best", "", "distance"].ours == 3
    assert made["gain", "", "distance"].ours == -5
    assert "whole sets" in made["best", "", "fid"].why
    assert "whole sets" in made["gain", "", "fid"].why


def test_a_reduction_is_that_of_the_means_in_percent():
    made = derive([point("a", range(1, 9)), point("b", [9] * 8)], reductions={"less": ["a", "b"]})
    cell = made["less", "", "distance"]
    assert cell.ours == pytest.approx(50)
    assert cell.lo < 50 < cell.hi
    assert cell.kind == "reduction"
    shown = tables.tabulate(Item(name="x/y", **TITLED), [cell])
    assert shown.iloc[0, 2].startswith("50.00 ±")
    assert shown.iloc[0, 2].endswith(" % (few)")


def test_distances_of_sets_differ_by_what_their_common_half_samples_say():
    rng = np.random.default_rng(0)
    halves = [rng.normal(20, 1, 100), rng.normal(25, 1, 100)]
    pair = [point("a", [1] * 8, 20.0, halves[0]), point("b", [1] * 8, 26.5, halves[1])]
    cell = derive(pair, differences={"gap": ["a", "b"]})["gap", "", "fid"]
    assert cell.ours == -6.5
    assert (cell.lo, cell.hi) == pytest.approx(half_sample_interval(-6.5, halves[0] - halves[1], IDS))
    other = [pair[0], point("b", [1] * 8, 26.5, halves[1], ids="others")]
    cell = derive(other, differences={"gap": ["a", "b"]})["gap", "", "fid"]
    assert cell.ours is None
    assert "different samples" in cell.why


def test_costs_differ_as_they_were_counted_and_clocked():
    first, second = point("a", [1] * 8, nfe=30), point("b", [1] * 8, nfe=12)
    second.seconds = (2.0, 1.5, 2.5, 5)
    made = derive([first, second], columns=("nfe", "seconds"), differences={"more": ["a", "b"]})
    assert made["more", "", "nfe"].ours == 18
    assert made["more", "", "seconds"].ours is None
    first.seconds = (5.0, 4.0, 6.0, 5)
    assert derive([first, second], ("seconds",), differences={"more": ["a", "b"]})["more", "", "seconds"].ours == 3


def test_what_is_printed_of_two_rows_alone_stands_beside_their_difference():
    halves = np.zeros(100)
    pair = [point("GLIDE", [1] * 8, 26.0, halves), point("ours", [1] * 8, 23.0, halves)]
    rows = {
        "GLIDE": {"method": "DiffEdit", "settings": {"mask_operator": "glide"}},
        "ours": {"method": "DiffEdit", "settings": {"mask_operator": "latent"}},
    }
    said = {"paper": "diffedit", "item": "text_4.2", "metrics": {"fid": "csfid"}, "rows": rows}
    cell = derive(pair, differences={"gap": ["GLIDE", "ours"]}, published=said)["gap", "", "fid"]
    assert (cell.published, cell.ours) == ("2.8", 3.0)
    assert "section 4.2" in cell.source
    values = [
        published.lookup("diffedit", "text_4.2", "DiffEdit", {"mask_operator": o}, "csfid") for o in ["glide", "latent"]
    ]
    assert values[0].minus(values[1]).rounding == pytest.approx(0.1)  # each is rounded


def test_a_row_that_does_not_exist_gets_a_sentence():
    with pytest.raises(Exception, match=r"gap is made of 'aa'.*did you mean a"):
        derive([point("a", [1] * 8)], differences={"gap": ["a", "aa"]})


def test_percent_below_another_mean():
    a, b = np.array([1.0, 2, 3, np.nan]), np.array([2.0, 4, 6, 8])
    value, low, high, n = reduction_interval(a, b, list("wxyz"))
    assert (value, n) == (pytest.approx(50), 3)
    assert (low, high) == pytest.approx((50, 50))  # each value is half the other
    assert np.isnan(reduction_interval(a[:1], b[:1], ["w"])[1])
    assert np.isnan(reduction_interval(a[3:], b[3:], ["w"])[0])
    assert len(half_samples(IDS)) == 100


# --- what tables mark ---


def cell(row, ours, n=8, **more):
    more = {"metric": "distance", "heading": "Group, distance ↓", "higher_is_better": False, "point": ""} | more
    return Cell("x/y", "t", row, ours=ours, n=n, n_expected=n, **more)


def test_the_best_is_bold_the_second_underlined_and_another_n_is_neither():
    item = Item(name="x/y", best_of={"best": ["a", "b"]}, **TITLED)
    cells = [cell("a", 3.0), cell("b", 2.0), cell("c", 3.0), cell("few", 1.0, n=4), cell("best", 0.5)]
    assert marks.best(item, cells, "ours") == {
        ("a", "", "distance"): 2,
        ("b", "", "distance"): 1,
        ("c", "", "distance"): 2,
    }
    shown = tables.tabulate(item, cells).set_index("")
    assert shown["Group, distance ↓"].tolist() == ["<u>3.00</u>", "**2.00**", "<u>3.00</u>", "1.00", "0.500"]
    assert shown.n.tolist() == ["8", "8", "8", "4 (others: 8)", "8"]
    remarks = tables.remarks(item, cells)
    assert "of other pictures than the rest: few (n = 4); they do not compare and are never best" in remarks
    curves = replace(item, panels=[{"x": "distance", "y": "distance"}])
    assert marks.best(curves, cells, "ours") == {}


def test_rows_of_other_pictures_are_said_in_figures_too(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(
        plots.style, "finish", lambda figure, title, notes, stem: said.append(notes) or plots.plt.close(figure) or []
    )
    cells = [cell(row, 1.0 + i, point=f"r = {i}", n=n) for row, n in [("a", 8), ("b", 8), ("few", 4)] for i in (0, 1)]
    cells[0].n = 5
    item = Item(name="x/y", **TITLED)
    plots.dots(item, cells, [], tmp_path / "t")
    plots.curves(replace(item, panels=[{"x": "distance", "y": "distance"}]), cells, [], tmp_path / "t")
    others = "of other pictures than the rest: a, r = 0 (n = 5), few (n = 4)"
    assert [notes[-1] for notes in said] == [others, others]
    plots.dots(item, cells[1:4], [], tmp_path / "t")
    assert "other pictures" not in said[-1][-1]


def test_what_reads_alike_is_equally_good_and_costs_are_not_marked():
    item = Item(name="x/y", **TITLED)
    cells = [cell("a", 1.001), cell("b", 1.002), cell("c", 5.0)]
    assert marks.best(item, cells, "ours") == {(row, "", "distance"): 1 + (row == "c") for row in "abc"}
    assert marks.best(item, [replace(one, kind="cost") for one in cells], "ours") == {}


def test_latex_groups_columns_and_writes_marks():
    item = Item(name="x/y", **TITLED)
    cells = [cell("a_b", -1.0), cell("b", 2.0), cell("a_b", 1.0, metric="m", heading="NFE", higher_is_better=None)]
    tex = tables.readable(item, cells, []).latex("x")
    assert r" &  & \multicolumn{1}{c}{Group} &  \\" in tex
    assert r"\cmidrule(lr){3-3}" in tex
    assert r"a\_b & 8 & \textbf{$-$1.00} & 1.00 \\" in tex
    assert r"\underline{2.00}" in tex
    assert r"\begin{table*}" in tex
    assert tex.count("{") == tex.count("}")


def test_seconds_do_not_count_as_the_pictures_of_a_row():
    clocked = cell("a", 1.0, n=5, metric="seconds", kind="cost")
    assert marks.counts([cell("a", 1.0, n=128), clocked]) == {("a", ""): 128}
    assert marks.usual({}) is None
