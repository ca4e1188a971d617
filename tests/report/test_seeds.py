"""Runs of several seeds in one row, and what each method was given."""

import numpy as np
import pytest

from bench.config import stated
from bench.report.seeds import alike
from bench.report.tables import collect, readable
from bench.scores import stored
from bench.statistics.intervals import mean_interval
from tests.helpers.claims import COUNT, DUAL, HARD, IDS, SDEDIT, World


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "runs")


def line(world, start):
    """The cells of the row whose method starts so."""
    cells = readable(collect(world.out)).cells
    (index,) = cells.index[cells.method.str.startswith(start)]
    return cells.loc[index]


def test_seeds_make_one_row_with_their_spread(world):
    """Three seeds that are 2 apart on pictures that are 20 apart: both numbers stand there, and are not the same."""
    for seed, success in enumerate((48.0, 50.0, 52.0)):
        world.add("sdedit", SDEDIT | {"r": 0.5}, {"edit_success": success}, noise=0.0, seed=seed)
    world.add("ddim", DUAL, {"edit_success": 50.0}, noise=0.0)
    cell = line(world, "sdedit")
    _, lo, hi, _ = mean_interval(50 + 20 * HARD, IDS)
    assert cell.method == "sdedit (3 seeds)"
    assert cell["edit_success ↑"] == f"50.00 ±{(hi - lo) / 2:.2f} (seeds ±2.00)"
    assert line(world, "ddim")["edit_success ↑"] == "50.00"  # of one seed, as its summary has it
    (point,) = [one for one in alike(stored.under(world.out)) if len(one.runs) == 3]
    assert point.spread["edit_success"] == pytest.approx(2.0)
    assert point.shown.summary.n == COUNT
    text = readable(collect(world.out)).text()
    assert "in brackets, the standard deviation between the seeds" in text
    assert len(collect(world.out)) == 4  # summary.csv has each run


def test_the_mean_over_seeds_is_less_noisy_than_one_seed(world):
    """The interval is of the mean over the seeds: of noise that is each seed's own it holds a part only."""
    for seed in range(9):
        world.add("sdedit", SDEDIT | {"r": 0.5}, {"edit_success": -20 * HARD}, noise=30.0, seed=seed)
    (point,) = alike(stored.under(world.out))
    fact = point.shown.summary.metrics["edit_success"]
    assert (fact.hi - fact.lo) / 2 == pytest.approx(1.96 * 30 / 3 / COUNT**0.5, rel=0.25)


def test_sets_and_costs_of_several_seeds(world):
    halves = 3 * np.random.default_rng(0).standard_normal(100)
    for seed, value in enumerate((20.0, 22.0)):
        sets = {"csfid": (value, value + halves, "class")}
        world.add("sdedit", SDEDIT | {"r": 0.5}, sets=sets, seed=seed)
    (point,) = alike(stored.under(world.out))
    fact = point.shown.summary.metrics["csfid"]
    assert fact.value == 21.0
    assert fact.hi - fact.lo == pytest.approx(2 * 2.201 * halves.std(ddof=1), rel=1e-3)  # Student, 12 classes
    assert point.spread["csfid"] == pytest.approx(2**0.5)


def test_what_differs_in_more_than_the_seed_stays_apart(world):
    world.add("sdedit", SDEDIT | {"r": 0.5}, seed=0)
    world.add("sdedit", SDEDIT | {"r": 0.7}, seed=1)
    world.add("sdedit", SDEDIT | {"r": 0.5}, seed=2, count=8)  # other samples
    world.add("sdedit", SDEDIT | {"r": 0.5}, seed=3, weights={"judge": "other"})
    world.add("sdedit", SDEDIT | {"r": 0.5}, seed=4, model="other")
    world.add("copy", {})
    world.add("copy", {})  # twice the same, of no seed
    assert [len(point.runs) for point in alike(stored.under(world.out))] == [1] * 7


def test_a_metric_that_one_seed_lacks_is_empty(world):
    for seed in (0, 1):
        world.add("sdedit", SDEDIT | {"r": 0.5}, sets={"csfid": (20.0 if seed else None, [], None)}, seed=seed)
    (point,) = alike(stored.under(world.out))
    assert point.shown.summary.metrics["csfid"].value is None
    assert "csfid" not in point.spread


@pytest.mark.parametrize(
    ("method", "knobs", "told"),
    [
        ("copy", {}, []),
        ("sdedit", {}, ["query"]),
        ("diffedit", {"reference": "none"}, ["query"]),
        ("diffedit", {"reference": "caption"}, ["query", "caption"]),
        ("flexit", {"source_weight": 0.4}, ["query", "caption"]),
        ("flexit", {"source_weight": 0.0}, ["query"]),
        ("retrieve", {}, ["class"]),
        ("instruct_pix2pix", {}, ["instruction"]),
        ("ddim", {"control": "p2p", "local_blend": True, "reweight": 2.0}, ["query", "caption", "blend words"]),
        ("ddim", {"control": "p2p", "local_blend": False, "reweight": 2.0}, ["query", "caption", "blend words"]),
        ("style_diffusion", {"control": "p2p", "local_blend": False, "reweight": 1.0}, ["query", "caption"]),
        ("ddim", {"control": "none"}, ["query", "caption"]),
        ("ddim", {"control": "none", "source_text": "empty"}, ["query"]),
        ("ddim", {"control": "masactrl"}, ["query"]),
        ("ddim", {"control": "masactrl", "source_text": "caption"}, ["query", "caption"]),
        ("siminversion", {"control": "masactrl", "w_s": 0.5}, ["query", "caption"]),
        ("siminversion", {"control": "masactrl", "w_s": 0}, ["query"]),
        ("siminversion", {"control": "masactrl", "w_s": 0.5, "source_text": "empty"}, ["query"]),
        ("precomputed", {"label": "theirs"}, None),
        ("MyOwnEditor", {}, None),
    ],
)
def test_what_a_method_was_given(method, knobs, told):
    assert stated.given(method, knobs) == told


def test_the_table_says_what_each_method_was_given(world):
    world.add("sdedit", SDEDIT | {"r": 0.5})
    world.add("ddim", DUAL | {"local_blend": True})
    world.add("copy", {})
    world.add("MyOwnEditor", {})
    given = [line(world, name).given for name in ("sdedit", "ddim", "copy", "MyOwnEditor")]
    assert given == ["query", "query, caption, blend words", "nothing", ""]
