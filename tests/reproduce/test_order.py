"""Whether the rows of a paper come in the same order."""

import numpy as np
import pandas as pd
import pytest

from bench.reproduce import order
from bench.reproduce.items import Item
from bench.reproduce.outcomes import Point, Rows
from bench.reproduce.verdicts import NOT_RUN, Cell
from bench.scores.stored import Fact, Summary

COUNT = 40
HARD = 10 * np.random.default_rng(0).standard_normal(COUNT)


def places(means, published, halves=None, noise=0.1, **item):
    """An item's rows A, B, C, ... with one metric each, of the same images, some of which are harder than others."""
    rng, rows, cells = np.random.default_rng(1), [], []
    for i, (name, mean) in enumerate(means.items()):
        values = mean + HARD + noise * rng.standard_normal(COUNT)
        groups = {"group": [str(k) for k in range(COUNT)], "class": [str(k % 10) for k in range(COUNT)]}
        table = pd.DataFrame({"psnr": values} | groups, index=[str(k) for k in range(COUNT)])
        kind = "set" if halves else "pair"
        more = {"halves": halves[i], "halves_of": "class"} if halves else {}
        fact = Fact("psnr", 1, True, "", kind, value=values.mean(), **more)
        summary = Summary("pie", "pie-v2", {"psnr": fact})
        rows.append(Rows(name, None, [Point(name, "", {}, {}, summary=summary, scores=table)]))
        cell = Cell("a/b", "t", name, "", "psnr", kind=kind, published=published[i], verdict="differs")
        cell.ours = mean if halves else values.mean()
        cells.append(cell)
    return Item("a/b", "t", "s", **item), rows, cells


def test_the_papers_order():
    (said,) = order.sentences(*places({"A": 1, "B": 2, "C": 3}, ["25.1", "25.2", "25.3"]))
    assert said == "order of the paper's 3 rows in psnr: Kendall's tau 1.00; no pair is the other way round"


def test_pairs_the_other_way_round_are_told_from_noise():
    """B and C swap by 1, which is far beyond noise though images differ by 10; C and D by next to nothing."""
    item, rows, cells = places({"A": 1, "B": 3, "C": 2, "D": 1.999}, ["25.1", "25.2", "25.3", "25.4"])
    (said,) = order.sentences(item, rows, cells)
    assert "Kendall's tau 0.00; 3 of 6 pairs are the other way round, 2 of them beyond noise" in said
    assert "B - C: +0.9" in said
    assert "paper -0.100" in said
    assert "C - D" not in said


def test_tied_and_missing_rows():
    item, rows, cells = places({"A": 1, "B": 1, "C": 3, "D": 9}, ["25.1", "25.1", "25.3", "25.2"])
    cells[3].verdict = NOT_RUN
    (said,) = order.sentences(item, rows, cells)
    assert "3 rows in psnr" in said
    assert "no pair is the other way round" in said
    assert order.sentences(item, rows, cells[:2]) == []
    for cell in cells:
        cell.ours = 1.0
    assert order.sentences(item, rows, cells)[0].endswith("ours are all the same")


@pytest.mark.parametrize(("spread", "beyond"), [(0.01, 1), (5.0, 0)])
def test_distances_of_sets_go_by_their_half_samples(spread, beyond):
    both = 5 * np.random.default_rng(0).standard_normal(100)
    own = spread * np.random.default_rng(1).standard_normal((3, 100))
    halves = [(value + both + noise).tolist() for value, noise in zip((1, 3, 2), own, strict=True)]
    (said,) = order.sentences(*places({"A": 1, "B": 3, "C": 2}, ["1.0", "2.0", "3.0"], halves))
    assert f"1 of 3 pairs are the other way round, {beyond} of them beyond noise" in said


def test_the_best_of_several_rows_is_one_of_them():
    """Star is the better of A and B image by image, and a row of the paper."""
    item, rows, cells = places({"A": 1, "B": 1.001, "C": 3}, ["25.1", "25.2", "25.3"], best_of={"Star": ["A", "B"]})
    star = Cell("a/b", "t", "Star", "", "psnr", kind="derived", ours=1.2, published="26.0", verdict="differs")
    (said,) = order.sentences(item, rows, [*cells, star])
    assert "4 rows in psnr" in said
    assert "C - Star: +1." in said
    item, rows, cells = places({"A": 1, "B": 2, "C": 3}, ["25.1", "25.2", "25.3"], differences={"B": ["A", "C"]})
    assert order.sentences(item, rows, cells) == []
