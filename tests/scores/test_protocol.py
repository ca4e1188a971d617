"""Which stored columns stand side by side, on real runs of the embedded world."""

from types import SimpleNamespace

import pandas as pd
import pytest
from omegaconf import OmegaConf

from bench import compare, run
from bench.config.cli import CONF
from bench.errors import UserError
from bench.report import figures, tables
from bench.report.page import content
from bench.reproduce import cells
from bench.reproduce import tables as items_tables
from bench.reproduce.items import Item
from bench.reproduce.outcomes import Point, Rows
from bench.scores import protocol, rescore, stored
from bench.scores.score import score
from bench.scores.selection import ALL

WORDS = ["data=shapes", "metrics=pixel", "limit=6"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The copies of six pictures, and others made of copies of the same, scored alike."""
    out = tmp_path_factory.mktemp("protocol")
    for number in range(2):
        assert run.main([*WORDS, "method=copy", f"out={out}/{number}"]) == 0
    return [next((out / f"{number}").glob("*/copy/*")) for number in range(2)]


def rescored(folder, *words):
    """The run, scored again with other words."""
    return score(rescore.finished(folder, ["metrics.plot.x=mse", *words]))


def test_the_same_twice_compares_in_all_columns(pair):
    first, second = (rescored(folder) for folder in pair)
    names, reasons = protocol.columns([first, second])
    assert (names, reasons) == (list(first.summary.metrics), {})


@pytest.mark.parametrize("words", [["+metrics.ssim.border=0"], ["metrics.size=64"], ["+metrics.psnr.region=frame"]])
def test_what_is_said_aloud_and_is_so_anyway_makes_no_difference(pair, words):
    """Defaults of arguments, and the size that the pictures have."""
    default = protocol.of(rescored(pair[0]), "ssim")["border"]
    words = [word.replace("border=0", f"border={default}") for word in words]
    assert protocol.columns([rescored(pair[0]), rescored(pair[1], *words)])[1] == {}


@pytest.mark.parametrize(
    ("words", "reasons"),
    [
        (["+metrics.ssim.border=3"], {"ssim": "border {border} and 3"}),
        (["+metrics.jpeg=75"], dict.fromkeys(["psnr_background", "psnr", "ssim", "mse"], "jpeg none and 75")),
        (["metrics.size=32"], dict.fromkeys(["psnr_background", "psnr", "ssim", "mse"], "size 64 and 32")),
        (["+metrics.mine={_target_: metrics.pixel.Mse}"], {"mine": "{first} is scored without it"}),
    ],
)
def test_only_the_columns_that_a_knob_reaches_are_kept_apart(pair, words, reasons):
    first, second = rescored(pair[0]), rescored(pair[1], *words)
    try:
        facts = {"border": protocol.of(first, "ssim")["border"], "first": pair[0].name}
        found = protocol.columns([first, second])[1] if len(reasons) == 1 else None
        for name, why in reasons.items():
            assert protocol.unlike(first, second, name) == why.format(**facts)
        if found is not None:
            assert list(found) == list(reasons)
    finally:
        rescored(pair[1])


def test_nothing_that_compares_is_one_sentence(pair, capsys):
    rescored(pair[1], "metrics.size=32")
    try:
        assert compare.main([str(folder) for folder in pair]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert "size 64 and 32" in line
        assert "score them alike" in line
    finally:
        rescored(pair[1])


def test_tables_and_plots_say_which_values_do_not_compare(pair, tmp_path):
    """Two runs scored alike and one with another border."""
    third = rescored(pair[1], "+metrics.ssim.border=3")
    try:
        runs = [rescored(pair[0]), stored.read(pair[0], third.summary.profile), third]
        part = tables.frame(runs)
        assert [bool(said) for said in part.apart] == [run is third for run in part.scored]
        text = tables.readable(part).text()
        assert f"ssim: border 3 instead of {protocol.of(runs[0], 'ssim')['border']}, in" in text, text
        assert sum("≠" in line for line in text.splitlines() if line.startswith("|")) == 1
        figures.trade_off(part, tmp_path / "plot")
        assert len(pd.read_csv(tmp_path / "plot.csv")) == 2
        (plot,) = content.contents(part, pair[0].parents[2], ALL)["plots"]
        shown = [point["values"].keys() & {"ssim", "mse"} for point in plot["points"]]
        assert sorted(map(len, shown)) == [1, 2, 2]
        assert any("not drawn, scored otherwise: ssim: border 3" in notice for notice in plot["notices"])
    finally:
        rescored(pair[1])


def test_rows_of_items_that_do_not_compare(pair):
    """What is made of them is not computed, and they are neither best nor drawn."""
    runs = [rescored(pair[0]), stored.read(pair[0], "pixel-v1"), rescored(pair[1], "+metrics.ssim.border=3")]
    try:
        cfg = {"data": {"name": "shapes"}, "metrics": OmegaConf.load(CONF / "metrics/pixel.yaml")}
        points = []
        for row, scored in zip("abc", runs, strict=True):
            run = SimpleNamespace(folder=scored.folder, data=SimpleNamespace(ids=range(6)))
            points.append(Point(row, "", cfg, {}, run=run, summary=scored.summary, scores=scored.table))
        item = Item("x/y", "title", "source", metrics=["ssim", "mse"], best_of={"best": ["a", "c"], "same": ["a", "b"]})
        found = {(cell.row, cell.metric): cell for cell in cells.of_item(item, [Rows("", cfg, points)], [])}
        border = protocol.of(runs[0], "ssim")["border"]
        assert found["c", "ssim"].apart == f"scored with border 3 instead of {border}, as most rows are"
        assert [key for key, cell in found.items() if cell.apart] == [("c", "ssim")]
        best = found["best", "ssim"]
        assert (best.ours, best.verdict) == (None, "not comparable")
        assert best.why == f"its rows are scored with border {border} and 3"
        assert [found[key].ours for key in (("best", "mse"), ("same", "ssim"))] == [0.0, 100.0]
        assert found["same", "ssim"].groups == 6
        assert "so that they do not compare and are never best or drawn: ssim of c" in " ".join(
            items_tables.remarks(item, list(found.values()))
        )
    finally:
        rescored(pair[1])


def test_a_mean_over_types_is_another_mean_of_the_same_scores(tmp_path):
    """Said in the summary and the table, and not set beside a mean over pictures."""
    assert (
        run.main([*WORDS, "limit=3", "data.types=[colour,object]", "method=sdedit", "steps=2", f"out={tmp_path}"]) == 0
    )
    (folder,) = tmp_path.glob("shapes/sdedit/*")
    plain, other = stored.read(folder, "pixel-v1"), rescored(folder, "metrics.mean=types")
    wanted = {"size": 64, "jpeg": None, "mean": "types"}
    assert (other.summary.protocol, plain.summary.protocol) == (wanted, wanted | {"mean": "pictures"})
    of_types = other.table.groupby("type").mse.mean()
    fact, before = other.summary.metrics["mse"], plain.summary.metrics["mse"]
    assert (fact.value, fact.n) == (pytest.approx(of_types.mean()), 3)
    assert abs(fact.value - before.value) > 1e-3 * before.value
    assert protocol.unlike(plain, other, "mse") == "mean over pictures and types"
    assert "means over edit types" in tables.readable(tables.frame([other])).text()
    assert "means over" not in tables.readable(tables.frame([plain])).text()


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("metrics.mean=images", "metrics.mean=images, one of: pictures, types"),
        ("metrics.mean=null", "metrics.mean=null, expected pictures or types"),
        ("+metrics.jpeg=good", "metrics.jpeg=good, expected a number from 1 to 100"),
    ],
)
def test_a_wrong_protocol_is_one_sentence(pair, word, sentence):
    with pytest.raises(UserError, match=sentence):
        rescored(pair[1], word)
