"""README's example of a method in one file, as it stands there."""

import re

from bench import run
from bench.files.paths import ROOT


def test_method_example_runs(tmp_path, monkeypatch):
    text = (ROOT / "README.md").read_text()
    (code,) = re.findall(r"```python\n(# my_methods\.py\n.*?)```", text, re.DOTALL)
    (tmp_path / "my_methods.py").write_text(code)
    (line,) = re.findall(r"python -m bench\.run (method=custom .*)", text)
    monkeypatch.syspath_prepend(tmp_path)
    words = line.replace("'", "").split()
    assert run.main([*words, "limit=2", f"out={tmp_path / 'out'}"]) == 0
    assert len(list((tmp_path / "out/shapes/RoundTrip").iterdir())) == 2


def test_pages_and_pictures_that_it_names_exist():
    text = (ROOT / "README.md").read_text()
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", text) if not target.startswith("http")]
    assert targets
    for target in targets:
        assert (ROOT / target).exists(), target


def test_main_line_is_in_it_literally():
    assert "python -m bench.run method=diffedit data=imagenet -m r=0.3,0.5,0.7,0.9" in (ROOT / "README.md").read_text()
