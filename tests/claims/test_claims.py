"""Claims on scores written by hand in the form that runs have."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from omegaconf import OmegaConf

from bench.claims import file
from bench.claims.__main__ import main
from bench.claims.tables import COLUMNS, printed, tidy
from bench.errors import UserError
from bench.scores import stored
from bench.statistics.intervals import half_samples
from tests.helpers.claims import CLASSES, COUNT, DIFFEDIT, DUAL, HARD, SDEDIT, World, load


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "runs")


HALF = {"first": {"method": "siminversion", "w_s": 0.5}, "second": {"method": "ddim"}, "better": ["structure"]}


def simulated(world, better, **more):
    """SimInversion at w_s = 0.5, better than DDIM by so much in both metrics of preservation."""
    world.add("ddim", DUAL, {}, **more)
    world.add("siminversion", DUAL | {"w_s": 0.5}, {"structure": -better, "psnr_background": better}, **more)


@pytest.mark.parametrize(("better", "verdict"), [(0.5, "supported"), (-0.5, "contradicted"), (0.0, "inconclusive")])
def test_a_difference_far_smaller_than_that_between_pictures_is_told(world, tmp_path, better, verdict):
    """In a metric of which less is better, and in one of which more is: pictures differ by 20, methods by 0.5."""
    simulated(world, better)
    for role in ("structure", "background"):
        (result,) = world.claim(tmp_path, **HALF | {"better": [role]})
        assert result.verdict == verdict
        assert result.rows[0].lo < result.rows[0].difference < result.rows[0].hi
        assert result.rows[0].difference == pytest.approx(-better if role == "structure" else better, abs=0.2)
        assert result.rows[0].n == COUNT


def test_pictures_of_one_source_count_once(world, tmp_path):
    """Six groups of eight: a difference that is the whole group's tells as much as one picture's."""
    groups = [f"g{i % 5}" for i in range(COUNT)]
    simulated(world, 0.5, groups=groups)
    (result,) = world.claim(tmp_path, **HALF)
    assert result.rows[0].p >= 2 / 2**5
    assert result.verdict == "inconclusive"


def test_supported_needs_all_and_contradicted_one(world, tmp_path):
    world.add("ddim", DUAL)
    world.add("siminversion", DUAL | {"w_s": 0.5}, {"structure": -1, "edit_success": -1})
    both = HALF | {"better": ["structure", "background"]}
    (result,) = world.claim(tmp_path, **both)
    assert [row.shows for row in result.rows] == ["as claimed", "open"]
    assert result.verdict == "inconclusive"
    (result,) = world.claim(tmp_path, **both | {"better": ["structure", "match"]})
    assert [row.shows for row in result.rows] == ["as claimed", "against"]
    assert result.verdict == "contradicted"


def test_one_of_many_comparisons_against_a_claim_has_to_outlast_holm(world, tmp_path):
    """A difference of p between 0.5 and 5 % contradicts alone, and not among twelve."""
    rng = np.random.default_rng(1)
    for _ in range(200):
        noise = 0.7 * rng.standard_normal(COUNT)
        if 2.2 < noise.mean() / noise.std() * COUNT**0.5 < 2.5:
            break
    w_ts = [float(i) for i in range(12)]
    for w_t in w_ts:
        world.add("ddim", DUAL | {"w_t": w_t}, noise=0.0)
        world.add("siminversion", DUAL | {"w_t": w_t, "w_s": 0.5}, {"structure": noise if w_t == 3 else 0}, noise=0.0)
    (result,) = world.claim(tmp_path, **HALF | {"where": {"w_t": 3}})
    assert (result.verdict, len(result.rows)) == ("contradicted", 1)
    (result,) = world.claim(tmp_path, **HALF)
    assert len(result.rows) == 12
    assert [row.shows for row in result.rows].count("against") == 1
    assert result.verdict == "inconclusive"
    assert "not after Holm over 12 comparisons" in " ".join(tidy([result]).why)


def test_runs_are_paired_only_where_all_else_is_equal(world, tmp_path):
    simulated(world, 1.0)
    world.add("siminversion", DUAL | {"w_s": 0.5, "steps": 100}, {"structure": 50})
    world.add("ddim", DUAL | {"w_t": 4.0}, {"structure": -50})
    world.add("siminversion", DUAL | {"w_s": 0.5, "w_t": 4.0}, {"structure": -50}, model="other")
    (result,) = world.claim(tmp_path, **HALF)
    assert [row.compared for row in result.rows] == ["siminversion w_s=0.5 - ddim"]
    assert result.verdict == "supported"
    (result,) = world.claim(tmp_path, **HALF | {"where": {"steps": 100}})
    assert result.verdict == "not run"
    assert result.why == "On shapes: no run of method=ddim steps=100."


def test_settings_that_differ_are_told_and_each_is_needed(world, tmp_path):
    simulated(world, 1.0)
    world.add("ddim", DUAL | {"w_t": 4.0}, {})
    world.add("siminversion", DUAL | {"w_t": 4.0, "w_s": 0.5}, {"structure": 1.0})
    (result,) = world.claim(tmp_path, **HALF)
    assert {row.compared: row.shows for row in result.rows} == {
        "siminversion w_s=0.5 - ddim (w_t=7.5)": "as claimed",
        "siminversion w_s=0.5 - ddim (w_t=4)": "against",
    }
    assert result.verdict == "contradicted"


def test_why_nothing_pairs(world, tmp_path):
    world.add("ddim", DUAL | {"w_t": 4.0})
    world.add("siminversion", DUAL | {"w_s": 0.5})
    (result,) = world.claim(tmp_path, **HALF)
    assert result.verdict == "not run"
    assert "the two sides were run with different w_t" in result.why
    world.add("ddim", DUAL, weights={"judge": "other"})
    (result,) = world.claim(tmp_path, **HALF | {"where": {"w_t": 7.5}})
    assert result.verdict == result.rows[0].shows == "not comparable"
    assert "was scored with configuration or weights" in result.rows[0].why


def test_metrics_that_depend_on_other_things_are_not_compared(world, tmp_path):
    made = {"size": 64, "border": 0}
    world.add("ddim", DUAL, {"structure": 9.0}, made={"structure": made, "edit_success": made})
    other = {"structure": made | {"border": 5}, "edit_success": made}
    world.add("siminversion", DUAL | {"w_s": 0.5}, {"edit_success": 9.0}, made=other)
    claim = {key: value for key, value in HALF.items() if key != "better"}
    (result,) = world.claim(tmp_path, **claim, better=["structure", "match"])
    rows = {row.metric: row for row in result.rows}
    assert rows["structure"].why == "structure was scored with border 5 and 0"
    assert (rows["structure"].shows, np.isnan(rows["structure"].lo)) == ("not comparable", True)
    assert rows["edit_success"].shows == "as claimed"
    assert result.verdict == "inconclusive"


def test_a_knob_that_is_not_named_has_its_default(world, tmp_path):
    """Threshold 0.25 is another method's business; w_t and other shared knobs may be anything."""
    for threshold, success in ((0.25, 90), (0.5, 10)):
        world.curve("diffedit", DIFFEDIT | {"threshold": threshold}, {0.5: (0, success)})
    world.curve("sdedit", SDEDIT, {0.5: (0, 0)})
    (result,) = world.claim(tmp_path, first={"method": "diffedit"}, second={"method": "sdedit"}, better=["match"])
    assert [round(row.difference) for row in result.rows] == [10]


def test_own_defaults_of_two_methods_may_differ(world, tmp_path):
    """StyleDiffusion and DDIM both have `reweight`, and not the same default."""
    world.add("ddim", DUAL | {"reweight": 2.0}, nfe=250.0)
    world.add("style_diffusion", DUAL | {"reweight": 1.0}, nfe=1400.0)
    node = {"first": {"method": "style_diffusion"}, "second": {"method": "ddim"}, "cost": "more"}
    _, counted = world.claim(tmp_path, **node)
    assert counted.verdict == "supported"


def test_every_listed_value_has_to_be_run(world, tmp_path):
    simulated(world, 1.0)
    listed = HALF | {"first": {"method": "siminversion", "w_s": [0, 0.5]}}
    (result,) = world.claim(tmp_path, **listed)
    assert (result.verdict, result.summary) == ("inconclusive", "The only comparison is as claimed. w_s=0 is not run.")
    world.add("siminversion", DUAL | {"w_s": 0}, {"structure": -1})
    (result,) = world.claim(tmp_path, **listed)
    assert (result.verdict, len(result.rows)) == ("supported", 2)
    (result,) = world.claim(tmp_path, **listed | {"where": {"steps": [50, 100]}})
    assert (result.verdict, result.why) == ("inconclusive", "All 2 comparisons are as claimed. steps=100 is not run.")
    (result,) = world.claim(tmp_path, **listed | {"second": [{"method": "ddim"}, {"method": "null_text"}]})
    assert (result.verdict, result.why) == (
        "inconclusive",
        "All 2 comparisons are as claimed. No run of method=null_text.",
    )


def test_conditions_on_knobs(world, tmp_path):
    simulated(world, 1.0)
    for w_s in (1, 2, 3):
        world.add("siminversion", DUAL | {"w_s": w_s}, {"structure": 9 * w_s})
    above = HALF | {"second": {"method": "siminversion", "w_s": ">=2"}}
    (result,) = world.claim(tmp_path, **above)
    assert [row.compared.split(" - ")[1] for row in result.rows] == ["siminversion w_s=2", "siminversion w_s=3"]


@pytest.mark.parametrize(
    ("test", "better", "verdict"),
    [
        ("close", 0.0, "supported"),
        ("close", 1.0, "supported"),  # a difference, and within the margin of 2
        ("close", 1.97, "inconclusive"),
        ("close", 4.0, "contradicted"),
        ("close", -4.0, "contradicted"),
        ("as_good", -1.0, "supported"),
        ("as_good", 9.0, "supported"),
        ("as_good", -1.97, "inconclusive"),
        ("as_good", -4.0, "contradicted"),
    ],
)
def test_equivalence_is_shown_and_not_assumed(world, tmp_path, test, better, verdict):
    """Of edit_success (more is better) and of perceptual (less is better)."""
    world.add("ddim", DUAL)
    world.add("siminversion", DUAL | {"w_s": 0.5}, {"edit_success": better, "perceptual": -better})
    node = {key: value for key, value in HALF.items() if key != "better"}
    for role in ("match", "distance"):
        (result,) = world.claim(tmp_path, **node, **{test: [role]})
        assert result.verdict == verdict


def test_noise_is_not_equality(world, tmp_path):
    """A difference that is not seen is no equality where the interval is wider than the margin."""
    simulated(world, 0.0, noise=9.0)
    node = {key: value for key, value in HALF.items() if key != "better"}
    (result,) = world.claim(tmp_path, **node, close=["match"])
    assert result.verdict == "inconclusive"
    assert "The interval holds" in result.why


def test_just_outside_the_margin_is_judged_at_the_near_border(world, tmp_path):
    """p of the far border would be far smaller than that of the near one."""
    world.add("ddim", DUAL, noise=0.0)
    world.add(
        "siminversion", DUAL | {"w_s": 0.5}, {"edit_success": 2.35 + np.tile([0.6, -0.6, 0.9, -0.9], 12)}, noise=0.0
    )
    node = {key: value for key, value in HALF.items() if key != "better"}
    (result,) = world.claim(tmp_path, **node, close=["match"])
    assert result.rows[0].shows == "against"
    assert 1e-4 < result.rows[0].p < 0.05


TRADE = {
    "first": {"method": "diffedit"},
    "second": {"method": "sdedit"},
    "trade_off": {"compare": "distance", "equal": "match"},
}


@pytest.mark.parametrize(("nearer", "verdict"), [(2.0, "supported"), (-2.0, "contradicted"), (0.0, "inconclusive")])
def test_trade_off_curves(world, tmp_path, nearer, verdict):
    """distance = match - `nearer` at operating points of each method's own. Beyond SDEdit's last, DiffEdit's curve goes
    far the other way, and does not count."""
    world.curve("diffedit", DIFFEDIT, {0.3: (10 - nearer, 10), 0.5: (20 - nearer, 20), 0.7: (30 - nearer, 30)})
    world.curve("diffedit", DIFFEDIT, {0.9: (30 + 400 * nearer, 60)})
    world.curve("sdedit", SDEDIT, {0.3: (15, 15), 0.5: (25, 25)})
    (result,) = world.claim(tmp_path, **TRADE)
    assert result.verdict == verdict
    (row,) = result.rows
    assert row.difference == pytest.approx(-nearer, abs=0.3)
    low, high = map(float, row.why.split("over edit_success ")[1].split(" to "))
    assert (low, high) == pytest.approx((15, 25), abs=0.5)


def test_the_interval_of_a_trade_off_is_as_wide_as_the_differences_say(world, tmp_path):
    """Where both curves have the same match, the gap is the mean of the paired differences in distance, of which the
    standard error is known."""
    rng, mean = np.random.default_rng(5), []
    for r in (0.3, 0.5):
        noise = rng.standard_normal(COUNT)
        mean.append(noise)
        world.curve("diffedit", DIFFEDIT, {r: (noise - 0.4, 100 * r)}, noise=0.0)
        world.curve("sdedit", SDEDIT, {r: (0, 100 * r)}, noise=0.0)
    (result,) = world.claim(tmp_path, **TRADE)
    (row,) = result.rows
    noise = np.mean(mean, 0)
    error = noise.std(ddof=1) / COUNT**0.5
    assert row.difference == pytest.approx(noise.mean() - 0.4)
    assert row.hi - row.lo == pytest.approx(2 * 1.959964 * error, rel=0.2)
    assert row.p == pytest.approx(2 * scipy.stats.norm.sf(abs(row.difference) / (row.hi - row.lo) * 2 * 1.959964))


def test_curves_along_different_knobs(world, tmp_path):
    control = {"steps": 50, "guidance": 5.0, "tokens_start": 0.0, "tokens_end": 1.0, "spatial_start": 0.0}
    control |= {"start": "inversion", "inversion_guidance": 3.0, "refine_iterations": 3, "refine_strength": 0.9}
    world.curve("diffedit", DIFFEDIT, {0.3: (8, 10), 0.5: (18, 20)})
    for end, far in ((0.25, 11), (0.75, 19)):
        knobs = control | {"refine_from": 0.7, "spatial_end": end}
        world.add("cross_attention_control", knobs, {"perceptual": far, "edit_success": far})
    node = TRADE | {"second": {"method": "cross_attention_control"}}
    with pytest.raises(UserError, match="along: knob 'r' is not known"):
        world.claim(tmp_path, **node)
    node["trade_off"] = node["trade_off"] | {"along": ["r", "spatial_end"]}
    (result,) = world.claim(tmp_path, **node)
    assert result.verdict == "supported"


def test_curves_without_a_shared_range_are_not_compared(world, tmp_path):
    world.curve("diffedit", DIFFEDIT, {0.3: (1, 10), 0.5: (2, 20)})
    world.curve("sdedit", SDEDIT, {0.3: (500, 35), 0.5: (600, 45)})
    (result,) = world.claim(tmp_path, **TRADE)
    assert result.verdict == "inconclusive"
    assert "No shared range of edit_success: " in result.why
    assert np.isnan(result.rows[0].difference)
    assert TRADE["first"]["method"] in tidy([result]).compared[0]


def test_half_samples_of_few_pictures_prove_nothing(world, tmp_path):
    for method, knobs, far in (("diffedit", DIFFEDIT, 0), ("sdedit", SDEDIT, 9)):
        points = {0.3: (10 + far, 10), 0.5: (20 + far, 20)}
        world.curve(method, knobs, points, groups=[f"g{i % 7}" for i in range(COUNT)])
    (result,) = world.claim(tmp_path, **TRADE)
    assert result.verdict == "inconclusive"
    assert "Too few pictures for an interval: 7" in result.why


def test_a_stray_run_of_few_samples_does_not_take_the_others_away(world, tmp_path):
    world.curve("diffedit", DIFFEDIT, {0.3: (8, 10), 0.5: (18, 20)})
    world.curve("sdedit", SDEDIT, {0.3: (10, 10), 0.5: (20, 20)})
    world.curve("sdedit", SDEDIT, {0.9: (900, 90)}, count=4)
    (result,) = world.claim(tmp_path, **TRADE)
    assert (result.verdict, result.rows[0].n) == ("supported", COUNT)


CSFID = {
    "first": {"method": "diffedit", "mask_operator": "latent"},
    "second": {"method": "diffedit", "mask_operator": "glide"},
    "better": ["realism"],
}


def distances(value, seed, spread=0.2, shared=3.0, of="class"):
    """A distance of sets and its half-sample values: what is shared by runs of the same samples, and what is not."""
    both, own = (np.random.default_rng(s).standard_normal(100) for s in (0, seed))
    return {"csfid": (value, value + 1 + shared * both + spread * own, of)}


def test_distances_of_sets_are_compared_on_the_same_half_samples(world, tmp_path):
    """Each spreads by 3, their difference by 0.3: paired, 1 is far beyond noise."""
    for operator, value, seed in (("latent", 20, 1), ("glide", 21, 2)):
        world.add("diffedit", DIFFEDIT | {"mask_operator": operator, "r": 0.8}, sets=distances(value, seed))
    (result,) = world.claim(tmp_path, **CSFID)
    assert result.verdict == "supported"
    assert result.rows[0].hi - result.rows[0].lo == pytest.approx(2 * 1.96 * 0.2 * 2**0.5, rel=0.2)


def test_distances_of_different_sets_do_not_compare(world, tmp_path):
    for operator, count in (("latent", COUNT), ("glide", 24)):
        world.add("diffedit", DIFFEDIT | {"mask_operator": operator, "r": 0.8}, sets=distances(20, 1), count=count)
    (result,) = world.claim(tmp_path, **CSFID)
    assert result.verdict == "inconclusive"
    assert "csfid of different samples do not compare" in result.why


def test_older_scores_without_half_samples_are_named(world, tmp_path):
    for operator in ("latent", "glide"):
        world.add("diffedit", DIFFEDIT | {"mask_operator": operator, "r": 0.8}, sets={"csfid": (20, [], None)})
    (result,) = world.claim(tmp_path, **CSFID)
    assert "python -m bench.score run=<folder>" in result.why


def test_single_images_are_halved_as_the_sets_are(world, tmp_path):
    """On every half of the classes distance and CSFID add up to 100, or 0.6 less, though classes pull the two methods
    apart. On other halves, or on halves of pictures, that sum would be lost."""
    offset, halves = np.array([3.0 * (int(c) - 5.5) for c in CLASSES]), half_samples(CLASSES)
    node = TRADE | {"trade_off": {"compare": "distance", "equal": "realism"}}
    for nearer, sign, method, knobs in ((0.6, 1, "diffedit", DIFFEDIT), (0.0, -1, "sdedit", SDEDIT)):
        for r in (0.3, 0.5):
            far = 100 * r + sign * offset
            sets = {"csfid": (100 - far.mean(), [100 - far[half].mean() for half in halves], "class")}
            world.add(method, knobs | {"r": r}, {"perceptual": far - nearer - 20 * HARD}, noise=1e-3, sets=sets)
    (result,) = world.claim(tmp_path, **node)
    assert result.verdict == "supported"
    assert result.rows[0].difference == pytest.approx(-0.6, abs=0.05)
    assert result.rows[0].hi - result.rows[0].lo < 0.1


STAGNANT = {
    "first": {"method": "diffedit", "threshold": 0.75},
    "second": {"method": "diffedit", "threshold": 0.5},
    "stagnates": {"role": "match"},
}


@pytest.mark.parametrize(
    ("last", "verdict"),
    [
        ({0.3: 10, 0.5: 20, 0.7: 40, 0.9: 40.5}, "supported"),
        ({0.3: 10, 0.5: 20, 0.7: 40, 0.9: 55}, "contradicted"),  # it goes on gaining
        ({0.3: 10, 0.5: 20, 0.7: 80, 0.9: 80.5}, "contradicted"),  # it gains no more, at the other's level
    ],
)
def test_stagnation_is_a_floor_below_the_other_and_no_last_gain(world, tmp_path, last, verdict):
    world.curve("diffedit", DIFFEDIT, {0.3: (0, 10), 0.5: (0, 40), 0.7: (0, 60), 0.9: (0, 75)})
    world.curve("diffedit", DIFFEDIT | {"threshold": 0.75}, {r: (0, y) for r, y in last.items()})
    (result,) = world.claim(tmp_path, **STAGNANT)
    assert len(result.rows) == 2
    assert result.verdict == verdict


@pytest.mark.parametrize(("test", "verdict"), [("worsens", "supported"), ("improves", "contradicted")])
def test_steps_along_a_knob(world, tmp_path, test, verdict):
    for w_t, structure in ((7.0, 5), (7.5, 6), (8.0, 8)):
        world.add("siminversion", DUAL | {"w_s": 0.5, "w_t": w_t}, {"structure": structure})
    node = {"first": {"method": "siminversion", "w_s": 0.5}, test: {"along": "w_t", "roles": ["structure"]}}
    (result,) = world.claim(tmp_path, **node)
    assert result.verdict == verdict
    assert [round(row.difference) for row in result.rows] == [-1, -2]
    assert result.rows[0].compared == "siminversion w_s=0.5 at w_t = 7 - 7.5"


def test_one_value_of_a_knob_is_not_run(world, tmp_path):
    world.add("siminversion", DUAL | {"w_s": 0.5})
    node = {"first": {"method": "siminversion"}, "worsens": {"along": "w_t", "roles": ["structure"]}}
    (result,) = world.claim(tmp_path, **node)
    assert result.verdict == "not run"
    assert "only one value of w_t" in result.why


@pytest.mark.parametrize(
    ("nfe", "word", "verdict"),
    [
        (200, "no_more", "supported"),
        (250, "no_more", "supported"),
        (251, "no_more", "contradicted"),
        (250, "less", "contradicted"),
        (300, "more", "supported"),
    ],
)
def test_costs_are_counted(world, tmp_path, nfe, word, verdict):
    world.add("ddim", DUAL, nfe=250.0)
    world.add("siminversion", DUAL | {"w_s": 0.5}, nfe=float(nfe))
    node = {key: value for key, value in HALF.items() if key != "better"}
    _, counted = world.claim(tmp_path, **node, cost=word)
    assert (counted.verdict, counted.rows[0].difference) == (verdict, nfe - 250)
    assert counted.view.by == "our own count"


def test_a_cost_is_claimed_of_the_count_that_the_paper_has(world, tmp_path):
    """Direct inversion as published code runs it, at the run's steps; ours stands beside, and may say the opposite."""
    half, direct = {"method": "siminversion", "w_s": 0.5}, {"method": "direct", "w_s": 1}
    for knobs in (DUAL, DUAL | {"steps": 100}, DUAL | {"control": "none"}):
        world.add("direct", knobs | {"w_s": 1}, nfe=200.0)
        world.add("siminversion", knobs | {"w_s": 0.5}, nfe=300.0)
    for where, counts in (({"steps": 50}, "300 against 450"), ({"steps": 100}, "600 against 900")):
        node = {"first": half, "second": direct, "where": where | {"control": "p2p"}, "cost": "less"}
        stated, counted = world.claim(tmp_path, **node)
        assert (stated.verdict, stated.rows[0].metric, stated.rows[0].why) == ("supported", "published_nfe", counts)
        assert (counted.verdict, counted.rows[0].metric) == ("contradicted", "nfe")
    stated, _ = world.claim(tmp_path, first=half, second=direct, where={"control": "none"}, cost="less")
    assert "No paper counts the evaluations of siminversion with such knobs" in stated.why


def test_the_best_of_several_runs(world, tmp_path):
    """Half of the pictures are better with 0, half with 1; 0.5 lies between."""
    turn = np.tile([3.0, -3.0], COUNT // 2)
    for w_s, structure in ((0, turn), (1, -turn), (0.5, 0.0)):
        world.add("siminversion", DUAL | {"w_s": w_s}, {"structure": structure})
    node = {"first": {"method": "siminversion", "w_s": [0, 1], "best": True, "label": "SimInv*"}}
    node |= {"second": {"method": "siminversion", "w_s": 0.5}, "better": ["structure"]}
    (result,) = world.claim(tmp_path, **node)
    assert result.verdict == "supported"
    assert result.rows[0].difference == pytest.approx(-3, abs=0.3)
    assert result.rows[0].compared == "SimInv* - siminversion w_s=0.5"


def test_each_data_set_is_a_result_and_notices_are_said(world, tmp_path):
    simulated(world, 1.0)
    simulated(world, -1.0, data="pie", notice=None)
    results = world.claim(tmp_path, **HALF)
    assert {r.data: r.verdict for r in results} == {"shapes": "supported", "pie": "contradicted"}
    assert {r.data: r.notices for r in results} == {"shapes": ["embedded model"], "pie": []}
    (result,) = world.claim(tmp_path, **HALF | {"data": ["p*"]})
    assert result.data == "pie"
    (result,) = world.claim(tmp_path, **HALF | {"data": ["coco"]})
    assert (result.verdict, result.why) == (
        "not run",
        "Nothing is run on coco and scored with a profile that shows structure.",
    )


def test_what_is_said_of_some_claims_alone_names_them(world, tmp_path):
    simulated(world, 1.0)
    (result,) = world.claim(tmp_path, **HALF)
    rows = [replace(row, notices=("embedded model; sd3 at 64 px",)) for row in result.rows]
    other = replace(result, claim=replace(result.claim, name="other"), rows=rows)
    lines = printed([result, other]).splitlines()
    assert lines[1:3] == ["embedded model", "sd3 at 64 px (other)"]


def test_random_weights_are_found_under_their_name(world, tmp_path):
    simulated(world, 1.0, doubts={"judge": "random"})
    for file_ in world.out.glob("*/*/*/summary.*.json"):
        file_.write_text(file_.read_text().replace('"structure"', '"structure_random"'))
        scores = next(file_.parent.glob("per_image.*"))
        scores.write_text(scores.read_text().replace("structure", "structure_random"))
    (result,) = world.claim(tmp_path, **HALF)
    assert result.rows[0].metric == "structure_random"
    assert "judge is random" in result.notices[0]


def test_command(world, tmp_path, capsys):
    simulated(world, 1.0)
    world.add("siminversion", DUAL | {"w_s": 2}, {"structure": 5})
    assert main([f"out={world.out}"]) == 0
    said = capsys.readouterr().out
    assert "embedded model" in said
    assert "says nothing of the paper's own numbers" in said
    table = pd.read_csv(world.out / "claims.csv")
    assert table.columns.tolist() == COLUMNS
    assert set(table.verdict) <= {"supported", "contradicted", "inconclusive", "not run"}
    assert set(table.id) == {claim.name for claim in file.load().claims}
    mine = table[table.id == "symmetric-preserves"]
    assert mine.verdict.unique().tolist() == ["inconclusive"]
    assert (mine.notice == "embedded model").all()
    assert "w_s=0 is not run; w_s=1 is not run" in mine.why.tolist()
    assert mine[mine.metric == "structure"].difference.item() == pytest.approx(-1, abs=0.2)
    text = (world.out / "claims.md").read_text()
    assert "of siminversion w_s=0.5 - ddim: " in text
    assert max(map(len, text.splitlines())) <= 160
    assert "## Not run" in text
    assert main([f"out={world.out}", "data=shape"]) == 2
    assert "did you mean shapes?" in capsys.readouterr().err


def test_scores_changed_by_hand_prove_nothing(world, tmp_path, capsys):
    simulated(world, 1.0)
    scores = next(world.out.glob("shapes/siminversion/*/per_image.*"))
    scores.write_text(scores.read_text().replace("0003,", "0003, "))
    assert main([f"out={world.out}"]) == 0
    assert f"left out: {scores}: changed since the run was scored" in capsys.readouterr().out
    assert set(pd.read_csv(world.out / "claims.csv").verdict) == {"not run"}
    text = "".join((world.out / "claims.md").read_text().split())  # a long path may be broken
    assert f"-leftout:{scores}" in text


def test_shipped_claims_name_what_exists():
    shipped = file.load()
    assert len(shipped.claims) >= 15
    assert all(claim.source for claim in shipped.claims)
    metrics = {
        metric for part in (shipped.roles, shipped.truth) for found in part.values() for metric in found.values()
    }
    assert set(shipped.margins) <= metrics


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"better": ["struture"]}, "mine.better: role 'struture' is not known; did you mean structure?"),
        ({"better": []}, "mine.better is []; expected a list of roles"),
        ({"betterr": ["structure"]}, "mine: unknown key 'betterr'; did you mean better?"),
        ({"second": {"method": "dim"}}, "mine.second: method 'dim' is not known; did you mean ddim or edict?"),
        ({"second": {"method": "ddim", "ws": 1}}, "mine.second: knob 'ws' is not known"),
        ({"second": "ddim"}, "mine.second is 'ddim'; expected method and its knobs"),
        ({"where": {"step": 5}}, "mine: knob 'step' is not known; did you mean steps or"),
        ({"where": {"data.filtre": 5}}, "mine: knob 'data.filtre' is not known; did you mean data.filter"),
        ({"where": {"steps": "<fifty"}}, "condition '<fifty': expected a number after <"),
        ({"close": ["structure"]}, "mine needs a margin of structure"),
        ({"trade_off": {"compare": "match"}}, "mine.trade_off: equal is missing"),
        ({"stagnates": {"role": "match", "along": "w_s"}}, "mine.stagnates.along: knob 'w_s' is not known"),
        ({"stagnates": {"role": "match", "along": ["steps"]}}, "mine.stagnates.along names 1 knobs"),
        ({"cost": "fewer"}, "mine.cost: 'fewer' is not known"),
        ({"first": {"method": "siminversion", "w_s": [0, 1], "best": True}, "cost": "less"}, "compared image by image"),
    ],
)
def test_mistakes_in_the_file(tmp_path, change, sentence):
    with pytest.raises(UserError, match=r"claims.yaml: ") as error:
        load(tmp_path, **HALF | change)
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("node", "sentence"),
    [
        ({"roles": {"a": {"shape-v1": "psnr"}}, "claims": {}}, "roles.a: metric profile 'shape-v1' is not known"),
        (
            {"roles": {"a": {"shapes-v1": "psrn"}}, "claims": {}},
            "roles.a: profile shapes-v1 has no metric 'psrn'; did you mean psnr?",
        ),
        ({"roles": {}, "margins": {"fixed": {"psrn": 1}}, "claims": {}}, "margins.fixed: metric 'psrn' is not known"),
        ({"roles": {}}, "claims is missing"),
        (
            {"roles": {}, "claims": {"a": {"statement": "x", "source": "y", "first": {"method": "ddim"}}}},
            "tests nothing",
        ),
        (
            {
                "roles": {"s": {"pie-v2": "psnr"}},
                "claims": {"a": {"statement": "x", "source": "y", "first": {"method": "ddim"}, "better": ["s"]}},
            },
            "a: better compares two sides, and there is no second",
        ),
    ],
)
def test_mistakes_at_the_head_of_the_file(tmp_path, node, sentence):
    OmegaConf.save(OmegaConf.create(node), tmp_path / "claims.yaml")
    with pytest.raises(UserError) as error:
        file.load(tmp_path / "claims.yaml")
    assert sentence in str(error.value)


def test_traits_leave_out_what_a_run_has_not(world):
    world.add("ddim", DUAL)
    (run,) = stored.under(world.out)
    traits = run.traits
    assert "seed" not in traits
    assert (traits["w_t"], traits["data.size"], traits["model"]) == (7.5, 64, "shapes")
