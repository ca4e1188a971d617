"""The short form of `scripts.chaos`, and that it sees what is wrong."""

import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench import run
from scripts.chaos import results
from scripts.chaos.__main__ import main


def test_a_sweep_that_was_killed_five_times_gives_what_an_undisturbed_one_gives(tmp_path, capsys):
    assert main(["pictures=6", "kills=5", "sections=kills", f"to={tmp_path}"]) == 0, capsys.readouterr().out
    table = pd.read_csv(tmp_path / "chaos.csv")
    assert table.case.tolist() == ["killed", "resumed", "results"]
    assert table.verdict.tolist() == ["ok"] * 3
    assert "12 of 12 pictures and masks identical" in table.seen.iloc[2]
    assert "seed=0" in (tmp_path / "chaos.md").read_text()


def test_two_commands_at_the_same_time_are_as_expected(tmp_path, capsys):
    assert main(["pictures=4", "sections=processes", f"to={tmp_path}"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("words", [["sections=kill"], ["kills=1"], ["pictures=many"], ["picture=8"]])
def test_wrong_words_are_one_sentence(words, capsys):
    assert main(words) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("made")
    assert run.main([f"out={out}", "method=diffedit", "steps=4", "method.n=2", "limit=2", "metrics=pixel"]) == 0
    return out


def nudge(file, levels: int) -> None:
    """Changes one value of a picture."""
    pixels = np.asarray(Image.open(file)).copy()
    pixels.flat[7] ^= levels
    Image.fromarray(pixels).save(file)


def scores(folder) -> None:
    file = folder / "per_image.pixel-v1.csv"
    file.write_text(file.read_text().replace("00000,", "00000,1"))


CHANGES = {
    "a value by one level": (lambda folder: nudge(folder / "edits/00000.png", 1), True, False),
    "a value by more levels": (lambda folder: nudge(folder / "edits/00000.png", 6), True, True),
    "a mask": (lambda folder: nudge(folder / "masks/00000.png", 255), True, True),
    "a picture that is not there": (lambda folder: (folder / "edits/00000.png").unlink(), True, True),
    "a score": (scores, True, False),
    "a journal that is not there": (lambda folder: next(folder.glob("edits-0of1.*.jsonl")).unlink(), True, True),
    "a leftover": (lambda folder: (folder / "edits/.edit-bench-x.tmp").write_text(""), True, True),
    "nothing": (lambda folder: None, False, False),
}


@pytest.mark.parametrize(("change", "exactly", "roughly"), CHANGES.values(), ids=CHANGES)
def test_differences_are_seen(change, exactly, roughly, made, tmp_path):
    out = shutil.copytree(made, tmp_path / "out")
    change(out / results.runs(out)[0])
    nowhere = lambda run, name: np.zeros((64, 64), bool)  # noqa: E731
    for exact, seen in ((True, exactly), (False, roughly)):
        assert bool(results.difference(out, made, exact, nowhere).said) == seen


def test_a_journal_that_is_torn_in_the_middle_is_unsound(made, tmp_path):
    out = shutil.copytree(made, tmp_path / "out")
    assert results.unsound(out) == []
    (journal,) = (out / results.runs(out)[0]).glob("edits-0of1.*.jsonl")
    journal.write_text('{"id": "0\n' + journal.read_text())
    assert len(results.unsound(out)) == 1
