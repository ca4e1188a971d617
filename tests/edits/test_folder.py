"""A run's folder when the operating system refuses: one sentence, nothing lost, and the next command goes on."""

import errno
import fcntl
import json
import os
import socket
from pathlib import Path

import pytest
from PIL import Image

from bench import run, score
from bench.edits import folder as folder_
from bench.edits.folder import Store
from bench.files import lock
from bench.report.__main__ import main as report
from tests.helpers.trees import manifest

COPY = ["method=copy", "metrics=pixel", "limit=4", "device=cpu"]


def go(out, *words) -> int:
    return run.main([f"out={out}", *COPY, *words])


def folders(out) -> list[Path]:
    return sorted(file.parent for file in Path(out).glob("*/*/*/identity.json"))


def refuse(monkeypatch, number: int, name: str) -> None:
    """No file whose name ends so can be put in its place."""
    replace = os.replace

    def refused(source, target):
        if str(target).endswith(name):
            raise OSError(number, os.strerror(number))
        replace(source, target)

    monkeypatch.setattr(os, "replace", refused)


def left_over(out) -> list[Path]:
    return list(Path(out).rglob(".edit-bench-*"))


@pytest.mark.parametrize("name", ["00002.png", "identity.json", "samples.csv", "per_image.pixel-v1.csv"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS], ids=errno.errorcode.get)
def test_what_cannot_be_written_is_one_sentence_and_the_next_command_goes_on(
    name, number, tmp_path, monkeypatch, capsys
):
    with monkeypatch.context() as patched:
        refuse(patched, number, name)
        assert go(tmp_path) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    what = {errno.ENOSPC: "the disk is full", errno.EROFS: "the file system is read-only"}[number]
    assert f"{name}: {what}" in line
    assert not left_over(tmp_path)
    assert go(tmp_path) == 0
    (folder,) = folders(tmp_path)
    assert len(Store(folder).journal()) == 4
    assert len(json.loads((folder / "summary.pixel-v1.json").read_text())["metrics"]) == 5


def test_pictures_saved_before_the_disk_was_full_are_not_made_again(tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        refuse(patched, errno.ENOSPC, "00002.png")
        assert go(tmp_path) == 1
    (folder,) = folders(tmp_path)
    assert sorted(Store(folder).journal()) == ["00000", "00001", "00003"]
    before = {file: file.stat().st_mtime_ns for file in (folder / "edits").iterdir()}
    assert go(tmp_path) == 0
    assert before.items() <= {file: file.stat().st_mtime_ns for file in (folder / "edits").iterdir()}.items()


def test_a_torn_line_costs_its_own_sample_alone(tmp_path):
    assert go(tmp_path) == 0
    (folder,) = folders(tmp_path)
    journal = next(folder.glob("edits-0of1.*.jsonl"))
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:3]) + lines[3][:20])
    assert go(tmp_path) == 0
    assert [json.loads(line)["id"] for line in journal.read_text().splitlines()] == [f"0000{i}" for i in range(4)]


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_an_output_folder_that_is_a_file(place, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert go(tmp_path / place) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{tmp_path / 'file'} is a file, expected a folder; mend that or choose another with out=" in line


def test_results_that_are_read_only_are_reported_elsewhere(tmp_path, monkeypatch, capsys):
    assert go(tmp_path / "out") == 0
    replace = os.replace

    def refused(source, target):
        if Path(target).is_relative_to(tmp_path / "out"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        replace(source, target)

    monkeypatch.setattr(os, "replace", refused)
    capsys.readouterr()
    assert report([f"out={tmp_path / 'out'}", "page=false"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "the file system is read-only; choose another place (out=, to=)" in line
    assert report([f"out={tmp_path / 'out'}", f"to={tmp_path / 'to'}"]) == 0
    assert {"summary.csv", "index.html"} <= {file.name for file in (tmp_path / "to").iterdir()}


def test_a_file_system_without_locks(tmp_path, monkeypatch, capsys):
    def flock(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    lock._tell.cache_clear()
    monkeypatch.setattr(fcntl, "flock", flock)
    assert go(tmp_path) == 0
    assert capsys.readouterr().err.count("has no locks") == 1


# --- several writers ---


def by_another_process(work) -> None:
    if (child := os.fork()) == 0:
        try:
            work()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def save(store: Store, grey: int) -> dict[str, str]:
    picture = Image.new("RGB", (4, 4), (grey, grey, grey))
    return {"id": "a", "edit_sha256": store.save_picture(store.edit_file("a"), picture)}


def test_every_process_writes_a_journal_of_its_own(tmp_path):
    for id_ in "abc":
        by_another_process(lambda id_=id_: Store(tmp_path).record([{"id": id_, "error": "none"}]))
    assert sorted(Store(tmp_path).journal()) == ["a", "b", "c"]
    files = list(tmp_path.glob("edits-0of1.*.jsonl"))
    assert len(files) == 3
    assert all(f"-{socket.gethostname()}-" in file.name for file in files)


def test_the_last_entry_counts_whatever_its_journal_is_called(tmp_path, monkeypatch):
    """Journals of earlier versions name no writer, and shards come in no order."""
    (tmp_path / "edits-1of2.jsonl").write_text('{"id": "a", "error": "first"}\n')
    names = ["20261126T000000000000-zebra-9", "20261126T000001000000-ant-1"]
    for name, why in zip(names, ("second", "third"), strict=True):
        monkeypatch.setattr(folder_, "_writer", lambda pid, name=name: name)
        Store(tmp_path).record([{"id": "a", "error": why}])
    assert Store(tmp_path).journal()["a"]["error"] == "third"


def test_of_two_that_edit_a_sample_at_once_the_one_whose_picture_is_there_counts(tmp_path):
    one, other = Store(tmp_path), Store(tmp_path, (0, 2))
    first = save(one, 10)
    entry = save(other, 20)
    other.record([entry])
    one.record([first])
    one.record([{"id": "a", "error": "killed", "traceback": "..."}])  # beside a picture that is there
    assert one.journal()["a"] == entry
    assert not one.changed(one.journal())


def test_environments_of_several_processes_are_all_kept(tmp_path):
    config = {"data": {}, "model": {}, "method": {"uses": []}, "metrics": {}}
    for number in range(8):
        if os.fork() == 0:
            try:
                Store(tmp_path).open(config, {"seed": 0}, f"cuda card {number}", {})
            finally:
                os._exit(0)
    for _ in range(8):
        os.wait()
    assert len({made_on["device"] for made_on in Store(tmp_path).environments()}) == 8


# --- names that are too long for a file ---

LONG = "ü" * 100 + "a" * 200


def test_long_ids_are_shortened_apart_and_found_again(tmp_path):
    ids = [LONG + "1", LONG + "2", "b" * 240, "c"]
    data = manifest(tmp_path / "data", [{"id": id_, "image": "dog.jpg", "source": "a", "target": "b"} for id_ in ids])
    words = ["data=manifest", f"data.root={data}", "data.size=32", "metrics=pixel"]
    out = tmp_path / "out"
    assert go(out, *words) == 0
    (folder,) = folders(out)
    assert len(list((folder / "edits").iterdir())) == 4
    assert (folder / "edits" / f"{'b' * 240}.png").exists()  # as it is while a file system takes it
    assert set(Store(folder).journal()) == set(ids)
    stamps = {file: file.stat().st_mtime_ns for file in (folder / "edits").iterdir()}
    assert go(out, *words) == 0
    assert stamps == {file: file.stat().st_mtime_ns for file in (folder / "edits").iterdir()}
    assert report([f"out={out}"]) == 0
    shown = json.loads((out / "report/data.js").read_text().split(" = ", 1)[1].rstrip(";\n"))
    for sample in shown["sets"][0]["samples"]:
        (thumb,) = out.glob(f"report/thumbs/*/copy/*/edits/{sample.get('file', sample['id'])}.png")
        assert Image.open(thumb).size == (32, 32)
    again = tmp_path / "again"  # the run's pictures, as results made elsewhere
    assert run.main(["method=precomputed", f"method.root={folder / 'edits'}", *words, f"out={again}"]) == 0
    (taken,) = folders(again)
    assert all("error" not in entry for entry in Store(taken).journal().values())


def test_long_names_of_ones_own(tmp_path):
    data = manifest(tmp_path / ("d" * 250), [{"id": "a", "image": "dog.jpg", "source": "a", "target": "b"}])
    words = ["data=manifest", f"data.root={data}", "data.size=32", "metrics=pixel", f"method.name={'m' * 300}"]
    assert go(tmp_path / "out", *words) == 0
    assert go(tmp_path / "out", *words, f"method.name={'m' * 301}") == 0
    made = folders(tmp_path / "out")
    assert len(made) == 2
    assert score.main([f"run={made[0]}", "metrics=pixel"]) == 0
    assert report([f"out={tmp_path / 'out'}", "page=false"]) == 0
