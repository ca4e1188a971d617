"""Who is best at what, on scores written by hand."""

from itertools import product

import numpy as np
import pytest

from bench.report.page.answers import answers
from tests.report.page.made import collected, write_run


def answer(out):
    (found,) = answers(*collected(out))
    return found


def column(table, title):
    """Texts of a column by the beginning of its title."""
    (at,) = [i for i, name in enumerate(table["columns"]) if name.startswith(title)]
    cells = [row["cells"][at] for row in table["rows"]]
    return [cell["text"] if isinstance(cell, dict) else cell for cell in cells]


def test_ranks_and_their_ends_are_those_of_every_resample(tmp_path):
    """Three source pictures have 27 resamples, which can be counted: each end is the place below which no more than
    2.5 % of them are."""
    values = {"a": [9.0, 5, 1], "b": [8.0, 4, 3], "c": [0.0, 3, 3]}
    for method, match in values.items():
        write_run(tmp_path, method, {"match": match})
    matrix = np.array(list(values.values()))
    draws = np.array([matrix[:, list(draw)].mean(1) for draw in product(range(3), repeat=3)])
    places = 1 + (draws[:, None, :] > draws[:, :, None] + 1e-9).sum(2)
    order = np.argsort(-matrix.mean(1), kind="stable")
    ends = [(int(one.min()), int(one.max())) for one in places.T]  # each extreme is 1 of 27 resamples or more
    leaders = answer(tmp_path)["tables"][0]
    assert column(leaders, "method") == [list(values)[i] for i in order]
    place = 1 + (matrix.mean(1)[None] > matrix.mean(1)[:, None] + 1e-9).sum(1)
    assert column(leaders, "rank") == [f"{place[i]} [{ends[i][0]} to {ends[i][1]}]" for i in order]
    assert "over 3 edits of 3 source pictures, few, which all 3 share" in leaders["lead"][0]


def clear(out, methods, count=30, **more):
    """Runs of methods whose differences are clear, or not: method -> its mean."""
    rng = np.random.default_rng(0)
    hard = rng.standard_normal(count)
    for method, mean in methods.items():
        write_run(out, method, {"match": mean + hard + 0.1 * rng.standard_normal(count)}, **more)


def test_the_best_beyond_noise_is_said_and_so_is_one_that_is_not(tmp_path):
    clear(tmp_path / "one", {"a": 1.0, "b": 3.0, "c": 2.0})
    found = answer(tmp_path / "one")
    assert found["main"].startswith("match ↑: b is best with ")
    assert found["main"].endswith("ahead of all 2 others beyond noise.")
    assert column(found["tables"][0], "rank") == ["1 [1 to 1]", "2 [2 to 2]", "3 [3 to 3]"]
    clear(tmp_path / "two", {"a": 1.0, "b": 3.0, "c": 3.0})
    main = answer(tmp_path / "two")["main"]
    first, second = ("b", "c") if main.startswith("match ↑: b") else ("c", "b")
    assert main.startswith(f"match ↑: {first} is first with ")
    assert f"but not beyond noise: {second} cannot be told from it. It is ahead of the other beyond noise." in main


def test_few_pictures_are_too_few_to_tell(tmp_path):
    clear(tmp_path, {"a": 1.0, "b": 30.0}, count=5)
    assert "but 5 source pictures are too few to tell: a cannot be told from it" in answer(tmp_path)["main"]


def test_equal_ones_share_their_place(tmp_path):
    for method, match in {"a": [1, 2, 3, 4], "b": [1, 2, 3, 4], "c": [0, 0, 0, 0]}.items():
        write_run(tmp_path, method, {"match": match})
    found = answer(tmp_path)
    assert "a and b share the first of 3 places with 2.50" in found["main"]
    assert [text[0] for text in column(found["tables"][0], "rank")] == ["1", "1", "3"]


def test_a_method_stands_at_its_best_point_over_the_pictures_that_all_share(tmp_path):
    ids = [f"{i:04d}" for i in range(6)]
    write_run(tmp_path, "a", {"match": [1, 1, 1, 1, 9, 9], "id": ids}, r=0.3)
    write_run(tmp_path, "a", {"match": [2, 2, 2, 2, 0, 0], "id": ids}, r=0.8)
    write_run(tmp_path, "b", {"match": [0, 0, 0, 0], "id": ids[:4]}, r=0.5)
    found = answer(tmp_path)
    leaders = found["tables"][0]
    assert column(leaders, "best at r") == ["0.8", "0.5"]
    assert column(leaders, "match")[0].startswith("2.00")
    assert "over 4 edits of 4 source pictures" in leaders["lead"][0]


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ({"a": ["0", "1", "2"], "b": ["3", "4", "5"]}, "0 source pictures with a value of all, too few"),
        ({"a": ["0", "1", "2"], "b": ["2", "4", "5"]}, "1 source picture with a value of all, too few"),
        ({"a": ["0", "1", "2"]}, "only a has a value"),
    ],
)
def test_nothing_is_ranked_without_shared_pictures_or_another_method(tmp_path, runs, said):
    for method, ids in runs.items():
        write_run(tmp_path, method, {"match": [1.0, 2, 3], "id": ids})
    found = answer(tmp_path)
    assert f"match ↑: nothing to rank, {said}" in found["main"]
    assert set(column(found["tables"][0], "rank")) == {""}
    assert said in found["tables"][0]["lead"][0]


def test_what_was_scored_otherwise_and_what_has_no_value_are_not_ranked(tmp_path):
    clear(tmp_path, {"a": 1.0, "b": 2.0, "c": 3.0})
    other = write_run(tmp_path, "d", {"match": np.full(30, 9.0)})
    text = (other / "summary.own-v1.json").read_text()
    (other / "summary.own-v1.json").write_text(text.replace('"size": 64', '"size": 32'))
    write_run(tmp_path, "e", {"keep": np.ones(30)})
    leaders = answer(tmp_path)["tables"][0]
    assert column(leaders, "method") == ["c", "b", "a"]
    assert leaders["remarks"] == [
        "not ranked: d: scored otherwise: size 32 instead of 64",
        "not ranked: e: scored without it",
    ]


def test_what_is_told_nothing_of_the_edit_is_no_contender(tmp_path):
    clear(tmp_path, {"copy": 9.0, "a": 1.0, "b": 2.0})
    found = answer(tmp_path)
    assert column(found["tables"][0], "method") == ["b", "a"]
    assert found["more"][-1] == "Not ranked, since it is told nothing of the edit: copy."


def test_runs_of_other_pictures_under_one_name_are_apart(tmp_path):
    """Their samples have the same ids, and other pictures behind them."""
    clear(tmp_path, {"a": 1.0, "b": 2.0})
    clear(tmp_path, {"c": 3.0}, data={"name": "own", "size": 64, "seed": 1, "files": ["0" * 64]})
    found = answers(*collected(tmp_path))
    assert [one["title"] for one in found] == ["own, own-v1", "own (seed 1, files no. 2), own-v1"]
    assert "only c has a value" in found[1]["main"]


def curve(out, method, shift, rng, noise=0.1):
    """Two operating points: match falls by 4 while keep rises from 1 to 5."""
    for r, keep, match in ((0.3, 5.0, 1.0), (0.8, 1.0, 5.0)):
        of = {"keep": keep + 0.01 * rng.standard_normal(30), "match": match + shift + noise * rng.standard_normal(30)}
        write_run(out, method, of, r=r)


def test_curves_are_compared_at_an_equal_other_metric(tmp_path):
    rng = np.random.default_rng(0)
    curve(tmp_path, "low", 0.0, rng)
    curve(tmp_path, "high", 2.0, rng)
    write_run(tmp_path, "point", {"keep": np.full(30, 3.0), "match": np.full(30, 3.0)})
    found = answer(tmp_path)
    assert found["more"][0] == "At equal keep ↑, beyond noise in match ↑: high is ahead of the one curve that it meets."
    leaders, against = found["tables"]
    at = dict(zip(column(leaders, "method"), column(leaders, "at equal keep"), strict=True))
    assert at == {"high": "ahead of 1, behind 0, of 1", "low": "ahead of 0, behind 1, of 1", "point": ""}
    (row,) = against["rows"]
    assert row["cells"][:2] == ["high", "low"]
    assert row["cells"][3]["key"] == pytest.approx(2, abs=0.1)
    assert row["cells"][-1] == "high is better, beyond noise"


def test_curves_that_do_not_meet_are_not_compared(tmp_path):
    rng = np.random.default_rng(0)
    curve(tmp_path, "near", 0.0, rng)
    for r in (0.3, 0.8):
        write_run(tmp_path, "far", {"keep": 50 + r + np.zeros(30), "match": rng.standard_normal(30)}, r=r)
    found = answer(tmp_path)
    assert found["more"][0] == "At equal keep ↑: nothing to compare, no two curves reach a common range of it."
    assert set(column(found["tables"][0], "at equal keep")) == {"meets no other curve"}
    assert len(found["tables"]) == 1


def test_distances_of_sets_are_ranked_over_half_samples(tmp_path):
    for method, (value, halves) in {"a": (3.0, [5.0] * 100), "b": (4.0, [6.0] * 95 + [4.0] * 5)}.items():
        write_run(tmp_path, method, {"match": np.arange(30.0)}, fid=value, halves=halves)
    (said,) = [line for line in answer(tmp_path)["more"] if line.startswith("FID")]
    assert said == "FID ↓: a is first with 3.00, but not beyond noise: b cannot be told from it."


def test_notices_stand_in_every_answer_and_table(tmp_path):
    clear(tmp_path, {"a": 1.0, "b": 2.0}, notice="embedded model", weights={}, doubts={"judge": "random"})
    found = answer(tmp_path)
    said = "embedded model; scored with weights that may not compare: judge is random"
    assert found["notices"] == [said]
    assert all(said in table["lead"] for table in found["tables"])


def test_a_profile_that_averages_over_types_is_ranked_by_means_over_pictures_and_says_so(tmp_path):
    for method, match in {"a": [1.0] * 9 + [9.0], "b": [2.0] * 9 + [1.0]}.items():
        write_run(tmp_path, method, {"match": match}, protocol={"mean": "types"})
    for file in tmp_path.glob("own/*/*/summary.*.json"):
        file.write_text(file.read_text().replace('"value": ', '"value": 100'))  # what a mean over types would be
    found = answer(tmp_path)
    assert "places and tests are of means over pictures" in found["about"]
    assert [text.split()[0] for text in column(found["tables"][0], "match")] == ["1.90", "1.80"]
