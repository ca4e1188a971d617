"""Scores of each edit type."""

import numpy as np
import pytest

from bench.report import words
from bench.report.page.kinds import kinds
from bench.statistics.intervals import mean_interval
from tests.report.page.made import collected, write_run


def test_means_and_intervals_are_those_of_the_pictures_of_a_type(tmp_path):
    rng = np.random.default_rng(0)
    types = ["add"] * 30 + ["style"] * 10
    columns = {name: {"match": rng.standard_normal(40), "type": types} for name in "ab"}
    for name, of in columns.items():
        write_run(tmp_path, name, of, notice="embedded")
    (found,) = kinds(*collected(tmp_path))
    table = found["choices"]["match ↑"]
    assert table["columns"] == ["method", "r", "add, n=30", "style, n=10, few"]
    assert table["lead"][-1] == "embedded"
    for row, (name, of) in zip(table["rows"], columns.items(), strict=True):
        assert row["cells"][0] == name
        for cell, part in zip(row["cells"][2:], (slice(0, 30), slice(30, 40)), strict=True):
            values = of["match"][part]
            mean, low, high, _ = mean_interval(values, [f"{i:04d}" for i in range(40)][part])
            assert cell["text"] == words.value(mean, low, high)
            assert cell["key"] == pytest.approx(mean)


def test_pictures_of_one_source_are_one(tmp_path):
    """Ten pictures of two sources have no interval."""
    columns = {"match": np.arange(10.0), "group": ["x"] * 5 + ["y"] * 5}
    write_run(tmp_path, "a", columns)
    (found,) = kinds(*collected(tmp_path))
    (row,) = found["choices"]["match ↑"]["rows"]
    assert row["cells"][2]["text"] == "4.50"


def test_runs_of_other_pictures_say_their_own_number(tmp_path):
    write_run(tmp_path, "a", {"match": np.arange(30.0)})
    write_run(tmp_path, "b", {"match": [1.0, 2, np.inf, np.nan, 3, 4]})
    (found,) = kinds(*collected(tmp_path))
    table = found["choices"]["match ↑"]
    assert table["columns"][2] == "object"
    assert [row["cells"][2]["text"].split(" (")[1] for row in table["rows"]] == ["n=30)", "n=4, few)"]


def test_samples_without_types_have_no_such_table(tmp_path):
    write_run(tmp_path, "a", {"match": np.arange(4.0), "type": [None] * 4})
    assert kinds(*collected(tmp_path)) == []
