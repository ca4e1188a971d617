"""What is part of a run's key, and what is told of runs that differ in nothing else."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from bench import run
from bench.config import cli
from bench.edits import identity
from bench.edits.plan import plan
from bench.files import sources
from bench.report import tables
from bench.report.__main__ import main as report
from tests.helpers.trees import manifest

DARKEN = """from shades import shade
from bench.types import EditResult


class Darken:
    def __init__(self, by=1):
        self.by = by

    def __call__(self, model, batch, noise):
        return EditResult(shade(batch.images))
"""
SHADE = "def shade(images):\n    return images // {}\n"
CUSTOM = ["method=custom", "method._target_=darken.Darken", "limit=2", "metrics=pixel"]


def planned(out, *words):
    (made,) = plan(cli.jobs([f"out={out}", *words])[0])
    return made


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Writes a method of one's own and what it imports, as a later process finds them."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "own").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "own")

    def written(**texts):
        for name, text in {"darken": DARKEN, "shades": SHADE.format(2), **texts}.items():
            (tmp_path / f"own/{name}.py").write_text(text)
            sys.modules.pop(name, None)

    written()
    yield written
    for file in (tmp_path / "own").glob("*.py"):
        sys.modules.pop(file.stem, None)


def first_edit(folder):
    return np.asarray(Image.open(folder / "edits/00000.png"))


@pytest.mark.parametrize(
    "change", [{"darken": DARKEN.replace("(batch.images)", "(batch.images) // 3")}, {"shades": SHADE.format(5)}]
)
def test_an_edited_method_of_ones_own_edits_again_and_tables_tell_the_two_apart(own, tmp_path, change):
    out = tmp_path / "out"
    assert run.main([*CUSTOM, f"out={out}"]) == 0
    own(**change)
    assert run.main([*CUSTOM, f"out={out}"]) == 0
    folders = list((out / "shapes/Darken").iterdir())
    assert len(folders) == 2
    assert len({first_edit(folder).tobytes() for folder in folders}) == 2
    own()
    assert run.main([*CUSTOM, f"out={out}"]) == 0
    assert len(list((out / "shapes/Darken").iterdir())) == 2
    variants = tables.collect(out).variant
    assert len(set(variants)) == 2
    assert all(variant.startswith("code=") for variant in variants)


def test_an_edited_base_class_counts_and_where_the_module_lies_does_not(own, tmp_path, monkeypatch):
    derived = "from darken import Darken\n\n\nclass Mine(Darken): ...\n"
    own(mine=derived)
    words = ["method=custom", "method._target_=mine.Mine"]
    before = planned(tmp_path, *words)
    assert "mine" not in sys.modules
    assert "mine." not in json.dumps(before.identity)
    own(mine=derived, darken=DARKEN + "# other\n")
    assert planned(tmp_path, *words).key != before.key
    own(mine=derived)
    (tmp_path / "own").rename(tmp_path / "moved")
    monkeypatch.syspath_prepend(tmp_path / "moved")
    assert planned(tmp_path, *words).key == before.key
    (tmp_path / "moved").rename(tmp_path / "own")


def test_a_method_that_is_edited_while_a_process_runs_is_what_it_was_when_imported(own, tmp_path):
    """A sweep goes on with the code that Python has, under the key that it had."""
    out = tmp_path / "out"
    assert run.main([*CUSTOM, f"out={out}", "+method.by=1"]) == 0
    (tmp_path / "own/darken.py").write_text(DARKEN + "# other\n")
    assert run.main([*CUSTOM, f"out={out}", "+method.by=2"]) == 0
    assert len({json.loads(file.read_text())["code"]["method"]["sha256"] for file in out.rglob("identity.json")}) == 1


def test_a_method_of_the_project_may_move(tmp_path, monkeypatch):
    import methods

    before = planned(tmp_path, "method=sdedit")
    assert "_target_" not in json.dumps(before.identity)
    (tmp_path / "elsewhere.py").write_text("# moved\nfrom methods.sdedit import SDEdit\n")
    monkeypatch.setattr(methods, "__path__", methods.__path__)
    methods.__path__.append(str(tmp_path))
    try:
        assert planned(tmp_path, "method=sdedit", "method._target_=methods.elsewhere.SDEdit").key == before.key
    finally:
        methods.__path__.remove(str(tmp_path))


def test_a_class_is_the_same_whatever_one_calls_it(tmp_path):
    knobs = [f"+method.{knob}=${{{knob}}}" for knob in ("r", "guidance", "steps")]
    custom = planned(tmp_path, "method=custom", "method._target_=methods.sdedit.SDEdit", *knobs)
    assert custom.key == planned(tmp_path, "method=sdedit").key
    assert custom.folder.parent.name == "SDEdit"
    assert planned(tmp_path, "method=sdedit", "method.name=mine").folder.parent.name == "mine"
    other = planned(tmp_path, "method=ddim", "method._target_=methods.negative_prompt.NegativePrompt")
    assert other.key == planned(tmp_path, "method=negative_prompt").key != planned(tmp_path, "method=ddim").key


@pytest.mark.parametrize("target", ["methods.ddim.DDIM", "methods.controls.p2p.Control"])
def test_a_raised_version_is_another_key_and_is_told(target, tmp_path, monkeypatch):
    before = planned(tmp_path, "method=ddim")
    monkeypatch.setattr(sources, "class_version", lambda name: 1 + (name == target))
    after = planned(tmp_path, "method=ddim")
    assert after.key != before.key
    told = [identity.told(one.identity) for one in (before, after)]
    assert {name for name in told[0] if told[0][name] != told[1][name]} == {
        "version" if "ddim" in target else "control.version"
    }


def test_a_control_of_ones_own_counts_by_its_source(own, tmp_path):
    own(steer="from methods.controls.none import Control as Control\n")
    words = ["method=ddim", "control=steer.Control"]
    before = planned(tmp_path, *words)
    assert before.identity["code"]["control"]["name"] == "Control"
    assert "steer" not in json.dumps(before.identity)
    own(steer="from methods.controls.none import Control as Control  # other\n")
    assert planned(tmp_path, *words).key != before.key


def test_data_and_models_of_ones_own_count_by_their_source(own, tmp_path):
    module, _, kind = cli.jobs(["model=shapes"])[0].model._target_.rpartition(".")
    classes = {
        "pets": "from bench.data.shapes import Shapes\n\n\nclass Pets(Shapes): ...\n",
        "nets": f"from {module} import {kind}\n\n\nclass Net({kind}): ...\n",
    }
    own(**classes)
    words = ["data._target_=pets.Pets", "model._target_=nets.Net"]
    before = planned(tmp_path, "data=shapes", "model=shapes", *words)
    assert before.identity["data"]["name"] == "Pets"
    for name in classes:
        own(**classes | {name: classes[name] + "# other\n"})
        assert planned(tmp_path, "data=shapes", "model=shapes", *words).key != before.key


DARK = """class Dark:
    version, higher_is_better, unit = 1, True, ''

    def score(self, batch):
        return batch.edits.double().mean((1, 2, 3)).cpu().numpy() * {}
"""


def test_an_edited_metric_of_ones_own_scores_again_and_no_other(own, tmp_path):
    words = ["method=copy", "limit=2", "metrics=pixel", "+metrics.dark._target_=dark.Dark", f"out={tmp_path / 'out'}"]
    own(dark=DARK.format(1))
    assert run.main(words) == 0
    (folder,) = (tmp_path / "out/shapes/copy").iterdir()

    def value():
        return json.loads((folder / "summary.pixel-v1.json").read_text())["metrics"]["dark"]["value"]

    before, known = value(), json.loads((folder / "scores/pixel-v1/made_with.json").read_text())["columns"]
    own(dark=DARK.format(2.0))
    assert run.main(words) == 0
    assert value() == pytest.approx(2 * before)
    assert [other.name for other in folder.parent.iterdir()] == [folder.name]
    after = json.loads((folder / "scores/pixel-v1/made_with.json").read_text())["columns"]
    assert {name for name in known if known[name] != after[name]} == {"dark"}


def pictures(root, words):
    rows = [{"id": "1", "image": "pictures/cake.png", "source": "a cake", "target": words}]
    return ["data=manifest", f"data.root='{manifest(root, rows)}'", "data.size=32", "model=shapes", "metrics=pixel"]


def test_two_folders_of_pictures_are_two_data_sets(tmp_path):
    out = tmp_path / "out"
    for words in (pictures(tmp_path / "a", "a dog"), pictures(tmp_path / "b: #1", "a cat")):
        assert run.main([*words, "method=copy", f"out={out}"]) == 0
    assert {folder.name for folder in out.iterdir()} >= {"a", "b%3A %231"}
    assert tables.collect(out).data.tolist() == ["a", "b: #1"]
    assert report([f"out={out}", "page=false", "data='b: #1'"]) == 0
    assert [file.name for file in (out / "report").glob("*table*")] == ["b%3A %231.pixel-v1.table.md"]


def test_folders_of_one_name_are_told_apart(tmp_path):
    out = tmp_path / "out"
    for words in (pictures(tmp_path / "x/pets", "a dog"), pictures(tmp_path / "y/pets", "a cat")):
        assert run.main([*words, "method=copy", f"out={out}"]) == 0
    variants = tables.collect(out).variant
    assert len(set(variants)) == 2
    assert all("data.manifest=" in variant for variant in variants)
    assert report([f"out={out}", "page=false"]) == 0
    assert {file.name for file in (out / "report").glob("*sheet*")} == {
        "pets.contact-sheet.png",
        "pets.2.contact-sheet.png",
    }


def test_the_same_pictures_elsewhere_have_the_same_key(tmp_path):
    here, there = (planned(tmp_path, *pictures(tmp_path / name, "a dog")) for name in ("here", "there"))
    assert here.key == there.key


def test_results_of_others_in_folders_of_one_name_are_told_apart(tmp_path):
    words = pictures(tmp_path / "data", "a dog")
    out = tmp_path / "out"
    for name, shade in (("x", 10), ("y", 200), ("other", 90)):
        folder = tmp_path / name / ("theirs" if name != "other" else "others")
        folder.mkdir(parents=True)
        Image.new("RGB", (32, 32), (shade, 0, 0)).save(folder / "1.png")
        assert run.main([*words, "method=precomputed", f"method.root={folder}", f"out={out}"]) == 0
    variants = sorted(tables.collect(out).variant)
    assert len(set(variants)) == 3
    assert variants[0] == "others"
    assert all(variant.startswith("theirs root=") for variant in variants[1:])


def test_runs_of_an_earlier_identity_are_left_aside_and_told_apart(tmp_path, capsys):
    words = ["method=copy", "limit=2", "metrics=pixel", f"out={tmp_path}"]
    assert run.main(words) == 0
    (folder,) = (tmp_path / "shapes/copy").iterdir()
    assert "earlier identity" not in capsys.readouterr().out
    for name in ("all-0000000001", "all-0000000002"):
        earlier = folder.rename(folder.with_name(name))
        old = json.loads((earlier / "identity.json").read_text()) | {"identity_version": 1}
        old["method"] = {"_target_": "methods.copy.Copy"}
        del old["code"]
        (earlier / "identity.json").write_text(json.dumps(old, indent=1, sort_keys=True) + "\n")
        assert run.main(words) == 0
    said = capsys.readouterr().out
    assert (
        said.count("2 runs of an earlier identity are left aside: shapes/copy/all-0000000001, shapes/copy/all-0") == 1
    )
    assert said.count("1 run of an earlier identity is left aside: shapes/copy/all-0000000001\n") == 1
    table = tables.collect(tmp_path)
    assert set(table.variant) == {"", "identity=2"}  # most are of the earlier one
