import builtins
import io
import json
import os
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from bench.config import cli
from bench.data.base import Count
from bench.data.files import rle
from bench.data.pie import Pie
from bench.edits.plan import make_data
from bench.errors import BadSample, UserError
from tests.helpers import pie_trees
from tests.helpers.pie_trees import TYPE_FOLDERS, WHOLE, bordered, disc, encode, pie, pie_records, pie_seed, square
from tests.helpers.shared import SHARED, needs_shared
from tests.helpers.trees import write

NAMES = ["random", "object", "add", "delete", "content", "pose", "colour", "material", "background", "style"]
CAT = "121000000000"
FIELDS = list(pie_records()[CAT])
GENUINE = SHARED / "data/pie_bench_sample"
MINI = SHARED / "data/pie_layout_mini"


def refusal(root, **options) -> str:
    """What is said instead of making a data set, in one sentence."""
    with pytest.raises(UserError) as error:
        Pie(str(root), 512, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def changed(root, **fields):
    """The tree with other fields in the cat's record."""
    return pie(root, {**pie_records(), CAT: pie_records()[CAT] | fields})


def stored(content: bytes) -> np.ndarray:
    """The pixels of a picture file, `[3, H, W]`."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


def picture_of(root, id_):
    """Where a record's picture lies."""
    return root / "annotation_images" / pie_records()[id_]["image_path"]


def test_all_fields_arrive(tmp_path):
    data = Pie(str(pie(tmp_path)), 512)
    sample = data[0]
    assert (sample.id, data.ids[0]) == (CAT, CAT)
    assert (sample.source, sample.target) == ("a cat on a sofa", "a dog on a sofa")
    assert (sample.type, sample.blend) == ("object", ("cat", "dog"))
    assert sample.group == "1_change_object_80/2_natural/1_animal/121000000000.jpg"
    assert sample.instruction == "Change the cat to a dog"
    assert sample.classes is sample.truth is sample.attributes is None
    assert (sample.image.dtype, sample.image.shape) == (np.uint8, (3, 512, 512))
    assert np.array_equal(sample.mask, bordered(disc(0)))


def test_every_record_is_read_as_it_is_written(tmp_path):
    data = Pie(str(pie(tmp_path)), 512)
    for i, (id_, record) in enumerate(pie_records().items()):
        sample = data[i]
        assert sample.id == id_
        assert np.array_equal(sample.image, stored(square(pie_seed(id_))))
        mask = np.ones((512, 512), bool) if record["mask"] == WHOLE else bordered(disc(i))
        assert sample.mask.dtype == bool
        assert np.array_equal(sample.mask, mask)
        assert sample.type == NAMES[int(id_[0])]
        assert sample.group == record["image_path"]
        assert sample.instruction == (record["editing_instruction"] or None)


def test_order_is_that_of_the_file(tmp_path):
    records = pie_records()
    assert Pie(str(pie(tmp_path)), 512).ids == list(records)
    back = dict(reversed(records.items()))
    assert Pie(str(pie(tmp_path, back)), 512).ids == list(reversed(records))


def test_brackets_go_and_nothing_else(tmp_path):
    prompt = " a [white ] (old) {car}  <near>, [[the]] house's [] door]. "
    root = changed(tmp_path, original_prompt=prompt, editing_prompt="[" + prompt)
    sample = Pie(str(root), 512)[0]
    assert sample.source == sample.target == " a white  (old) {car}  <near>, the house's  door. "


def test_brackets_stay_where_that_is_asked_for(tmp_path):
    root = str(pie(tmp_path))
    kept, stripped = Pie(root, 512, brackets="keep"), Pie(root, 512)
    assert (kept[0].source, kept[0].target) == ("a [cat] on a sofa", "a [dog] on a sofa")
    assert kept[0].blend == ("cat", "dog")
    assert kept.identity() == stripped.identity() | {"brackets": "keep"}
    assert Pie(root, 512, brackets="strip").identity() == stripped.identity()


@pytest.mark.parametrize(
    ("words", "blend"),
    [
        ("cat dog", ("cat", "dog")),
        ("cat cat", ("cat", "cat")),
        ("hat", ("hat", "")),
        ("", None),
        ("cat dog bird", ("cat", "dog")),
    ],
)
def test_blended_words(tmp_path, words, blend):
    assert Pie(str(changed(tmp_path, blended_word=words)), 512)[0].blend == blend


def test_samples_of_one_picture_are_one_group(tmp_path):
    shared = pie_records()[CAT] | {"editing_prompt": "a [bird] on a sofa"}
    data = Pie(str(pie(tmp_path, pie_records() | {"121000000099": shared})), 512)
    first, last = data[0], data[len(data.ids) - 1]
    assert last.id == "121000000099"
    assert first.group == last.group
    assert len({record["image_path"] for record in pie_records().values()}) == 11
    assert np.array_equal(first.image, last.image)


@pytest.mark.parametrize(
    ("types", "kept"),
    [
        ([1, 6], "16"),
        ([6, 1, 1], "16"),
        (["1", "6"], "16"),
        (["object", "colour"], "16"),
        (["colour", 1], "16"),
        ([0], "0"),
        (["style"], "9"),
        (1, "1"),
        ("object", "1"),
        (list(range(10)), "0123456789"),
        (NAMES, "0123456789"),
        (None, "0123456789"),
    ],
)
def test_types_are_numbers_or_names(tmp_path, types, kept):
    data = Pie(str(pie(tmp_path)), 512, types=types)
    assert data.ids == [id_ for id_ in pie_records() if id_[0] in kept]
    assert [data[i].id for i in range(len(data.ids))] == data.ids


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ([1, 10], "data.types: edit type 10; expected 0 to 9"),
        ([-1], "data.types: edit type -1; expected 0 to 9"),
        ([1.5], "data.types: edit type 1.5; expected 0 to 9"),
        (["color"], "data.types: edit type 'color'; expected 0 to 9, or did you mean colour?"),
        ([""], "data.types: edit type ''; expected 0 to 9"),
        ([None], "data.types: edit type None; expected 0 to 9"),
        ([[1]], "data.types: edit type [1]; expected 0 to 9"),
        ([], "data.types="),
        (16, "data.types: edit type 16; expected 0 to 9"),
        ("16", "data.types: edit type '16'; expected 0 to 9"),
        ("objects", "data.types: edit type 'objects'; expected 0 to 9, or did you mean object?"),
    ],
)
def test_types_that_there_are_none_of(tmp_path, types, expected):
    assert expected in refusal(pie(tmp_path), types=types)


def test_type_without_a_record(tmp_path):
    root = pie(tmp_path, {CAT: pie_records()[CAT]})
    assert refusal(root, types=[2]) == f"{root}/mapping_file.json lists no record of data.types=[2]; name other types"


def test_empty_mapping_file(tmp_path):
    assert refusal(pie(tmp_path, {})).startswith(f"{tmp_path}/mapping_file.json holds no record")


@pytest.mark.parametrize("type_id", ["6", 6])
def test_type_id_may_be_text_or_a_number(tmp_path, type_id):
    assert Pie(str(changed(tmp_path, editing_type_id=type_id)), 512)[0].type == "colour"


@pytest.mark.parametrize("type_id", ["10", 10, -1, "-1", "", "object change", "1.0"])
def test_type_id_that_there_is_none_of(tmp_path, type_id):
    message = refusal(changed(tmp_path, editing_type_id=type_id))
    assert f"mapping_file.json, record '{CAT}': edit type {type_id!r}; expected 0 to 9" in message


def test_size_512_is_what_is_stored(tmp_path):
    """Also where the file has a turning tag, as benchmarks ignore it."""
    root, stream, tag = pie(tmp_path), io.BytesIO(), Image.Exif()
    tag[0x0112] = 6
    with Image.open(io.BytesIO(square(1))) as image:
        image.save(stream, "JPEG", quality=95, exif=tag)
    write(picture_of(root, CAT), stream.getvalue())
    for resample in ("bicubic", "lanczos"):
        made = Pie(str(root), 512, resample=resample)[0].image
        assert made.flags.c_contiguous
        assert np.array_equal(made, stored(stream.getvalue()))


@pytest.mark.parametrize("size", [64, 256, 500, 1024])
@pytest.mark.parametrize("resample", ["bicubic", "bilinear", "lanczos"])
def test_other_size_is_resized_once(tmp_path, size, resample):
    root = pie(tmp_path)
    sample = Pie(str(root), size, resample=resample)[0]
    with Image.open(picture_of(root, CAT)) as image:
        expected = np.asarray(image.resize((size, size), Image.Resampling[resample.upper()])).transpose(2, 0, 1)
    assert np.array_equal(sample.image, expected)
    nearest = ((np.arange(size) + 0.5) * 512 / size).astype(int)  # the stored pixel under the middle of each
    assert sample.mask.dtype == bool
    assert np.array_equal(sample.mask, bordered(disc(0))[np.ix_(nearest, nearest)])


def test_listing_opens_the_mapping_file_alone(tmp_path, monkeypatch):
    root, opened = pie(tmp_path), []
    for id_ in pie_records():
        write(picture_of(root, id_), b"no picture")

    def opening(open_):
        def note(file, *args, **options):
            opened.append(os.fspath(file))
            return open_(file, *args, **options)

        return note

    for module in (builtins, io):
        monkeypatch.setattr(module, "open", opening(open))
    data = Pie(str(root), 512)
    assert [data.result_names(i)["sample id"] for i in range(11)] == data.ids
    assert {file for file in opened if file.startswith(str(tmp_path))} == {str(root / "mapping_file.json")}
    with pytest.raises(BadSample):
        data[3]
    assert str(picture_of(root, data.ids[3])) in opened


def test_identity_is_that_of_the_content(tmp_path):
    root = pie(tmp_path / "here")
    data = Pie(str(root), 512)
    before = data.identity()
    assert data.annotations == [root / "mapping_file.json"]
    assert str(tmp_path) not in json.dumps(before)
    for options in ({"types": [1]}, {"types": [6]}, {"resample": "lanczos"}):
        assert Pie(str(root), 512, **options).identity() != before
    assert Pie(str(root), 512, types=[1]).identity() != Pie(str(root), 512, types=[6]).identity()
    assert Pie(str(root), 512, types=[6, 1]).identity() == Pie(str(root), 512, types=["object", "colour"]).identity()
    assert Pie(str(root), 256).identity() != before
    moved = root.rename(tmp_path / "là bas")
    assert Pie(str(moved), 512).identity() == before
    write(moved / "annotation_images/not listed.jpg", square(5))
    assert Pie(str(moved), 512).identity() == before
    write(picture_of(moved, CAT), square(5))
    assert Pie(str(moved), 512).identity() != before
    write(picture_of(moved, CAT), square(pie_seed(CAT)))
    assert Pie(str(moved), 512).identity() == before
    changed(moved, editing_prompt="a [bird] on a sofa")
    assert Pie(str(moved), 512).identity() != before


def test_counts(tmp_path):
    root = pie(tmp_path)
    write(picture_of(root, "224000000000"), square(1, 500))
    write(picture_of(root, "714000000006"), b"no picture")
    counts = Pie(str(root), 64).counts()
    numbers = Counter(id_[0] for id_ in pie_records())
    assert counts == [
        Count("samples", 11, 700),
        *[Count(f"type {i} ({n})", numbers[str(i)], int(TYPE_FOLDERS[i].split("_")[-1])) for i, n in enumerate(NAMES)],
        Count("pictures not 512x512", 2, 0),
    ]
    assert [count.expected for count in counts[1:-1]] == [140, 80, 80, 80, 40, 40, 40, 40, 80, 80]
    assert counts[2].found == 2
    counts = Pie(str(root), 512, types=[1, 6]).counts()
    assert [count.found for count in counts] == [3, 0, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0]


def test_result_names(tmp_path):
    data = Pie(str(pie(tmp_path)), 512)
    assert data.result_names(0) == {
        "sample id": CAT,
        "PIE-Bench's folder tree": f"annotation_images/1_change_object_80/2_natural/1_animal/{CAT}",
        "PIE-Bench's folder tree, without annotation_images": f"1_change_object_80/2_natural/1_animal/{CAT}",
    }
    assert data.result_names(1)["PIE-Bench's folder tree"] == "annotation_images/0_random_140/000000000007"


def test_no_class_has_pictures(tmp_path):
    with pytest.raises(BadSample, match="has no classes"):
        Pie(str(pie(tmp_path)), 512).real_image(0, np.random.default_rng(0))


def test_its_configuration_makes_it(tmp_path):
    """As the command line does, where a list may come as one value."""
    (job,) = cli.jobs(["data=pie", f"data.root={pie(tmp_path)}", "data.types=[1,colour]", "data.size=64"])
    data = make_data(dict(job["data"]))
    assert data.ids == [id_ for id_ in pie_records() if id_[0] in "16"]
    assert data[0].image.shape == (3, 64, 64)


def test_missing_parts_are_reported_together(tmp_path):
    with pytest.raises(UserError) as error:
        Pie(str(tmp_path), 512)
    lines = str(error.value).split("\n")
    assert len(lines) == 2
    assert lines[0].startswith(
        f"missing: PIE-Bench's mapping_file.json, sought at {tmp_path}/mapping_file.json; get it"
    )
    assert lines[1].startswith(
        f"missing: PIE-Bench's annotation_images, sought at {tmp_path}/annotation_images; get it"
    )
    assert all("the form linked in the README" in line for line in lines)
    assert all(line.endswith("or set data.root= to where it is") for line in lines)
    assert refusal(write(tmp_path / "annotation_images/a", b"").parents[1]) == lines[0]
    with pytest.raises(UserError, match=r"^data\.root is not set; expected a file or folder$"):
        Pie(None, 512)


def test_missing_image(tmp_path):
    root = pie(tmp_path)
    for id_ in (CAT, "322000000001"):
        picture_of(root, id_).unlink()
    message = refusal(root)
    assert message.startswith(f"2 of 11 pictures of {root}/mapping_file.json are missing, the first is ")
    assert f"is {picture_of(root, CAT)} (record '{CAT}'); get it from the form" in message
    assert Pie(str(root), 512, types=[0, 6]).ids == ["000000000007", "623000000005"]  # none of theirs is missing


@pytest.mark.parametrize("path", ["", "0_random_140", "0_random_140/gone.jpg", "0_random_140/gone\0.jpg"])
def test_image_path_of_no_picture(tmp_path, path):
    root = changed(tmp_path, image_path=path)
    assert f"the first is {root / 'annotation_images' / path} (record '{CAT}')" in refusal(root)


@pytest.mark.parametrize(
    "path",
    ["../../etc/passwd", "/etc/passwd", "..", "a/../../mapping_file.json", "../annotation_images2/a.jpg"],
)
@pytest.mark.parametrize("types", [None, [6]])
def test_image_path_that_leaves_the_root(tmp_path, path, types):
    root = changed(tmp_path / "root", image_path=path)
    write(root / "annotation_images2/a.jpg", square(1))
    message = refusal(root, types=types)
    assert message == (
        f"{root}/mapping_file.json, record '{CAT}': the path {path!r} leaves {root}/annotation_images; it is not read"
    )


@pytest.mark.parametrize("kept", [0, 40, 600, 5000])
def test_undecodable_image_is_a_bad_sample_only_when_read(tmp_path, kept):
    root = pie(tmp_path)
    write(picture_of(root, CAT), square(pie_seed(CAT))[:kept])
    data = Pie(str(root), 512)
    with pytest.raises(BadSample, match=f"{CAT}.jpg is not a readable picture"):
        data[0]
    assert data[1].id == "000000000007"


@pytest.mark.parametrize("size", [512, 64])
@pytest.mark.parametrize(("width", "height"), [(500, 500), (1024, 1024), (512, 511), (2048, 512)])
def test_image_of_another_size_than_its_mask_is_a_bad_sample(tmp_path, size, width, height):
    root, stream = pie(tmp_path), io.BytesIO()
    pie_trees.picture(1, width, height).save(stream, "JPEG")
    write(picture_of(root, CAT), stream.getvalue())
    with pytest.raises(
        BadSample, match=rf"{CAT}\.jpg is {width}x{height} px, and its mask 512x512; they must be equal"
    ):
        Pie(str(root), size)[0]


def test_bomb_is_a_bad_sample(tmp_path):
    root = pie(tmp_path)
    write(picture_of(root, CAT), pie_trees.bomb())
    data = Pie(str(root), 512)
    with pytest.raises(BadSample, match=rf"{CAT}\.jpg is not a readable picture .*900000000 pixels.*bomb"):
        data[0]
    assert data.counts()[-1] == Count("pictures not 512x512", 1, 0)


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_json_that_was_cut_off(tmp_path, share):
    file = pie(tmp_path) / "mapping_file.json"
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    message = refusal(tmp_path)
    assert message.startswith(f"{file} is no whole JSON file (")
    assert "get it again from the form linked in the README of github.com/cure-lab/PnPInversion" in message


def test_json_of_another_kind(tmp_path):
    file = pie(tmp_path, list(pie_records().values())) / "mapping_file.json"
    assert refusal(tmp_path).startswith(f"{file} holds a list, expected a dict;")


def test_duplicate_id(tmp_path):
    file = pie(tmp_path) / "mapping_file.json"
    file.write_text(file.read_text()[:-1] + f', "{CAT}": {json.dumps(pie_records()[CAT])}}}')
    assert refusal(tmp_path) == f"{file} has the key '{CAT}' twice; ids must differ"


def test_byte_order_mark_and_line_ends_are_no_matter(tmp_path):
    file = pie(tmp_path) / "mapping_file.json"
    text = json.dumps(pie_records(), indent=4).replace("\n", "\r\n")
    file.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert Pie(str(tmp_path), 512).ids == list(pie_records())


def test_names_may_have_spaces_and_be_non_ascii(tmp_path):
    path = "0_random_140/café au lait, 日本.v2.jpg"
    record = pie_records()[CAT] | {"image_path": path, "original_prompt": "un [café] à Łódź", "editing_type_id": "0"}
    root = pie(tmp_path / "données été/PIE Bench", {"café 1": record})
    write(root / "annotation_images" / path, square(7))
    data = Pie(str(root), 512)
    sample = data[0]
    assert (sample.id, sample.source, sample.group) == ("café 1", "un café à Łódź", path)
    assert np.array_equal(sample.image, stored(square(7)))
    assert data.result_names(0)["PIE-Bench's folder tree"] == "annotation_images/0_random_140/café au lait, 日本.v2"
    assert data.counts()[-1].found == 0


@pytest.mark.parametrize("name", FIELDS)
def test_record_without_a_field(tmp_path, name):
    records = pie_records()
    del records[CAT][name]
    message = refusal(pie(tmp_path, records))
    assert message == f"{tmp_path}/mapping_file.json, record '{CAT}': field {name!r} is missing"


@pytest.mark.parametrize("record", [None, [], "a cat", 5])
def test_record_that_is_none(tmp_path, record):
    message = refusal(pie(tmp_path, pie_records() | {CAT: record}))
    assert message.startswith(f"{tmp_path}/mapping_file.json, record '{CAT}': field ")


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("value", [None, True, 1.5, {"a": 1}])
def test_wrong_kind(tmp_path, name, value):
    message = refusal(changed(tmp_path, **{name: value}))
    expected = {"mask": "list", "editing_type_id": "str or int"}.get(name, "str")
    assert message == f"{tmp_path}/mapping_file.json, record '{CAT}': {name} is {value!r}; expected {expected}"


def test_wrong_kind_of_text(tmp_path):
    record = f"{tmp_path}/mapping_file.json, record '{CAT}'"
    assert refusal(changed(tmp_path, mask="0 5")) == f"{record}: mask is '0 5'; expected list"
    assert refusal(changed(tmp_path, blended_word=["cat", "dog"])) == (
        f"{record}: blended_word is ['cat', 'dog']; expected str"
    )


@pytest.mark.parametrize(
    ("mask", "why"),
    [
        ([0, 5, 9], "mask has 3 numbers; expected pairs of start and length"),
        ([262134, 50], "mask has the run 262134+50, which leaves the frame of 262144 pixels"),
        ([-1, 5], "mask has the run -1+5, which leaves the frame of 262144 pixels"),
        ([[0, 5], [9, 3]], "mask is no flat list of whole numbers"),
        ([[0, 5], 9], "mask is no flat list of whole numbers"),
        ([0.0, 5.0], "mask is no flat list of whole numbers"),
        ([0, None], "mask is no flat list of whole numbers"),
        (["zero", "five"], "mask is no flat list of whole numbers"),
        ([2**62, 2**62], "mask "),
        ([10**30, 1], "mask "),
    ],
)
def test_mask_that_is_no_list_of_runs_in_the_frame(tmp_path, mask, why):
    assert refusal(changed(tmp_path, mask=mask)).startswith(f"{tmp_path}/mapping_file.json, record '{CAT}': {why}")


def test_mask_always_has_the_border(tmp_path):
    """Whether it is stored with it, as the owners do, or without."""
    bare = disc(3)
    for mask, expected in ((encode(bare), bordered(bare)), ([], bordered(np.zeros_like(bare)))):
        assert np.array_equal(Pie(str(changed(tmp_path, mask=mask)), 512)[0].mask, expected)


@needs_shared
def test_genuine_records():
    data = Pie(str(GENUINE), 512)
    mapping = json.loads((GENUINE / "mapping_file.json").read_text())
    assert data.ids == list(mapping)
    assert len(data.ids) == 13
    assert sum(count.found for count in data.counts()[1:-1]) == data.counts()[0].found == 13
    assert data.counts()[-1].found == 0
    samples = [data[i] for i in range(13)]
    cake = samples[data.ids.index("000000000001")]
    assert cake.mask.sum() == 82_730
    assert (cake.type, cake.group, cake.blend) == ("random", "0_random_140/000000000001.jpg", ("cake", "cake"))
    assert cake.source == "a round cake with orange frosting on a wooden plate"
    assert cake.target == "a square cake with orange frosting on a wooden plate"
    assert cake.instruction == "Change the cake shape to square"
    assert cake.mask[320, 256]
    for sample in samples:
        assert np.array_equal(sample.image, stored((GENUINE / "annotation_images" / sample.group).read_bytes()))
        assert encode(sample.mask) == mapping[sample.id]["mask"]  # the border is in the file
        if sample is not cake:
            assert sample.mask.all()
            assert (sample.type, sample.blend) == ("style", None)
        assert "[" not in sample.source + sample.target
    assert Pie(str(GENUINE), 512, types=["random"]).ids == ["000000000001"]


@needs_shared
def test_layout_with_all_ten_types():
    data = Pie(str(MINI), 512)
    assert [count.found for count in data.counts()] == [10, *[1] * 10, 0]
    samples = [data[i] for i in range(10)]
    assert [sample.type for sample in samples] == NAMES
    assert Pie(str(MINI), 512, types=[1, 6]).ids == ["121000000000", "624000000000"]
    assert [sample.blend for sample in samples] == [
        ("statue", "statue"),
        ("horse", "zebra"),
        None,
        ("headphones", ""),
        ("eyes", "eyes"),
        ("dog", "dog"),
        ("chair", "chair"),
        ("fountain", "fountain"),
        None,
        None,
    ]
    assert len({sample.group for sample in samples}) == 10
    mapping = json.loads((MINI / "mapping_file.json").read_text())
    for sample in samples:
        runs = mapping[sample.id]["mask"]
        assert sample.mask.sum() == sum(runs[1::2])
        assert np.array_equal(sample.mask, rle.decode(runs))
