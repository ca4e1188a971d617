"""Data sets that say what to do and not what the picture shows: whoever needs captions fails sample by sample, before
any work is done, and who follows instructions runs."""

import json

import pandas as pd
import pytest

from bench import prepare, run, score
from bench.data.shapes import Shapes
from bench.errors import BadSample
from bench.models.autoencoded import AutoencodedModel
from bench.report import sheets
from bench.types import EditResult, EditSample
from tests.helpers import later_trees
from tests.helpers.models import SHIPPED, batch, with_picture_input

TOLD = "has an instruction and no captions; choose a method that follows instructions, as instruct_pix2pix does"
TREES = {"magicbrush": later_trees.magicbrush, "gedit": later_trees.gedit}


class Captions:
    """A method of one's own, of which nobody knows what it reads."""

    def __call__(self, model, batch, noise):
        return EditResult(batch.images, notes=[{"wanted": target} for target in batch.targets])


@pytest.fixture(autouse=True)
def _own_tables(tmp_path, monkeypatch):
    """Where parquet files are unpacked."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "tables")


@pytest.fixture(scope="module")
def follower(tmp_path_factory):
    return with_picture_input(SHIPPED, tmp_path_factory.mktemp("pix2pix") / "model")


def edited(data, tmp_path, *words):
    """Exit status, and the journal's lines by id."""
    root = TREES[data](tmp_path / "data")
    out = tmp_path / "out"
    status = run.main([f"data={data}", f"data.root={root}", "data.size=64", "steps=2", f"out={out}", *words])
    lines = [json.loads(line) for file in out.rglob("edits*.jsonl") for line in file.read_text().splitlines()]
    return status, {line["id"]: line for line in lines}


@pytest.mark.parametrize("data", TREES)
@pytest.mark.parametrize("method", ["encode_decode", "ddim", "diffedit"])
def test_who_needs_captions_fails_sample_by_sample(data, method, tmp_path, monkeypatch):
    monkeypatch.setattr(AutoencodedModel, "encode", lambda *_: pytest.fail("work was done"))
    status, lines = edited(data, tmp_path, f"method={method}", "model=shapes", "metrics=pixel")
    assert status == 1
    assert len(lines) == 3
    assert {line["error"] for line in lines.values()} == {TOLD}


def test_a_method_of_ones_own_that_reads_captions_fails_as_well(tmp_path):
    status, lines = edited(
        "gedit", tmp_path, "method=custom", f"method._target_={__name__}.Captions", "model=shapes", "metrics=pixel"
    )
    assert status == 1
    assert {line["error"] for line in lines.values()} == {TOLD}


@pytest.mark.parametrize("data", TREES)
@pytest.mark.parametrize("method", ["copy", "instruct_pix2pix"])
def test_who_needs_none_runs(data, method, tmp_path, follower):
    words = [f"method={method}", f"model.path={follower}", "metrics=truth"]  # the data set's own model
    status, lines = edited(data, tmp_path, *words)
    assert status == 0
    assert not [line for line in lines.values() if "error" in line]
    assert len(lines) == 3


def test_the_true_edits_are_what_metrics_compare_with(tmp_path):
    edited("magicbrush", tmp_path, "method=copy", "metrics=pixel")
    (place,) = (tmp_path / "out/magicbrush/copy").iterdir()
    assert score.main([f"run={place}", "metrics=truth"]) == 0
    table = pd.read_csv(place / "per_image.truth-v1.csv", dtype={"id": str}).set_index("id")
    assert table.psnr_truth.between(5, 60).all()
    assert table.psnr_background.isin([float("inf")]).all()  # a copy changed nothing


def test_captions_of_others_stay_what_they_are():
    """No words beside no instruction are the unconditional model, and a single one is asked for."""
    sample = Shapes(16)[0]
    for source, target, instruction in ((None, None, None), ("a", None, "do"), (None, "b", "do")):
        made = batch([EditSample("1", sample.image, source, target, instruction=instruction)])
        assert (made.sources, made.targets) == ([source], [target])
    made = batch([sample, EditSample("2", sample.image, None, None, instruction="do")])
    for name in ("sources", "targets"):
        with pytest.raises(BadSample) as error:
            getattr(made, name)
        assert error.value.ids == {"2": TOLD}


def test_a_contact_sheet_shows_the_instruction():
    image = Shapes(16)[0].image
    told = sheets.caption(EditSample("7", image, None, None, type="turn 1", instruction="let it rain"))
    assert [word for word, _ in told] == ["7", "turn", "1:", "let", "it", "rain"]
    shown = sheets.caption(EditSample("7", image, None, "a cat", instruction="let it rain"))
    assert "∅" in [word for word, _ in shown]


@pytest.mark.parametrize(
    ("data", "samples"), [("magicbrush", ["3", "528", "differs"]), ("gedit", ["3", "606", "differs"])]
)
def test_prepare_checks_them(data, samples, tmp_path, capsys):
    root = TREES[data](tmp_path / "data")
    assert prepare.main([f"data={data}", f"data.root={root}", "data.size=64"]) == 0
    text = capsys.readouterr().out
    lines = {line.split("  ")[0]: line.split("  ", 1)[1].split() for line in text.splitlines() if "  " in line}
    assert lines["samples"] == samples
    assert lines["pictures"][0] == "2"
    assert lines["samples without captions (for methods that follow instructions)"] == ["3"]
