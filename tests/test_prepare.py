"""`bench.prepare`: what a data set lacks, what it holds, and fetching what is open."""

import functools
import hashlib
import http.server
import io
import json
import shutil
import threading
import zipfile

import numpy as np
import pytest
from PIL import Image

from bench import prepare
from bench.data.base import Source
from bench.data.check import CLIP_TOKENS, check
from bench.data.files import download
from bench.data.manifest import Manifest
from bench.edits import generate
from bench.errors import UserError
from tests.helpers import caption_trees, later_trees, pie_trees, trees
from tests.helpers.shared import SHARED, needs_shared

_CAPTIONS = "annotations/captions_val2014.json"


def rows(text):
    """What the printed table says: check -> (found, expected and verdict)."""
    lines = [line for line in text.splitlines() if "  " in line]
    return {line.split("  ")[0]: line.split("  ", 1)[1].split() for line in lines}


def edits(root, **second):
    first = {"id": "1", "image": "pictures/cake.png", "source": "a cake", "target": "a pie", "mask": "cake mask.png"}
    return trees.manifest(root, [first, {"id": "2", "image": "dog.jpg", "source": "a dog", "target": "a cat"} | second])


def test_it_says_what_is_missing_and_who_gives_it(tmp_path, capsys):
    assert prepare.main(["data=pie", f"data.root={tmp_path}"]) == 2
    printed = capsys.readouterr()
    assert printed.out.count("MISSING") == 2
    assert printed.err.count("error: missing: ") == 2
    assert "cure-lab/PnPInversion" in printed.err
    assert f"{tmp_path}/mapping_file.json" in printed.err


@needs_shared
def test_annotations_are_counted_without_the_pictures(tmp_path, capsys):
    """FlexIT's rows; that the pictures are missing is said after them."""
    file = next(SHARED.rglob("queries.csv"))
    assert prepare.main(["data=imagenet", f"data.root={tmp_path / 'none'}", f"data.annotations={file}"]) == 2
    printed = capsys.readouterr()
    found = rows(printed.out)
    assert (found["rows of queries.csv"], found["test rows"]) == (["2184", "2184", "ok"], ["1092", "1092", "ok"])
    assert f"SHA-256 {hashlib.sha256(file.read_bytes()).hexdigest()}  {file}" in printed.out
    assert printed.err.count("error: missing: ") == 1
    assert "ILSVRC2012 validation images" in printed.err


def _lose(*places):
    """Deletes files and folders below a root."""

    def lose(root):
        for place in places:
            shutil.rmtree(root / place) if (root / place).is_dir() else (root / place).unlink()

    return lose


@pytest.mark.parametrize(
    ("data", "make", "lose", "counted", "missing"),
    [
        ("pie", pie_trees.pie, _lose("annotation_images"), ["samples", "type 1 (object)", "type 9 (style)"], "missing"),
        (
            "pie",
            pie_trees.pie,
            _lose("annotation_images/0_random_140/000000000007.jpg"),
            ["samples", "type 0 (random)"],
            "1 of 11 pictures",
        ),
        ("ti2i", pie_trees.ti2i, _lose("wild-ti2i"), ["samples", "pictures", "wild: prompts"], "26 of 55 pictures"),
        (
            "coco",
            caption_trees.coco,
            _lose("val2014"),
            ["BISON items", "samples with these options", "filter=0.25 reference=first words=exact (paper: 272)"],
            "missing: COCO's val2014 pictures",
        ),
        ("coco", caption_trees.coco, _lose(_CAPTIONS), ["BISON items"], "missing: COCO's captions_val2014.json"),
        ("imagen", caption_trees.imagen, _lose("."), ["samples with these options", "slot top"], "missing: Imagen's"),
        ("flowedit", later_trees.flowedit, _lose("Images/sign.png"), ["samples", "pictures"], "1 of 3 pictures"),
        ("manifest", edits, _lose("dog.jpg"), ["samples", "samples with mask"], "line 2: there is no picture"),
    ],
)
def test_what_is_there_is_counted_and_what_is_not_is_said(data, make, lose, counted, missing, tmp_path, capsys):
    make(root := tmp_path / "data")
    words = [f"data={data}", f"data.root={root}", "model=shapes"]
    prepare.main(words)
    whole = rows(capsys.readouterr().out)
    lose(root)
    assert prepare.main(words) == 2
    printed = capsys.readouterr()
    found = rows(printed.out)
    assert {name: found[name] for name in counted} == {name: whole[name] for name in counted}
    assert missing in printed.err


def test_other_counts_of_what_is_there(tmp_path, capsys):
    words = ["data=manifest", f"data.root={edits(tmp_path / 'own')}", "model=shapes"]
    (tmp_path / "own/dog.jpg").unlink()
    assert prepare.main(words) == 2
    assert rows(capsys.readouterr().out)["pictures that are there"] == ["1", "2", "differs"]
    caption_trees.coco(tmp_path / "coco")
    (tmp_path / "coco/annotations/bison_annotations.cocoval2014.json").unlink()
    assert prepare.main(["data=coco", f"data.root={tmp_path / 'coco'}", "model=shapes"]) == 2
    found = rows(capsys.readouterr().out)
    assert (found["captions"], found["pictures with captions"]) == (["10"], ["3"])
    broken = pie_trees.pie_pp(tmp_path / "pp")
    here = sum(row["folder"] != "9_change_style_80" for row in pie_trees.pie_pp_rows())
    (broken / "9_change_style_80").mkdir(exist_ok=True)
    (broken / "9_change_style_80/V1-00000-of-00001.parquet").write_bytes(b"PAR1")
    assert prepare.main(["data=pie_pp", f"data.root={broken}", "model=shapes"]) == 2
    printed = capsys.readouterr()
    assert rows(printed.out)["samples"] == [str(here), "700", "differs"]
    assert "9_change_style_80 cannot be read as parquet" in printed.err
    assert prepare.main(["data=templated", f"data.root={tmp_path / 'none'}", "model=shapes"]) == 2
    assert rows(capsys.readouterr().out)["samples with these options"] == ["360"]


def test_all_that_is_wrong_is_said_at_once(tmp_path, capsys):
    (tmp_path / "queries.csv").write_text("path,source\n")
    words = ["data=imagenet", f"data.root={tmp_path / 'none'}", f"data.annotations={tmp_path / 'queries.csv'}"]
    assert prepare.main([*words, "model=shapes"]) == 2
    said = capsys.readouterr().err
    assert "missing: ILSVRC2012 validation images" in said
    assert f"{tmp_path / 'queries.csv'} has no column 'source_id'" in said


@pytest.mark.parametrize(("data", "knob"), [("imagenet", "annotations"), ("pie", "root"), ("coco", "bison")])
def test_a_place_that_is_not_set_is_a_sentence(data, knob, capsys):
    assert prepare.main([f"data={data}", f"data.{knob}=null", "model=shapes"]) == 2
    assert f"data.{knob} is not set; expected a file or folder" in capsys.readouterr().err


def test_it_counts_hashes_and_names_the_licence(tmp_path, capsys):
    root = edits(tmp_path / "own")
    assert prepare.main(["data=manifest", f"data.root={root}", "model=shapes"]) == 0
    text = capsys.readouterr().out
    assert rows(text)["samples"] == ["2"]
    assert rows(text)["samples with mask"] == ["1"]
    assert rows(text)["unreadable samples"] == ["0", "0", "ok"]
    digest = hashlib.sha256((root / "manifest.jsonl").read_bytes()).hexdigest()
    assert f"SHA-256 {digest}  {root}/manifest.jsonl" in text
    assert "licence: your own" in text


def test_an_unreadable_sample_is_named_and_fails_the_check(tmp_path, capsys):
    root = edits(tmp_path)
    (root / "dog.jpg").write_bytes((root / "dog.jpg").read_bytes()[:200])
    assert prepare.main(["data=manifest", f"data.root={root}", "model=shapes"]) == 1
    text = capsys.readouterr().out
    assert rows(text)["unreadable samples"] == ["1", "0", "differs"]
    assert "unreadable: 2: dog.jpg is not a readable picture" in text
    assert prepare.main(["data=manifest", f"data.root={root}", "model=shapes", "limit=1"]) == 0


def test_masks_and_prompts_are_looked_at(tmp_path):
    long = "word " * (CLIP_TOKENS - 1)
    root = edits(tmp_path, source="a [dog", target=long, mask="all.png", image="pictures/cake.png")
    Image.fromarray(np.full((41, 53), 255, np.uint8)).save(root / "all.png")
    counts, bad = check(Manifest(str(root), 32), None)
    found = {count.what.split(" (")[0]: count.found for count in counts}
    assert bad == []
    assert found["masks over the whole frame"] == 1
    assert found["prompts that still hold brackets"] == 1
    assert found["prompts over 77 CLIP tokens"] == 1
    root = edits(tmp_path / "b", target="word " * (CLIP_TOKENS - 2), mask="none.png", image="pictures/cake.png")
    border = np.zeros((41, 53), np.uint8)
    border[0] = 255
    Image.fromarray(border).save(root / "none.png")
    found = {count.what.split(" (")[0]: count.found for count in check(Manifest(str(root), 41), None)[0]}
    assert found["masks without an edit pixel inside the border"] == 1
    assert found["prompts over 77 CLIP tokens"] == 0


@needs_shared
def test_counts_of_the_real_annotation_files(tmp_path, capsys):
    assert prepare.main(["data=pie", f"data.root={SHARED}/data/pie_bench_sample"]) == 0
    found = rows(capsys.readouterr().out)
    assert found["samples"] == ["13", "700", "differs"]
    assert found["type 9 (style)"] == ["12", "80", "differs"]
    assert found["pictures not 512x512"] == ["0", "0", "ok"]
    assert found["masks over the whole frame (no background to score)"] == ["12"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data=pie,ti2i", "-m"], "2 data sets at once; bench.prepare checks one"),
        (["data=pei"], "unknown data 'pei'; did you mean pie"),
        (["data=pie", "download=yes"], "download=yes, expected true or false"),
        (["data=shapes", "generate=true"], "generate=true makes pictures for data=imagen; data=shapes has its own"),
        (["data=pie", "data.types=[colr]"], "missing: PIE-Bench's mapping_file.json"),
    ],
)
def test_wrong_words_get_a_sentence(words, message, capsys):
    assert prepare.main(words) == 2
    assert message in capsys.readouterr().err


class _Server(http.server.SimpleHTTPRequestHandler):
    """Serves `content`, whole or from a byte on; breaks off after `limit` bytes."""

    content, limit, ranges = b"", None, ()

    def do_GET(self):
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.ranges.append(start)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.content) - start))
        self.end_headers()
        self.wfile.write(self.content[start : self.limit])

    def log_message(self, *words):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(_Server, "ranges", [])
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Server, directory="/nowhere"))
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    served.server_close()


def source(url, place, content, **changed):
    facts = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()} | changed
    return Source("a file", place, "data.root", "its owners", url=url, **facts)


def zipped(members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def test_a_broken_download_goes_on_where_it_broke(server, tmp_path, monkeypatch):
    content = np.random.default_rng(0).bytes(3_000_000)
    monkeypatch.setattr(_Server, "content", content)
    monkeypatch.setattr(_Server, "limit", 1_000_000)
    wanted = source(f"{server}/file.bin", tmp_path / "deep/file.bin", content)
    with pytest.raises(UserError, match=r"run again to go on"):
        download.fetch(wanted)
    assert not wanted.place.exists()
    monkeypatch.setattr(_Server, "limit", None)
    download.fetch(wanted)
    assert wanted.place.read_bytes() == content
    assert _Server.ranges == [0, 1_000_000]
    assert [file.name for file in wanted.place.parent.iterdir()] == ["file.bin"]


def test_another_file_than_the_official_one_is_not_kept(server, tmp_path, monkeypatch):
    monkeypatch.setattr(_Server, "content", b"x" * 10)
    with pytest.raises(UserError, match="not the official 0000"):
        download.fetch(source(f"{server}/f", tmp_path / "f", b"x" * 10, sha256="0" * 64))
    assert list(tmp_path.iterdir()) == []


def test_an_archive_gives_the_named_members_only(server, tmp_path, monkeypatch):
    content = zipped({"annotations/captions.json": b"{}", "annotations/other.json": b"[]"})
    monkeypatch.setattr(_Server, "content", content)
    place = tmp_path / "coco/annotations/captions.json"
    download.fetch(source(f"{server}/a.zip", place, content, unpack="annotations/captions.json"))
    assert place.read_bytes() == b"{}"
    assert [file.name for file in place.parent.iterdir()] == ["captions.json"]
    content = zipped({"val2014/a": b"1", "val2014/b": b"2"})
    monkeypatch.setattr(_Server, "content", content)
    download.fetch(source(f"{server}/v.zip", tmp_path / "coco/val2014", content, unpack="val2014/"))
    assert sorted(file.name for file in (tmp_path / "coco").rglob("*") if file.is_file()) == ["a", "b", "captions.json"]


def test_an_archive_that_leaves_its_folder_is_refused(server, tmp_path, monkeypatch):
    content = zipped({"val2014/../../evil": b"1", "val2014/a": b"2"})
    monkeypatch.setattr(_Server, "content", content)
    with pytest.raises(UserError, match="leaves the folder; nothing was unpacked"):
        download.fetch(source(f"{server}/v.zip", tmp_path / "in/val2014", content, unpack="val2014/"))
    assert not list(tmp_path.rglob("evil"))
    assert not (tmp_path / "in/val2014").exists()


def test_offline_and_unreachable_are_sentences(tmp_path, monkeypatch):
    wanted = source("http://127.0.0.1:9/f", tmp_path / "f", b"x")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set"):
        download.fetch(wanted)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    with pytest.raises(UserError, match=r"failed .*refused.*run again to go on"):
        download.fetch(wanted)


def test_download_fetches_what_is_open_and_only_when_asked(tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(prepare, "fetch", lambda source: asked.append(source.what))
    words = ["data=coco", f"data.root={tmp_path}"]
    assert prepare.main(words) == 2
    assert asked == []
    assert prepare.main([*words, "download=true"]) == 2
    assert [name.split(" ")[0] for name in asked] == ["COCO's", "BISON's", "COCO's"]
    asked.clear()
    gated = ["data=imagenet", f"data.root={tmp_path}/pictures", f"data.annotations={tmp_path}/queries.csv"]
    assert prepare.main([*gated, "download=true"]) == 2
    assert asked == ["FlexIT's queries.csv"]  # ImageNet's pictures are gated
    assert "after registration" in capsys.readouterr().err


def test_of_the_hub_the_named_files_alone_are_fetched(tmp_path, monkeypatch):
    """MagicBrush's train split is not."""
    import huggingface_hub

    asked = {}
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, **how: asked.update({name: how}))
    for data in ("magicbrush", "gedit"):
        assert prepare.main([f"data={data}", f"data.root={tmp_path / data}", "model=shapes", "download=true"]) == 2
    assert {name: how["allow_patterns"] for name, how in asked.items()} == {
        "osunlp/MagicBrush": "data/dev-*.parquet",
        "stepfun-ai/GEdit-Bench": None,
    }


def test_a_model_that_is_not_here_is_told_with_its_command(capsys):
    assert prepare.main(["data=shapes", "limit=1", "model=cin256", "model.path=nowhere"]) == 0
    assert "`python -m bench.convert kind=cin256 <file> nowhere`" in capsys.readouterr().out
    assert prepare.main(["data=shapes", "limit=1"]) == 0
    assert "cannot be used" not in capsys.readouterr().out


def test_generated_sources_are_named_after_their_model_and_made_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(generate, "CHOICES", generate.CHOICES[:3])
    root = tmp_path / "pictures"
    words = ["data=imagen", "model=shapes", "generate=true", "steps=2", "batch_size=2", f"data.root={root}"]
    assert prepare.main(words) == 2  # the other 357 are not there in this test
    assert "357 of 360 pictures are not under" in capsys.readouterr().err
    made_by = json.loads((root / "generated.json").read_text())
    assert (made_by["model"], made_by["steps"], made_by["wording"]) == ("shapes", 2, "site")
    stamps = {file.name: file.stat().st_mtime_ns for file in root.glob("*.png")}
    assert sorted(stamps) == ["000.png", "001.png", "002.png"]
    with Image.open(root / "002.png") as picture:
        assert (picture.size, picture.mode) == ((64, 64), "RGB")
    before = (root / "001.png").read_bytes()
    (root / "001.png").unlink()
    prepare.main(words)
    assert {n: (root / n).stat().st_mtime_ns for n in stamps if n != "001.png"}.items() <= stamps.items()
    again = np.asarray(Image.open(root / "001.png")).astype(int)  # alone in its batch this time
    assert np.abs(again - np.asarray(Image.open(io.BytesIO(before)))).max() <= 1
    capsys.readouterr()
    assert prepare.main([*words[:-1], "seed=1", f"data.root={root}"]) == 2
    assert "made in another way" in capsys.readouterr().err
    assert prepare.main(["data=imagen", f"data.root={root}"]) == 2
    assert "were generated by a model, not by Imagen" in capsys.readouterr().err
