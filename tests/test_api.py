"""The program as a library gives what its commands give."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from bench import api
from bench.data.shapes import Shapes
from bench.errors import UserError
from bench.files.paths import ROOT

EMBEDDED = ["model=shapes", "steps=6", "device=cpu"]  # where a sample alone rounds as it does in a batch


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return api.sweep("limit=2", "steps=6", "r=[0.5,1]", "device=cpu", f"out={tmp_path_factory.mktemp('out')}")


def picture(index: int = 0) -> np.ndarray:
    return Shapes(64)[index].image.transpose(1, 2, 0)


def saved(file) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image)


def test_importing_it_costs_no_torch():
    code = "import sys, bench.api; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_sweep_is_a_row_for_each_run(table):
    assert table.r.tolist() == [0.5, 1.0]
    assert table.n.tolist() == [2, 2]
    assert table.edit_success.notna().all()


def test_an_edit_is_that_of_a_run(table):
    sample = Shapes(64)[1]
    edit = api.edit(picture(1), sample.target, *EMBEDDED, "r=1", source=sample.source, id=sample.id)
    (run,) = table[table.r == 1].folder
    assert np.array_equal(np.asarray(edit.picture), saved(f"{run}/edits/{sample.id}.png"))
    assert np.array_equal(edit.mask, saved(f"{run}/masks/{sample.id}.png") > 127)
    assert edit.journal["nfe"] == 20 + 6 + 12
    assert "embedded" in edit.notice


def test_scores_are_those_of_a_run(table):
    (run,) = table[table.r == 1].folder
    samples = [Shapes(64)[i] for i in range(2)]
    edits = [f"{run}/edits/{sample.id}.png" for sample in samples]
    found = api.score(edits, [picture(0), picture(1)], masks=[sample.mask for sample in samples])
    (expected,) = table[table.r == 1].to_dict("records")
    for name in ("psnr", "ssim", "psnr_background"):
        assert found.images[name].mean() == pytest.approx(expected[name])
        assert found.summary.value[name] == pytest.approx(expected[name])
    assert found.summary.unit["psnr"] == "dB"


def test_a_loaded_model_is_the_one_that_edits():
    model = api.load_model("model=shapes")
    before = model.rows
    api.edit(picture(), "a drawing", *EMBEDDED, "method=sdedit", "r=0.5")
    assert model.rows - before == 6


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: api.edit("no.png", "x"), "no.png is not a readable picture"),
        (lambda: api.edit(np.zeros((3, 8, 8)), "x"), r"a picture is \[3, 8, 8\] of float64; expected uint8"),
        (lambda: api.edit(picture(), "x", *EMBEDDED, "r=[0.1,0.2]"), "ask for 2 operating points, expected one"),
        (lambda: api.edit(picture(), "x", "data=pie"), "data=pie: the data are the pictures that were given"),
        (lambda: api.edit(picture(), "x", *EMBEDDED, "method=nosuch"), "unknown method 'nosuch'"),
        (lambda: api.edit(picture(), 3, *EMBEDDED), "target"),
        (lambda: api.score([picture()], []), "1 edits and 0 sources; expected one for each edit"),
        (lambda: api.score([], []), "no edit to score"),
        (lambda: api.sweep("limit=0"), "limit=0"),
    ],
)
def test_what_is_wrong_is_one_sentence(call, said):
    with pytest.raises(UserError, match=said):
        call()


def test_the_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells = json.loads((ROOT / "docs/notebook.ipynb").read_text())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    names = {}
    exec(compile(code, "notebook.ipynb", "exec"), names)
    assert len(names["table"]) == 4
