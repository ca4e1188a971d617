import json
import re

import numpy as np
import pytest
from PIL import Image

from bench import run
from bench.data.manifest import Manifest
from bench.data.preprocess import read_mask, read_rgb
from bench.data.reading import read
from bench.edits.folder import Store
from bench.errors import BadSample, UserError
from tests.helpers.trees import manifest, picture

CAKE = {"id": "a cake/1", "image": "pictures/cake.png", "source": "a cake", "target": "a round cake"}
DOG = {"id": 2, "image": "dog.jpg", "source": None, "target": 207}
FULL = CAKE | {
    "mask": "cake mask.png",
    "type": "object",
    "group": 5,
    "classes": [3, 4],
    "blend": ["cake", "cake"],
    "instruction": "Make the cake round",
}


def refusal(root, rows) -> str:
    """What is said about a manifest of these rows."""
    with pytest.raises(UserError) as error:
        Manifest(str(manifest(root, rows)), 32)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_all_fields_arrive(tmp_path):
    data = Manifest(str(manifest(tmp_path, [FULL, DOG])), 32)
    assert data.ids == ["a cake/1", "2"]
    sample = data[0]
    assert (sample.id, sample.source, sample.target) == ("a cake/1", "a cake", "a round cake")
    assert (sample.type, sample.group) == ("object", "5")
    assert (sample.classes, sample.blend) == ((3, 4), ("cake", "cake"))
    assert sample.instruction == "Make the cake round"
    assert sample.truth is None
    assert np.array_equal(sample.image, read_rgb(tmp_path / "pictures/cake.png", 32))
    assert np.array_equal(sample.mask, read_mask(tmp_path / "cake mask.png", 32))
    assert sample.mask[:, :15].all()
    assert not sample.mask[:, 17:].any()


def test_optional_fields_may_be_left_out_or_null(tmp_path):
    null = DOG | {"id": "3"} | dict.fromkeys(["mask", "type", "group", "classes", "blend", "instruction"])
    data = Manifest(str(manifest(tmp_path, [DOG, null])), 32)
    for sample, group in ((data[0], "dog.jpg"), (data[1], None)):
        assert (sample.source, sample.target, sample.group) == (None, 207, group)
        absent = sample.mask, sample.type, sample.classes, sample.blend, sample.instruction
        assert absent == (None,) * 5


def test_resample_and_size_are_those_asked_for(tmp_path):
    root = manifest(tmp_path, [DOG])
    made = Manifest(str(root), 24, "bilinear")[0].image
    assert np.array_equal(made, read_rgb(root / "dog.jpg", 24, "bilinear"))


def test_blank_lines_byte_order_mark_and_line_separators_are_no_matter(tmp_path):
    """U+2028 may stand in a JSON string, though Python counts it as the end of a line."""
    odd = DOG | {"source": "a dog\u2028on grass"}
    manifest(tmp_path, ["", CAKE, "   ", odd, ""])
    file = tmp_path / "manifest.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    data = Manifest(str(tmp_path), 32)
    assert data.ids == ["a cake/1", "2"]
    assert data[1].source == "a dog\u2028on grass"


def test_no_root():
    with pytest.raises(UserError, match=re.escape("data=manifest needs data.root=")):
        Manifest(None, 32)


def test_no_manifest(tmp_path):
    for root in (tmp_path, tmp_path / "gone"):
        with pytest.raises(UserError, match=re.escape(f"no manifest.jsonl in data.root={root};")):
            Manifest(str(root), 32)


@pytest.mark.parametrize("rows", [[], ["", "  "]])
def test_empty_manifest(tmp_path, rows):
    assert "lists no sample" in refusal(tmp_path, rows)


def test_not_utf8(tmp_path):
    manifest(tmp_path, [DOG])
    (tmp_path / "manifest.jsonl").write_bytes(b'{"id": "caf\xe9"}\n')
    with pytest.raises(UserError, match="is not UTF-8"):
        Manifest(str(tmp_path), 32)


def test_line_that_is_not_json(tmp_path):
    message = refusal(tmp_path, [CAKE, "", '{"id": 3,'])
    assert "line 3 is not JSON" in message


@pytest.mark.parametrize(("line", "kind"), [("[1, 2]", "list"), ("null", "NoneType"), ('"id"', "str")])
def test_line_that_is_no_object(tmp_path, line, kind):
    assert f"line 2 holds {kind}" in refusal(tmp_path, [CAKE, line])


def test_unknown_field_offers_the_nearest(tmp_path):
    message = refusal(tmp_path, [CAKE, DOG | {"instructions": "Hop"}])
    assert "line 2: unknown field 'instructions'; did you mean instruction?" in message


@pytest.mark.parametrize("name", ["id", "image", "source", "target"])
def test_missing_field(tmp_path, name):
    row = {key: value for key, value in DOG.items() if key != name}
    assert f"line 1: field {name!r} is missing" in refusal(tmp_path, [row])


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("id", None, "id is None; expected str or int"),
        ("id", True, "id is True; expected str or int"),
        ("image", 5, "image is 5; expected str"),
        ("source", ["a", "b"], "source is ['a', 'b']; expected str or int or null"),
        ("target", 0.5, "target is 0.5; expected str or int or null"),
        ("mask", 1, "mask is 1; expected str or null"),
        ("type", {}, "type is {}; expected str or int or null"),
        ("group", 1.5, "group is 1.5; expected str or int or null"),
        ("classes", 3, "classes is 3; expected list or null"),
        ("classes", [3], "classes is [3]; expected two int"),
        ("classes", ["3", "4"], "classes is ['3', '4']; expected two int"),
        ("classes", [True, 4], "classes is [True, 4]; expected two int"),
        ("classes", [], "classes is []; expected two int"),
        ("blend", "cake", "blend is 'cake'; expected list or null"),
        ("blend", ["a", "b", "c"], "blend is ['a', 'b', 'c']; expected two str"),
        ("instruction", 1, "instruction is 1; expected str or null"),
    ],
)
def test_wrong_kind(tmp_path, name, value, expected):
    message = refusal(tmp_path, [DOG, CAKE | {name: value}])
    assert f"line 2: {expected}" in message


@pytest.mark.parametrize("again", [2, "2"])
def test_duplicate_id(tmp_path, again):
    """Numbers and texts name the same files."""
    message = refusal(tmp_path, [DOG, "", CAKE, CAKE | {"id": again}])
    assert f"line 4: id {again!r} was used on line 1" in message


@pytest.mark.parametrize("name", ["gone.png", "pictures", ""])
def test_missing_image(tmp_path, name):
    message = refusal(tmp_path, [DOG, CAKE | {"image": name}])
    assert f"line 2: there is no picture {tmp_path / name};" in message


def test_missing_mask(tmp_path):
    assert f"line 1: there is no mask {tmp_path / 'gone.png'};" in refusal(tmp_path, [CAKE | {"mask": "gone.png"}])


def test_mask_of_another_size(tmp_path):
    message = refusal(tmp_path, [CAKE, DOG | {"mask": "cake mask.png"}])
    assert "line 2: mask cake mask.png is 53x41 px, its picture 41x53" in message


@pytest.mark.parametrize("broken", ["pictures/cake.png", "cake mask.png"])
def test_unreadable_picture_is_a_bad_sample_only_when_read(tmp_path, broken):
    root = manifest(tmp_path, [FULL, DOG])
    whole = (root / broken).read_bytes()
    for kept in (0, 50):  # without and with a readable header
        (root / broken).write_bytes(whole[:kept])
        data = Manifest(str(root), 32)
        with pytest.raises(BadSample, match=broken):
            data[0]
        assert data[1].image.shape == (3, 32, 32)


def test_enormous_picture_is_a_bad_sample_only_when_read(tmp_path, monkeypatch):
    root = manifest(tmp_path, [FULL])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    data = Manifest(str(root), 32)
    with pytest.raises(BadSample):
        data[0]


def test_identity_is_that_of_the_content(tmp_path):
    def identity(root, size=32):
        return Manifest(str(root), size).identity()

    root = manifest(tmp_path / "here", [FULL, DOG])
    before = identity(root)
    assert identity(root, 64) != before
    assert str(tmp_path) not in json.dumps(before)
    moved = root.rename(tmp_path / "there")
    assert identity(moved) == before
    for changed in ("pictures/cake.png", "cake mask.png", "dog.jpg"):
        whole = (moved / changed).read_bytes()
        picture(9).convert("L").save(moved / changed)
        assert identity(moved) != before
        (moved / changed).write_bytes(whole)
    assert identity(moved) == before
    picture(9).save(moved / "not listed.png")
    assert identity(moved) == before
    manifest(moved, [FULL, DOG | {"target": 208}])
    assert identity(moved) != before


def test_real_image_is_a_source_picture_of_the_class(tmp_path):
    rows = [CAKE | {"classes": [3, 4]}, DOG | {"classes": [4, 3]}, DOG | {"id": 3, "classes": [3, 4]}]
    data, rng = Manifest(str(manifest(tmp_path, rows)), 32), np.random.default_rng(0)
    found = {data.real_image(3, rng).tobytes() for _ in range(20)}
    assert found == {data[0].image.tobytes(), data[1].image.tobytes()}
    assert np.array_equal(data.real_image(4, rng), data[1].image)
    with pytest.raises(BadSample, match="is of class 5"):
        data.real_image(5, rng)


def outcomes(data) -> dict[str, str | None]:
    """Id -> why a sample cannot be edited, None if it can."""
    found = dict.fromkeys(data.ids)
    for _, bad in read(data, list(range(len(data.ids))), 2):
        found |= bad
    return found


def test_files_that_cannot_be_opened_are_their_samples_failure(tmp_path):
    rows = [DOG, CAKE | {"id": "dead", "image": "dead.png"}, CAKE | {"id": "loop", "image": "loop.png"}]
    rows += [CAKE | {"id": "mask", "mask": "dead.png"}, CAKE | {"id": "gone", "image": "gone.png"}]
    (tmp_path / "dead.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    picture(7).save(tmp_path / "gone.png")
    data = Manifest(str(manifest(tmp_path, rows)), 32)
    (tmp_path / "gone.png").unlink()
    assert data.identity()["files"].count(None) == 3
    found = outcomes(data)
    assert found.pop("2") is None
    names = {"dead": "dead.png", "loop": "loop.png", "mask": "dead.png", "gone": "gone.png"}
    assert found.keys() == names.keys()
    assert all(f"{names[id_]} is not a readable" in entry["error"] for id_, entry in found.items())


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("target", "a \ud83d cake", "target holds half a character (a lone surrogate)"),
        ("source", "a \0 cake", "source holds the character NUL"),
        ("instruction", "\udc00", "instruction holds half a character"),
        ("type", "a\0", "type holds the character NUL"),
        ("group", "\ud800", "group holds half a character"),
        ("blend", ["cake", "\ud800"], "the target word of blend holds half a character"),
    ],
)
def test_text_that_nobody_can_read_is_its_sample_s_failure(tmp_path, field, value, said):
    root = manifest(tmp_path, [DOG, json.dumps(CAKE | {field: value})])  # escaped, as programs write it
    found = outcomes(Manifest(str(root), 32))
    assert found["2"] is None
    assert found["a cake/1"]["error"].startswith(f"line 2: {said}")
    assert found["a cake/1"]["error"].isprintable()


def test_an_id_that_can_name_no_file_is_refused(tmp_path):
    assert "line 1: id holds half a character" in refusal(tmp_path, [json.dumps(CAKE | {"id": "\ud800"})])


def test_what_means_edit_in_masks_is_part_of_the_identity(tmp_path):
    root = manifest(tmp_path, [FULL])
    white, dark = Manifest(str(root), 32), Manifest(str(root), 32, mask_edit="dark")
    assert np.array_equal(white[0].mask, ~dark[0].mask)
    assert white.identity() != dark.identity()


def test_pictures_and_masks_are_turned_together(tmp_path):
    root = manifest(tmp_path, [FULL])
    tag = Image.Exif()
    tag[0x0112] = 6
    for name in ("pictures/cake.png", "cake mask.png"):
        with Image.open(root / name) as image:
            image.save(root / name, exif=tag)
    sample = Manifest(str(root), 32)[0]
    assert sample.mask[:15].all()
    assert not sample.mask[17:].any()


def test_a_run_goes_on_past_masks_and_words_that_are_wrong(tmp_path, capsys):
    rows = [CAKE, CAKE | {"id": "grey", "mask": "grey.png"}, CAKE | {"id": "class", "target": 7}]
    root = manifest(tmp_path / "mine", rows)
    Image.fromarray(np.where(np.arange(53) < 20, 100, 0)[None].repeat(41, 0).astype(np.uint8)).save(root / "grey.png")
    words = [f"data.root={root}", f"out={tmp_path / 'out'}", "steps=2", "metrics=pixel", "model=shapes"]
    assert run.main(["data=manifest", "method=sdedit", *words]) == 1
    assert "2 of 3 samples failed" in capsys.readouterr().err
    (folder,) = (file.parent for file in (tmp_path / "out").glob("*/*/*/identity.json"))
    journal = Store(folder).journal()
    assert journal["class"]["error"].startswith("line 3: target is 7; this model takes text")
    assert journal["grey"]["error"].startswith(
        "grey.png is not a readable mask (it has levels from 0 to 100 and nothing"
    )
    assert not any("traceback" in entry for entry in journal.values())
    assert "error" not in journal["a cake/1"]


def test_what_a_model_does_not_take_is_named_by_its_line(tmp_path, capsys):
    half = json.dumps(CAKE | {"id": 3, "target": "half \ud83d"})
    root = manifest(tmp_path / "data", ["", CAKE, DOG | {"source": "a dog"}, half])
    words = ["data=manifest", f"data.root={root}", "method=sdedit", "model=shapes", "metrics=pixel", "steps=2"]
    assert run.main([*words, f"out={tmp_path}"]) == 1
    assert "2 of 3 samples failed" in capsys.readouterr().err
    (file,) = tmp_path.glob("*/*/*/edits-*.jsonl")
    errors = {row["id"]: row.get("error") for row in map(json.loads, file.read_text().splitlines())}
    assert errors["a cake/1"] is None
    assert errors["2"].startswith("line 3: target is 207; this model takes text")
    assert errors["3"].startswith("line 4: target holds half a character")


def test_field_that_is_there_twice(tmp_path):
    assert "line 1 has the field 'id' twice" in refusal(tmp_path, [json.dumps(CAKE)[:-1] + ', "id": 5}'])
