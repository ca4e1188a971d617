import json
import re

import numpy as np
import pytest

from bench.config import cli
from bench.data.base import Count
from bench.data.flowedit import FlowEditBenchmark
from bench.data.preprocess import read_rgb
from bench.edits.plan import make_data
from bench.errors import BadSample, UserError
from tests.helpers.later_trees import FLOWEDIT, flowedit
from tests.helpers.trees import write

SIZE = 32
IDS = ["bear_0", "bear_1", "cat crown_0", "sign_0"]


def refusal(root) -> str:
    """What is said instead of making a data set, in one sentence."""
    with pytest.raises(UserError) as error:
        FlowEditBenchmark(str(root), SIZE)
    assert "\n" not in str(error.value)
    return str(error.value)


def listing(root, entries) -> str:
    """What is said of a list of these entries, over all pictures."""
    return refusal(flowedit(root, json.dumps(entries)))


def entry(**changed):
    made = {"init_img": "flowedit_data/bear.png", "source_prompt": "a bear", "target_prompts": ["a panda"]} | changed
    return {name: value for name, value in made.items() if value != "nothing"}


@pytest.mark.parametrize("folder", ["Images", "flowedit_data"])
def test_all_fields_arrive_on_one_line(tmp_path, folder):
    """The list names another folder than the repository has."""
    data = FlowEditBenchmark(str(flowedit(tmp_path, folder=folder)), SIZE)
    assert data.ids == IDS
    assert data.annotations == [tmp_path / "flowedit.yaml"]
    samples = [data[i] for i in range(4)]
    assert [sample.id for sample in samples] == IDS
    assert [(sample.source, sample.target) for sample in samples] == [
        (
            "A large brown bear walking through a stream. The stream appears to be shallow.",
            "A large black bear walking through a stream. The stream appears to be shallow.",
        ),
        (
            "A large brown bear walking through a stream. The stream appears to be shallow.",
            "A large panda, walking through a stream.",
        ),
        ("A cat wearing a crown. The crown is on the cat''s head.", "A cat wearing a hat. The hat is red."),
        ('A sign that says: "stop". It is red.', 'A sign that says: "go".'),
    ]
    groups = [
        "flowedit_data/bear.png",
        "flowedit_data/bear.png",
        "flowedit_data/cat crown.png",
        "flowedit_data/sign.png",
    ]
    assert [sample.group for sample in samples] == groups
    for sample in samples:
        name = sample.group.removeprefix("flowedit_data/")
        assert np.array_equal(sample.image, read_rgb(tmp_path / folder / name, SIZE))
        others = (sample.type, sample.mask, sample.classes, sample.blend, sample.instruction, sample.truth)
        assert others == (None,) * 6


def test_root_may_be_a_clone(tmp_path):
    flowedit(tmp_path / "clone/Data")
    assert FlowEditBenchmark(str(tmp_path / "clone"), SIZE).ids == IDS


def test_counts(tmp_path):
    data = FlowEditBenchmark(str(flowedit(tmp_path)), SIZE)
    expected = [Count("samples", 4, 281), Count("pictures", 3, 77), Count("pictures not 1024x1024", 3, 0)]
    assert data.counts() == expected


def test_identity_is_that_of_the_content(tmp_path):
    root = flowedit(tmp_path / "here")
    before = FlowEditBenchmark(str(root), SIZE).identity()
    assert str(tmp_path) not in json.dumps(before)
    assert FlowEditBenchmark(str(root), SIZE + 1).identity() != before
    assert FlowEditBenchmark(str(root), SIZE, "lanczos").identity() != before
    moved = root.rename(tmp_path / "là bas")
    assert FlowEditBenchmark(str(moved), SIZE).identity() == before
    assert FlowEditBenchmark(str(flowedit(moved, FLOWEDIT.replace("panda", "lion"))), SIZE).identity() != before
    flowedit(moved)
    write(moved / "Images/bear.png", (moved / "Images/sign.png").read_bytes())
    assert FlowEditBenchmark(str(moved), SIZE).identity() != before


def test_its_configuration_makes_it(tmp_path):
    root = flowedit(tmp_path / "mes données")
    (job,) = cli.jobs(["data=flowedit", f"data.root='{root}'", "data.size=64"])
    assert make_data(dict(job["data"])).ids == IDS


def test_nothing_is_there(tmp_path):
    message = refusal(tmp_path / "gone")
    assert message.startswith(
        f"missing: FlowEdit's flowedit.yaml and pictures, sought at {tmp_path / 'gone' / 'flowedit.yaml'}; get it from"
    )
    assert "`git clone https://github.com/fallenshock/FlowEdit data/flowedit`" in message


def test_a_missing_picture_is_named(tmp_path):
    root = flowedit(tmp_path)
    (root / "Images/sign.png").unlink()
    message = refusal(root)
    assert message.startswith(
        f"1 of 3 pictures of {root}/flowedit.yaml are missing, the first is {root}/flowedit_data/"
    )
    assert "sign.png, sought in Images/ too; the authors' repository: `git clone " in message


def test_a_bad_picture_is_its_samples_failure(tmp_path):
    root = flowedit(tmp_path)
    write(root / "Images/bear.png", b"no picture")
    data = FlowEditBenchmark(str(root), SIZE)
    for i in (0, 1):
        with pytest.raises(BadSample, match=r"bear\.png is not a readable picture"):
            data[i]
    assert data[2].id == "cat crown_0"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (FLOWEDIT.replace("shallow.", "shallow: yes", 1), r"is no whole YAML file \(.*line \d+"),
        (FLOWEDIT.replace("    target_prompts:\n     - A", "   target_prompts:\n     - A", 1), "is no whole YAML file"),
        ("- init_img: a.png\n  init_img: b.png\n", r"is no whole YAML file \(.*duplicate key init_img"),
        ("[" * 100_000, r"is no whole YAML file \(it is nested too deeply"),
        ("- a: \0", r"is no whole YAML file \(.*special characters"),
        ("- !!python/object/apply:os.system ['true']", "is no whole YAML file"),
        ("a: b", "holds a dict, expected a list"),
        ("", "holds nothing, expected a list"),
        ("[]", "lists no edit"),
    ],
)
def test_a_broken_list(tmp_path, text, why):
    message = refusal(flowedit(tmp_path, text))
    assert message.startswith(f"{tmp_path}/flowedit.yaml ")
    assert re.search(why, message), message


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"init_img": "nothing"}, "entry 1: field 'init_img' is missing"),
        ({"init_img": 5}, "entry 1: init_img is 5; expected str"),
        ({"init_img": "../bear.png"}, "entry 1: the path '../bear.png' leaves"),
        ({"source_prompt": None}, "entry 1 (flowedit_data/bear.png): source_prompt is None; expected str"),
        ({"source_prompt": "nothing"}, "entry 1 (flowedit_data/bear.png): field 'source_prompt' is missing"),
        ({"target_prompts": "a panda"}, "entry 1 (flowedit_data/bear.png): target_prompts is 'a panda'; expected list"),
        (
            {"target_prompts": ["a", {"b": "c"}]},
            "entry 1 (flowedit_data/bear.png): target prompt 1 is {'b': 'c'}; expected",
        ),
        ({"target_prompts": ["a", True]}, "entry 1 (flowedit_data/bear.png): target prompt 1 is True; expected str"),
    ],
)
def test_an_entry_without_a_field_or_with_another_kind(tmp_path, changed, why):
    assert listing(tmp_path, [entry(**changed)]).startswith(f"{tmp_path}/flowedit.yaml, {why}")


def test_what_is_no_entry(tmp_path):
    assert listing(tmp_path, ["bear.png"]) == f"{tmp_path}/flowedit.yaml, entry 1: field 'init_img' is missing"


def test_pictures_of_one_name(tmp_path):
    message = listing(tmp_path, [entry(), entry(init_img="flowedit_data/more/bear.jpg")])
    assert message.endswith("entry 1 has a picture 'bear' too; ids are made of it and must differ")
