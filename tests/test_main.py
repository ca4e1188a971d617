"""`python -m bench`: what can be run."""

import re
import subprocess
import sys

import pytest
import yaml

from bench import __main__ as main
from bench.config import knobs
from bench.files.paths import ROOT


@pytest.mark.parametrize("words", [[], ["--help"], ["list"]])
def test_each_command_in_a_line(capsys, words):
    assert main.main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    shown = [line.split()[2] for line in lines]
    commands = {file.stem for file in (ROOT / "bench").glob("*.py") if "sys.exit(main())" in file.read_text()}
    commands |= {file.parent.name for file in (ROOT / "bench").glob("*/__main__.py")}
    assert shown == [f"bench.{name}" for name in sorted(commands - {"__main__"})]
    assert all(len(line) < 160 and len(line.split()) > 5 for line in lines)


def test_a_misspelt_command_gets_the_nearest(capsys):
    assert main.main(["rnu"]) == 2
    assert capsys.readouterr().err == "error: unknown command 'rnu'; did you mean run?\n"


def test_a_command_gets_its_words_and_its_status_comes_back(capsys):
    assert main.main(["reproduce", "list"]) == 0
    assert "shapes/tradeoff" in capsys.readouterr().out
    assert main.main(["run", "r=1.5"]) == 2
    assert "r=1.5, expected a number from 0 to 1" in capsys.readouterr().err


@pytest.mark.parametrize("name", main.commands())
def test_help_is_a_screenful_with_examples_and_every_option(capsys, name):
    assert main.main([name, "limit=3", "--help"]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert printed.err == ""
    assert len(lines) <= 39
    assert max(map(len, lines)) <= 100
    assert sum(line.startswith(f"    python -m bench.{name}") for line in lines) >= 2
    module = sys.modules.get(f"bench.{name}.__main__") or sys.modules[f"bench.{name}"]
    for option in module.OPTIONS() if callable(module.OPTIONS) else module.OPTIONS:
        assert any(re.match(rf"{re.escape(option)}=\S+ +\S", line) for line in lines), option


def test_help_of_a_run_names_every_knob_and_choice():
    """What is said of a knob stands beside it in conf/config.yaml, and nowhere else."""
    told, composed = knobs.options(), yaml.safe_load((knobs.CONF / "config.yaml").read_text())
    for group in knobs.GROUPS:
        assert told[group].meaning == ", ".join(sorted(file.stem for file in (knobs.CONF / group).glob("*.yaml")))
    shared = composed.keys() - {"defaults", "valid", "hydra", "metrics", "shard", "model"}
    assert told.keys() == shared | {*knobs.GROUPS, "shard.count", *(f"model.{name}" for name in composed["model"])}
    assert (told["r"].default, told["guidance"].default, told["limit"].default) == ("0.5", "model's", "null")


def test_listing_and_help_need_no_torch():
    code = "import sys; from bench import __main__ as m; m.main([]); [m.main([c, '-h']) for c in m.commands()]; "
    code += "sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
