import io
import json

import numpy as np
import pytest
from PIL import Image

from bench.config import cli
from bench.data.base import Count
from bench.data.files.parquet import ImageTable
from bench.data.pie_pp import PiePlusPlus
from bench.edits.plan import make_data
from bench.errors import BadSample, UserError
from tests.helpers.pie_trees import TYPE_FOLDERS, bomb, bordered, disc, encode, pie_pp, pie_pp_rows, square
from tests.helpers.trees import write

IDS = ["000000000007", "000000000003", "121000000000", "623000000005", "914000000002"]
COLUMNS = ["image", "id", "source_prompt", "target_prompt", "blended_words", "mask"]


@pytest.fixture(autouse=True)
def _own_tables(tmp_path, monkeypatch):
    """Where parquet files are unpacked."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "tables")


def changed(root, **columns):
    """The tree with other values in the second row."""
    rows = pie_pp_rows()
    rows[1] |= columns
    return pie_pp(root, rows)


def refusal(root, **options) -> str:
    """What is said instead of making a data set, in one sentence."""
    with pytest.raises(UserError) as error:
        PiePlusPlus(str(root), 512, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def stored(content: bytes) -> np.ndarray:
    """The pixels of a picture file, `[3, H, W]`."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


@pytest.mark.parametrize("shards", [1, 2])
def test_all_fields_arrive_in_order(tmp_path, shards):
    data = PiePlusPlus(str(pie_pp(tmp_path / "pp", shards=shards)), 512)
    assert data.ids == IDS  # by type, then as the rows are
    assert data.annotations == sorted((tmp_path / "pp").glob("*/*.parquet"))
    assert len(data.annotations) == 3 + shards
    samples = [data[i] for i in range(5)]
    for i, (sample, row) in enumerate(zip(samples, pie_pp_rows(), strict=True)):
        assert sample.id == row["id"]
        assert sample.image.dtype == np.uint8
        assert np.array_equal(sample.image, stored(square(200 + i)))
        mask = bordered(disc(i + 1)) if i < 4 else np.ones((512, 512), bool)
        assert sample.mask.dtype == bool
        assert np.array_equal(sample.mask, mask)
        assert sample.group == f"{row['folder']}/{row['id']}"
        assert sample.instruction is sample.classes is sample.truth is sample.attributes is None
    assert (samples[0].source, samples[0].target) == ("a cup of tea", "a steel cup of milk")
    assert [sample.type for sample in samples] == ["random", "random", "object", "colour", "style"]
    assert [sample.blend for sample in samples] == [("tea", "milk"), ("cat", "dog"), ("cat", "dog"), None, None]


@pytest.mark.parametrize(
    ("words", "blend"),
    [
        ('["tea,milk", "cup,cup"]', ("tea", "milk")),
        ('["tea, oat milk"]', ("tea", "oat milk")),
        ('["hat,"]', ("hat", "")),
        ('["hat"]', ("hat", "")),
        ('[",hat"]', ("", "hat")),
        ("[]", None),
        ("", None),
    ],
)
def test_blended_words(tmp_path, words, blend):
    assert PiePlusPlus(str(changed(tmp_path / "pp", blended_words=words)), 512)[1].blend == blend


def test_brackets_go_and_nothing_else(tmp_path):
    prompt = " a [white ] (old) {car}, [[the]] house's [] door]. "
    root = changed(tmp_path / "pp", source_prompt=prompt, target_prompt="[" + prompt)
    sample = PiePlusPlus(str(root), 512)[1]
    assert sample.source == sample.target == " a white  (old) {car}, the house's  door. "


def test_types_are_numbers_or_names(tmp_path):
    root = pie_pp(tmp_path / "pp")
    for types, kept in (([1, 6], "16"), (["colour", "object"], "16"), (["9"], "9"), ([0], "0"), (None, "0169")):
        data = PiePlusPlus(str(root), 64, types=types)
        assert data.ids == [id_ for id_ in IDS if id_[0] in kept]
        assert [data[i].id for i in range(len(data.ids))] == data.ids
    assert "data.types: edit type 'colors'; expected 0 to 9, or did you mean colour?" in refusal(root, types=["colors"])
    assert refusal(root, types=[2]) == f"{root} lists no record of data.types=[2]; name other types"


def test_other_size_is_resized_once(tmp_path):
    root = pie_pp(tmp_path / "pp")
    with Image.open(io.BytesIO(square(200))) as image:
        expected = np.asarray(image.resize((256, 256), Image.Resampling.LANCZOS)).transpose(2, 0, 1)
    sample = PiePlusPlus(str(root), 256, resample="lanczos")[0]
    assert np.array_equal(sample.image, expected)
    assert sample.mask.dtype == bool
    assert np.array_equal(sample.mask, bordered(disc(1))[1::2, 1::2])


def test_listing_opens_no_picture(tmp_path, monkeypatch):
    rows = pie_pp_rows()
    for row in rows:
        row["image"] = {"bytes": b"no picture", "path": "a.jpg"}
    root, opened = pie_pp(tmp_path / "pp", rows), []
    open_ = ImageTable.open
    monkeypatch.setattr(ImageTable, "open", lambda table, row: opened.append(row) or open_(table, row))
    monkeypatch.setattr(Image, "open", lambda *_: pytest.fail("a picture was opened"))
    data = PiePlusPlus(str(root), 512)
    assert [data.result_names(i)["sample id"] for i in range(5)] == data.ids == IDS
    assert data.identity()
    assert opened == []
    monkeypatch.undo()
    with pytest.raises(BadSample, match="0_random_140/000000000003 is not a readable picture"):
        data[1]


def test_identity_is_that_of_the_content(tmp_path):
    root = pie_pp(tmp_path / "here")
    before = PiePlusPlus(str(root), 512).identity()
    assert str(tmp_path) not in json.dumps(before)
    assert PiePlusPlus(str(root), 256).identity() != before
    assert PiePlusPlus(str(root), 512, resample="lanczos").identity() != before
    moved = root.rename(tmp_path / "là bas")
    assert PiePlusPlus(str(moved), 512).identity() == before
    for columns in ({"target_prompt": "a [bird]"}, {"image": {"bytes": square(5), "path": "a.jpg"}}, {"mask": "0 600"}):
        assert PiePlusPlus(str(changed(moved, **columns)), 512).identity() != before
    assert PiePlusPlus(str(pie_pp(moved)), 512).identity() == before


def test_counts(tmp_path):
    root = changed(tmp_path / "pp", image={"bytes": square(1, 500), "path": "a.jpg"})
    names = ["random", "object", "add", "delete", "content", "pose", "colour", "material", "background", "style"]
    numbers = [2, 1, 0, 0, 0, 0, 1, 0, 0, 1]
    assert PiePlusPlus(str(root), 64).counts() == [
        Count("samples", 5, 700),
        *[Count(f"type {i} ({n})", numbers[i], int(TYPE_FOLDERS[i].split("_")[-1])) for i, n in enumerate(names)],
        Count("pictures not 512x512", 1, 0),
    ]


def test_result_names(tmp_path):
    assert PiePlusPlus(str(pie_pp(tmp_path / "pp")), 512).result_names(2) == {
        "sample id": "121000000000",
        "PIE-Bench's folder tree": "annotation_images/1_change_object_80/121000000000",
        "PIE-Bench's folder tree, without annotation_images": "1_change_object_80/121000000000",
    }


def test_its_configuration_makes_it(tmp_path):
    root = pie_pp(tmp_path / "mes données/PIE Bench ++")
    (job,) = cli.jobs(["data=pie_pp", f"data.root='{root}'", "data.types=[0]", "data.size=64"])
    data = make_data(dict(job["data"]))
    assert data.ids == IDS[:2]
    assert data[1].image.shape == (3, 64, 64)


def test_missing_folder(tmp_path):
    message = refusal(tmp_path / "gone")
    assert message.startswith(f"missing: PIE-Bench++, sought at {tmp_path / 'gone'}; get it from `hf download ")
    assert "UB-CVML-Group/PIE_Bench_pp" in message
    assert message.endswith("or set data.root= to where it is")


def test_folder_without_parquet_files(tmp_path):
    write(tmp_path / "pp/README.md", b"")
    message = refusal(tmp_path / "pp")
    assert message.startswith(f"no parquet file under {tmp_path}/pp/0_random_140 or its nine siblings; ")
    assert "hf download" in message


@pytest.mark.parametrize("name", COLUMNS)
def test_missing_column(tmp_path, name):
    root = pie_pp(tmp_path / "pp", without=name)
    assert refusal(root).startswith(f"{root}/0_random_140 has no column {name!r}; it has ")


def test_columns_that_are_not_read_may_be_missing(tmp_path):
    for name in ("edit_action", "aspect_mapping"):
        assert PiePlusPlus(str(pie_pp(tmp_path / name, without=name)), 512).ids == IDS


@pytest.mark.parametrize("content", [b"", b"PAR1", b"version https://git-lfs.github.com/spec/v1\n"])
def test_file_that_is_no_parquet(tmp_path, content):
    root = pie_pp(tmp_path / "pp")
    write(root / "6_change_attribute_color_40/V1-00000-of-00001.parquet", content)
    assert refusal(root).startswith(f"{root}/6_change_attribute_color_40 cannot be read as parquet (")


@pytest.mark.parametrize("name", COLUMNS[1:])
def test_row_without_a_value(tmp_path, name):
    message = refusal(changed(tmp_path / "pp", **{name: None}))
    assert message == f"{tmp_path}/pp/0_random_140, row 1: {name} is None; expected str"


@pytest.mark.parametrize("folder", ["0_random_140", "9_change_style_80"])
def test_duplicate_id(tmp_path, folder):
    rows = pie_pp_rows()
    rows.append(rows[0] | {"folder": folder})
    message = refusal(pie_pp(tmp_path / "pp", rows))
    row = 2 if folder == "0_random_140" else 1
    assert message == f"{tmp_path}/pp/{folder}, row {row}: id '000000000007' is there twice; ids must differ"


@pytest.mark.parametrize(
    "words", ["tea,milk", '["tea,milk"', "[tea]", "5", '{"tea": "milk"}', '"tea,milk"', "[1]", "[null]", '[["a","b"]]']
)
def test_blended_words_that_are_no_list_of_pairs(tmp_path, words):
    message = refusal(changed(tmp_path / "pp", blended_words=words))
    assert message.startswith(f"{tmp_path}/pp/0_random_140, row 1: blended_words is {words!r}; expected a JSON list")


@pytest.mark.parametrize(
    ("mask", "why"),
    [
        ("0 5 9", "mask has 3 numbers; expected pairs of start and length"),
        ("262134 50", "mask has the run 262134+50, which leaves the frame of 262144 pixels"),
        ("-1 5", "mask has the run -1+5, which leaves"),
        ("0.0 5.0", "mask is no flat list of whole numbers"),
        ("[0, 5]", "mask is no flat list of whole numbers"),
        ("zero five", "mask is no flat list of whole numbers"),
        ("9" * 30 + " 1", "mask "),
    ],
)
def test_mask_that_is_no_list_of_runs_in_the_frame(tmp_path, mask, why):
    message = refusal(changed(tmp_path / "pp", mask=mask))
    assert message.startswith(f"{tmp_path}/pp/0_random_140, row 1: {why}")


def test_mask_always_has_the_border(tmp_path):
    for name, mask, expected in (
        ("bare", disc(3), bordered(disc(3))),
        ("none", disc(3) & False, bordered(disc(3) & False)),
    ):
        runs = "  ".join(map(str, encode(mask)))
        assert np.array_equal(PiePlusPlus(str(changed(tmp_path / name, mask=runs)), 512)[1].mask, expected)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "row 1 of the table holds no picture"),
        (b"", "0_random_140/000000000003 is not a readable picture"),
        (square(7)[:600], "0_random_140/000000000003 is not a readable picture"),
        (bomb(), "0_random_140/000000000003 is not a readable picture .*900000000 pixels.*bomb"),
        (square(7, 500), "0_random_140/000000000003 is 500x500 px, and its mask 512x512; they must be equal"),
    ],
)
def test_unusable_picture_is_a_bad_sample_only_when_read(tmp_path, content, why):
    data = PiePlusPlus(str(changed(tmp_path / "pp", image={"bytes": content, "path": "a.jpg"})), 512)
    with pytest.raises(BadSample, match=why):
        data[1]
    assert np.array_equal(data[0].image, stored(square(200)))
    assert data.counts()[-1] == Count("pictures not 512x512", 1, 0)
