"""The table for a paper: its structure, what is bold, and that nothing in it breaks LaTeX."""

import re
from dataclasses import replace

import numpy as np
import pytest

from bench.config import cli, files
from bench.errors import UserError
from bench.report import latex, published, tables, words, write
from bench.report.__main__ import main, report
from bench.report.best import NONE, RULE
from bench.scores.stored import Fact
from tests.helpers import stored_runs

COUNT = 60


def scores(psnr, lpips=100.0, noise=1.0, seed=0):
    """Of each picture; what the pictures have in common is much larger than what noise does."""
    common = 5 * np.random.default_rng(7).standard_normal(COUNT)
    own = np.random.default_rng(seed)
    drawn = [noise * own.standard_normal(COUNT) for _ in range(2)]
    return {"psnr": psnr + common + drawn[0], "lpips_e3": lpips + common + drawn[1]}


@pytest.fixture
def runs(tmp_path):
    """Two methods at two ratios: the second has the better PSNR at both, beyond noise, and as good an LPIPS."""
    made = []
    for number, (method, better) in enumerate((("sd_edit", 0.0), ("diffedit", 2.0))):
        for r in (0.5, 0.8):
            made.append(
                stored_runs.run(tmp_path, method, scores(20 + better - r, seed=10 * number + r > 0.6), {"r": r})
            )
    return made


def body(tex: str) -> list[list[str]]:
    """The cells of each row between \\midrule and \\bottomrule."""
    lines = tex[tex.index("\\midrule") : tex.index("\\bottomrule")].splitlines()
    return [[cell.strip() for cell in line.removesuffix("\\\\").split("&")] for line in lines if "\\\\" in line]


def test_each_point_is_a_line(runs):
    found = latex.table(stored_runs.frame(*runs))
    assert list(found.cells) == ["method", "r", "PSNR ↑ (dB)", "LPIPS ↓ (10⁻³)"]
    assert found.cells[["method", "r"]].agg(" ".join, axis=1).tolist() == [
        "diffedit 0.5",
        "diffedit 0.8",
        "sd_edit 0.5",
        "sd_edit 0.8",
    ]
    tex = found.latex("a_b%c")
    assert r"\begin{tabular}{lrrr}" in tex
    assert r"\label{tab:a-b-c}" in tex
    assert [len(line) for line in body(tex)] == [4] * 4
    assert body(tex)[2][0] == r"sd\_edit"
    assert "LPIPS" in tex
    assert "$^{-}$$^{3}$" in tex


def test_a_group_of_columns_for_each_value_of_a_knob(runs, tmp_path):
    runs.append(stored_runs.run(tmp_path, "copy", scores(10)))
    tex = latex.table(stored_runs.frame(*runs), "r").latex("t")
    (heads,) = [line for line in tex.splitlines() if "multicolumn" in line]
    assert re.findall(r"\\multicolumn\{2\}\{c\}\{(.*?)\}", heads) == ["r = 0.5", "r = 0.8", "no r"]
    assert r"\cmidrule(lr){2-3}\cmidrule(lr){4-5}\cmidrule(lr){6-7}" in tex
    assert [line[0] for line in body(tex)] == ["copy", "diffedit", r"sd\_edit"]
    assert [len(line) for line in body(tex)] == [7] * 3
    assert body(tex)[0][1:5] == [""] * 4
    assert body(tex)[1][5:] == [""] * 2


def test_another_knob_leaves_r_its_column(tmp_path):
    runs = [
        stored_runs.run(tmp_path, "sdedit", scores(20 + w), {"r": r, "guidance": w})
        for r in (0.5, 0.8)
        for w in (3, 7.5)
    ]
    found = latex.table(stored_runs.frame(*runs), "guidance")
    assert found.cells[["method", "r"]].to_numpy().tolist() == [["sdedit", "0.5"], ["sdedit", "0.8"]]
    assert list(found.cells)[2] == "guidance = 3, PSNR ↑ (dB)"


def test_the_best_is_bold_only_beyond_noise(runs):
    """PSNR's means differ by 2 and single pictures by 5; it is the paired difference that counts."""
    found = latex.table(stored_runs.frame(*runs), "r")
    cells = found.cells.set_index("method")
    bold = {(name, method) for name in cells for method, text in cells[name].items() if text.startswith("**")}
    assert bold == {(f"r = {r}, PSNR ↑ (dB)", "diffedit") for r in (0.5, 0.8)}
    assert RULE in found.remarks
    assert r"\textbf{" in found.latex("t")


def test_nothing_is_bold_where_nothing_is_told_apart(tmp_path):
    runs = [stored_runs.run(tmp_path, name, scores(20, seed=seed)) for seed, name in enumerate(("copy", "sdedit"))]
    found = latex.table(stored_runs.frame(*runs))
    assert not found.cells.map(lambda text: text.startswith("**")).any(axis=None)
    assert NONE in found.remarks


def test_what_does_not_compare_is_not_best(runs):
    best = runs[2]
    facts = {name: replace(fact, made={"border": 3}) for name, fact in best.summary.metrics.items()}
    best.summary = replace(best.summary, metrics=facts)
    cells = latex.table(stored_runs.frame(*runs)).cells.set_index(["method", "r"])["PSNR ↑ (dB)"]
    assert cells["diffedit", "0.5"].endswith("0 ≠")
    assert cells[cells.str.startswith("**")].index.tolist() == [("diffedit", "0.8")]  # the best of those that do


def test_runs_of_other_pictures_are_not_best(runs):
    runs[2].summary = replace(runs[2].summary, ids="others")
    cells = latex.table(stored_runs.frame(*runs), "r").cells.set_index("method")["r = 0.5, PSNR ↑ (dB)"]
    assert not cells.str.startswith("**").any()


def test_printed_rows_are_ruled_off_and_ranked_only_by_the_same_protocol(tmp_path):
    psnr = 20 + np.random.default_rng(0).standard_normal(700)
    run = stored_runs.run(tmp_path, "ddim", {"psnr": psnr})
    rows = published.rows("pie", "pie-v2")
    same = [row for row in rows if row.paper == "siminversion"]
    top = max(same, key=lambda row: float(row.values["psnr"]))
    found = latex.table(stored_runs.frame(run), None, [*same, *(row for row in rows if row.second_hand)])
    bold = found.cells[found.cells["PSNR ↑ (dB)"].str.startswith("**")]
    assert bold["PSNR ↑ (dB)"].tolist() == [f"**{top.values['psnr']}**"]
    assert max(float(row.values["psnr"]) for row in rows) > float(top.values["psnr"])  # which has no rank
    lines = found.latex("t").splitlines()
    assert lines.count(r"\midrule") == 2
    assert lines[lines.index(r"\midrule", lines.index(r"\midrule") + 1) - 1].startswith("ddim ")


def test_printed_rows_stand_under_the_value_of_the_knob_that_they_have(tmp_path):
    run = stored_runs.run(tmp_path, "ddim", scores(20), {"steps": 50})
    found = latex.table(stored_runs.frame(run), "steps", published.rows("pie", "pie-v2"))
    groups = list(dict.fromkeys(name.split(", ")[0] for name in found.cells if ", " in name))
    assert groups == ["steps = 8", "steps = 15", "steps = 28", "steps = 50", "no steps"]
    line = found.cells[found.cells.method.str.startswith("FireFlow FLUX steps=8")].iloc[0]
    assert (line["steps = 8, PSNR ↑ (dB)"], line["steps = 15, PSNR ↑ (dB)"]) == ("23.03", "")


def test_weights_that_were_embedded_are_said(runs):
    runs[0].summary = replace(runs[0].summary, notice="embedded model of a drawn world", doubts={"clip": "random"})
    tex = latex.table(stored_runs.frame(*runs)).latex("t")
    assert "embedded model of a drawn world; scored with weights that may not compare: clip is random" in tex


def test_nothing_is_left_that_latex_would_read(tmp_path):
    nasty = r"a_b 5% {x} #1 $ ^ ~ \y <u & |z"
    run = stored_runs.run(tmp_path, "sdedit", scores(20), {"label": nasty})
    tex = latex.table(stored_runs.frame(run, stored_runs.run(tmp_path, "copy", scores(20)))).latex("t")
    (line,) = [line for line in tex.splitlines() if line.startswith("sdedit")]
    cells = [cell.strip() for cell in re.split(r"(?<!\\)&", line)]
    escaped = r"sdedit a\_b 5\% \{x\} \#1 \$ \textasciicircum{} \textasciitilde{} \textbackslash{}y $<$u \& $|$z"
    assert cells[0] == escaped
    assert len(cells) == 3


def test_every_sign_of_a_heading_is_known_to_latex():
    """Letters beyond Latin ones are commands there."""
    headings = [tables.UNLIKE, *words.COSTS.values(), words.FEWNESS, words.value(20, 19, 21), RULE]
    for name in cli.names("metrics"):
        for column, node in files.read(cli.CONF / "metrics" / f"{name}.yaml").items():
            if isinstance(node, dict) and "_target_" in node:
                headings += [words.printed(Fact(column, 1, better, "x 10^4", "pair")) for better in (True, False)]
    assert len(headings) > 60
    assert all(write._tex(heading).isascii() for heading in headings)


def test_a_line_never_starts_with_a_bracket():
    r"""Which would be an argument of the \\ before it."""
    assert write._tex("[1]").startswith("{[}")


def test_the_command(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("bench.report.figures.contact_sheet", lambda *_: [])
    monkeypatch.setattr("bench.report.figures.trade_off", lambda *_: [])
    options = {"to": tmp_path / "to", "page": False}
    written = report(tmp_path, **options, tex=True, pivot="r")
    (file,) = [file for file in written if file.suffix == ".tex"]
    assert file.name == "pie.pie-v2.table.tex"
    assert "r = 0.8" in file.read_text()
    assert not [file for file in report(tmp_path, **options) if file.suffix == ".tex"]
    with pytest.raises(UserError, match="pivot=rr is a knob of no run; did you mean r"):
        report(tmp_path, **options, tex=True, pivot="rr")
    assert main([f"out={tmp_path}", "pivot=r"]) == 2
    assert "pivot=r is of tables for LaTeX; add tex=true" in capsys.readouterr().err
