import io
import json

import numpy as np
import pytest

from bench.config import cli
from bench.data.base import Count
from bench.data.gedit import COLUMNS, GEdit
from bench.data.preprocess import read_rgb
from bench.edits.plan import make_data
from bench.errors import BadSample, UserError
from tests.helpers.later_trees import gedit, gedit_rows
from tests.helpers.pie_trees import bomb, square
from tests.helpers.trees import write

SIZE = 32


@pytest.fixture(autouse=True)
def _own_tables(tmp_path, monkeypatch):
    """Where parquet files are unpacked."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "tables")


def changed(root, **columns):
    """The tree with other values in the second row."""
    rows = gedit_rows()
    rows[1] |= columns
    return gedit(root, rows)


def refusal(root, **options) -> str:
    """What is said instead of making a data set, in one sentence."""
    with pytest.raises(UserError) as error:
        GEdit(str(root), SIZE, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("shards", [1, 3])
def test_all_fields_arrive_in_order(tmp_path, shards):
    data = GEdit(str(gedit(tmp_path / "ge", shards=shards)), SIZE)
    assert data.ids == ["k1", "k2", "k3"]
    samples = [data[i] for i in range(3)]
    for sample, row in zip(samples, gedit_rows(), strict=False):
        assert (sample.id, sample.type, sample.instruction) == (row["key"], row["task_type"], row["instruction"])
        others = (sample.source, sample.target, sample.mask, sample.classes, sample.blend, sample.truth)
        assert others == (None,) * 6
        assert np.array_equal(sample.image, read_rgb(io.BytesIO(row["input_image_raw"]["bytes"]), SIZE))
    assert samples[0].group == samples[1].group != samples[2].group


def test_languages_share_their_pictures(tmp_path):
    root = gedit(tmp_path / "ge")
    english, chinese = GEdit(str(root), SIZE), GEdit(str(root), SIZE, language="cn")
    assert chinese.ids == ["k4"]
    assert chinese[0].instruction == "把背景换成沙滩"
    assert chinese[0].group == english[0].group
    assert np.array_equal(chinese[0].image, english[0].image)
    assert chinese.identity() != english.identity()


def test_one_key_may_stand_in_both_languages_and_in_each_once(tmp_path):
    rows = gedit_rows()
    rows[3] |= {"key": "k1"}
    assert GEdit(str(gedit(tmp_path / "both", rows)), SIZE).ids == ["k1", "k2", "k3"]
    message = refusal(changed(tmp_path / "once", key="k1"))
    assert message == f"{tmp_path}/once, row 1: key 'k1' is there twice in 'en'; ids must differ"


def test_rows_without_keys_are_numbered(tmp_path):
    root = gedit(tmp_path / "ge", without="key")
    assert GEdit(str(root), SIZE).ids == ["0000", "0001", "0002"]
    assert GEdit(str(root), SIZE, language="cn").ids == ["0003"]


def test_counts_and_names_of_results(tmp_path):
    data = GEdit(str(changed(tmp_path / "ge", input_image_raw={"bytes": None, "path": None})), SIZE)
    assert data.counts() == [
        Count("samples", 3, 606),
        Count("pictures", 2),
        Count("type background_change", 1),
        Count("type subject-remove", 1),
        Count("type text_change", 1),
    ]
    assert data.result_names(1) == {
        "sample id": "k2",
        "GEdit-Bench's tree": "fullset/subject-remove/en/k2",
    }


def test_identity_is_that_of_the_content(tmp_path):
    root = gedit(tmp_path / "here")
    before = GEdit(str(root), SIZE).identity()
    assert str(tmp_path) not in json.dumps(before)
    assert GEdit(str(root), SIZE + 1).identity() != before
    assert GEdit(str(root), SIZE, resample="lanczos").identity() != before
    moved = root.rename(tmp_path / "là bas")
    assert GEdit(str(moved), SIZE).identity() == before
    assert GEdit(str(changed(moved, instruction="Add a dog")), SIZE).identity() != before


def test_its_configuration_makes_it(tmp_path):
    root = gedit(tmp_path / "mes données/GEdit")
    (job,) = cli.jobs(["data=gedit", f"data.root='{root}'", "data.language=cn", "data.size=64"])
    assert make_data(dict(job["data"])).ids == ["k4"]


def test_nothing_is_there(tmp_path):
    message = refusal(tmp_path / "gone")
    how = "`hf download stepfun-ai/GEdit-Bench --repo-type dataset --local-dir data/gedit`"
    assert message.startswith(f"missing: GEdit-Bench, sought at {tmp_path / 'gone'}; get it from {how}")
    write(tmp_path / "empty/README.md", b"")
    assert refusal(tmp_path / "empty") == f"no *.parquet under {tmp_path / 'empty'}; get them by {how}"


@pytest.mark.parametrize("name", COLUMNS)
def test_missing_column(tmp_path, name):
    assert f"/data has no column {name!r}; it has " in refusal(gedit(tmp_path / "ge", without=name))


@pytest.mark.parametrize("name", ["input_image", "Intersection_exist"])
def test_columns_that_are_not_read_may_be_missing(tmp_path, name):
    assert GEdit(str(gedit(tmp_path / "ge", without=name)), SIZE).ids == ["k1", "k2", "k3"]


@pytest.mark.parametrize("content", [b"", b"PAR1"])
def test_file_that_is_no_parquet(tmp_path, content):
    write(tmp_path / "ge/data/train-00000-of-00001.parquet", content)
    assert "/data cannot be read as parquet (" in refusal(tmp_path / "ge")


@pytest.mark.parametrize("name", ["key", "task_type", "instruction", "instruction_language"])
def test_row_without_a_value(tmp_path, name):
    message = refusal(changed(tmp_path / "ge", **{name: None}))
    assert message == f"{tmp_path}/ge, row 1: {name} is None; expected str"


def test_other_languages_and_empty_instructions(tmp_path):
    message = refusal(changed(tmp_path / "a", instruction_language="fr"))
    assert message == f"{tmp_path}/a, row 1: instruction_language is 'fr'; expected en or cn"
    assert "row 1: instruction is empty; " in refusal(changed(tmp_path / "b", instruction=" "))
    only = gedit(tmp_path / "c", gedit_rows()[:3])
    assert refusal(only, language="cn").endswith(
        "has no row of instruction_language 'cn'; set data.language to another"
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "row 1 of the table holds no picture"),
        (b"", "input_image_raw of k2 is not a readable picture"),
        (square(7)[:600], "input_image_raw of k2 is not a readable picture"),
        (bomb(), "900000000 pixels"),
    ],
)
def test_an_unusable_picture_is_a_bad_sample_only_when_read(tmp_path, content, why):
    data = GEdit(str(changed(tmp_path / "ge", input_image_raw={"bytes": content, "path": "a.jpg"})), SIZE)
    with pytest.raises(BadSample, match=why):
        data[1]
    assert data[0].id == "k1"


def test_native_pictures_are_as_their_users_gave_them(tmp_path):
    data = GEdit(str(gedit(tmp_path)), "native")
    assert [data[i].image.shape for i in range(3)] == [(3, 64, 64), (3, 64, 64), (3, 60, 90)]
