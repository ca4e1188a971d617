"""The pages of `docs/` and README: examples run as they stand, links lead somewhere."""

import re
import shlex
import sys

import pytest

from bench import run
from bench.files.paths import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
MAIN = "python -m bench.run method=diffedit data=imagenet -m r=0.3,0.5,0.7,0.9"


def example(tmp_path, monkeypatch, page: str) -> list[list[str]]:
    """Writes the modules of a page; the commands that name one of them."""
    text = (ROOT / page).read_text()
    for name, code in re.findall(r"```python\n# (my_\w+\.py)\n(.*?)```", text, re.DOTALL):
        (tmp_path / name).write_text(code)
        monkeypatch.delitem(sys.modules, name.removesuffix(".py"), raising=False)  # another page's
    monkeypatch.syspath_prepend(tmp_path)
    lines = re.findall(r"^    python -m bench\.run .*_target_=(?:my_|torchmetrics).*$", text, re.MULTILINE)
    return [shlex.split(line)[3:] for line in lines]


@pytest.mark.parametrize(("page", "count"), [("README.md", 2), ("docs/extending.md", 5)])
def test_examples_run(tmp_path, monkeypatch, page, count):
    commands = example(tmp_path, monkeypatch, page)
    assert len(commands) == count
    for number, words in enumerate(commands):
        out = tmp_path / str(number)
        assert run.main([*words, "limit=2", "steps=4", f"out={out}"]) == 0, words
        assert list(out.glob("*/*/*/edits/*.png")), words


def slug(heading: str) -> str:
    """The anchor that GitHub and MyST give a heading."""
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text)):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in {slug(line.lstrip("#")) for line in file.read_text().splitlines() if line.startswith("#")}


def test_every_page_is_in_the_contents():
    listed = re.findall(r"^(\w+)$", (ROOT / "docs/index.md").read_text(), re.MULTILINE)
    assert {page.stem for page in PAGES if page.parent.name == "docs"} == {*listed, "index"}


def test_readme_has_its_lines_literally():
    text = (ROOT / "README.md").read_text()
    assert all(line in text for line in (MAIN, "make demo", "make test"))
