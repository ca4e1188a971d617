"""Rows of other papers, below one's own."""

import csv
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from bench.report import published, tables
from bench.report.__main__ import main
from tests.helpers import stored_runs

KNOWN = set(published.PROTOCOL)


@pytest.fixture
def measured(tmp_path):
    """700 edits by the protocol of SimInversion's tables."""
    rng = np.random.default_rng(0)
    return stored_runs.run(tmp_path, "ddim", {"psnr": 20 + rng.standard_normal(700)})


def row(paper, method):
    """The first of a paper's rows of a method."""
    return next(row for row in published.rows("pie", "pie-v2") if (row.paper, row.method) == (paper, method))


def test_every_value_has_a_source_and_a_protocol_known_or_not():
    with open(published.FOLDER / "pie.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) > 100
    for line in lines:
        assert all(line[name] for name in ("paper", "method", "metric", "value", "source", "profile", *KNOWN)), line
        assert line["second_hand"] in ("yes", "no")
        assert Decimal(line["value"]).is_finite()
    places = [tuple(line[name] for name in ("paper", "method", "settings", "backbone", "metric")) for line in lines]
    assert len(set(places)) == len(places)


def test_rows_are_of_their_data_and_profile():
    assert published.names() == ["pie"]
    assert published.rows("shapes", "pie-v2") == published.rows("pie", "recommended-v2") == []
    assert published.rows("tables", "pie-v2") == []
    assert published.rows("pie", "pie-v1") == published.rows("pie", "pie-v2")


def test_a_row_keeps_digits_and_names_each_source_once():
    of_two = row("uniedit_flow", "UniEdit-Flow")
    assert (of_two.values["clip_whole"], of_two.values["mse_e4"]) == ("25.80", "24.72")
    assert len(of_two.sources) == 2
    assert of_two.second_hand
    assert of_two.known == {"backbone": "FLUX"}
    assert of_two.label == "UniEdit-Flow FLUX alpha=0.6"
    assert of_two.note.endswith(
        "; at second hand; backbone FLUX, guidance, size, brackets, jpeg, mean, samples unknown"
    )


def test_only_a_protocol_that_is_known_and_the_same_compares(measured):
    same = row("siminversion", "DDIM")
    assert not same.second_hand
    assert same.compares(measured)
    for name, other in (("size", "256"), ("mean", "types"), ("jpeg", "None"), ("samples", "620"), ("backbone", "FLUX")):
        assert not replace(same, protocol=same.protocol | {name: other}).compares(measured), name
        assert not replace(same, protocol=same.protocol | {name: "unknown"}).compares(measured), name
    assert not row("fireflow", "FireFlow").compares(measured)
    assert not replace(same, profile="pie-v1").compares(measured)


def test_a_run_whose_protocol_was_not_kept_compares_with_none(measured):
    measured.summary = replace(measured.summary, protocol={})
    assert not row("siminversion", "DDIM").compares(measured)


def test_rows_stand_below_and_say_what_they_are(measured):
    rows = published.rows("pie", "pie-v2")
    found = tables.readable(stored_runs.frame(measured), rows)
    assert found.cells.method[0] == "ddim"
    assert found.cells.method[1:].str.contains(r"\(as printed(, second-hand)? \[\d+\]\)$").all()
    assert len(found.cells) == 1 + sum("psnr" in row.values for row in rows)
    (flowedit,) = found.cells[
        found.cells.method.str.startswith("FlowEdit") & (found.cells["psnr ↑ (dB)"] == "23.29")
    ].index
    assert found.cells.given[flowedit] == ""
    text = found.text()
    assert "as printed there, not measured here; its protocol is that of the runs above: SimInversion" in text
    assert "here; no run above has its protocol, so that it has no rank: DirectEdit" in text
    assert len(tables.readable(stored_runs.frame(measured)).cells) == 1


def test_the_command(measured, tmp_path, capsys):
    words = [f"out={tmp_path}", f"to={tmp_path / 'to'}", "page=false"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.report.figures.contact_sheet", lambda *_: [])
        patch.setattr("bench.report.figures.trade_off", lambda *_: [])
        assert main([*words, "published=true"]) == 0
        assert "as printed there" in capsys.readouterr().out
        assert main(words) == 0
    assert "as printed there" not in capsys.readouterr().out
    assert main([*words, "published=pie"]) == 2
    assert "published=pie, expected true or false" in capsys.readouterr().err
