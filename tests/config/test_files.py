"""Configurations that are not as they should be: a sentence that names file and line."""

import shutil

import pytest

from bench import run
from bench.config import cli, knobs
from bench.errors import UserError

BROKEN = {
    "_target_: a.B\n\tr: 1\n": "mine.yaml, line 2: not YAML",
    "r: [1\n": "mine.yaml, line 2: not YAML",
    "r: 1\nr: 2\n": "mine.yaml, line 2: not YAML .found duplicate key r",
    "- 1\n- 2\n": "mine.yaml holds a list",
    "text\n": "mine.yaml holds 'text'",
    "": "mine.yaml holds nothing",
    b"name: \xe4\n": "mine.yaml is not UTF-8",
    "name: mine\n": "method._target_ is missing",
    "_target_: a.B\nname: mine\n": "method.uses is missing",
    "_target_: a.B\nname: mine\nuses: 3\n": "method.uses=3, expected a list of names",
    "_target_: a.B\nname: mine\nuses: []\nr: ${nosuch}\n": "method.r: Interpolation key 'nosuch' not found",
    "_target_: a.B\nname: mine\nuses: []\nr: ${.r}\n": "method.r: Recursive interpolation",
    "defaults: [nosuch]\n": "nosuch",
}


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_a_configuration_of_ones_own(tmp_path, monkeypatch, capsys, text):
    conf = tmp_path / "conf"
    shutil.copytree(cli.CONF, conf)
    (conf / "method/mine.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
    for module in (cli, knobs):
        monkeypatch.setattr(module, "CONF", conf)
    assert run.main(["method=mine", f"out={tmp_path / 'out'}"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("error: ")
    assert BROKEN[text].replace(".found", "(found") in said


FORMS = {
    "method=null": "unknown method 'null'",
    "~method": "method=null, expected method=<name>",
    "shard=3": "shard=3, expected a mapping",
    "shard.count=x": "shard.count=x, expected a whole number",
    "valid=3": "valid=3, expected a mapping",
    "valid.r=3": "valid.r=3, expected",
    "data.size=[64,128]": "data.size=[64, 128], expected a whole number",
    "seed=[0,1]": "seed=[0, 1], expected one value",
    "limit={a:1}": "limit={'a': 1}, expected one value",
    "batch_size=null": "batch_size=null, expected one value",
    "r=null": "r=null, expected a value",
    "out=null": "out=null, expected a path",
    "data.name=[a]": "data.name=['a'], expected a name",
    "model._target_=null": "model._target_=null, expected a class",
    "metrics.plot=3": "metrics.plot=3, expected a mapping",
    "+metrics.mine=3": "metrics.mine=3, expected a metric",
    "r=range(0,1,0)": "names several values",
    "r=${r}": "method.r: Recursive interpolation detected",
    "hydra/launcher=nosuch": "nosuch",
    "=3": "unknown knob ''",
    "a" * 5000 + "=3": "unknown knob",
}


@pytest.mark.parametrize("word", FORMS, ids=lambda word: word[:20])
def test_words_of_a_wrong_form(tmp_path, capsys, word):
    out = [] if word.startswith("out") else [f"out={tmp_path}"]
    assert run.main([*out, "limit=1", word]) != 0
    said = capsys.readouterr().err
    assert FORMS[word] in said
    assert said.count("\n") == 1


def test_a_sweep_that_is_no_range():
    with pytest.raises(UserError, match="range"):
        cli.jobs(["-m", "r=range(0,1,0)"])
    assert len(cli.jobs(["-m", "method=glob(s*)"])) == len([n for n in cli.names("method") if n[0] == "s"])
