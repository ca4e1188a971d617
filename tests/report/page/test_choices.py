"""What a reader chooses on the page: it is in the address, and a link opens it again."""

import csv
import io
import json
import re
import shutil
from urllib.parse import urlencode

import pandas as pd
import pytest

from bench import compare
from bench.report import tables
from bench.report.page import make
from bench.report.pairs import cells

SHAPES = "shapes, shapes-v1"


@pytest.fixture(scope="module")
def folders(out):
    """method and r -> the folder of its run, below the runs'."""
    found = {}
    for file in out.glob("shapes/*/*/summary.*.json"):
        summary = json.loads(file.read_text())
        found[summary["method"], summary["knobs"].get("r")] = file.parent.relative_to(out).as_posix()
    return found


def select(tab, section, label, value):
    """Chooses in the last list of a section that is called so."""
    called = tab.locator(f"{section} label", has_text=re.compile(f"^{label}"))
    called.last.locator("select").select_option(value)


def texts(tab, name):
    """The rows of a table as they stand now."""
    rows = tab.get_by_label(f"table: {name}", exact=True).locator("tbody tr")
    return [[cell.strip() for cell in row.locator("th, td").all_inner_texts()] for row in rows.all()]


def ids(tab):
    return [text.split(" · ")[0] for text in tab.locator(".sample h3").all_inner_texts()]


def shapes(tab):
    tab.locator("#filters label", has_text="data").locator("select").select_option("shapes")


def images(out, folder):
    return pd.read_csv(out / folder / "per_image.shapes-v1.csv", dtype={"id": str}).set_index("id")


@pytest.mark.parametrize("turned", [False, True])
def test_two_runs_show_what_comparing_them_prints(tab, out, folders, turned):
    pair = [folders["diffedit", 0.5], folders["sdedit", 0.8]][:: -1 if turned else 1]
    for name, folder in zip("AB", pair, strict=True):
        select(tab, "#pairs", name, folder)
    table = compare.compare(*(out / folder for folder in pair), "shapes-v1")
    expected = [list(cells(row).values()) for row in table.to_dict("records")]
    assert any("beyond noise" in row[-1] and "better" in row[-1] for row in expected)  # and not only "no difference"
    assert texts(tab, f"{SHAPES}: two runs") == expected
    lead = tab.locator("#pairs").inner_text()
    assert f"A: {pair[0]}" in lead
    assert f"B: {pair[1]}" in lead
    assert "14 samples of both" in lead


def test_a_run_is_not_compared_with_itself(tab, folders):
    for name in "AB":
        select(tab, "#pairs", name, folders["sdedit", 0.5])
    assert "A and B are one run" in tab.locator("#pairs").inner_text()


def test_the_gallery_is_searched_by_words(tab, out):
    shapes(tab)
    tab.locator("#words").press_sequentially("Heart STAR")
    assert tab.evaluate("document.activeElement.id") == "words"
    facts = tab.evaluate("REPORT.sets.find(one => one.name === 'shapes').samples")
    said = {one["id"]: " ".join(str(one.get(key)) for key in ("source", "target", "instruction")) for one in facts}
    expected = [id_ for id_, words in said.items() if "heart" in words and "star" in words]
    assert 0 < len(expected) < 12
    assert ids(tab) == expected
    tab.locator("#words").fill("no such words")
    assert "No edit is left" in tab.locator("#shown").inner_text()


def test_the_gallery_is_sorted_by_a_metric_and_by_a_difference(tab, out, folders):
    shapes(tab)
    one, other = folders["sdedit", 0.8], folders["diffedit", 0.5]
    first, second = images(out, one).perceptual, images(out, other).perceptual
    select(tab, "#order", "sort by", "perceptual ↓ (x 10^2)")
    select(tab, "#order", "of", one)
    assert ids(tab) == first.sort_values().index[:12].tolist()
    select(tab, "#order", "minus", other)
    select(tab, "#order", "first", "high")
    change = (first - second).sort_values(ascending=False)
    assert ids(tab) == change.index[:12].tolist()
    shown = tab.locator(".sample").first.inner_text()
    assert f"{change.iloc[0]:.4g}"[:4] in shown
    assert "sdedit, r = 0.8 minus diffedit, r = 0.5" in shown
    select(tab, "#order", "first", "far")
    assert ids(tab) == (first - second).abs().sort_values(ascending=False).index[:12].tolist()


def test_a_link_opens_what_was_chosen(opened, page, tab, folders):
    other = folders["diffedit", 0.5]
    head = tab.get_by_label(f"table: {SHAPES}", exact=True).get_by_role("button", name="perceptual")
    head.click()
    head.click()
    select(tab, "#types", "metric", "perceptual ↓ (x 10^2)")
    select(tab, "#pairs", "A", other)
    plot = tab.locator("#plots > div").last
    plot.locator("select").last.select_option("ssim")
    plot.locator("summary").click()
    plot.get_by_role("button", name="diffedit").click()
    select(tab, "#failures", "metric", "kept ↑ (%)")
    shapes(tab)
    tab.locator("#filters button", has_text="sdedit").click()
    tab.locator("#words").fill("a")
    select(tab, "#order", "sort by", "perceptual ↓ (x 10^2)")
    tab.get_by_text("Next samples").click()
    tab.locator("#gallery .toggle-true").click()
    tab.locator(".sample button.pic").nth(1).click()
    select(tab, "#large", "beside", other)
    tab.locator("#large input[type=range]").fill("30")
    seen = _seen(tab)
    assert seen["large"] == ["sdedit, r = 0.8", "diffedit, r = 0.5"]
    again = opened(page, hash=tab.url.split("#")[1])
    assert _seen(again) == seen
    assert again.url == tab.url
    assert (seen["cut"], seen["page"], seen["types"]) == ("30%", "page 2 of 2", "perceptual ↓ (x 10^2)")
    assert seen["curves"] == ["sdedit"]
    assert again.trouble == []


def _seen(tab):
    """What stands on the page."""
    tab.wait_for_selector("#large[open]")
    values = "found => found.map(e => e.value)"
    return {
        "table": texts(tab, SHAPES),
        "types": tab.locator("#types select").last.input_value(),
        "pairs": tab.eval_on_selector_all("#pairs select", values),
        "axes": tab.eval_on_selector_all("#plots .controls select", values),
        "curves": tab.locator("#plots > div").last.locator(".curves [aria-pressed=true]").all_text_contents(),
        "lowest": tab.eval_on_selector_all("#failures select", values),
        "samples": ids(tab),
        "words": tab.locator("#words").input_value(),
        "page": tab.locator("#pages span").inner_text(),
        "masks": tab.locator("#gallery .toggle-true").get_attribute("aria-pressed"),
        "large": tab.locator("#large .pair figcaption").all_inner_texts(),
        "sample": tab.locator("#h-large").inner_text(),
        "cut": tab.locator("#large").evaluate("e => e.style.getPropertyValue('--cut')"),
    }


def test_the_way_back_leads_to_where_the_reader_was(tab, folders):
    tab.locator("nav a", has_text="Tables").click()
    shapes(tab)
    tab.get_by_label(f"table: {SHAPES}", exact=True).get_by_role("button", name="sdedit").first.click()
    assert "1 of 4 runs" in tab.locator("#shown").inner_text()
    tab.go_back()
    tab.wait_for_function("document.querySelector('#shown').innerText.includes('4 of 4 runs')")
    assert tab.url.split("#")[1].startswith("tables")


def test_the_slider_lays_the_source_over_both_edits(tab, folders):
    shapes(tab)
    tab.locator(".sample button.pic").first.click()
    select(tab, "#large", "beside", folders["sdedit", 0.8])
    tab.locator("#large input[type=range]").fill("25")
    covers = tab.eval_on_selector_all("#large .over", "found => found.map(e => getComputedStyle(e).clipPath)")
    assert covers == ["inset(0px 75% 0px 0px)"] * 2
    sources = tab.eval_on_selector_all("#large .over", "found => found.map(e => e.getAttribute('src'))")
    assert len(set(sources)) == 1
    assert "/sources/" in sources[0]
    assert "perceptual" in tab.locator("#large table").first.inner_text()
    tab.locator("#large input[type=range]").press("ArrowRight")  # moves the slider, not the sample
    assert "sample 1 of 14" in tab.locator("#large").inner_text()


def test_two_edits_and_every_section_fit_a_phone(opened, page, folders):
    one, other = folders["sdedit", 0.8], folders["diffedit", 0.5]
    chosen = {"set": "shapes", "sample": "00003", "run": one, "beside": other, "cut": 50, "sort": "mse ↓ (x 10^4)"}
    phone = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
    tab = opened(page, hash=f"gallery&{urlencode(chosen)}", **phone)
    tab.wait_for_selector("#large[open]")
    assert tab.locator("#large .pair figcaption").count() == 2
    for part in ("document.documentElement", "document.getElementById('large')"):
        assert tab.evaluate(f"{part}.scrollWidth <= {part}.clientWidth"), part
    tab.keyboard.press("Escape")
    tab.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    wide = "e => e.getBoundingClientRect().right > innerWidth + 1"
    sections = tab.locator("main > section").all()
    assert len(sections) == 10
    assert not [section.get_attribute("id") for section in sections if section.evaluate(wide)]
    assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert tab.trouble == []


def test_the_lowest_scores_open_their_edits(tab, out, folders):
    name = "perceptual ↓ (x 10^2)"
    box = tab.locator("#failures > div").last
    box.locator("select").first.select_option(name)
    every = pd.concat({folder: images(out, folder).perceptual for folder in folders.values()})
    worst = every.sort_values(ascending=False)
    rows = texts(tab, f"shapes: lowest by {name}")
    assert [row[0] for row in rows] == [id_ for _, id_ in worst.index[:12]]
    assert [float(row[3]) for row in rows] == pytest.approx(worst[:12].tolist(), rel=1e-3)
    box.locator("tbody button").first.click()
    large = tab.locator("#large").inner_text()
    assert worst.index[0][1] in large
    method, r = next(key for key, folder in folders.items() if folder == worst.index[0][0])
    assert tab.locator("#large .pair figcaption").all_inner_texts() == [f"{method}, r = {r}"]


@pytest.mark.parametrize("kind", ["CSV", "LaTeX"])
def test_tables_are_taken_along_as_they_are_sorted(tab, kind):
    box = tab.get_by_label(f"table: {SHAPES}", exact=True)
    box.get_by_role("button", name="perceptual").click()
    rows = texts(tab, SHAPES)
    with tab.expect_download() as started:
        box.locator("xpath=following-sibling::p[1]").get_by_text(kind).click()
    with open(started.value.path(), encoding="utf-8") as stream:
        text = stream.read()
    assert started.value.suggested_filename == f"shapes-shapes-v1.{'csv' if kind == 'CSV' else 'tex'}"
    notice = "embedded model of a drawn world, comparable with no paper"
    if kind == "CSV":
        head, *lines = csv.reader(io.StringIO(text))
        assert head[-1] == "notice"
        assert [line[:-1] for line in lines] == rows
        assert {line[-1] for line in lines} == {notice}
    else:
        assert r"perceptual $\downarrow$ (x 10\textasciicircum{}2)" in text
        body = text.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
        assert [line.split(" & ")[0] for line in body] == [row[0] for row in rows]
        assert all(line.endswith(r" \\") and line.count(" & ") == len(rows[0]) - 1 for line in body)
        assert "±" not in text
        assert notice in text


@pytest.fixture(scope="module")
def many(out, opened, tmp_path_factory):
    """A page of fourteen variants of a method."""
    to = tmp_path_factory.mktemp("many")
    (folder,) = out.glob("shapes/sdedit/r0.5_w*")
    for guidance in range(14):
        copy = to / "shapes/sdedit" / f"w{guidance}"
        shutil.copytree(folder, copy)
        (file,) = copy.glob("summary.*.json")
        summary = json.loads(file.read_text())
        file.write_text(json.dumps(summary | {"knobs": summary["knobs"] | {"guidance": guidance}}))
    (to / "report").mkdir()
    return opened(make(tables.collect(to), to, to / "report"))


def test_curves_share_neither_colour_nor_symbol_and_more_than_twelve_are_chosen_from(many):
    def looks():
        many.wait_for_selector("#plots .points path")
        data = "document.querySelector('#plots .draw').data"
        return many.evaluate(f"{data}.map(one => [one.name, one.marker.color, one.marker.symbol])")

    many.locator("#plots .plot").scroll_into_view_if_needed()
    names, colours, symbols = zip(*looks(), strict=True)
    assert len(set(names)) == len(set(colours)) == len(set(symbols)) == 12
    curves = many.locator("#plots .curves")
    assert curves.locator("[aria-pressed=false]:disabled").count() == 2
    curves.locator("[aria-pressed=true]").first.click()
    left_out = curves.locator("[aria-pressed=false]").last
    wanted = left_out.inner_text()
    left_out.click()
    names, colours, symbols = zip(*looks(), strict=True)
    assert wanted in names
    assert len(set(names)) == len(set(colours)) == len(set(symbols)) == 12
    assert many.trouble == []


def test_every_table_of_runs_says_what_its_numbers_rest_on(many):
    """Also what is made on the page: two runs, edit types, the lowest scores."""
    notice = "embedded model of a drawn world, comparable with no paper"
    regions = many.locator("main section:not(#claims, #items) .box").all()
    assert len(regions) >= 7
    before = (
        "(e, s = '') => { while ((e = e.previousElementSibling)?.className !== 'box' && e) s += e.innerText; return s }"
    )
    for region in regions:
        assert notice in region.evaluate(before), region.get_attribute("aria-label")
