"""Pictures that somebody else's code made, from a folder to scores and tables."""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench import run
from bench.edits.folder import Store
from bench.files.hashing import sha256
from bench.report.__main__ import main
from tests.helpers import trees
from tests.helpers.shared import SHARED

PANELS, SAMPLE = SHARED / "data/pie_panels", SHARED / "data/pie_bench_sample"
CAKE = "annotation_images/0_random_140/000000000001.jpg"


def go(out, root, *words):
    named = [] if root is None else [f"method.root='{root}'"]
    return run.main(["method=precomputed", "metrics=pixel", f"out={out}", *named, *words])


def folders(out) -> list[Path]:
    return sorted(file.parent for file in Path(out).glob("*/precomputed/*/identity.json"))


def key(folder) -> str:
    """The end of a run's folder name."""
    return folder.name.rsplit("-", 1)[1]


def stored(folder) -> dict[str, np.ndarray]:
    return {file.name: np.asarray(Image.open(file)) for file in sorted((folder / "edits").iterdir())}


def summary(folder) -> dict:
    return json.loads((folder / "summary.pixel-v1.json").read_text())


def save(file, seed, width=64, height=64, **options) -> np.ndarray:
    """Writes a picture and returns its pixels as a reader finds them."""
    file.parent.mkdir(parents=True, exist_ok=True)
    trees.picture(seed, width, height).save(file, **options)
    return np.asarray(Image.open(file).convert("RGB"))


def results(root, count=3) -> Path:
    """Pictures of the first samples of data=shapes."""
    for i in range(count):
        save(root / f"{i:05d}.png", i)
    return root


def said(capsys) -> str:
    """The one sentence that was printed."""
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


def pie(root) -> Path:
    """PIE-Bench's mapping file and two pictures."""
    mapping = {}
    for i, path in enumerate(["0_random_140/000000000000.jpg", "9_change_style_80/2_natural/924000000007.jpg"]):
        save(root / "annotation_images" / path, i, 512, 512)
        mapping[Path(path).stem] = {
            "image_path": path,
            "original_prompt": "a [cat]",
            "editing_prompt": "a [dog]",
            "editing_instruction": "",
            "editing_type_id": path[0],
            "blended_word": "cat dog",
            "mask": [0, 1000],
        }
    trees.write(root / "mapping_file.json", json.dumps(mapping).encode())
    return root


def test_pictures_named_by_id_become_the_run_s_edits(tmp_path):
    root = tmp_path / "theirs"
    pixels = {"00000.png": save(root / "00000.png", 0), "00001.png": save(root / "00001.jpg", 1, quality=80)}
    pixels["00002.png"] = save(root / "00002.JPEG", 2)
    pixels["00003.png"] = save(root / "00003.webp", 3)
    save(root / "00000.jpg", 9)  # a preview beside the picture itself
    save(root / "notes.png", 9)
    assert go(tmp_path / "out", root, "limit=4") == 0
    (folder,) = folders(tmp_path / "out")
    assert folder.parent == tmp_path / "out/shapes/precomputed"
    for name, edit in stored(folder).items():
        assert np.array_equal(edit, pixels[name]), name
    assert stored(folder).keys() == pixels.keys()
    journal = Store(folder).journal()
    assert [journal[f"0000{i}"]["file"] for i in range(4)] == ["00000.png", "00001.jpg", "00002.JPEG", "00003.webp"]
    assert [journal[f"0000{i}"]["jpeg"] for i in range(4)] == [False, True, True, False]
    assert {entry["taken"] for entry in journal.values()} == {"whole"}


def test_unknown_costs_stay_unknown_in_every_table(tmp_path, capsys):
    assert go(tmp_path / "out", results(tmp_path / "theirs"), "limit=3") == 0
    assert run.main(["method=copy", "metrics=pixel", "limit=3", f"out={tmp_path / 'out'}"]) == 0
    (folder,) = folders(tmp_path / "out")
    facts = summary(folder)
    assert (facts["n"], facts["n_failed"], facts["model"], facts["seed"]) == (3, 0, None, None)
    assert facts["nfe"] is facts["seconds"] is facts["nfe_spent"] is None
    assert facts["metrics"]["psnr"]["value"] > 0
    table = pd.read_csv(folder / "per_image.pixel-v1.csv")
    assert table[["nfe", "seconds", "nfe_spent"]].isna().all(axis=None)
    assert table.psnr.mean() == pytest.approx(facts["metrics"]["psnr"]["value"])
    capsys.readouterr()
    assert main([f"out={tmp_path / 'out'}"]) == 0
    rows = [line.strip("|").split("|") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    costs = {row[0].split()[0]: row[-1].strip() for row in rows}
    assert costs["precomputed"] == ""
    assert costs["copy"] == "0"
    both = pd.read_csv(tmp_path / "out/summary.csv").set_index("method")
    assert both.loc["precomputed", ["nfe", "nfe_spent"]].isna().all()
    assert both.loc["copy", "nfe"] == 0


def test_report_of_nothing_but_precomputed_runs(tmp_path):
    assert go(tmp_path / "out", results(tmp_path / "theirs"), "limit=3") == 0
    assert main([f"out={tmp_path / 'out'}"]) == 0
    table = pd.read_csv(tmp_path / "out/summary.csv")
    assert table[["r", "nfe"]].isna().all(axis=None)
    plotted = pd.read_csv(tmp_path / "out/report/shapes.pixel-v1.trade-off.csv")
    assert plotted.psnr_background.tolist() == pytest.approx(
        [summary(folders(tmp_path / "out")[0])["metrics"]["psnr_background"]["value"]]
    )
    with Image.open(tmp_path / "out/report/shapes.contact-sheet.png") as sheet:
        assert sheet.width > 3 * 112  # source, truth, edit


def test_key_is_that_of_the_pictures_not_of_their_place(tmp_path, monkeypatch):
    out = tmp_path / "out"
    assert go(out, results(tmp_path / "a/theirs"), "limit=3") == 0
    (tmp_path / "b").mkdir()
    os.rename(tmp_path / "a/theirs", tmp_path / "b/theirs")
    monkeypatch.setitem(sys.modules, "bench.edits.edit", None)  # nothing is left to do
    assert go(out, tmp_path / "b/theirs", "limit=3") == 0
    assert len(folders(out)) == 1
    monkeypatch.undo()
    shutil.copytree(tmp_path / "b/theirs", tmp_path / "c/another name")
    assert go(out, tmp_path / "c/another name", "limit=3") == 0
    assert len({key(folder) for folder in folders(out)}) == 1
    save(tmp_path / "b/theirs/00002.png", 7)
    assert go(out, tmp_path / "b/theirs", "limit=3") == 0
    assert len({key(folder) for folder in folders(out)}) == 2


def test_same_pictures_under_other_names_are_another_run(tmp_path):
    root = results(tmp_path / "theirs")
    assert go(tmp_path / "out", root, "limit=3") == 0
    (root / "00000.png").rename(root / "x")
    (root / "00001.png").rename(root / "00000.png")
    (root / "x").rename(root / "00001.png")
    assert go(tmp_path / "out", root, "limit=3") == 0
    assert len({key(folder) for folder in folders(tmp_path / "out")}) == 2


def test_missing_picture_is_recorded_and_the_rest_is_done(tmp_path, capsys):
    root = results(tmp_path / "theirs")
    (root / "00001.png").unlink()
    assert go(tmp_path / "out", root, "limit=4") == 1
    err = capsys.readouterr().err
    assert "2 of 4 samples failed" in err
    assert f"the first is '00001': there is no 00001.png (or .jpg, .jpeg, .webp) in {root}" in err
    assert "Traceback" not in err
    (folder,) = folders(tmp_path / "out")
    assert list(stored(folder)) == ["00000.png", "00002.png"]
    facts = summary(folder)
    assert (facts["n"], facts["n_expected"], facts["n_failed"]) == (2, 4, 2)
    assert facts["nfe"] is None
    assert main([f"out={tmp_path / 'out'}"]) == 0
    assert "2/4 incomplete" in capsys.readouterr().out


BAD = {
    "smaller": (lambda file: save(file, 1, 32, 32), "is 32 px and is not resampled, data.size=64"),
    "larger": (lambda file: save(file, 1, 512, 512), "is 512 px and is not resampled, data.size=64"),
    "panel of larger squares": (lambda file: save(file, 1, 512, 128), "is 128 px and is not resampled, data.size=64"),
}
UNUSABLE = {
    "wider": (lambda file: save(file, 1, 65, 64), "is 65x64 px; expected a square, or a panel of squares in a row"),
    "taller": (lambda file: save(file, 1, 64, 128), "is 64x128 px; expected a square, or a panel of squares in a row"),
    "no picture": (lambda file: file.write_bytes(b"not a picture"), "is not a readable picture"),
    "empty": (lambda file: file.write_bytes(b""), "is not a readable picture"),
}


@pytest.mark.parametrize("kind", BAD)
def test_first_picture_that_does_not_fit_is_refused_before_anything_is_loaded(tmp_path, capsys, monkeypatch, kind):
    root, (spoil, sentence) = results(tmp_path / "theirs"), BAD[kind]
    spoil(root / "00000.png")
    monkeypatch.setitem(sys.modules, "bench.edits.edit", None)
    assert go(tmp_path / "out", root, "limit=3") == 2
    message = said(capsys)
    assert f"{root / '00000.png'} {sentence}" in message
    assert folders(tmp_path / "out") == []


@pytest.mark.parametrize("kind", UNUSABLE)
def test_picture_that_cannot_be_taken_is_recorded_and_the_run_goes_on(tmp_path, capsys, kind):
    root, (spoil, sentence) = results(tmp_path / "theirs"), UNUSABLE[kind]
    spoil(root / "00000.png")
    assert go(tmp_path / "out", root, "limit=3") == 1
    assert "1 of 3 samples failed" in (message := capsys.readouterr().err)
    assert f"{root / '00000.png'} {sentence}" in message
    for file in root.iterdir():
        spoil(file)
    assert go(tmp_path / "none", root, "limit=3") == 2
    assert "no picture under" in (message := said(capsys))
    assert sentence in message


def test_size_that_would_fit_is_offered_and_fits(tmp_path, capsys):
    save(tmp_path / "theirs/00000.png", 0, 96, 96)
    assert go(tmp_path / "out", tmp_path / "theirs", "limit=1") == 2
    assert said(capsys).endswith("set data.size=96")
    assert go(tmp_path / "out", tmp_path / "theirs", "limit=1", "data.size=96") == 0


def test_later_pictures_that_do_not_fit_are_recorded(tmp_path, capsys):
    """In one batch with sound ones."""
    root = results(tmp_path / "theirs", len(BAD) + 2)
    for i, (spoil, _) in enumerate(BAD.values(), 1):
        spoil(root / f"{i:05d}.png")
    half = root / f"{len(BAD) + 1:05d}.png"
    half.write_bytes(half.read_bytes()[:300])  # its header is whole
    results(root / "more", 1)
    (root / "more/00000.png").rename(root / f"{len(BAD) + 2:05d}.png")
    assert go(tmp_path / "out", root, f"limit={len(BAD) + 3}") == 1
    assert f"{len(BAD) + 1} of {len(BAD) + 3} samples failed" in capsys.readouterr().err
    (folder,) = folders(tmp_path / "out")
    journal = Store(folder).journal()
    for i, (_, sentence) in enumerate(BAD.values(), 1):
        assert f"{root / f'{i:05d}.png'} {sentence}" in journal[f"{i:05d}"]["error"]
    assert f"{half} is not a readable picture" in journal[half.stem]["error"]
    assert not any("traceback" in entry for entry in journal.values())
    assert list(stored(folder)) == ["00000.png", f"{len(BAD) + 2:05d}.png"]


@pytest.mark.parametrize("size", [(192, 64), (128, 64), (320, 64)])
def test_of_a_panel_the_last_square_is_taken_and_said_so(tmp_path, size):
    pixels = save(tmp_path / "theirs/00000.png", 3, *size)
    save(tmp_path / "theirs/00001.png", 4)
    assert go(tmp_path / "out", tmp_path / "theirs", "limit=2") == 0
    (folder,) = folders(tmp_path / "out")
    assert np.array_equal(stored(folder)["00000.png"], pixels[:, -64:])
    journal = Store(folder).journal()
    assert journal["00000"]["taken"] == f"last square of {size[0]}x64"
    assert journal["00001"]["taken"] == "whole"


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_pictures_of_other_modes_become_rgb(tmp_path, mode):
    file = tmp_path / f"theirs/00000.{'jpg' if mode == 'CMYK' else 'png'}"
    file.parent.mkdir()
    trees.picture(5, 64, 64).convert(mode).save(file)
    assert go(tmp_path / "out", file.parent, "limit=1") == 0
    assert np.array_equal(
        stored(folders(tmp_path / "out")[0])["00000.png"], np.asarray(Image.open(file).convert("RGB"))
    )


IDS = ["a cake/1", "blé noir", "50% & more", "plain.v2", "7"]


def mine(root) -> Path:
    """A manifest of ids that make poor file names."""
    rows = [{"id": id_, "image": "dog.jpg", "source": "a dog", "target": f"a dog of {i}"} for i, id_ in enumerate(IDS)]
    return trees.manifest(root, rows)


@pytest.mark.parametrize(
    "names",
    [
        IDS,
        ["a%20cake/1", "bl%C3%A9%20noir", "50%25%20%26%20more", "plain.v2", "7"],
        ["a%20cake%2F1", "bl%C3%A9%20noir", "50%25%20%26%20more", "plain.v2", "7"],  # as this project stores edits
    ],
    ids=["as they are", "percent-encoded", "percent-encoded, slashes too"],
)
def test_ids_that_make_poor_file_names(tmp_path, names):
    root = tmp_path / "les résultats"
    pixels = [save(root / f"{name}.png", i, 32, 32) for i, name in enumerate(names)]
    words = ["data=manifest", f"data.root='{mine(tmp_path / 'data')}'", "data.size=32"]
    assert go(tmp_path / "out", root, *words) == 0
    (folder,) = folders(tmp_path / "out")
    for id_, expected in zip(IDS, pixels, strict=True):
        assert np.array_equal(np.asarray(Image.open(Store(folder).edit_file(id_))), expected), id_


def test_edits_of_a_run_can_be_scored_again(tmp_path):
    """The edits folder of any run is a folder of results."""
    words = ["data=manifest", f"data.root={mine(tmp_path / 'data')}", "data.size=32", "metrics=pixel"]
    assert run.main([*words, "method=copy", f"out={tmp_path / 'out'}"]) == 0
    (copied,) = (tmp_path / "out/data/copy").iterdir()
    assert go(tmp_path / "out", copied / "edits", *words) == 0
    (again,) = folders(tmp_path / "out")
    assert all(np.array_equal(pixels, stored(again)[name]) for name, pixels in stored(copied).items())
    assert stored(copied).keys() == stored(again).keys()


@pytest.mark.parametrize(
    ("names", "rule"), [(["2", "3", "5"], "FlexIT's row position"), (["0002", "0003", "0005"], "row position")]
)
def test_flexit_names_outputs_by_row(tmp_path, names, rule):
    pixels = [save(tmp_path / f"theirs/{name}.png", i, 32, 32) for i, name in enumerate(names)]
    save(tmp_path / "theirs/4.png", 9, 32, 32)  # a row of the other split
    images, queries = trees.class_folders(tmp_path / "val"), trees.queries_csv(tmp_path / "queries.csv")
    words = ["data=imagenet", f"data.root={images}", f"data.annotations={queries}", "data.size=32"]
    assert go(tmp_path / "out", tmp_path / "theirs", *words) == 0
    (folder,) = folders(tmp_path / "out")
    assert list(stored(folder)) == ["0002.png", "0003.png", "0005.png"]
    for edit, expected in zip(stored(folder).values(), pixels, strict=True):
        assert np.array_equal(edit, expected)
    assert Store(folder).journal()["0003"]["file"] == f"{names[1]}.png"
    assert json.loads((folder / "identity.json").read_text())["method"]["root"]["named by"] == rule


@pytest.mark.parametrize("below", ["annotation_images", ""])
@pytest.mark.parametrize("width", [64, 256])
def test_results_in_pie_bench_s_folder_tree(tmp_path, below, width):
    """Squares, or panels of prompts, source, reconstruction and edit."""
    root = tmp_path / "theirs"
    paths = ["0_random_140/000000000000.jpg", "9_change_style_80/2_natural/924000000007.jpg"]
    pixels = [save(root / below / path, i, width, 64) for i, path in enumerate(paths)]
    assert go(tmp_path / "out", root, "data=pie", f"data.root={pie(tmp_path / 'pie')}", "data.size=64") == 0
    (folder,) = folders(tmp_path / "out")
    for path, expected in zip(paths, pixels, strict=True):
        assert np.array_equal(stored(folder)[f"{Path(path).stem}.png"], expected[:, -64:])
        assert Store(folder).journal()[Path(path).stem]["file"] == str(Path(below) / path)


def test_the_convention_that_names_most_samples_counts(tmp_path):
    """A picture of each sample in the tree, and one by id that is something else."""
    root = tmp_path / "theirs"
    pixels = save(root / "0_random_140/000000000000.png", 1)
    save(root / "9_change_style_80/2_natural/924000000007.png", 2)
    save(root / "000000000000.png", 3)
    assert go(tmp_path / "out", root, "data=pie", f"data.root={pie(tmp_path / 'pie')}", "data.size=64") == 0
    assert np.array_equal(stored(folders(tmp_path / "out")[0])["000000000000.png"], pixels)


@pytest.mark.parametrize("linked", [True, False])
def test_pictures_in_one_folder_below_are_found_also_behind_a_link(tmp_path, linked):
    root, scratch = tmp_path / "theirs", tmp_path / "scratch"
    root.mkdir()
    results(scratch if linked else root / "run1/edits")
    if linked:
        (root / "run1").symlink_to(scratch)
        (scratch / "again").symlink_to(root)  # a loop
    assert go(tmp_path / "out", root, "limit=3") == 0
    assert len(stored(folders(tmp_path / "out")[0])) == 3


def test_several_folders_below_are_named(tmp_path, capsys):
    for name in ("edits", "masks"):
        results(tmp_path / "theirs" / name, 1)
    assert go(tmp_path / "out", tmp_path / "theirs") == 2
    assert "such as edits and masks; set method.root= to one of them" in said(capsys)


def test_every_kind_of_picture_is_read_by_the_same_rule(tmp_path):
    root = results(tmp_path / "theirs", 1)
    grey, tag = np.asarray(trees.picture(3, 64, 64).convert("L")), Image.Exif()
    Image.fromarray(grey.astype(np.uint16) * 257).save(root / "00001.png")
    Image.new("RGBA", (64, 64)).save(root / "00002.png")
    tag[0x0112] = 6
    trees.picture(4, 64, 192).save(root / "00003.png", exif=tag)  # a panel once it is turned
    Image.fromarray(grey.astype(np.uint16)).save(root / "00004.png")
    (root / "00005.png").symlink_to(root / "gone.png")
    assert go(tmp_path / "out", root, "limit=6") == 1
    (folder,) = folders(tmp_path / "out")
    edits, journal = stored(folder), Store(folder).journal()
    assert np.array_equal(edits["00001.png"], np.dstack([grey] * 3))
    assert (edits["00002.png"] == 255).all()
    assert np.array_equal(edits["00003.png"], np.rot90(np.asarray(trees.picture(4, 64, 192)), -1)[:, -64:])
    assert "it has more than 8 bits a channel" in journal["00004"]["error"]
    assert "00005.png is not a readable picture" in journal["00005"]["error"]
    assert not any("traceback" in entry for entry in journal.values())


@pytest.mark.skipif(not PANELS.is_dir(), reason=f"published panels are not at {PANELS}")
def test_published_panels(tmp_path):
    """2048x512 JPEGs of one PIE-Bench picture by two methods."""
    words = ["data=pie", f"data.root={SAMPLE}", "limit=1"]
    for name in ("ddim+masactrl", "directinversion+masactrl"):
        assert go(tmp_path / name, PANELS / name, *words) == 0
        (folder,) = folders(tmp_path / name)
        with Image.open(PANELS / name / CAKE) as panel:
            squares = [np.asarray(panel.crop((i * 512, 0, i * 512 + 512, 512))).astype(int) for i in range(4)]
        edit = stored(folder)["000000000001.png"]
        assert np.array_equal(edit, squares[3])
        assert Store(folder).journal()["000000000001"] == {
            "id": "000000000001",
            "nfe": None,
            "seconds": None,
            "nfe_spent": None,
            "file": CAKE,
            "taken": "last square of 2048x512",
            "jpeg": True,
            "edit_sha256": sha256(folder / "edits/000000000001.png"),
        }
        source = np.asarray(Image.open(SAMPLE / CAKE)).astype(int)
        off = [np.abs(square - source).mean() for square in squares]
        assert off[1] < 4 < 8 < off[3]  # the second is the source, but for JPEG's loss
    runs = [folders(tmp_path / name)[0] for name in ("directinversion+masactrl", "ddim+masactrl")]
    direct, inverted = (summary(run)["metrics"]["mse"]["value"] for run in runs)
    assert 0 < direct < inverted  # what direct inversion is for


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "method=precomputed needs method.root=<folder of edited pictures>"),
        (["method.root=gone"], "method.root=gone is no folder; expected one with an edited picture for each sample"),
        (["method.root=README.md"], "method.root=README.md is no folder"),
    ],
)
def test_root_that_is_no_folder(tmp_path, capsys, words, sentence):
    assert go(tmp_path, None, *words) == 2
    assert said(capsys).startswith(sentence)


@pytest.mark.parametrize("names", [[], ["0.png", "edits/0.png", "00000.txt", "00000", "00000_0.png"]])
def test_folder_without_a_picture_of_any_sample(tmp_path, capsys, names):
    root = tmp_path / "theirs"
    root.mkdir()
    for i, name in enumerate(names):
        save(root / name, i, format="PNG")
    assert go(tmp_path / "out", root) == 2
    assert said(capsys) == (
        f"no picture under {root} is named after a sample; sought, for the first: 00000.png (sample id)"
    )


def test_every_convention_is_named_where_none_fits(tmp_path, capsys):
    (tmp_path / "theirs").mkdir()
    words = ["data=pie", f"data.root={pie(tmp_path / 'pie')}", "data.size=64"]
    assert go(tmp_path / "out", tmp_path / "theirs", *words) == 2
    message = said(capsys)
    for name in (
        "000000000000.png",
        "annotation_images/0_random_140/000000000000.png",
        " 0_random_140/000000000000.png",
    ):
        assert f"{name} (" in message


def test_two_methods_by_label(tmp_path, capsys):
    out = tmp_path / "out"
    for shift, label in enumerate(("theirs", "ours, tuned")):
        save(tmp_path / label / "00000.png", shift)
        assert go(out, tmp_path / label, f"method.label='{label}'", "limit=1") == 0
    names = sorted(folder.name[: -len("-0123456789")] for folder in folders(out))
    assert names == ["ours%2C tuned", "theirs"]
    capsys.readouterr()
    assert main([f"out={out}"]) == 0
    rows = [line.split("|")[1] for line in capsys.readouterr().out.splitlines() if line.startswith("| precomputed")]
    assert sorted("ours, tuned" in row for row in rows) == [False, True]
    assert sorted("theirs" in row for row in rows) == [False, True]
    assert not any(str(tmp_path) in row for row in rows)  # which means nothing on another machine


def test_label_is_what_tables_call_it(tmp_path, capsys):
    assert go(tmp_path / "out", results(tmp_path / "theirs", 1), "limit=1", "method.label=DirectInversion") == 0
    capsys.readouterr()
    assert main([f"out={tmp_path / 'out'}"]) == 0
    assert "DirectInversion" in capsys.readouterr().out.split("written:")[0]


def test_roots_may_be_swept(tmp_path):
    roots = [results(tmp_path / name, 1) for name in ("a", "b")]
    save(roots[1] / "00000.png", 8)
    assert go(tmp_path / "out", None, f"method.root=[{roots[0]},{roots[1]}]", "limit=1") == 0
    edits = [stored(folder)["00000.png"] for folder in folders(tmp_path / "out")]
    assert not np.array_equal(*edits)
