import builtins
import io
import json
import os
from collections import Counter

import numpy as np
import pytest

from bench.config import cli
from bench.data.base import Count
from bench.data.preprocess import read_rgb
from bench.data.ti2i import Ti2i
from bench.edits.plan import make_data
from bench.errors import BadSample, UserError
from tests.helpers.pie_trees import TI2I_PREFIX, bomb, square, ti2i, ti2i_records
from tests.helpers.shared import SHARED
from tests.helpers.trees import write

MAPPING = SHARED / "data/ti2i/mapping_file_ti2i_benchmark.json"
NAME = "mapping_file_ti2i_benchmark.json"
SIZE = 32
FIRST = "wild-ti2i/data/scene_0.jpg"


def made(root, **options) -> Ti2i:
    """The data set of a tree with its mapping file within."""
    return Ti2i(str(root), str(root / NAME), SIZE, **options)


def refusal(root) -> str:
    """What is said instead of making a data set, in one sentence."""
    with pytest.raises(UserError) as error:
        made(root)
    assert "\n" not in str(error.value)
    return str(error.value)


def few(**changes) -> dict:
    """Two records of one picture and one of another; the second with changes."""
    records = {id_: ti2i_records()[id_] for id_ in ("1", "0", "78")}
    records["0"] |= changes
    return records


def test_all_fields_arrive(tmp_path):
    data = made(ti2i(tmp_path, few()))
    assert data.ids == ["1", "0", "78"]  # as in the file
    assert data.annotations == [tmp_path / NAME]
    for i, (id_, record) in enumerate(few().items()):
        sample = data[i]
        assert (sample.id, sample.source, sample.target) == (id_, None, record["editing_prompt"])
        assert sample.group == record["image_path"]
        assert sample.type == ["wild", "wild", "imagenet-r"][i]
        others = (sample.mask, sample.classes, sample.blend, sample.instruction, sample.truth, sample.attributes)
        assert others == (None,) * 6
        file = tmp_path / record["image_path"].removeprefix(TI2I_PREFIX)
        assert np.array_equal(sample.image, read_rgb(file, SIZE))
    assert data[0].group == data[1].group != data[2].group
    assert not np.array_equal(data[0].image, data[2].image)


def test_source_prompt_where_there_is_one(tmp_path):
    """The owners' are all empty; words are kept as they are."""
    data = made(ti2i(tmp_path, few(original_prompt="a [bear]", editing_prompt="a [robot] bear")))
    assert (data[1].source, data[1].target) == ("a [bear]", "a [robot] bear")


@pytest.mark.parametrize("base", ["", "data/annotation_images/", TI2I_PREFIX])
def test_root_may_be_any_folder_above_the_pictures(tmp_path, base):
    records = ti2i_records()
    data = made(ti2i(tmp_path, records, base))
    assert len(data.ids) == 223
    for i in (0, 100, 222):
        file = tmp_path / records[data.ids[i]]["image_path"].removeprefix(base)
        assert np.array_equal(data[i].image, read_rgb(file, SIZE))
        assert data[i].group == records[data.ids[i]]["image_path"]


def test_mapping_file_may_lie_elsewhere(tmp_path):
    ti2i(tmp_path / "pictures")
    (tmp_path / "pictures" / NAME).rename(tmp_path / "list.json")
    assert len(Ti2i(str(tmp_path / "pictures"), str(tmp_path / "list.json"), SIZE).ids) == 223


def test_resample_and_size_are_those_asked_for(tmp_path):
    data = Ti2i(str(ti2i(tmp_path)), str(tmp_path / NAME), 24, resample="lanczos")
    assert np.array_equal(data[0].image, read_rgb(tmp_path / FIRST, 24, "lanczos"))
    assert not np.array_equal(data[0].image, read_rgb(tmp_path / FIRST, 24))


def test_listing_opens_the_mapping_file_alone(tmp_path, monkeypatch):
    root, opened = ti2i(tmp_path), []
    write(root / FIRST, b"no picture")

    def opening(open_):
        def note(file, *args, **options):
            opened.append(os.fspath(file))
            return open_(file, *args, **options)

        return note

    for module in (builtins, io):
        monkeypatch.setattr(module, "open", opening(open))
    data = made(root)
    assert data.counts()[0].found == 223
    assert {file for file in opened if file.startswith(str(tmp_path))} == {str(root / NAME)}
    with pytest.raises(BadSample, match=r"scene_0\.jpg is not a readable picture"):
        data[0]
    assert str(root / FIRST) in opened


def test_identity_is_that_of_the_content(tmp_path):
    root = ti2i(tmp_path / "here", few())
    before = made(root).identity()
    assert str(tmp_path) not in json.dumps(before)
    assert made(root, resample="bilinear").identity() != before
    assert Ti2i(str(root), str(root / NAME), SIZE + 1).identity() != before
    moved = root.rename(tmp_path / "là bas")
    assert made(moved).identity() == before
    write(moved / "wild-ti2i/data/not listed.jpg", b"")
    assert made(moved).identity() == before
    whole = (moved / FIRST).read_bytes()
    write(moved / FIRST, square(1, 64))
    assert made(moved).identity() != before
    write(moved / FIRST, whole)
    assert made(moved).identity() == before
    assert made(ti2i(moved, few(editing_prompt="a photo of a bird"))).identity() != before


def test_counts(tmp_path):
    assert made(ti2i(tmp_path / "all")).counts() == [
        Count("samples", 223, 223),
        Count("pictures", 55, 55),
        Count("wild: prompts", 78, 78),
        Count("wild: pictures", 26, 26),
    ]
    assert [count.found for count in made(ti2i(tmp_path / "few", few())).counts()] == [3, 2, 2, 1]


def test_result_names(tmp_path):
    assert made(ti2i(tmp_path, few())).result_names(2) == {"sample id": "78"}


def test_its_configuration_makes_it(tmp_path):
    root = ti2i(tmp_path / "mes données/ti2i")
    (job,) = cli.jobs(["data=ti2i", f"data.root='{root}'", "data.size=32"])
    data = make_data(dict(job["data"]))
    assert len(data.ids) == 223
    assert data[0].image.shape == (3, 32, 32)


def test_missing_parts_are_reported_together(tmp_path):
    with pytest.raises(UserError) as error:
        made(tmp_path / "gone")
    lines = str(error.value).split("\n")
    assert len(lines) == 2
    assert lines[0].startswith(f"missing: TI2I's {NAME}, sought at {tmp_path / 'gone' / NAME}; get it from ")
    assert lines[0].endswith("or set data.annotations= to where it is")
    assert lines[1].startswith(f"missing: TI2I's pictures, sought at {tmp_path / 'gone'}; get it from ")
    assert lines[1].endswith("or set data.root= to where it is")


def test_missing_image(tmp_path):
    root = ti2i(tmp_path)
    for name in (FIRST, "imagenetr-ti2i/cat/art_5.jpg"):
        (root / name).unlink()
    message = refusal(root)
    assert message.startswith(f"2 of 55 pictures of {root / NAME} are not under {root}, the first is ")
    assert f"the first is {TI2I_PREFIX}{FIRST}; get them from the TI2I benchmark" in message


def test_pictures_under_several_bases(tmp_path):
    """Each is somewhere, but no one root explains them all."""
    root = ti2i(tmp_path, few())
    (root / TI2I_PREFIX).mkdir(parents=True)
    (root / "imagenetr-ti2i").rename(root / TI2I_PREFIX / "imagenetr-ti2i")
    assert f"pictures of {root / NAME} are not under {root}, the first is " in refusal(root)


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "..",
        "wild-ti2i/../../secret.jpg",
        # within the root as they stand, not without what a root may stand for
        TI2I_PREFIX + "../secret.jpg",
        TI2I_PREFIX + "wild-ti2i/../../secret.jpg",
        "data/annotation_images/../secret.jpg",
        TI2I_PREFIX + "{outside}/secret.jpg",
    ],
)
def test_image_path_that_leaves_the_root(tmp_path, path):
    write(tmp_path / "secret.jpg", square(1, 64))
    root = ti2i(tmp_path / "root", few())
    records = few(image_path=path.replace("{outside}", str(tmp_path)))
    write(root / NAME, json.dumps(records).encode())
    if path.startswith("data/annotation_images/../"):  # every path has to begin with the same base
        for half in ("wild-ti2i", "imagenetr-ti2i"):
            (root / "ti2i_benchmark").mkdir(exist_ok=True)
            (root / half).rename(root / "ti2i_benchmark" / half)
    message = refusal(root)
    assert message.startswith(f"{root / NAME}, record '0': the path ")
    assert message.endswith(f" leaves {root}; it is not read")


def test_undecodable_image_is_a_bad_sample_only_when_read(tmp_path):
    root = ti2i(tmp_path, few())
    for content, why in (
        (b"", "is not a readable picture"),
        (square(1, 64)[:300], "is not a readable picture"),
        (bomb(), "is not a readable picture .*900000000 pixels.*bomb"),
    ):
        write(root / FIRST, content)
        data = made(root)
        with pytest.raises(BadSample, match=rf"scene_0\.jpg {why}"):
            data[0]
        assert data[2].id == "78"


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_json_that_was_cut_off(tmp_path, share):
    file = ti2i(tmp_path) / NAME
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    message = refusal(tmp_path)
    assert message.startswith(f"{file} is no whole JSON file (")
    assert "get it again from the dataset_txt/ folder of github.com/xiaotianqing/InstDiffEdit" in message


def test_json_of_another_kind(tmp_path):
    file = ti2i(tmp_path) / NAME
    file.write_text(json.dumps(list(ti2i_records().values())))
    assert refusal(tmp_path).startswith(f"{file} holds a list, expected a dict;")


def test_duplicate_id(tmp_path):
    file = ti2i(tmp_path) / NAME
    file.write_text(file.read_text()[:-1] + f', "5": {json.dumps(ti2i_records()["5"])}}}')
    assert refusal(tmp_path) == f"{file} has the key '5' twice; ids must differ"


def test_byte_order_mark_spaces_and_non_ascii_names_are_no_matter(tmp_path):
    records = {"é 1": ti2i_records()["0"] | {"image_path": TI2I_PREFIX + "wild-ti2i/data/mon été, 日本.jpg"}}
    root = ti2i(tmp_path / "mes données", records)
    (root / NAME).write_bytes(b"\xef\xbb\xbf" + (root / NAME).read_bytes())
    sample = made(root)[0]
    assert (sample.id, sample.group) == ("é 1", TI2I_PREFIX + "wild-ti2i/data/mon été, 日本.jpg")
    assert sample.image.shape == (3, SIZE, SIZE)


@pytest.mark.parametrize("name", ["image_path", "original_prompt", "editing_prompt"])
def test_record_without_a_field_or_with_another_kind(tmp_path, name):
    where = f"{ti2i(tmp_path, few()) / NAME}, record '0'"
    for value in (None, 5, ["a"]):
        records = few(**{name: value})
        write(tmp_path / NAME, json.dumps(records).encode())
        assert refusal(tmp_path) == f"{where}: {name} is {value!r}; expected str"
    del records["0"][name]
    write(tmp_path / NAME, json.dumps(records).encode())
    assert refusal(tmp_path) == f"{where}: field {name!r} is missing"
    write(tmp_path / NAME, json.dumps(few() | {"0": [1]}).encode())
    assert refusal(tmp_path).startswith(f"{where}: field ")


@pytest.mark.skipif(not MAPPING.is_file(), reason=f"the owners' mapping file is not at {MAPPING}")
def test_the_owners_mapping_file(tmp_path):
    """Small pictures serve under the real names: what is tested is the list."""
    ti2i(tmp_path, json.loads(MAPPING.read_text()))
    data = Ti2i(str(tmp_path), str(MAPPING), 16)
    assert all(count.found == count.expected for count in data.counts())
    assert data.counts()[0] == Count("samples", 223, 223)
    assert data.ids == [str(i) for i in range(223)]
    samples = [data[i] for i in range(223)]
    assert Counter(sample.type for sample in samples) == {"imagenet-r": 145, "wild": 78}
    pictures = {sample.group: sample.image.tobytes() for sample in samples}
    assert len(pictures) == len(set(pictures.values())) == 55
    assert Counter(path.split("/")[3] for path in pictures) == {"imagenetr-ti2i": 29, "wild-ti2i": 26}
    assert {sample.source for sample in samples} == {None}
    assert samples[0].target == "a photo of a pixar superhero in NYC"
    assert samples[0].group == "data/annotation_images/ti2i_benchmark/wild-ti2i/data/real_karate.jpeg"
