"""Every item of every paper: composes, asks for metrics that exist, and finds the published values beside it."""

from functools import lru_cache

import pandas as pd
import pytest
import torch

from bench.config import cli, profile
from bench.edits.plan import points
from bench.errors import UserError
from bench.report.words import COSTS
from bench.reproduce import cells, items, listings, outcomes, published
from bench.reproduce import theory as measured
from bench.reproduce.items import Item
from bench.theory import WORDS, measure
from tests.helpers.shared import SHARED, needs_shared

EXPECTED = {
    "diffedit": [
        *(f"fig{n}" for n in (1, 2, 3, 4, 5, "6_left", "6_right", *range(7, 20))),
        *("glide", "time", "gain", "counts"),
    ],
    "siminversion": [*(f"table{n}" for n in range(1, 7)), *(f"fig{n}" for n in range(1, 14)), "gain", "extra_time"],
    "shapes": [
        *("tradeoff", "thresholds", "mask_noise", "guidance", "reference", "operator", "control", "examples", "masks"),
        *("ratios", "failures", "queries", "inversions", "reconstruction", "gap", "bounds", "truth", "mask_iou"),
        *(f"table{n}" for n in range(1, 7)),
        *("flow", "flow_pose"),
    ],
}
ROW = ["paper", "item", "method", "settings", "metric"]


@lru_cache(None)
def _jobs(words):
    return cli.jobs(list(words))


@pytest.fixture(autouse=True)
def composed_once(monkeypatch):
    """Composing is what takes the time, and items share most of their words."""
    monkeypatch.setattr(outcomes, "cli", type("Cli", (), {"jobs": staticmethod(lambda words: _jobs(tuple(words)))}))


@lru_cache(None)
def _rows(name):
    return outcomes.compose(items.load(name), [])


def _columns(item: Item) -> set[str]:
    asked = {*item.metrics, *(panel[side] for panel in item.panels for side in "xy")}
    return asked | ({item.grid["by"]} if item.grid.get("by") else set())


def test_distances_of_classes_are_asked_of_all_images():
    """They need at least two edits of every target class, which fewer of the 256 images do not have."""
    shapes = [name for name in items.names() if name.startswith("shapes/")]
    asked = [name for name in shapes if "csfid" in _columns(items.load(name))]
    assert "shapes/tradeoff" in asked
    for name in asked:
        assert {row.cfg.limit for row in _rows(name)} == {None}, name


def test_every_item_of_the_papers_is_there():
    have = items.names()
    for paper, names in EXPECTED.items():
        assert [name for name in names if f"{paper}/{name}" not in have] == []


@pytest.mark.parametrize("name", items.names())
def test_an_item_composes_and_asks_for_metrics_that_exist(name):
    item, rows = items.load(name), _rows(name)
    points = [point for one in rows for point in one.points]
    labels = [point.row for point in points]
    for point in points:
        known = {*point.cfg["metrics"], *COSTS, *point.values} - set(profile.KEYS)
        assert _columns(item) <= known, point.row
    assert len({(point.row, point.name) for point in points}) == len(points), "two points of one name"
    assert not set(item.absent) & set(labels), "absent, and run all the same"
    for names in item.best_of.values():
        assert set(names) <= set(labels)
    for names in (*item.differences.values(), *item.reductions.values()):
        assert set(names) <= {*labels, *item.best_of}
    if item.grid.get("types"):
        assert set(item.grid["types"]) <= set(points[0].cfg["data"]["valid"]["types"])
    if not rows:
        assert item.theory or item.listing


@pytest.fixture
def used(monkeypatch):
    """The published rows that a lookup has found, by all that tells one from another."""
    found, lookup = set(), published.lookup

    def watched(paper, item, method, settings, metric):
        value = lookup(paper, item, method, settings, metric)
        if value is not None:
            found.add((paper, item, method, value.settings, metric))
        return value

    monkeypatch.setattr(published, "lookup", watched)
    return found


def _show(name: str, tmp_path) -> list[cells.Cell]:
    """The cells of an item of which nothing has been run."""
    item, out = items.load(name), [f"out={tmp_path}"]
    if item.theory:
        return measured.make(item, out, tmp_path, may_measure=False)[0]
    if item.listing:
        return listings.make(item, out, tmp_path)[0]
    return cells.of_item(item, _rows(name), [])


def test_every_published_value_stands_beside_something(used, tmp_path):
    for name in items.names():
        if name.startswith("shapes/"):
            continue
        for line in items.load(name).lines:
            assert published.one(name.split("/")[0], line["published"]).text
            assert line["axis"] in ("x", "y")
        shown = _show(name, tmp_path)
        rows = {f"{cell.row}, {cell.point}" for cell in shown} | {cell.row for cell in shown}
        beside = {cell.row for cell in shown if cell.published}
        beside |= {f"{cell.row}, {cell.point}" for cell in shown if cell.published}
        for row in items.load(name).published.get("rows", {}):
            assert row in rows & beside, f"{name}: published.rows of {row} finds nothing"
    table = published.load()
    assert {tuple(row) for row in table[ROW].itertuples(index=False)} - used == set()


def test_no_item_of_the_embedded_world_stands_beside_a_papers_value(tmp_path):
    for name in items.names():
        if name.startswith("shapes/") and not items.load(name).listing:
            assert not any(cell.published for cell in _show(name, tmp_path)), name


def test_a_model_of_ones_own_leaves_alone_the_method_that_has_its_own():
    rows = outcomes.compose(items.load("siminversion/fig2"), ["model=shapes"])
    models = {one.label: one.cfg.model.name for one in rows}
    assert models.pop("Instruct-P2P") == "instruct_pix2pix"
    assert set(models.values()) == {"shapes"}


# --- published values ---


def test_published_values_parse_and_are_told_apart():
    table = published.load()
    assert list(table) == published.COLUMNS
    assert not table.duplicated(ROW).any()
    assert (table[["paper", "item", "method", "metric", "value", "source"]] != "").all(axis=None)
    for row in table.itertuples():
        settings = published.settings_of(row.settings)
        found = published.lookup(row.paper, row.item, row.method, settings, row.metric)
        assert (found.text, found.value) == (row.value, float(row.value))


@needs_shared
def test_published_values_are_those_handed_over():
    given = pd.read_csv(SHARED / "published/published.csv", dtype=str, keep_default_na=False)
    ours = {tuple(row) for row in published.load()[list(given)].itertuples(index=False)}
    assert [row for row in given.itertuples(index=False) if tuple(row) not in ours] == []
    assert len(given) > 250


def test_lookup_knows_how_a_value_was_rounded():
    value = published.lookup("siminversion", "table5", "SimInv-0.5", {"w_t": 7.0}, "clip_whole")
    assert (value.value, value.decimals, value.text) == (25.1, 2, "25.10")
    assert value.rounding == pytest.approx(0.005)
    assert "Table 5" in value.source
    assert published.lookup("diffedit", "text_A.3", "COCO queries", None, "count").rounding == 500
    assert published.lookup("siminversion", "table5", "SimInv-0.5", {"w_t": 9}, "clip_whole") is None


def test_an_ambiguous_lookup_names_what_would_settle_it():
    with pytest.raises(UserError, match=r"3 published values fit .*w_t=7;.* and .*w_t=8"):
        published.lookup("siminversion", "table5", "SimInv-0.5", None, "clip_whole")


# --- measured items ---

QUICK = ["data=shapes", "steps=2", "w_s=[0,1]"]
TITLED = {"title": "A title", "source": "nowhere"}


def _item(**given) -> Item:
    return Item(name="siminversion/fig6", words=QUICK, **TITLED, **given)


@pytest.fixture(scope="module")
def prompts():
    from bench.data.shapes import Shapes

    data = Shapes(size=64)
    return {"third": data[2].target, "first": data[0].target}


def test_named_samples_are_measured_once_and_judged(prompts, tmp_path, monkeypatch):
    published_rows = {"third, w_s = 0": {"item": "figure6_robot", "method": "SimInv-0"}}
    shouted = {name: prompt.upper().replace(" ", "") for name, prompt in prompts.items()}
    item = _item(theory={"parts": ["reconstruction"], "prompts": shouted}, published={"rows": published_rows})
    made, files, _, problems = measured.make(item, [f"out={tmp_path}"], tmp_path)
    assert problems == []
    assert [(c.row, c.point, c.n, c.lo) for c in made] == [
        (row, f"w_s = {w}", 1, None) for row in ("third", "first") for w in (0, 1)
    ]
    found = measure.measure(cli.jobs([*WORDS, *QUICK, "limit=3", f"out={tmp_path}"])[0], ["reconstruction"])
    errors = found.tables["reconstruction"].set_index(["id", "w_s"]).error
    for cell in made:
        expected = errors[({"first": "00000", "third": "00002"}[cell.row], int(cell.point[-1]))]
        assert cell.ours == pytest.approx(expected, rel=1e-3)
    (judged,) = [cell for cell in made if cell.published]
    assert (judged.published, judged.verdict) == ("15.24", "not comparable")
    assert "comparable with no paper" in judged.why
    assert [file.suffix for file in files] == [".png", ".pdf", ".csv"]
    assert pd.read_csv(files[2]).published.notna().sum() == 1

    monkeypatch.setattr(torch, "inference_mode", None)  # whoever measures now, fails
    again, *_ = measured.make(item, [f"out={tmp_path}"], tmp_path, may_measure=False)
    assert [cell.ours for cell in again] == pytest.approx([cell.ours for cell in made])
    changed, _, _, problems = measured.make(item, [f"out={tmp_path}", "steps=3"], tmp_path, may_measure=False)
    assert {cell.verdict for cell in changed} == {"not run"}
    assert "not measured yet" in problems[0]


def test_a_prompt_that_no_sample_has_is_said(tmp_path):
    item = _item(theory={"parts": ["gap"], "prompts": {"zebra": "a zebra"}})
    made, files, _, (problem,) = measured.make(item, [f"out={tmp_path}"], tmp_path)
    assert {cell.verdict for cell in made} == {"not run"}
    assert files == []
    assert "none of the samples" in problem


def test_bounds_and_scales_of_the_first_samples(tmp_path):
    item = _item(theory={"parts": ["bounds", "scale"]}, published={"item": "figure3", "paper": "diffedit"})
    words = ["limit=3", "seed=0", f"out={tmp_path}"]
    made, files, (header,), _ = measured.make(item, words, tmp_path)
    values = {cell.metric: cell for cell in made}
    assert {name: values[name].published for name in ("C", "K1", "K2")} == {"C": "1", "K1": "3", "K2": "0.02"}
    assert values["K2"].lo < values["K2"].ours < values["K2"].hi
    assert values["C"].lo is None
    assert values["w_star"].n == 3
    assert header == "data shapes, model shapes, n = 3; 2 steps"
    assert "seed=0 is not what the paper ran" in values["C"].why
    curves = pd.read_csv(next(file for file in files if file.name == "fig6_bounds.csv"))
    after = curves[curves.published_encode_decode > curves.published_sdedit].iloc[0]
    assert after.tau == pytest.approx(3.5, abs=0.02)


def test_a_part_that_does_not_exist_gets_a_sentence(tmp_path):
    with pytest.raises(UserError, match="did you mean gap"):
        measured.make(_item(theory={"parts": ["gapp"]}), [f"out={tmp_path}"], tmp_path)


# --- listings ---


def test_samples_are_counted_and_queries_shown(tmp_path):
    world = ["data=shapes", "data.count=40"]
    of = {"all": world, "colour": [*world, "data.types=[colour]"], "COCO queries, filtered": ["data=coco"]}
    said = {"all": {"paper": "siminversion", "item": "text_4", "method": "PIE-Bench"}}
    item = Item(
        name="diffedit/x",
        listing={"count": True, "of": of, "queries": 5},
        published={"item": "text_A.3", "rows": said},
        **TITLED,
    )
    made, files, header, (problem,) = listings.make(item, [f"out={tmp_path}"], tmp_path)
    assert [(c.row, c.ours, c.published, c.verdict) for c in made] == [
        ("all", 40, "700", "differs"),
        ("colour", 4, "", ""),
        ("COCO queries, filtered", None, "272", "not run"),
    ]
    assert "captions_val2014.json" in problem
    assert made[2].why == problem
    assert header == ["data shapes, coco"]
    assert pd.read_csv(next(file for file in files if file.suffix == ".csv")).id.tolist() == [0, 1, 2, 3, 4]
    assert all(file.stat().st_size > 100 for file in files)


def test_readmes_main_line_is_part_of_figure_4():
    """The same operating points, so that neither makes the other's pictures again."""
    line = ["method=diffedit", "data=imagenet", "r=[0.3,0.5,0.7,0.9]"]
    (cfg,) = cli.jobs(line)
    rows = outcomes.compose(items.load("diffedit/fig4"), [])
    parts = ("data", "model", "method", "seed")
    made = [{part: point.cfg[part] for part in parts} for one in rows for point in one.points]
    for point in points(cfg):
        assert {part: point[part] for part in parts} in made
        assert point["method"]["guidance"] == 5
