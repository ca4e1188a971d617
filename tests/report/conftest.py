"""Runs to report on and a browser to read the page in."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench import run
from bench.report.__main__ import report
from bench.report.page import items

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HOSTILE = "<img src=x onerror=\"document.title='broken'\"> & a 'cat'"
OWN = "pets %26 co"
NOTICE = "embedded model of a drawn world, comparable with no paper"


@pytest.fixture(scope="package")
def own(tmp_path_factory):
    """A user's three pictures; one caption and one id are hostile, one picture cannot be read."""
    folder = tmp_path_factory.mktemp("own") / "pets & co"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        Image.fromarray(rng.integers(0, 255, (200, 200, 3), dtype=np.uint8)).save(folder / f"{name}.png")
    (folder / "c.png").write_bytes(b"no picture")
    rows = [
        {"id": "a/1 #?%", "image": "a.png", "source": HOSTILE, "target": "b", "type": "<b>bold</b>"},
        {"id": "b", "image": "b.png", "source": None, "target": "c"},
        {"id": "c", "image": "c.png", "source": "d", "target": "e"},
    ]
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@pytest.fixture(scope="package")
def out(tmp_path_factory, own):
    """Two methods at two ratios on fourteen drawn edits, a copy of the user's pictures, one run without scores, an item
    and claims."""
    out = tmp_path_factory.mktemp("out")
    few = [f"out={out}", "steps=2", "limit=14"]
    assert run.main(["-m", "method=sdedit,diffedit", "r=[0.5,0.8]", *few]) == 0
    mine = ["data=manifest", f"data.root='{own}'", "data.size=160", "model=shapes", "metrics=pixel", f"out={out}"]
    assert run.main(["method=copy", *mine]) != 0  # one picture cannot be read
    folder = next(out.glob("shapes/sdedit/r0.5*"))
    shutil.copytree(folder, folder.with_name("r0.5_copy"), ignore=shutil.ignore_patterns("summary*", "per_image*"))
    cells = pd.DataFrame([_cell("r = 0.5", folder, out), _cell("r = 0.8", next(out.glob("shapes/sdedit/r0.8*")), out)])
    (out / "tables/shapes").mkdir(parents=True)
    cells.to_csv(out / "tables/shapes/small.csv", index=False)
    claim = dict.fromkeys(items.CLAIM, "") | {"statement": "SDEdit edits", "verdict": "supported", "n": "14"}
    pd.DataFrame([claim]).to_csv(out / "claims.csv", index=False)
    return out


def _cell(point, folder, out):
    return dict.fromkeys(items.COLUMNS, "") | {
        "title": "A small item",
        "row": "SDEdit",
        "point": point,
        "metric": "psnr",
        "heading": "psnr ↑ (dB)",
        "ours": 20.5 if point == "r = 0.5" else 9.25,
        "lo": 20,
        "hi": 21,
        "n": 14,
        "published": "19.00",
        "difference": 1.5,
        "verdict": "not comparable",
        "why": "another model",
        "run": folder.relative_to(out).as_posix(),
    }


@pytest.fixture(scope="package")
def page(out):
    report(out)
    return out / "report/index.html"


@pytest.fixture(scope="package")
def browser():
    if CHROMIUM is None:
        pytest.skip("needs a browser: chromium, chromium-browser or google-chrome on the PATH")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def opened(browser):
    """Opens a page and, at the end, expects that nothing went wrong in it and that it asked for nothing but files."""
    contexts = []

    def opened(file, hash="", **options):
        contexts.append(browser.new_context(**options))
        tab = contexts[-1].new_page()
        tab.set_default_timeout(60_000)  # other programs may be at work
        tab.trouble = []
        tab.on("console", lambda message: tab.trouble.append(message.text))
        tab.on("pageerror", lambda error: tab.trouble.append(str(error)))
        tab.on("requestfailed", lambda request: tab.trouble.append(f"failed: {request.url}"))
        tab.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else tab.trouble.append(r.url))
        tab.goto(file.as_uri() + (f"#{hash}" if hash else ""))
        tab.wait_for_selector(".sample")
        return tab

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture(scope="package")
def still(opened, page):
    """A tab for tests that leave it as it was."""
    tab = opened(page)
    yield tab
    assert tab.trouble == []


@pytest.fixture
def tab(opened, page):
    """A tab of one's own."""
    tab = opened(page)
    yield tab
    assert tab.trouble == []
    tab.context.close()
