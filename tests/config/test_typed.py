"""Wrong input, as a newcomer types it: each is answered with what to type, whichever command it was for."""

from shlex import split

import pytest

from bench import __main__ as bench
from bench.files.paths import ROOT

WRONG = {
    "rnu": "unknown command 'rnu'; did you mean run?",
    "run metod=copy": "unknown knob 'metod'; did you mean method",
    "run experiment=demoo": "unknown experiment 'demoo'; did you mean demo?",
    "run experiment=pie_flow": "is many runs, not one: python -m bench.reproduce flows/pie_flow",
    "run METHOD=copy": "unknown knob 'METHOD'; did you mean method",
    "run threshold=0.3": "unknown knob 'threshold'; did you mean method.threshold?",
    "run method.treshold=0.3": "unknown knob 'method.treshold'; did you mean method.threshold",
    "run method=copy method.darken=0.1": "unknown knob 'method.darken'; method=copy has none",
    "run data.root=/a=b": "unknown knob 'data.root'; data=shapes has size, seed, count, types",
    "run zzzz=1": "unknown knob 'zzzz'; `python -m bench.run --help` shows what there is",
    "run method=DifEdit": "unknown method 'DifEdit'; did you mean diffedit",
    "run metrics.psnr.agianst=x": "did you mean metrics.psnr.against?",
    "run method=custom method._target_=my.Mine method.darken=0.1": "own class needs a +: +method.darken=0.1",
    "run method=custom method._target_=my.Mine method.darken=[0.1,1]": "needs a +: '+method.darken=[0.1,1]'",
    "run metrics.mine._target_=my.Mine": "a metric of your own needs a +: +metrics.mine._target_=my.Mine",
    "run +darken=3": "there is no knob 'darken' at the top; did you mean +method.darken=?",
    "run +stepz=3": "there is no knob 'stepz' at the top; did you mean steps=, or +method.stepz=?",
    "run metrics.columns=[lpips_e3]": "shapes-v1 has no such column; metrics=pie has it",
    "run r = 0.5": "r = 0.5: a space ends a word; type r=0.5",
    "run r= 0.5 limit=1": "r= 0.5: a space ends a word; type r=0.5",
    "run r =0.5": "r =0.5: a space ends a word; type r=0.5",
    "run -m method=copy, sdedit": "method=copy, sdedit: a space ends a word; type method=copy,sdedit",
    "run r=": "r= has no value; type one after the =",
    "run method=": "unknown method ''; one of: ",
    "run r=70": "r=70, expected a number from 0 to 1",
    "run limit=None": "limit=None: None is Python's word for no value; type limit=null",
    "run r=null": "r=null, expected a value",
    "run model.offload=modle": "model.offload=modle, did you mean model",
    "run r='\"0.5\"'": 'r="0.5" (text), expected a number from 0 to 1',
    "run r=0.3,0.5": "r=0.3,0.5 names several values; add -m for a sweep, or write a list: r=[0.3,0.5]",
    "run -m method=[copy,sdedit]": "method takes no list; several are a sweep, which bench.run makes: -m method=copy,",
    "run method=ledits_pp method.call.skip=0.2": "what is new in method.call needs a +: +method.call.skip=0.2",
    "run --method=copy": "unknown flag --method=copy; knobs have no dashes: method=copy, or -m, for a sweep",
    "run -r 0.5": "unknown flag -r; knobs have no dashes: r=0.5",
    "run method copy": "'method' is no override; expected knob=value",
    "run 'method.label=a (1'": "has characters with a meaning of their own",
    "report out = /a": "out = /a: a space ends a word; type out=/a",
    "report 'out= /a b'": "no run under out= /a b",
    "report metod=copy": "unknown option 'metod'; did you mean method",
    "report rows=": "rows= has no value",
    "report rows=None": "rows=None: None is Python's word for no value; type rows=null",
    "report data=None": "data=None: None is Python's word",
    "report run=r0.5*": "no run of run=r0.5*, nor any other under out=",
    "claims method=": "method= has no value",
    "compare a b": "no run of run=a (there is no such folder), nor any other under out=",
    "compare a": "no run of run=a (there is no such folder)",
    "score run=a=b": "no run of run=a=b (there is no such folder)",
    "score metrics=pie": "expected run=<folder or pattern>",
    "cite": "expected run=<folder or pattern>",
    "prepare data=pei": "unknown data 'pei'; did you mean pie",
    "run data=magicbrush data.turns=[0]": "data.turns=0, expected a number from 1 to 100",
    "prepare data=gedit data.language=fr": "data.language=fr, ",
    "prepare -m data=pie,ti2i": "2 data sets at once; bench.prepare checks one",
    "theory r =0.5": "type r=0.5",
    "theory parts=[gpa]": "unknown part 'gpa'; did you mean gap?",
    "reproduce shapes/tradeof": "unknown item 'shapes/tradeof'; did you mean shapes/tradeoff",
    "reproduce shapes/tradeoff limit= 3": "limit= 3: a space ends a word; type limit=3",
    "convert kind=cin a b": "unknown kind 'cin'; did you mean cin256",
    "oracle runs=": "runs= has no value",
    "inception_stats to=a": "expected images=<folder of class folders> and to=<file>",
    "export_flexit run=a": "expected run=<folder of a run> to=<folder>",
}


@pytest.mark.parametrize("typed", WRONG)
def test_it_says_what_to_type(typed, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT)
    assert bench.main(split(typed)) != 0
    printed = capsys.readouterr()
    assert WRONG[typed] in printed.err
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_what_looks_wrong_and_is_not(tmp_path, monkeypatch, capsys):
    """A new knob at the top that another one reads; `=`, spaces and quotes in paths."""
    out = tmp_path / "a = 'b'"
    words = ["method=sdedit", "+mine=0.3", "r=${mine}", "steps=2", "limit=1", "metrics=pixel", f"out={out}"]
    assert bench.main(["run", *words]) == 0
    assert bench.main(["report", f"out={out}", "page=false"]) == 0
    assert list(out.glob("shapes/sdedit/r0.3*"))
    assert capsys.readouterr().err == ""
