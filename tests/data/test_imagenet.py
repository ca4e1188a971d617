import io
import os
import re
from collections import Counter

import numpy as np
import pytest

from bench.data.imagenet import ImageNet
from bench.data.preprocess import read_rgb
from bench.errors import BadSample, UserError
from tests.helpers import trees
from tests.helpers.shared import SHARED

SIZE = 24
FLEXIT = SHARED / "data/flexit/queries.csv"
LAYOUTS = ["class folders", "flat", "flat with devkit", "parquet", "parquet in shards"]


@pytest.fixture(autouse=True)
def _own_tables(tmp_path, monkeypatch):
    """Where parquet files are unpacked."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "tables")


def lay_out(root, layout):
    """The same images in one of the layouts; returns the folder that a user would name."""
    if layout == "class folders":
        return trees.class_folders(root)
    if layout.startswith("flat"):
        return trees.flat_folder(root, devkit="devkit" in layout)
    return trees.parquet(root, shards=3 if "shards" in layout else 1)


def imagenet(root, layout="class folders", **options):
    """The data set in one of the layouts, with the small queries.csv."""
    return ImageNet(lay_out(root / "images", layout), trees.queries_csv(root / "queries.csv"), SIZE, **options)


def refusal(*args, **options) -> str:
    """What is said instead of making a data set."""
    with pytest.raises(UserError) as error:
        ImageNet(*args, **options)
    return str(error.value)


def expected(number):
    """An image as the data set should give it."""
    return read_rgb(io.BytesIO(trees.jpeg(number)), SIZE)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_samples(tmp_path, layout):
    data = imagenet(tmp_path, layout)
    assert data.ids == ["0002", "0003", "0005"]
    for i, (number, source, target) in enumerate([(39524, 148, 149), (1234, 149, 148), (31, 171, 162)]):
        sample = data[i]
        assert sample.id == data.ids[i]
        assert np.array_equal(sample.image, expected(number))
        assert (sample.source, sample.target) == (trees.NAMES[source], trees.NAMES[target])
        assert sample.classes == (source, target)
        assert sample.group == f"{trees.SYNSETS[source]}/ILSVRC2012_val_{number:08d}.JPEG"
        assert sample.mask is sample.truth is sample.type is sample.blend is None


def test_dev_split_is_the_other_rows_under_their_positions(tmp_path):
    data = imagenet(tmp_path, split="dev")
    assert data.ids == ["0000", "0001", "0004"]
    assert [data[i].id for i in range(3)] == data.ids
    assert data[2].classes == (160, 162)
    assert np.array_equal(data[2].image, expected(20001))


def test_queries_may_be_class_ids(tmp_path):
    sample = imagenet(tmp_path, queries="ids")[0]
    assert (sample.source, sample.target) == (148, 149)
    assert type(sample.source) is int
    assert sample.classes == (148, 149)


def test_resample_and_size_are_those_asked_for(tmp_path):
    folder, queries = trees.class_folders(tmp_path / "val"), trees.queries_csv(tmp_path / "queries.csv")
    made = ImageNet(folder, queries, 30, resample="bilinear")[0].image
    assert np.array_equal(made, read_rgb(io.BytesIO(trees.jpeg(39524)), 30, "bilinear"))


@pytest.mark.parametrize("inner", ["", "val", "data"])
def test_images_may_lie_in_a_folder_within(tmp_path, inner):
    trees.class_folders(tmp_path / inner)
    data = ImageNet(tmp_path, trees.queries_csv(tmp_path / "queries.csv"), SIZE)
    assert np.array_equal(data[0].image, expected(39524))


@pytest.mark.parametrize(
    ("layout", "beagles"),
    [("class folders", [48167]), ("flat", [48167]), ("flat with devkit", [48167, 7]), ("parquet", [48167, 7])],
)
def test_real_image_is_of_the_class(tmp_path, layout, beagles):
    """The queries name one beagle; labels name both."""
    data, rng = imagenet(tmp_path, layout), np.random.default_rng(0)
    found = {data.real_image(162, rng).tobytes() for _ in range(25)}
    assert found == {expected(number).tobytes() for number in beagles}
    assert np.array_equal(data.real_image(149, rng), expected(1234))
    with pytest.raises(BadSample, match="of class 0"):
        data.real_image(0, rng)


def test_thousand_class_folders_are_the_class_ids(tmp_path, monkeypatch):
    """Folder names in order are the classes 0 to 999, in the queries or not."""
    names = {i: f"n{10_000_000 + i * 7:08d}" for i in range(1000)}
    monkeypatch.setattr(trees, "SYNSETS", names)
    root = tmp_path / "val"
    for label in names.keys() - set(trees.LABELS.values()):
        trees.write(root / names[label] / f"ILSVRC2012_val_{40_000 + label:08d}.JPEG", b"")
    trees.write(root / names[999] / "ILSVRC2012_val_00040999.JPEG", trees.jpeg(40999))
    data = ImageNet(trees.class_folders(root), trees.queries_csv(tmp_path / "queries.csv"), SIZE)
    rng = np.random.default_rng(0)
    assert np.array_equal(data.real_image(999, rng), expected(40999))
    assert {data.real_image(162, rng).tobytes() for _ in range(25)} == {expected(n).tobytes() for n in (48167, 7)}


def test_missing_queries_and_images_are_reported_together(tmp_path):
    lines = refusal(tmp_path / "images", tmp_path / "queries.csv", SIZE).split("\n")
    assert len(lines) == 2
    assert lines[0].startswith(f"missing: FlexIT's queries.csv, sought at {tmp_path / 'queries.csv'};")
    assert lines[0].endswith("or set data.annotations= to where it is")
    assert lines[1].startswith(f"missing: ILSVRC2012 validation images, sought at {tmp_path / 'images'};")
    assert lines[1].endswith("or set data.root= to where it is")
    assert len(refusal(None, None, SIZE).split("\n")) == 2


def test_one_missing_thing_is_one_sentence(tmp_path):
    queries, folder = trees.queries_csv(tmp_path / "queries.csv"), trees.class_folders(tmp_path / "val")
    message = refusal(tmp_path / "gone", queries, SIZE)
    assert message.startswith("missing: ILSVRC2012 validation images")
    assert "\n" not in message
    message = refusal(folder, tmp_path / "gone.csv", SIZE)
    assert message.startswith("missing: FlexIT's queries.csv")
    assert "\n" not in message


def test_missing_images_are_counted(tmp_path):
    folder, queries = trees.class_folders(tmp_path / "val"), trees.queries_csv(tmp_path / "queries.csv")
    for number in (1234, 31):
        next(folder.glob(f"*/ILSVRC2012_val_{number:08d}.JPEG")).unlink()
    message = refusal(folder, queries, SIZE)
    assert f"2 of 3 images of queries.csv are not under {folder}" in message
    assert "the first is ILSVRC2012_val_00001234.JPEG" in message
    assert len(ImageNet(folder, queries, SIZE, split="dev").ids) == 3


@pytest.mark.parametrize("name", ["notes.txt", "n01440764/n01440764_10026.JPEG", "._ILSVRC2012_val_00000031.JPEG"])
def test_folder_without_validation_images(tmp_path, name):
    """Such as the training set's."""
    trees.write(tmp_path / "images" / name, b"")
    message = refusal(tmp_path / "images", trees.queries_csv(tmp_path / "queries.csv"), SIZE)
    assert message.startswith(f"no ILSVRC2012 validation image under {tmp_path / 'images'}; expected class folders")


def test_parquet_of_other_names(tmp_path):
    """Some mirrors number the images anew."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = tmp_path / "images/data/validation-00000-of-00001.parquet"
    file.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([{"image": {"bytes": trees.jpeg(31), "path": "0.jpg"}, "label": 171}]), file)
    message = refusal(tmp_path / "images", trees.queries_csv(tmp_path / "queries.csv"), SIZE)
    assert message.startswith("'0.jpg' names no ILSVRC2012 validation image")


def test_another_csv_is_refused(tmp_path):
    queries = trees.write(tmp_path / "queries.csv", b"path,source,target\na,b,c\n")
    message = refusal(trees.class_folders(tmp_path / "val"), queries, SIZE)
    assert re.search(r"queries.csv has no column 'source_id'", message)


def test_byte_order_mark_and_windows_line_ends_are_read(tmp_path):
    folder, queries = trees.class_folders(tmp_path / "val"), trees.queries_csv(tmp_path / "queries.csv")
    plain = ImageNet(folder, queries, SIZE)
    text = queries.read_text().replace("\r\n", "\n").replace("\n", "\r\n")
    trees.write(queries, b"\xef\xbb\xbf" + text.encode())
    edited = ImageNet(folder, queries, SIZE)
    assert edited.ids == plain.ids
    assert edited[0].source == plain[0].source


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("n02071294/ILSVRC2012_val_00039524.JPEG,killer whale,148,dugong,1000,True", "target_id is '1000'"),
        ("n02071294/ILSVRC2012_val_00039524.JPEG,killer whale,-1,dugong,149,True", "source_id is '-1'"),
        ("n02071294/ILSVRC2012_val_00039524.JPEG,killer whale,x,dugong,149,True", "source_id is 'x'"),
        ("n02071294/ILSVRC2012_val_00039524.JPEG,killer whale,148,dugong,149,yes", "is_test is 'yes'"),
        ("n02071294/n02071294_1.JPEG,killer whale,148,dugong,149,True", "names no ILSVRC2012 validation image"),
        ("n02071294/ILSVRC2012_val_00039524.JPEG,killer wh", "has not as many values as columns"),
    ],
)
def test_a_row_that_is_wrong_is_named_by_its_line(tmp_path, wrong, why):
    queries = trees.queries_csv(tmp_path / "queries.csv")
    queries.write_bytes(queries.read_bytes() + f"9,{wrong}\r\n".encode())
    message = refusal(trees.class_folders(tmp_path / "val"), queries, SIZE)
    assert f"{queries}, line {len(trees.QUERIES) + 2}" in message
    assert why in message


def test_unreadable_image_is_a_bad_sample_only_when_read(tmp_path):
    data = imagenet(tmp_path)
    next((tmp_path / "images").glob("*/*39524.JPEG")).write_bytes(trees.jpeg(39524)[:200])
    with pytest.raises(BadSample, match="ILSVRC2012_val_00039524 is not a readable picture"):
        data[0]
    assert np.array_equal(data[1].image, expected(1234))


@pytest.mark.parametrize("layout", ["class folders", "parquet"])
def test_identity_is_that_of_the_content(tmp_path, layout):
    before = imagenet(tmp_path / "here", layout).identity()
    os.rename(tmp_path / "here", tmp_path / "there")
    folder, queries = tmp_path / "there/images", tmp_path / "there/queries.csv"
    assert ImageNet(folder, queries, SIZE).identity() == before
    for options in ({"split": "dev"}, {"queries": "ids"}, {"resample": "lanczos"}):
        changed = ImageNet(folder, queries, SIZE, **options).identity()
        assert changed != before
    assert ImageNet(folder, queries, SIZE + 1).identity() != before
    trees.queries_csv(queries, [*trees.QUERIES[:-1], (12, 31, 160, True)])
    assert ImageNet(folder, queries, SIZE).identity() != before


def test_identity_changes_with_an_image_of_the_split_alone(tmp_path):
    data = imagenet(tmp_path)
    before = data.identity()
    for number, matters in ((42240, False), (31, True)):
        next((tmp_path / "images").glob(f"*/*{number:08d}.JPEG")).write_bytes(trees.jpeg(5))
        assert (data.identity() != before) == matters


@pytest.mark.skipif(not FLEXIT.is_file(), reason=f"the authors' queries.csv is not at {FLEXIT}")
def test_the_real_queries(tmp_path):
    """One small picture serves under every name: what is tested is the list."""
    folder, picture = tmp_path / "val", trees.write(tmp_path / "one.JPEG", trees.jpeg(1))
    folder.mkdir()
    for number in re.findall(r"ILSVRC2012_val_(\d{8})", FLEXIT.read_text()):
        os.link(picture, folder / f"ILSVRC2012_val_{number}.JPEG")
    splits = {split: ImageNet(folder, FLEXIT, 8, split=split) for split in ("dev", "test")}
    assert {split: len(data.ids) for split, data in splits.items()} == {"dev": 1092, "test": 1092}
    assert sorted(splits["dev"].ids + splits["test"].ids) == [f"{i:04d}" for i in range(2184)]
    groups = set()
    for data in splits.values():
        samples = [data[i] for i in range(1092)]
        groups |= {sample.group for sample in samples}
        targets = Counter(sample.classes[1] for sample in samples)
        assert len(targets) == 273
        assert set(targets.values()) == {4}
        assert len({sample.target for sample in samples}) == 273
        for class_id in targets:  # a flat folder without labels knows every target class from the queries
            assert data.real_image(class_id, np.random.default_rng(0)).shape == (3, 8, 8)
    assert len(groups) == 2184
    first = splits["dev"][0]
    assert (first.id, first.source, first.target, first.classes) == (
        "0000",
        "Italian greyhound",
        "Afghan hound",
        (171, 160),
    )
