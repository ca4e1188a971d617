"""The inside of an edit: which calls are which, and the pages that show them."""

import numpy as np
import pytest
from PIL import Image

from bench.report import sheets
from bench.reproduce.__main__ import main
from bench.reproduce.stages import DECODE, ENCODE, MASK, phases
from bench.types import EditSample

UP, DOWN = [1, 21, 41, 61], [61, 41, 21, 1]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ([41] * 10 + UP + DOWN, [(MASK, 10), (ENCODE, 4), (DECODE, 4)]),
        ([41, *UP, *DOWN], [(MASK, 1), (ENCODE, 4), (DECODE, 4)]),
        (UP + DOWN, [(ENCODE, 4), (DECODE, 4)]),
        ([*UP, 61, 61, 61, 41, 41, 21, 1], [(ENCODE, 4), (DECODE, 7)]),
        (DOWN, [(DECODE, 4)]),
        ([41] * 3 + DOWN, [(MASK, 3), (DECODE, 4)]),
        ([41, 41], [(MASK, 2)]),
        ([], []),
    ],
)
def test_calls_fall_into_phases(asked, expected):
    found = phases(asked)
    assert [(name, len(calls)) for name, calls in found] == expected
    assert [i for _, calls in found for i in calls] == list(range(len(asked)))


def test_a_page_of_what_edits_ask(tmp_path):
    assert main(["shapes/stages", "steps=6", f"out={tmp_path}", "page=false"]) == 0
    file = tmp_path / "figures/shapes/stages.png"
    with Image.open(file) as page:
        assert page.width >= 6 * sheets.CELL
        assert page.height > 8 * sheets.CELL  # three lines of each of two edits and more
    file.unlink()
    assert main(["shapes/stages", "steps=6", f"out={tmp_path}", "page=false", "run=false"]) == 0
    assert not file.exists()


def test_reconstructions_stand_beside_the_edits(tmp_path, capsys):
    words = ["shapes/reconstruction", "steps=4", "limit=3", f"out={tmp_path}", "page=false"]
    assert main(words) == 0
    (folder,) = tmp_path.glob("theory/*")
    kept = sorted(file.name for file in folder.glob("pictures/*.png"))
    assert len(kept) == 3 * 6
    assert "00001-0.2.png" in kept
    page = tmp_path / "figures/shapes/reconstruction_pictures.png"
    with Image.open(page) as shown:
        before = np.asarray(shown)
    Image.new("RGB", (64, 64), "red").save(folder / "pictures/00001-0.2.png")
    assert main([*words, "run=false"]) == 0
    with Image.open(page) as shown:
        after = np.asarray(shown)
    assert after.shape == before.shape
    assert (after == (255, 0, 0)).all(-1).sum() == sheets.CELL**2


# --- pages of pictures ---


def test_words_that_change_are_marked():
    source, target = sheets.changed("a [cat] sitting, on a rock", "A dog sitting on a big rock.")
    assert [word for word, marked in source if marked] == ["[cat]"]
    assert [word for word, marked in target if marked] == ["dog", "big"]
    assert [word for word, _ in target] == ["A", "dog", "sitting", "on", "a", "big", "rock."]


def test_nothing_is_cut():
    long = " ".join(f"word{i}" for i in range(60))
    sample = EditSample("00", np.zeros((3, 8, 8), np.uint8), long, f"{long} more")
    lines = sheets._broken(sheets.caption(sample), 300)
    assert [word for line in lines for word in line] == sheets.caption(sample)
    assert all(sum(sheets._font(bold).getlength(f"{word} ") for word, bold in line) < 310 for line in lines)
    letters = sheets._broken([("x" * 200, False)], 100)
    assert "".join(word for line in letters for word, _ in line) == "x" * 200
    assert all(sheets._font(False).getlength(line[0][0]) <= 100 for line in letters)
    short, deep = (
        sheets.sheet("t", ["a"], [sheets.Line(sheets.plain(text), [None])], []).height for text in ("x", long)
    )
    assert deep > short


def test_class_indices_are_words_too():
    sample = EditSample("00", np.zeros((3, 8, 8), np.uint8), 207, 208)
    assert [word for word, marked in sheets.caption(sample) if marked] == ["207", "208"]
