"""`python -m bench`: what can be run."""

import subprocess
import sys

import pytest

from bench import __main__ as main
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


def test_listing_needs_no_torch():
    code = "import sys; from bench.__main__ import main; main([]); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
