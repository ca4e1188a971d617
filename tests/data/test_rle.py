import json

import numpy as np
import pytest

from bench.data.files.rle import decode
from tests.helpers.pie_trees import bordered, disc, encode
from tests.helpers.shared import SHARED, needs_shared

GOLDEN = SHARED / "golden/metrics"


def drawn(shape, *pixels):
    """A mask with a border and these pixels."""
    mask = bordered(np.zeros(shape, bool))
    for pixel in pixels:
        mask[pixel] = True
    return mask


def test_starts_count_from_zero_row_by_row():
    mask = decode([2 * 512 + 10, 3])
    assert mask.dtype == bool
    assert np.array_equal(mask, drawn((512, 512), (2, 10), (2, 11), (2, 12)))


def test_shape_is_rows_then_columns():
    mask = decode([9, 2], (4, 7))
    assert np.array_equal(mask, drawn((4, 7), (1, 2), (1, 3)))


def test_run_goes_on_in_the_next_row():
    assert np.array_equal(decode([12, 5], (5, 7)), drawn((5, 7), (1, 5), (2, 1), (2, 2)))


def test_runs_may_touch_overlap_repeat_be_empty_and_stand_in_any_order():
    runs = [16, 1, 8, 2, 9, 2, 8, 2, 10, 0, 17, 1]
    assert np.array_equal(decode(runs, (5, 7)), drawn((5, 7), (1, 1), (1, 2), (1, 3), (2, 2), (2, 3)))


def test_no_run_is_the_border_alone():
    mask = decode([])
    assert mask.shape == (512, 512)
    assert mask.sum() == 4 * 511
    assert not mask[1:-1, 1:-1].any()


def test_whole_frame():
    assert decode([0, 512 * 512]).all()
    assert decode([0, 512 * 512, 512 * 512, 0]).all()


@pytest.mark.parametrize("runs", [[9, 2], ["9", "2"], ("9", "2"), np.array([9, 2], np.int32)])
def test_numbers_may_come_as_text_or_array(runs):
    assert np.array_equal(decode(runs, (4, 7)), drawn((4, 7), (1, 2), (1, 3)))


@pytest.mark.parametrize("shape", [(512, 512), (32, 48), (48, 32), (3, 3), (2, 9)])
@pytest.mark.parametrize("density", [0, 0.02, 0.5, 0.98, 1])
def test_round_trip(shape, density):
    rng = np.random.default_rng([*shape, int(100 * density)])
    for _ in range(2):
        mask = rng.random(shape) < density
        runs = encode(mask)
        assert np.array_equal(decode(runs, shape), bordered(mask))
        assert np.array_equal(decode([str(run) for run in runs], shape), bordered(mask))
        stored = bordered(mask)  # as the owners store it
        assert np.array_equal(decode(encode(stored), shape), stored)


def test_stored_masks_begin_and_end_as_the_owners_do():
    """The first row and the pixel after it; a row's end and the next one's start; the last pixel and the last row."""
    runs = encode(bordered(disc(0)))
    assert runs[:6] == [0, 513, 1023, 2, 1535, 2]
    assert runs[-4:] == [261119, 2, 261631, 513]


@pytest.mark.parametrize(
    ("runs", "why"),
    [
        ([5], "has 1 numbers; expected pairs of start and length"),
        ([0, 5, 100], "has 3 numbers; expected pairs of start and length"),
        ([0, 262145], "has the run 0+262145, which leaves the frame of 262144 pixels"),
        ([262134, 50], "has the run 262134+50, which leaves"),
        ([262145, 0], "has the run 262145+0, which leaves"),
        ([0, 5, -1, 5], "has the run -1+5, which leaves"),
        ([0, 5, 9, -3], "has the run 9+-3, which leaves"),
        ([0, 5, 262144, 1, -7, 1], "has the run 262144+1, which leaves"),
        ([5, 2**63 - 1], "leaves the frame"),
        ([2**62, 2**62], "leaves the frame"),
        ([2**70, 1], ""),
        (["9" * 30, "1"], ""),
        ([[0, 5], [9, 3]], "is no flat list of whole numbers"),
        ([[0, 5, 9, 3]], "is no flat list of whole numbers"),
        ([[0, 5], 9], "is no flat list of whole numbers"),
        ([0.0, 5.0], "is no flat list of whole numbers"),
        ([0, 2.5], "is no flat list of whole numbers"),
        ([0, float("nan")], "is no flat list of whole numbers"),
        (["0", "2.5"], "is no flat list of whole numbers"),
        (["0", "five"], "is no flat list of whole numbers"),
        (["0", ""], "is no flat list of whole numbers"),
        ([0, None], "is no flat list of whole numbers"),
        ([False, True], "is no flat list of whole numbers"),
        ([{}, {}], "is no flat list of whole numbers"),
    ],
)
def test_what_is_no_list_of_runs_in_the_frame(runs, why):
    with pytest.raises(ValueError, match=r"^(has|is) ") as error:
        decode(runs)
    assert why in str(error.value)
    assert "\n" not in str(error.value)


def test_frame_is_that_of_the_shape():
    assert decode([34, 1], (5, 7)).sum() == 20
    with pytest.raises(ValueError, match="leaves the frame of 35 pixels"):
        decode([34, 2], (5, 7))


@needs_shared
def test_owners_decoder_gives_the_same():
    cases, packed = json.loads((GOLDEN / "rle.json").read_text())["cases"], np.load(GOLDEN / "rle.npz")
    assert len(cases) == 8
    for name, case in cases.items():
        if name == "case1":  # its run goes past the frame: the reference clips it, we say so
            with pytest.raises(ValueError, match=r"has the run 262134\+50, which leaves"):
                decode(case["rle"])
            continue
        shape = tuple(case["shape"])
        expected = np.unpackbits(packed[name], count=shape[0] * shape[1]).reshape(shape).astype(bool)
        made = decode(case["rle"], shape)
        assert np.array_equal(made, expected), name
        assert made.sum() == case["sum"]
