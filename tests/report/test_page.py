"""The report's page, as a reader meets it: in a browser, from the file system."""

import json
import os
import shutil
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench import score
from bench.report import tables
from bench.report.__main__ import main
from bench.report.page import items, make, thumbs
from bench.scores.selection import Selection
from tests.report.conftest import HOSTILE, NOTICE, OWN


def facts_of(folder):
    """What the page of a folder was given."""
    text = (folder / "data.js").read_text()
    return json.loads(text.removeprefix("const REPORT = ").removesuffix(";\n"))


def shown(tab, section):
    return tab.locator(f"#{section}").inner_text()


def all_of(tab, selector, name):
    """A property of every element that there is."""
    return tab.eval_on_selector_all(selector, f"found => found.map(e => e.{name})")


def loaded(tab, width):
    """Waits until the first edit's picture is there, in its true size."""
    picture = tab.locator(".sample button.pic img").first
    picture.scroll_into_view_if_needed()
    tab.wait_for_function("picture => picture.naturalWidth === " + str(width), arg=picture.element_handle())


def drawn(tab, choose):
    """Chooses drawn edits by the text of a facet's buttons."""
    tab.locator("#filters label", has_text="data").locator("select").select_option("shapes")
    for text in choose:
        tab.locator("#filters button", has_text=text).first.click()


def test_overview_says_what_ran_and_on_what(still, out):
    text = shown(still, "overview")
    assert "5 scored runs of 3 methods on pets & co (3 samples), shapes (14 samples)" in text
    assert "sdedit/r0.5_copy" in text  # without scores
    env = json.loads(next(out.glob("shapes/sdedit/*/env/*.json")).read_text())
    assert (env["commit"] or "unknown")[:10] in text
    identity = json.loads(next(out.glob("shapes/sdedit/*/identity.json")).read_text())
    assert identity["model"]["files"]["unet/diffusion_pytorch_model.safetensors"] in text
    summary = json.loads(next(out.glob("shapes/sdedit/*/summary.*.json")).read_text())
    assert summary["weights"]["judge"] in text
    still.evaluate("scrollTo(0, document.body.scrollHeight)")
    notice = still.locator("#notices")
    assert NOTICE in notice.inner_text()
    assert 0 <= notice.bounding_box()["y"] < 100  # wherever one has scrolled to


def test_every_section_has_its_data_or_says_what_is_missing(still, opened, out, tmp_path):
    assert "14" in shown(still, "tables")
    item = shown(still, "items")
    assert "shapes/small: A small item" in item
    assert "20.50 [20.00, 21.00]\npaper 19.00\ndifference +1.50\n∦ not comparable\nnote 1" in item.replace("\t", "\n")
    assert "1: another model" in item
    assert "✓ supported" in shown(still, "claims")
    failed = shown(still, "failures")
    assert "1 sample failed" in failed
    assert "c.png" in failed
    bare = tmp_path / "bare"
    shutil.copytree(out / "shapes", bare / "shapes")
    folder = next(bare.glob("shapes/diffedit/r0.5*"))
    folder.rename(folder.with_name("r 0.5 #1%"))  # a run's folder may have any name
    other = opened(make(tables.collect(bare), bare, bare))
    assert "No claims evaluated yet: python -m bench.claims" in shown(other, "claims")
    assert "reproduced yet: python -m bench.reproduce" in shown(other, "items")
    assert "No run recorded a failure" in shown(other, "failures")
    loaded(other, 64)
    assert other.trouble == []


def test_tables_sort_by_value_both_ways_and_the_empty_last(tab):
    def column(number):
        return [row.strip() for row in table.locator(f"tbody tr > :nth-child({number})").all_inner_texts()]

    table = tab.get_by_label("table: shapes, shapes-v1").locator("table")
    head = table.get_by_role("button", name="perceptual")
    number = 1 + [h.split()[0] for h in table.locator("thead th").all_inner_texts()].index("perceptual")
    head.click()
    up = [float(text.split()[0]) for text in column(number)]
    assert up == sorted(up)
    assert table.locator("[aria-sort=ascending]").count() == 1
    head.press("Enter")
    assert [float(text.split()[0]) for text in column(number)] == up[::-1]
    tab.get_by_label("table: Runs", exact=True).get_by_role("button", name="r", exact=True).click()
    rs = tab.get_by_label("table: Runs", exact=True).locator("tbody td:nth-child(2)").all_inner_texts()
    assert rs == ["0.5", "0.5", "0.8", "0.8", ""]


def test_filters_leave_what_they_name(tab, out):
    drawn(tab, ["diffedit", "0.8"])
    assert "14 of 14 samples, 1 of 4 runs" in shown(tab, "shown")
    captions = set(tab.locator("#samples figcaption").all_inner_texts())
    assert captions == {"source", "true edit", "diffedit\nr = 0.8"}
    tab.locator("#filters label", has_text="edit type").locator("select").select_option("pose")
    ids = [text.split(" · ")[0] for text in tab.locator(".sample h3").all_inner_texts()]
    table = pd.read_csv(next(out.glob("shapes/sdedit/r0.5_w*/per_image.*.csv")), dtype={"id": str})
    assert ids == table.id[table.type == "pose"].tolist() != []
    tab.get_by_text("Show all").click()
    assert "14 of 14 samples, 4 of 4 runs" in shown(tab, "shown")


def test_pictures_are_those_of_the_run(tab, out):
    drawn(tab, ["diffedit", "0.8"])
    source = tab.locator(".sample").nth(2).locator("button.pic img").first.get_attribute("src")
    folder = next(out.glob("shapes/diffedit/r0.8*"))
    assert (out / "report" / source).read_bytes() == (folder / "edits/00002.png").read_bytes()
    assert tab.locator(".sample").nth(2).locator("button.pic img").first.get_attribute("alt").startswith("diffedit, r")
    loaded(tab, 64)


def test_masks_lie_over_the_pictures_on_a_toggle(tab):
    drawn(tab, ["diffedit", "0.8"])
    masks = tab.locator(".sample >> nth=0 >> .mask")
    assert [masks.nth(i).is_visible() for i in range(masks.count())] == [False] * 4
    tab.locator("#gallery .toggle-own").click()
    visible = [masks.nth(i).get_attribute("class") for i in range(masks.count()) if masks.nth(i).is_visible()]
    assert visible == ["mask own"]
    tab.locator("#gallery .toggle-true").click()
    assert all(masks.nth(i).is_visible() for i in range(masks.count()))
    assert tab.locator("#gallery .toggle-true").get_attribute("aria-pressed") == "true"


def test_a_point_of_the_plot_opens_its_edits(tab):
    """By a click of the mouse on the picture of the point, wherever that is."""
    tab.locator("#plots .plot").last.scroll_into_view_if_needed()
    tab.wait_for_selector("#plots .plot >> nth=1 >> .points path")
    tab.locator("#plots select").last.select_option("ssim")
    traces = tab.evaluate("[...document.querySelectorAll('#plots .draw')].pop().data.map(t => [t.name, t.customdata])")
    assert [name for name, _ in traces] == ["diffedit", "sdedit"]
    tab.wait_for_timeout(300)  # until the new axis stands still
    point = tab.locator("#plots .plot").last.locator(".trace").nth(1).locator(".points path").nth(1).bounding_box()
    centre = point["x"] + point["width"] / 2, point["y"] + point["height"] / 2
    tab.mouse.move(*centre)
    tab.wait_for_selector(".hoverlayer .hovertext")
    assert "sdedit, r = 0.8" in tab.locator(".hoverlayer").last.text_content()
    tab.mouse.click(*centre)
    tab.wait_for_function("document.querySelector('#shown').innerText.includes('1 of 4 runs')")
    captions = set(tab.locator("#samples figcaption").all_inner_texts())
    assert captions == {"source", "true edit", "sdedit\nr = 0.8"}
    assert tab.locator("#gallery h2").bounding_box()["y"] < 400


def test_a_row_opens_its_edits_by_keyboard(tab):
    row = tab.get_by_label("table: shapes/small: A small item").get_by_role("button", name="SDEdit").last
    row.press("Enter")
    assert set(tab.locator("#samples figcaption").all_inner_texts()) == {"source", "true edit", "sdedit\nr = 0.8"}


def test_keyboard_goes_through_samples_and_edits(tab):
    """Also beyond the twelve samples of a page."""
    drawn(tab, ["sdedit"])
    tab.locator("h1").click()
    for _ in range(14):
        tab.keyboard.press("j")
    assert "00013" in tab.evaluate("document.activeElement.closest('.sample').innerText")
    tab.keyboard.press("k")
    assert "00012" in tab.evaluate("document.activeElement.closest('.sample').innerText")
    tab.keyboard.press("Enter")
    large = tab.locator("#large")
    assert "sample 13 of 14, edit 1 of 2" in large.inner_text()
    tab.keyboard.press("ArrowLeft")
    tab.keyboard.press("ArrowDown")
    assert "sample 12 of 14, edit 2 of 2" in large.inner_text()
    tab.keyboard.press("ArrowDown")  # there is no third
    assert "00011" in large.inner_text()
    assert "sdedit, r = 0.8" in large.inner_text()
    assert "psnr_background" in large.inner_text()
    tab.keyboard.press("Escape")
    assert not large.is_visible()
    tab.wait_for_function("document.activeElement.closest('.sample')?.innerText.includes('00011')")


def test_what_data_says_is_text(still):
    assert still.title() == "Edit Bench report"
    first = still.locator(".sample").first.inner_text()
    assert HOSTILE in first
    assert "a/1 #?% · <b>bold</b>" in first
    loaded(still, 160)


def test_a_failed_sample_says_why(still):
    row = still.locator(".sample").nth(2).inner_text()
    assert "cannot be read" in row
    assert "failed" in row


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_down_only(opened, page, scheme):
    tab = opened(page, viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True, color_scheme=scheme)
    tab.locator("#plots .plot").last.scroll_into_view_if_needed()
    tab.wait_for_selector("#plots .plot >> nth=1 >> .points path")
    tab.locator(".sample button.pic").first.click()
    for part in ("document.documentElement", "document.getElementById('large')"):
        assert tab.evaluate(f"{part}.scrollWidth <= {part}.clientWidth"), part
    ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(json.loads(ground.replace("rgb(", "[").replace(")", "]"))) < 200) == (scheme == "dark")
    assert tab.trouble == []


def test_headings_are_in_order_and_pictures_have_words(still):
    levels = [int(tag[1]) for tag in all_of(still, "main :is(h1, h2, h3)", "tagName")]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert still.locator("img:not([alt])").count() == 0
    words = all_of(still, ".pic img:not(.mask)", "alt")
    assert len(words) == 2 * 2
    assert all(words)
    ids = all_of(still, "main [id]", "id")
    assert len(ids) == len(set(ids)) > 7


def test_a_moved_folder_still_works(opened, page, tmp_path):
    moved = shutil.copytree(page.parent, tmp_path / "a folder, moved #1")
    tab = opened(moved / "index.html")
    loaded(tab, 160)
    tab.locator("#plots .plot").first.scroll_into_view_if_needed()
    tab.wait_for_selector("#plots .points path")
    assert tab.trouble == []


def test_edits_are_shown_when_their_data_set_is_gone(opened, out, own, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(out / OWN, bare / OWN)
    moved = shutil.move(own, tmp_path / "elsewhere")
    try:
        file = make(tables.collect(bare), bare, bare)
    finally:
        shutil.move(moved, own)
    tab = opened(file)
    assert "Edits without their sources" in shown(tab, "shown")
    assert "no manifest.jsonl in" in shown(tab, "shown")
    assert "<b>bold</b>" in tab.locator(".sample").first.inner_text()
    loaded(tab, 160)
    assert tab.locator(".known").count() == 0
    assert tab.trouble == []


def test_sources_that_were_not_what_was_edited_are_not_shown(out, own, tmp_path):
    shutil.copytree(out / OWN, tmp_path / OWN)
    file = own / "manifest.jsonl"
    before = file.read_text()
    file.write_text(before.replace('"target": "b"', '"target": "another"'))
    try:
        make(tables.collect(tmp_path), tmp_path, tmp_path)
    finally:
        file.write_text(before)
    (found,) = facts_of(tmp_path)["sets"]
    assert found["why"] == "data=pets & co is no longer what these runs edited"
    assert not any("seen" in sample for sample in found["samples"])


def test_thumbnails_are_written_once(out, page):
    def times():
        return {file: file.stat().st_mtime_ns for file in (out / "report/thumbs").glob("*/*/*/*/*")}

    before = times()
    edit = next(out.glob("shapes/sdedit/r0.5_w*/edits/00003.png"))
    os.utime(edit, ns=(2**62, 2**62))  # changed after its thumbnail
    make(tables.collect(out), out, out / "report")
    changed = [file for file, time in times().items() if before.get(file) != time]
    assert [file.name for file in changed] == ["00003.png"]
    assert changed[0].parent.parent.name == edit.parent.parent.name
    assert len(before) == len(times()) == 14 * (3 + 4 + 2) + 2 * 2


def test_thumbnails_of_what_is_not_shown_are_dropped(out, tmp_path):
    table = tables.collect(out)
    make(table, out, tmp_path)
    assert (tmp_path / "thumbs" / OWN / "copy").exists()
    make(table[table.data == "shapes"], out, tmp_path, Selection(data=("shapes",)), limit=2)
    assert not (tmp_path / "thumbs" / OWN).exists()
    assert {folder.name for folder in (tmp_path / "thumbs/shapes").iterdir()} == {"diffedit", "sdedit", "sources"}
    facts = facts_of(tmp_path)
    assert [len(one["samples"]) for one in facts["sets"]] == [2]
    assert facts["sets"][0]["left_out"] == 12


def test_figures_of_items_go_along(tmp_path):
    (tmp_path / "figures/a").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(tmp_path / "figures/a/b.png")
    for to in (tmp_path, tmp_path / "report"):
        (item,) = items.items(tmp_path, to, {})
        assert item == {"title": "a/b", "figure": "figures/a/b.png"}
        assert (to / item["figure"]).read_bytes() == (tmp_path / "figures/a/b.png").read_bytes()


def test_a_table_that_is_no_items_is_said(tmp_path):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/x.csv").write_text("row,point\na,b\n")
    (item,) = items.items(tmp_path, tmp_path, {})
    assert "tables/x.csv is no item's table: column title is missing" in item["problem"]


def test_large_pictures_shrink_and_small_ones_stay(tmp_path):
    made = thumbs.Thumbs(tmp_path, 100)
    pixels = np.random.default_rng(0).integers(0, 255, (3, 300, 300), dtype=np.uint8)
    made.save(pixels, tmp_path / f"a.{made.ending(300)}")
    made.save(pixels[:, :64, :64], tmp_path / f"b.{made.ending(64)}")
    with Image.open(tmp_path / "a.webp") as image:
        assert image.size == (100, 100)
    with Image.open(tmp_path / "b.png") as image:
        assert (np.asarray(image) == pixels[:, :64, :64].transpose(1, 2, 0)).all()


def test_a_mask_is_an_outline_over_a_veil(tmp_path):
    mask = np.zeros((20, 20), bool)
    mask[5:15, 0:10] = True
    thumbs.Thumbs(tmp_path, 100).save_mask(mask, tmp_path / "a.png", thumbs.OWN, veil=70)
    with Image.open(tmp_path / "a.png") as image:
        pixels = np.asarray(image.convert("RGBA"))
    inside = np.zeros((20, 20), bool)
    inside[6:14, 1:9] = True
    assert (pixels[..., 3] == np.where(inside, 70, np.where(mask, 255, 0))).all()
    assert (pixels[mask][:, :3] == thumbs.OWN).all()


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("page=perhaps", "page=perhaps, expected true or false"),
        ("thumb=0", "thumb=0, expected a whole number from 1"),
        ("limit=x", "limit=x, expected"),
    ],
)
def test_wrong_words(capsys, out, word, sentence):
    assert main([f"out={out}", word]) == 2
    assert sentence in capsys.readouterr().err


def test_differences_are_no_curves_and_what_was_scored_otherwise_is_no_point(tmp_path):
    """They are in the item's table; the best of several rows, which its figure shows, is a curve."""
    rows = [
        ("a", "pair"),
        ("b", "pair"),
        ("best of both", "derived"),
        ("a - b", "derived"),
        ("a against b", "reduction"),
    ]
    start = dict.fromkeys(items.COLUMNS, "") | {"title": "An item", "ours": 1.0, "published": ""}
    cells = [
        start
        | {"row": row, "kind": kind, "metric": metric, "heading": metric, "apart": "size 32" if row == "b" else ""}
        for row, kind in rows
        for metric in ("x", "y")
    ]
    (tmp_path / "tables").mkdir()
    (tmp_path / "figures").mkdir()
    pd.DataFrame(cells).to_csv(tmp_path / "tables/i.csv", index=False)
    Image.new("RGB", (4, 4)).save(tmp_path / "figures/i.png")
    points = [{"row": row, "x": 1, "y": 1, "x_metric": "x", "y_metric": "y"} for row in ("a", "best of both")]
    pd.DataFrame(points).to_csv(tmp_path / "figures/i.csv", index=False)
    (item,) = items.items(tmp_path, tmp_path, {})
    assert [row["cells"][0] for row in item["table"]["rows"]] == [row for row, _ in rows]
    assert [point["curve"] for point in item["plot"]["points"]] == ["a", "best of both"]


def test_a_metric_that_two_profiles_have_is_two(out, opened, tmp_path):
    """One profile may score the pictures otherwise than the other: here the second one's are changed by hand."""
    folder = tmp_path / "shapes/sdedit/one"
    shutil.copytree(next(out.glob("shapes/sdedit/r0.8*")), folder)
    assert score.main([f"run={folder}", "metrics=pixel"]) == 0
    (file,) = folder.glob("per_image.pixel*.csv")
    table = pd.read_csv(file, dtype={"id": str})
    table.assign(ssim=np.arange(len(table), dtype=float)).to_csv(file, index=False)
    (tmp_path / "report").mkdir()
    tab = opened(make(tables.collect(tmp_path), tmp_path, tmp_path / "report"))
    sort = tab.locator("#order label", has_text="sort by").locator("select")
    assert {"ssim ↑ (x 10^2), shapes-v1", "ssim ↑ (x 10^2), pixel-v1", "perceptual ↓ (x 10^2)"} <= set(
        sort.locator("option").all_inner_texts()
    )
    sort.select_option("ssim ↑ (x 10^2), pixel-v1")
    tab.locator("#order label", has_text="first").last.locator("select").select_option("high")
    assert tab.locator(".sample h3").first.inner_text().startswith("00013")
    tab.locator(".sample button.pic").first.click()
    said = {box.get_attribute("aria-label"): box.inner_text() for box in tab.locator("#large .box").all()}
    assert "ssim ↑ (x 10^2)\t13" in said["scores, pixel-v1"]
    assert "ssim ↑ (x 10^2)\t13\n" not in said["scores, shapes-v1"]
    assert tab.trouble == []
