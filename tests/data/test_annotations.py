import json
import os
import re
from pathlib import Path

import pytest

from bench import run
from bench.data.coco import Coco
from bench.data.files.annotations import field, inside, read_json
from bench.data.flowedit import FlowEditBenchmark
from bench.data.imagen import Templated
from bench.data.imagenet import ImageNet
from bench.data.manifest import Manifest
from bench.data.pie import Pie
from bench.data.ti2i import Ti2i
from bench.errors import UserError
from tests.helpers.trees import write

WHERE = "list.json, record '7'"


def refusal(call, *args) -> str:
    """What is said instead of an answer, in one sentence."""
    with pytest.raises(UserError) as error:
        call(*args)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_json_with_and_without_byte_order_mark(tmp_path, mark, end):
    content = json.dumps({"b": "thé\u2028glacé", "a": [1]}, ensure_ascii=False, indent=1).encode()
    file = write(tmp_path / "été 1/list.json", mark + content.replace(b"\n", end))
    made = read_json(file, dict, "its owners")
    assert made == {"b": "thé\u2028glacé", "a": [1]}
    assert list(made) == ["b", "a"]


def test_json_of_the_kind_asked_for(tmp_path):
    file = write(tmp_path / "list.json", b"[]")
    assert read_json(file, list, "its owners") == []
    message = refusal(read_json, file, dict, "its owners")
    assert message == f"{file} holds a list, expected a dict; get it from its owners"


@pytest.mark.parametrize("kept", [0, 1, 20, 40, -1])
def test_json_that_was_cut_off(tmp_path, kept):
    whole = json.dumps({"7": {"prompt": "a cake", "mask": [0, 5, 9, 3]}, "8": {"prompt": "a dog"}}).encode()
    file = write(tmp_path / "list.json", whole[:kept])
    message = refusal(read_json, file, dict, "its owners")
    assert message.startswith(f"{file} is no whole JSON file (")
    assert message.endswith("get it again from its owners")


@pytest.mark.parametrize(
    "content", ['{"a": "thé"}'.encode("latin-1"), '{"a": "thé"}'.encode("utf-16"), b'{"a": "th\xc3']
)
def test_json_that_is_not_utf8(tmp_path, content):
    file = write(tmp_path / "list.json", content)
    message = refusal(read_json, file, dict, "its owners")
    assert message.startswith(f"{file} is not UTF-8 (")
    assert message.endswith("get it again from its owners")


@pytest.mark.parametrize(
    "content", ['{"7": 1, "8": 2, "7": 1}', '{"6": {"7": 1, "8": 2, "7": 3}}', '[{"7": 1, "7": 1}]']
)
def test_key_that_is_there_twice(tmp_path, content):
    file = write(tmp_path / "list.json", content.encode())
    assert refusal(read_json, file, dict, "its owners") == f"{file} has the key '7' twice; ids must differ"


def test_same_key_in_two_records_is_no_repetition(tmp_path):
    file = write(tmp_path / "list.json", b'{"7": {"prompt": 1}, "8": {"prompt": 1}}')
    assert read_json(file, dict, "its owners") == {"7": {"prompt": 1}, "8": {"prompt": 1}}


def test_folder_in_place_of_a_file(tmp_path):
    assert str(tmp_path) in refusal(read_json, tmp_path, dict, "its owners")


def test_field_of_its_kind():
    record = {"prompt": "", "mask": [], "type": 0}
    assert field(record, "prompt", str, WHERE) == ""
    assert field(record, "mask", list, WHERE) is record["mask"]
    assert field(record, "type", (str, int), WHERE) == 0


@pytest.mark.parametrize("record", [{}, {"Prompt": "a"}, [], ["prompt"], None, "prompt", 5])
def test_field_that_is_missing(record):
    assert refusal(field, record, "prompt", str, WHERE) == f"{WHERE}: field 'prompt' is missing"


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (None, str, "prompt is None; expected str"),
        (5, str, "prompt is 5; expected str"),
        (1.0, int, "prompt is 1.0; expected int"),
        (True, int, "prompt is True; expected int"),
        (False, (str, int), "prompt is False; expected str or int"),
        ("0 5", list, "prompt is '0 5'; expected list"),
    ],
)
def test_field_of_another_kind(value, kind, expected):
    assert refusal(field, {"prompt": value}, "prompt", kind, WHERE) == f"{WHERE}: {expected}"


def test_long_value_is_shortened():
    message = refusal(field, {"prompt": list(range(10_000))}, "prompt", str, WHERE)
    assert f"{WHERE}: prompt is [0, 1, 2," in message
    assert message.endswith("; expected str")
    assert len(message) < 150


@pytest.mark.parametrize("path", ["a.jpg", "b c/é.jpg", "./a.jpg", "b/../a.jpg", "..a/..jpg", "b/../../images/a.jpg"])
def test_path_in_the_folder(tmp_path, path):
    assert inside(tmp_path / "images", path, WHERE) == tmp_path / "images" / path


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd",
        "../a.jpg",
        "..",
        "b/../../a.jpg",
        "b/../../images of others/a.jpg",
        "../images2/a.jpg",
        "/etc/passwd",
        "//etc/passwd",
    ],
)
def test_path_that_leaves_the_folder(tmp_path, path):
    folder = tmp_path / "images"
    assert refusal(inside, folder, path, WHERE) == f"{WHERE}: the path {path!r} leaves {folder}; it is not read"


def test_absolute_path_is_refused_wherever_it_leads(tmp_path):
    assert "leaves" in refusal(inside, tmp_path, str(tmp_path / "a.jpg"), WHERE)


def test_relative_folder_is_the_working_directorys(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert inside(Path("images"), "a.jpg", WHERE) == Path("images/a.jpg")
    assert inside(Path("../images"), "a.jpg", WHERE) == Path("../images/a.jpg")
    assert "leaves images;" in refusal(inside, Path("images"), "../a.jpg", WHERE)


def test_link_may_lead_out(tmp_path):
    """Pictures on another disk are the user's own choice."""
    write(tmp_path / "elsewhere/a.jpg", b"here")
    (tmp_path / "images").mkdir()
    os.symlink(tmp_path / "elsewhere", tmp_path / "images/b")
    assert inside(tmp_path / "images", "b/a.jpg", WHERE).read_bytes() == b"here"


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n"
PAGE = b"\n<!DOCTYPE html><html><body>Sign in</body></html>"
LISTS = [
    lambda root: Manifest(str(root), 32),
    lambda root: Pie(str(root), 32),
    lambda root: Ti2i(str(root), str(root / "list"), 32),
    lambda root: ImageNet(str(root), str(root / "list"), 32),
    lambda root: Coco(str(root), str(root / "list"), str(root / "list"), 32),
    lambda root: Templated(str(root), 32, "sd14"),
    lambda root: FlowEditBenchmark(str(root), 32),
]
DAMAGES = [
    (POINTER, "is a Git LFS pointer, not the file itself"),
    (PAGE, "is a web page, saved in place of the file"),
    ('{"a": "thé"}'.encode("utf-16"), "is not UTF-8"),
    (b"[" * 100_000, "nested too deeply|lists no|no column|is no CSV"),
    (b'{"a": ' + b"9" * 5000 + b"}", "is no whole (JSON|YAML)|is not JSON|no column"),
    (b"[1, 2", "is no whole (JSON|YAML)|is not JSON|no column"),
    (b"[1, 2]", "holds list|holds a list|no column|entry 1: field"),
    (b'"a\0b"', "is no whole (JSON|YAML)|is not JSON|is no CSV|no column"),
    (b"", "lists no sample|is no whole JSON|no column|holds nothing"),
]


@pytest.mark.parametrize("make", LISTS)
@pytest.mark.parametrize(("content", "said"), DAMAGES)
def test_what_is_no_list_of_edits_is_said_in_one_sentence(tmp_path, make, content, said):
    for name in ("manifest.jsonl", "mapping_file.json", "list", "generated.json", "flowedit.yaml"):
        write(tmp_path / name, content)
    for name in ("annotation_images", "val2014"):
        (tmp_path / name).mkdir()
    message = refusal(make, tmp_path)
    assert message.startswith(str(tmp_path))
    assert re.search(said, message), message


@pytest.mark.parametrize("id_", ["\ud83d", "a\0b"])
def test_an_id_that_can_name_no_file(tmp_path, id_, capsys):
    entry = {"image_path": "a.png", "original_prompt": "", "editing_prompt": "a cat"}
    write(tmp_path / "list", json.dumps({id_: entry}).encode())
    write(tmp_path / "a.png", b"")
    words = [
        "method=copy",
        "metrics=pixel",
        "data=ti2i",
        f"data.root={tmp_path}",
        "data.size=32",
        f"out={tmp_path}/out",
    ]
    assert run.main([*words, f"data.annotations={tmp_path / 'list'}"]) == 2
    assert re.search("data=ti2i: an id holds (half a character|the character NUL)", capsys.readouterr().err)
