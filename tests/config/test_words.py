"""Paths on the command line, taken as they are typed."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from bench import compare, oracle, prepare, run, score
from bench.claims.__main__ import main as claims
from bench.config import cli, options, words
from bench.errors import UserError
from bench.report.__main__ import main as report

NAMES = ["my data (1)", "run=3", "a,b", "bilder_für_alle", "it[1]", "a#b", "a$b", "a${x}", "l'été", 'say "hi"', "a: b"]
NAMES += ["a\\", "{a}", "*", "'q'", "null", "3", "a\nb", "~tilde", "-dash"]


@pytest.fixture
def pictures(tmp_path):
    """A manifest of two pictures."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(2):
        Image.fromarray(np.full((16, 16, 3), 60 * number, np.uint8)).save(folder / f"{number}.png")
    lines = [{"id": f"s{n}", "image": f"{n}.png", "source": "a", "target": "b"} for n in range(2)]
    (folder / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sweep", [[], ["-m"]])
@pytest.mark.parametrize("mark", ["", "++"])
def test_a_path_is_what_is_typed(tmp_path, name, sweep, mark):
    (tmp_path / name).mkdir()
    typed = [*sweep, "data=manifest", f"{mark}data.root={tmp_path / name}", f"{mark}out={tmp_path / 'o'}{name}"]
    (job,) = cli.jobs(typed)
    assert job.data.root == str(tmp_path / name)
    assert job.out == f"{tmp_path / 'o'}{name}"
    assert cli.as_hydra_reads(cli.as_hydra_reads(typed)) == cli.as_hydra_reads(typed)


@pytest.mark.parametrize("typed", ['"/tmp/my data (1)"', "'/tmp/my data (1)'", "/tmp/my data (1)"])
def test_quotes_that_hydra_understands_still_work(typed):
    (job,) = cli.jobs(["data=manifest", f"data.root={typed}", f"+data.more={typed}"])
    assert job.data.root == job.data.more == "/tmp/my data (1)"


def test_home_null_and_variables_of_the_shell(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    (job,) = cli.jobs(["data=manifest", "data.root=~/b (1)", "out=~", "model.path=${oc.env:HOME}/m (1)", "r=${limit}"])
    assert (job.data.root, job.out, job.model.path) == ("/home/me/b (1)", "/home/me", "/home/me/m (1)")
    (job,) = cli.jobs(["data=manifest", "data.root=null", "limit=3", "steps=${limit}"])
    assert job.data.root is None
    assert job.steps == 3
    with pytest.raises(UserError, match=r"data.root= is empty; expected a path"):
        cli.jobs(["data=manifest", "data.root="])


def test_a_comma_in_a_sweep(tmp_path):
    (tmp_path / "a,b").mkdir()

    def roots(value):
        return [job.data.root for job in cli.jobs(["-m", "data=manifest", f"data.root={value}"])]

    assert roots(tmp_path / "a,b") == [str(tmp_path / "a,b")]
    assert roots("/x y,/z") == ["/x y", "/z"]
    assert roots('"/x,y",/z') == ["/x,y", "/z"]
    assert [job.out for job in cli.jobs(["-m", "out=/x,y"])] == ["/x,y"]


def test_what_cannot_be_read_is_shown_with_quotes_that_work():
    with pytest.raises(UserError) as caught:
        cli.jobs(["method=precomputed", "method.label=für (1)"])
    shown = str(caught.value).rpartition("type ")[2]
    assert shown == """'method.label="für (1)"'"""
    (job,) = cli.jobs(["method=precomputed", shown.strip("'")])
    assert job.method.label == "für (1)"


@pytest.mark.parametrize("name", ["my data (1)", "a,b=[é]#${x}"])
def test_every_command_takes_such_paths(tmp_path, pictures, name, capsys):
    root, out = tmp_path / name, tmp_path / f"out {name}"
    shutil.copytree(pictures, root)
    own = ["data=manifest", f"data.root={root}", "data.size=16", "model=shapes", "metrics=pixel"]
    assert run.main([*own, "method=copy", f"out={out}"]) == 0
    (edited,) = (file.parent for file in out.glob("*/*/*/identity.json"))
    assert run.main(["-m", *own, "method=precomputed", f"method.root={edited}", f"out={out}"]) == 0
    (again,) = (file.parent for file in out.glob("*/precomputed/*/identity.json"))
    assert score.main([f"run={edited}", "metrics=pixel"]) == 0
    assert score.main([f"run={edited}/edits", *own, f"out={tmp_path / 'else'}"]) == 0
    assert compare.main([str(edited), str(again)]) == 0
    assert oracle.main([f"out={out}", "runs=[copy/*,precomputed/*]"]) == 0
    assert report([f"out={out}", f"to={tmp_path}/to {name}"]) == 0
    assert (tmp_path / f"to {name}/index.html").is_file()
    assert claims([f"out={out}"]) == 0
    assert prepare.main(own) == 0
    assert "error" not in capsys.readouterr().err


def test_options_are_text_where_text_is_meant():
    known = dict.fromkeys(("out", "data", "rows", "page"))
    given = options.parse(["out=a: b [1]", "data=2024", "rows=3", "page=false"], known)
    assert given == {"out": "a: b [1]", "data": "2024", "rows": 3, "page": False}
    assert options.parse(["run=false"], {"run": True}) == {"run": False}
    with pytest.raises(UserError, match=r"put each name in quotes"):
        options.parse(["runs=[a: b: c, 'd]"], {"runs": None})


def test_a_path_that_is_no_text():
    with pytest.raises(UserError, match="is not UTF-8"):
        words.path("/tmp/\udce4", "out=")


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (["method=copy,sdedit"], "method=copy,sdedit names several values; add -m for a sweep"),
        (["seed=0,1"], "seed=0,1 names several values; add -m for a sweep"),
        (["r=0.3,0.5"], r"add -m for a sweep, or write a list: r=\[0.3,0.5\]"),
        (["data.types=colour,style"], r"or write a list: data.types=\[colour,style\]"),
        (["method=[copy,sdedit]"], "-m method=copy,sdedit"),
        (["-m", "-x"], "unknown flag -x"),
    ],
)
def test_several_values_get_advice_that_works(typed, sentence):
    with pytest.raises(UserError, match=sentence):
        cli.jobs(typed)


def test_the_advice_names_no_list_where_none_works():
    for typed in ("method=copy,sdedit", "seed=0,1", "data=pie,coco"):
        with pytest.raises(UserError) as caught:
            cli.jobs([typed])
        assert "list" not in str(caught.value)
    for command in (prepare.main, score.main):
        assert command(["run=.", "data=pie,coco"]) == 2


def test_the_flag_twice_and_with_a_list():
    assert len(cli.jobs(["-m", "method=copy,sdedit", "--multirun", "r=[0.3,0.5]"])) == 2
