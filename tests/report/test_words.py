"""How values, counts and headings are written, and tables in every form."""

from math import inf, nan

import pandas as pd
import pytest

from bench.report import words, write
from bench.report.write import Table
from bench.scores.stored import Fact, Summary

PSNR = Fact("psnr", 1, True, "dB", "pair", 20.0, n=3, n_nan=2)


@pytest.mark.parametrize(
    ("value", "lo", "hi", "expected"),
    [
        (12.345, None, None, "12.35"),
        (123.45, 100, 150, "123.5 ±25.0"),
        (0.8531, 0.84, 0.86, "0.853 ±0.010"),
        (0.00265, 0.0025, 0.0027, "0.00265 ±0.00010"),
        (0.004, -1.2, 1.2, "0.00 ±1.20"),  # as many decimals as the larger of both asks for
        (0.0, 0.0, 0.0, "0.00 ±0.00"),
        (-0.001, -2, 2, "0.00 ±2.00"),
        (5.0, nan, nan, "5.00"),
        (None, None, None, ""),
        (nan, 1, 2, ""),
        (inf, None, None, ""),
    ],
)
def test_values_with_intervals(value, lo, hi, expected):
    assert words.value(value, lo, hi) == expected


def test_differences_have_a_sign_and_both_ends():
    assert words.between(-16.666, -41.66, 0.0, sign="+") == "-16.67 [-41.66, +0.00]"
    assert words.between(2.0, 2.0, 2.0, sign="+") == "+2.00"
    assert words.between(nan, nan, nan) == ""


def test_headings_and_axes():
    assert words.of(PSNR) == "psnr ↑ (dB)"
    assert words.heading("fid", False) == "fid ↓"
    assert words.heading("count") == "count"
    assert words.axis(words.of(PSNR), True) == "psnr (dB)   → better"
    assert words.axis("fid ↓", False) == "fid   ← better"
    assert words.axis("latent gap", None) == words.axis("latent gap", nan) == "latent gap"


def test_names_for_people():
    assert words.printed(PSNR) == "PSNR ↑ (dB)"
    percent = Fact("unedited_percent_random", 1, False, "%", "pair")
    assert words.printed(percent) == "unedited [random weights] ↓ (%)"
    lpips = Fact("lpips_e3", 1, False, "x 10^3", "pair")
    assert words.printed(lpips) == "LPIPS ↓ (10⁻³)"
    assert words.printed(lpips, "Background preservation, LPIPS") == "Background preservation, LPIPS ↓ (10⁻³)"
    assert [words.called(name) for name in ("r", "mask_iou", "clip_score")] == [
        "encoding ratio r",
        "mask IoU",
        "CLIPScore",
    ]
    assert [words.minus(text) for text in ("-1.29", "25.1 ±-0", "")] == ["\N{MINUS SIGN}1.29", "25.1 ±-0", ""]


def test_counts():
    assert (words.extent(6, 6), words.extent(6, 9, 1)) == ("6", "6/9 incomplete, 1 failed")
    assert (words.span([8, 8]), words.span([48, 8]), words.span([])) == ("8", "8 to 48", "0")
    assert (words.own_count(PSNR, 5), words.own_count(PSNR, 3)) == ("n=3, nan=2", "")


def test_knobs_as_one_types_them():
    typed = {words.knob(value) for value in (0.5, 7.0, "p2p", True, [0, 0.5], None, nan)}
    assert typed == {"0.5", "7", "p2p", "True", "[0,0.5]", ""}


def test_a_notice_says_what_its_weights_leave_in_doubt():
    summary = Summary("pie", "pie-v2", {}, notice="embedded", doubts={"clip": "random"})
    assert words.notice(summary) == "embedded; scored with weights that may not compare: clip is random"
    assert words.notice(Summary("pie", "pie-v2", {})) is None


TABLE = Table(pd.DataFrame([{"": "a_b", "n": "8", "psnr ↑ (dB)": "20.00 ±1.00"}]), "50 %", ["one", "two"], ["three."])


def test_a_table_in_every_form(tmp_path):
    assert TABLE.markdown().splitlines()[:4] == ["# 50 %", "", "one  ", "two"]
    assert TABLE.text().splitlines()[2] == "one"
    assert TABLE.text().endswith("\n\n- three.")
    files = write.save(TABLE, tmp_path / "deep/a.b", ["md", "tex"])
    assert [file.name for file in files] == ["a.b.md", "a.b.tex"]
    tex = files[1].read_text()
    assert r"a\_b & 8 & 20.00 $\pm$1.00 \\" in tex
    assert r"psnr $\uparrow$ (dB)" in tex
    assert r"\caption{50 \%}" in tex
    assert r"\scriptsize one. two. three.}" in tex
