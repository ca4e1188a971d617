"""What stands beside a claim, margins of a range, best points, and what a person reads."""

import numpy as np
import pytest

from bench.claims.tables import readable, tidy
from bench.claims.write import write_all
from bench.errors import UserError
from bench.scores.selection import ALL
from tests.helpers.claims import COUNT, DIFFEDIT, DUAL, SDEDIT, World, load

TRUTH = {"truth": {"match": {"shapes-v1": "psnr_background"}}}
"""Here the world's truth of a match is this metric, so that it may say something else than the role's own."""
APART = {"apart": {"local edits": ["object"], "whole-frame edits": ["style"]}}
TYPES = ["object", "object", "style", "random"] * (COUNT // 4)
CLOSE = {"first": {"method": "diffedit", "r": 0.9}, "second": {"method": "sdedit", "r": 0.7}, "close": ["match"]}


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "runs")


def test_the_worlds_truth_is_tested_on_a_line_of_its_own(world, tmp_path):
    """What the paper states is supported by its quantity; the truth says the opposite, and changes no verdict."""
    world.add("ddim", DUAL)
    world.add("siminversion", DUAL | {"w_s": 0.5}, {"edit_success": 1, "psnr_background": -1, "structure": -1})
    node = {"first": {"method": "siminversion", "w_s": 0.5}, "second": {"method": "ddim"}}
    stated, truth = world.claim(tmp_path, TRUTH, **node, better=["match", "structure"])
    assert [row.metric for row in stated.rows] == ["edit_success", "structure"]
    assert (stated.verdict, stated.view.by) == ("supported", "the paper's quantity")
    assert [row.metric for row in truth.rows] == ["psnr_background"]  # structure has no other truth
    assert (truth.verdict, truth.view.by) == ("contradicted", "the world's truth")
    assert tidy([stated, truth]).by.unique().tolist() == ["the paper's quantity", "the world's truth"]


def test_a_trade_off_is_at_equal_truth_too(world, tmp_path):
    for r, far in ((0.3, 10), (0.5, 20)):
        scores = {"edit_success": far, "psnr_background": 2 * far}
        world.add("diffedit", DIFFEDIT | {"r": r}, scores | {"perceptual": far - 1})
        world.add("sdedit", SDEDIT | {"r": r}, scores | {"perceptual": far})
    node = {"first": {"method": "diffedit"}, "second": {"method": "sdedit"}}
    stated, truth = world.claim(tmp_path, TRUTH, **node, trade_off={"compare": "distance", "equal": "match"})
    assert stated.rows[0].compared.endswith("at equal edit_success")
    assert truth.rows[0].compared.endswith("at equal psnr_background")


def test_whole_frame_and_local_edits_are_shown_apart(world, tmp_path):
    """Local edits are better by 1, whole-frame ones worse by 3: the mixture hides both."""
    change = np.select([np.array(TYPES) == "object", np.array(TYPES) == "style"], [-1.0, 3.0], 0.0)
    world.add("ddim", DUAL, types=TYPES)
    world.add("siminversion", DUAL | {"w_s": 0.5}, {"structure": change}, types=TYPES)
    node = {"first": {"method": "siminversion", "w_s": 0.5}, "second": {"method": "ddim"}, "better": ["structure"]}
    whole, local, frame = world.claim(tmp_path, APART, **node)
    assert (whole.verdict, whole.rows[0].n) == ("inconclusive", COUNT)
    assert (local.view.edits, local.verdict, local.rows[0].n) == ("local edits", "supported", COUNT // 2)
    assert (frame.view.edits, frame.verdict, frame.rows[0].n) == ("whole-frame edits", "contradicted", COUNT // 4)
    table = readable([whole, local, frame], [])
    assert "| mine    | the paper's quantity | inconclusive | supported     | contradicted        |" in table


def test_edits_of_one_kind_are_not_shown_twice(world, tmp_path):
    world.add("ddim", DUAL, types=["object"] * COUNT)
    world.add("siminversion", DUAL | {"w_s": 0.5}, types=["object"] * COUNT)
    node = {"first": {"method": "siminversion", "w_s": 0.5}, "second": {"method": "ddim"}, "better": ["structure"]}
    assert len(world.claim(tmp_path, APART, **node)) == 1


def test_a_distance_of_sets_has_no_value_for_some_of_their_pictures(world, tmp_path):
    halves = 20 + np.random.default_rng(0).standard_normal(100)
    for operator in ("latent", "glide"):
        knobs = DIFFEDIT | {"mask_operator": operator, "r": 0.8}
        world.add("diffedit", knobs, types=TYPES, sets={"csfid": (20, halves, "class")})
    sides = {key: {"method": "diffedit", "mask_operator": op} for key, op in (("first", "latent"), ("second", "glide"))}
    results = world.claim(tmp_path, APART, **sides, better=["realism"])
    assert [result.view.edits for result in results] == ["all edits"]
    assert len(world.claim(tmp_path, APART, **sides, better=["match"])) == 3


def sdedits(world, low, high, **more):
    """SDEdit's own range of the match to the query; at 0.1 and 1 it goes further, which does not count."""
    for r, success in ((0.1, -500), (0.3, low), (0.7, (low + high) / 2), (0.9, high), (1.0, 900)):
        world.add("sdedit", SDEDIT | {"r": r}, {"edit_success": success}, **more)


@pytest.mark.parametrize(("apart", "verdict"), [(9, "supported"), (-9, "supported"), (11, "contradicted")])
def test_a_margin_is_a_quarter_of_sdedits_range(world, tmp_path, apart, verdict):
    sdedits(world, 20, 60)
    world.add("diffedit", DIFFEDIT | {"r": 0.9}, {"edit_success": 40 + apart})
    (result,) = world.claim(tmp_path, **CLOSE, margin="of_range")
    assert result.rows[0].margin == pytest.approx(10, abs=0.1)
    assert result.verdict == verdict
    assert tidy([result]).margin.tolist() == [result.rows[0].margin]


def test_a_margin_without_its_range_is_said(world, tmp_path):
    for r in (0.5, 0.7):
        world.add("sdedit", SDEDIT | {"r": r}, {"edit_success": 40})
    world.add("diffedit", DIFFEDIT | {"r": 0.9}, {"edit_success": 40})
    (result,) = world.claim(tmp_path, **CLOSE, margin="of_range")
    assert result.verdict == "inconclusive"
    assert "sdedit, which is not run at r = 0.3 and 0.9 beside it" in result.why


def test_trade_offs_that_are_the_same(world, tmp_path):
    """Equal within the margin; and nothing is claimed where they only do not seem different."""
    sdedits(world, 20, 60)
    for r, success in ((0.3, 20), (0.9, 60)):
        world.add("diffedit", DIFFEDIT | {"r": r}, {"edit_success": success, "structure": 0.3})
    node = {"first": {"method": "diffedit"}, "second": {"method": "sdedit"}}
    test = {"compare": ["structure", "background"], "equal": "match"}
    (result,) = world.claim(tmp_path, **node, same_trade_off=test, margin="of_range")
    assert [row.metric for row in result.rows] == ["structure", "psnr_background"]
    assert not any(row.shows == "as claimed" for row in result.rows)  # SDEdit's own range is next to nothing here
    for r in (0.3, 0.9):
        world.add("sdedit", SDEDIT | {"r": r, "steps": 20}, {"edit_success": 100 * r, "structure": 100 * r})
        world.add("diffedit", DIFFEDIT | {"r": r, "steps": 20}, {"edit_success": 100 * r, "structure": 100 * r + 0.3})
    test["compare"] = "structure"
    (result,) = world.claim(tmp_path, **node, where={"steps": 20}, same_trade_off=test, margin="of_range")
    assert (result.verdict, round(result.rows[0].margin)) == ("supported", 15)


def test_a_best_point_is_chosen_on_one_half_and_compared_on_the_other(world, tmp_path):
    """Among many points without any difference the best of all pictures seems better; chosen so, it is not."""
    for i in range(40):
        world.add("sdedit", SDEDIT | {"r": i / 40}, noise=3.0)
    world.add("diffedit", DIFFEDIT | {"r": 0.9}, noise=0.0)
    node = {"first": {"method": "sdedit"}, "second": {"method": "diffedit"}}
    (result,) = world.claim(tmp_path, **node, at_best={"role": "match", "shows": "better"})
    (row,) = result.rows
    assert row.n == COUNT // 2
    assert row.shows == "open"
    assert "chosen on the other half of the pictures" in row.why
    world.add("sdedit", SDEDIT | {"r": 1.0}, {"edit_success": 2})
    (result,) = world.claim(tmp_path, **node, at_best={"role": "match", "shows": "better"})
    assert result.verdict == "supported"
    assert "at r = 1 and r = 0.9" in result.rows[0].why


def test_the_best_distance_of_sets_is_marked(world, tmp_path):
    """Of a side of one point, too; lower is better."""
    both = np.random.default_rng(0).standard_normal(100)
    for r, value in ((0.3, 30.0), (0.9, 20.5)):
        sets = {"csfid": (value, value + both + 0.01 * np.arange(100), "class")}
        world.add("sdedit", SDEDIT | {"r": r}, sets=sets)
    world.add("retrieve", {}, sets={"csfid": (20.0, 20 + both, "class")})
    node = {"first": {"method": "sdedit"}, "second": {"method": "retrieve"}}
    test = {"role": "realism", "shows": "close", "along": ["r", None]}
    (result,) = world.claim(tmp_path, **node, at_best=test, margin="of_range")
    assert (result.verdict, result.rows[0].difference) == ("supported", pytest.approx(0.5))
    assert "at r = 0.9 and its only point, chosen on these pictures" in result.rows[0].why


def test_a_knob_that_is_null_by_default_may_be_anything_alike(world, tmp_path):
    """Masks of 32 cells are a curve of their own, and are not compared with masks of another size."""
    for r, far in ((0.3, 10), (0.5, 20)):
        world.add("sdedit", SDEDIT | {"r": r}, {"edit_success": far, "perceptual": far})
        for size, nearer in ((None, 1), (32, 2)):
            scores = {"edit_success": far, "perceptual": far - nearer}
            world.add("diffedit", DIFFEDIT | {"r": r, "mask_size": size}, scores)
        world.add("diffedit", DIFFEDIT | {"r": r, "mask_size": None, "encode": "noise"}, scores)
    test = {"trade_off": {"compare": "distance", "equal": "match"}}
    (result,) = world.claim(tmp_path, first={"method": "diffedit"}, second={"method": "sdedit"}, **test)
    assert sorted(round(row.difference) for row in result.rows) == [-2, -1]
    assert {row.compared.split("(")[1] for row in result.rows} == {"mask_size=null)", "mask_size=32)"}
    sides = {key: {"method": "diffedit", "encode": encode} for key, encode in (("first", "ddim"), ("second", "noise"))}
    (result,) = world.claim(tmp_path, **sides, **test)
    assert len(result.rows) == 1


def test_claims_are_read_in_lines_of_a_page(world, tmp_path):
    """No line is longer than a reader's window, and none turns into another item of a list."""
    sdedits(world, 20, 60, types=TYPES)
    for r in (0.3, 0.7, 0.9):
        world.add("diffedit", DIFFEDIT | {"r": r}, {"edit_success": 100 * r}, types=TYPES)
    world.add("ddim", DUAL, types=TYPES)
    text, counted, (file, _) = write_all(world.out, ALL, tmp_path)
    lines = file.read_text().splitlines()
    assert max(map(len, [*lines, *text.splitlines()])) <= 160
    starts = {line.split("- ")[0] for line in lines if line.lstrip().startswith("- ")}
    assert starts <= {"", "  "}
    assert counted.startswith("claims: ")
    said = " ".join(file.read_text().split())
    assert "- Inconclusive on the paper's quantity (n = 0)." in said


@pytest.mark.parametrize(
    ("head", "change", "sentence"),
    [
        ({"roles": {"match": {"pie-v2": "csfid"}}}, {}, "roles.match: profile pie-v2 has no metric 'csfid'"),
        ({"truth": {"mach": {"shapes-v1": "kept"}}}, {}, "truth: role 'mach' is not known; did you mean match?"),
        ({"truth": {"match": {"shapes-v1": "kepd"}}}, {}, "truth.match: profile shapes-v1 has no metric 'kepd'"),
        ({"apart": {"local": "object"}}, {}, "apart.local is 'object'; expected a list of edit types"),
        ({"margins": {"of_range": {"share": 0.25}}}, {}, "margins.of_range: along is missing"),
        ({"margins": {}}, {"margin": "of_range"}, "mine.margin is of_range, and margins: has none"),
        ({"margins": {}}, {}, "mine needs a margin of edit_success, and margins.fixed has none"),
        ({}, {"margin": "mine"}, "mine.margin: 'mine' is not known"),
        ({}, {"at_best": {"role": "match", "shows": "closest"}}, "mine.at_best.shows: 'closest' is not known"),
        ({}, {"same_trade_off": {"compare": ["mach"], "equal": "match"}}, "role 'mach' is not known"),
    ],
)
def test_mistakes(tmp_path, head, change, sentence):
    with pytest.raises(UserError) as error:
        load(tmp_path, head, **CLOSE | change)
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    "range_",
    [
        {"share": 0},
        {"share": "a quarter"},
        {"between": [0.9, 0.3]},
        {"between": 0.3},
        {"along": "w_s"},
        {"method": "x"},
    ],
)
def test_ranges_that_are_none(tmp_path, range_):
    usual = {"share": 0.25, "method": "sdedit", "along": "r", "between": [0.3, 0.9]}
    with pytest.raises(UserError, match=r"claims.yaml: margins.of_range"):
        load(tmp_path, {"margins": {"of_range": usual | range_}}, **CLOSE | {"margin": "of_range"})
