import io
import json

import numpy as np
import pytest
from PIL import Image

from bench.config import cli
from bench.data.base import Count
from bench.data.files.parquet import ImageTable
from bench.data.magicbrush import COLUMNS, MagicBrush
from bench.data.preprocess import read_rgb
from bench.edits.plan import make_data
from bench.errors import BadSample, UserError
from tests.helpers.later_trees import magicbrush, magicbrush_rows, png, transparent_mask, white_mask
from tests.helpers.pie_trees import bomb, square
from tests.helpers.trees import picture, write

IDS = ["242679-1", "242679-2", "000000391895-1"]


@pytest.fixture(autouse=True)
def _own_tables(tmp_path, monkeypatch):
    """Where parquet files are unpacked."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "tables")


def changed(root, **columns):
    """The tree with other values in the second row."""
    rows = magicbrush_rows()
    rows[1] |= columns
    return magicbrush(root, rows)


def refusal(root, **options) -> str:
    """What is said instead of making a data set, in one sentence."""
    with pytest.raises(UserError) as error:
        MagicBrush(str(root), 64, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def quarter(side: int = 64) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    mask[: side // 2, : side // 2] = True
    return mask


@pytest.mark.parametrize("shards", [1, 2])
def test_all_fields_arrive_in_order(tmp_path, shards):
    data = MagicBrush(str(magicbrush(tmp_path / "mb", shards=shards)), 64)
    assert data.ids == IDS
    assert len(data.annotations) == shards
    samples = [data[i] for i in range(3)]
    for sample, row in zip(samples, magicbrush_rows(), strict=True):
        assert (sample.source, sample.target, sample.classes, sample.blend) == (None,) * 4
        assert (sample.instruction, sample.group) == (row["instruction"], row["img_id"])
        assert np.array_equal(sample.image, read_rgb(io.BytesIO(row["source_img"]["bytes"]), 64))
        assert np.array_equal(sample.truth, read_rgb(io.BytesIO(row["target_img"]["bytes"]), 64))
    assert [sample.type for sample in samples] == ["turn 1", "turn 2", "turn 1"]


def test_the_second_turn_starts_from_the_first_ones_true_edit(tmp_path):
    data = MagicBrush(str(magicbrush(tmp_path / "mb")), 64)
    assert np.array_equal(data[1].image, data[0].truth)
    assert data[1].group == data[0].group != data[2].group


def test_white_or_transparent_means_edit(tmp_path):
    data = MagicBrush(str(magicbrush(tmp_path / "mb")), 64)
    for i in range(3):
        assert np.array_equal(data[i].mask, quarter())
    opaque = changed(tmp_path / "opaque", mask_img={"bytes": png(white_mask(mode="RGBA")), "path": None})
    assert np.array_equal(MagicBrush(str(opaque), 64)[1].mask, quarter())


def test_pictures_masks_and_truths_are_cropped_alike(tmp_path):
    large, small = picture(1, 128, 96), picture(2, 64, 48)
    root = changed(
        tmp_path / "mb",
        source_img={"bytes": png(large), "path": None},
        target_img={"bytes": png(small), "path": None},
        mask_img={"bytes": png(white_mask(128, 96)), "path": None},
    )
    sample = MagicBrush(str(root), 32, resample="lanczos")[1]
    assert np.array_equal(sample.image, read_rgb(io.BytesIO(png(large)), 32, "lanczos"))
    assert np.array_equal(sample.truth, read_rgb(io.BytesIO(png(small)), 32, "lanczos"))
    assert sample.mask.shape == (32, 32)
    assert np.array_equal(sample.mask, quarter(32))


def test_turns(tmp_path):
    root = magicbrush(tmp_path / "mb")
    for turns, kept in (([1], [0, 2]), (1, [0, 2]), ([2], [1]), ([2, 1], [0, 1, 2])):
        data = MagicBrush(str(root), 64, turns=turns)
        assert data.ids == [IDS[i] for i in kept]
        assert [data[i].id for i in range(len(kept))] == data.ids
    assert refusal(root, turns=[3]) == f"{root} has no edit of data.turns=[3]; name other turns"
    assert MagicBrush(str(root), 64, turns=[1]).identity() == MagicBrush(str(root), 64, turns=1).identity()
    assert MagicBrush(str(root), 64, turns=[1]).identity() != MagicBrush(str(root), 64).identity()


def test_listing_opens_no_picture(tmp_path, monkeypatch):
    root = magicbrush(tmp_path / "mb")
    monkeypatch.setattr(ImageTable, "open", lambda *_: pytest.fail("a picture was opened"))
    data = MagicBrush(str(root), 64)
    assert data.counts() == [
        Count("samples", 3, 528),
        Count("pictures", 2, 266),
        Count("turn 1", 2),
        Count("turn 2", 1),
    ]
    assert [data.result_names(i) for i in range(3)] == [{"sample id": id_} for id_ in IDS]


def test_identity_is_that_of_the_content(tmp_path):
    root = magicbrush(tmp_path / "here")
    before = MagicBrush(str(root), 64).identity()
    assert str(tmp_path) not in json.dumps(before)
    assert MagicBrush(str(root), 32).identity() != before
    assert MagicBrush(str(root), 64, resample="lanczos").identity() != before
    moved = root.rename(tmp_path / "là bas")
    assert MagicBrush(str(moved), 64).identity() == before
    write(moved / "data/train-00000-of-00051.parquet", b"another")
    assert MagicBrush(str(moved), 64).identity() == before
    assert MagicBrush(str(changed(moved, instruction="put a dog on it")), 64).identity() != before


def test_its_configuration_makes_it(tmp_path):
    root = magicbrush(tmp_path / "mes données/MagicBrush")
    (job,) = cli.jobs(["data=magicbrush", f"data.root='{root}'", "data.turns=[1]", "data.size=64"])
    assert make_data(dict(job["data"])).ids == [IDS[0], IDS[2]]


def test_nothing_is_there(tmp_path):
    message = refusal(tmp_path / "gone")
    assert message.startswith(
        f"missing: MagicBrush's dev split, sought at {tmp_path / 'gone'}; get it from `hf download "
    )
    assert (
        "osunlp/MagicBrush --repo-type dataset --include 'data/dev-*.parquet' --local-dir data/magicbrush`" in message
    )
    write(tmp_path / "empty/data/train-00000-of-00051.parquet", b"")
    message = refusal(tmp_path / "empty")
    assert message.startswith(
        f"no dev-*.parquet under {tmp_path / 'empty'}; get them by `hf download osunlp/MagicBrush "
    )


@pytest.mark.parametrize("name", COLUMNS)
def test_missing_column(tmp_path, name):
    assert f"/data has no column {name!r}; it has " in refusal(magicbrush(tmp_path / "mb", without=name))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"version https://git-lfs.github.com/spec/v1\n"])
def test_file_that_is_no_parquet(tmp_path, content):
    write(tmp_path / "mb/data/dev-00000-of-00001.parquet", content)
    assert "/data cannot be read as parquet (" in refusal(tmp_path / "mb")


@pytest.mark.parametrize(("name", "kinds"), [("img_id", "str or int"), ("turn_index", "int"), ("instruction", "str")])
def test_row_without_a_value(tmp_path, name, kinds):
    message = refusal(changed(tmp_path / "mb", **{name: None}))
    assert message == f"{tmp_path}/mb, row 1: {name} is None; expected {kinds}"


def test_empty_instruction(tmp_path):
    assert "mb, row 1: instruction is empty; " in refusal(changed(tmp_path / "mb", instruction="  "))


def test_duplicate_id(tmp_path):
    message = refusal(changed(tmp_path / "mb", turn_index=1))
    assert message == f"{tmp_path}/mb, row 1: turn 1 of picture '242679' is there twice; ids must differ"


@pytest.mark.parametrize("name", ["source_img", "mask_img", "target_img"])
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "row 1 of the table, column '{}', holds no picture"),
        (b"", "{} of 242679-2 is not a readable"),
        (square(7)[:600], "{} of 242679-2 is not a readable"),
        (bomb(), "900000000 pixels"),
    ],
)
def test_an_unusable_picture_is_a_bad_sample_only_when_read(tmp_path, name, content, why):
    data = MagicBrush(str(changed(tmp_path / "mb", **{name: {"bytes": content, "path": "a.jpg"}})), 64)
    with pytest.raises(BadSample) as error:
        data[1]
    assert why.format(name) in str(error.value)
    assert data[0].id == IDS[0]


@pytest.mark.parametrize("name", ["mask_img", "target_img"])
def test_pictures_of_other_shapes_do_not_belong_together(tmp_path, name):
    made = {"mask_img": white_mask(64, 48), "target_img": picture(1, 64, 48)}[name]
    data = MagicBrush(str(changed(tmp_path / "mb", **{name: {"bytes": png(made), "path": None}})), 64)
    with pytest.raises(
        BadSample, match=f"{name} of 242679-2 is 64x48 px and its source 64x64; they must have the same"
    ):
        data[1]


@pytest.mark.parametrize("mask", [picture(5, 64, 64), Image.new("L", (64, 64)), transparent_mask(1).convert("RGB")])
def test_a_mask_that_says_nothing_is_a_bad_sample(tmp_path, mask):
    data = MagicBrush(str(changed(tmp_path / "mb", mask_img={"bytes": png(mask), "path": None})), 64)
    with pytest.raises(BadSample, match="mask_img of 242679-2 is not a readable mask"):
        data[1]


def test_native_pictures_have_their_mask_and_truth_at_their_own_size(tmp_path):
    columns = {
        "source_img": {"bytes": png(picture(1, 60, 40)), "path": "a.png"},
        "mask_img": {"bytes": png(white_mask(90, 60)), "path": "b.png"},
        "target_img": {"bytes": png(picture(2, 120, 80)), "path": "c.png"},
    }
    sample = MagicBrush(str(changed(tmp_path, **columns)), "native")[1]
    assert (sample.image.shape, sample.mask.shape, sample.truth.shape) == ((3, 40, 60), (40, 60), (3, 40, 60))
    assert np.array_equal(sample.image, np.asarray(picture(1, 60, 40)).transpose(2, 0, 1))
    assert sample.mask[:20, :30].all()
    assert sample.mask.mean() == 0.25
