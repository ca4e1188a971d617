"""What happens to edits between the device and the disk."""

import errno
import json
import os
import signal
import threading
import time

import numpy as np
import pytest
import torch
from PIL import Image

from bench import run
from bench.config import cli
from bench.edits.edit import edit
from bench.edits.folder import Store
from bench.edits.plan import plan
from bench.edits.saving import Saver
from bench.files import threads, write
from bench.types import EditResult


class Method:
    """Gives the sources back; `calls` counts the batches of the process."""

    version = 1
    calls = 0

    def __call__(self, model, batch, noise):
        Method.calls += 1
        return EditResult(self.made(batch.images))

    def made(self, images):
        return images


class Stopped(Method):
    """Something from outside stops it in its second batch."""

    def made(self, images):
        if Method.calls == 2:
            os.kill(os.getpid(), STOP[0])
            time.sleep(5)
        return images


STOP = [signal.SIGINT]


class Reusing(Method):
    """Gives every batch in the same memory, as a captured graph does."""

    memory: torch.Tensor

    def made(self, images):
        if Method.calls == 1:
            Reusing.memory = torch.empty_like(images)
        return Reusing.memory.copy_(255 - images)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    Method.calls = 0
    monkeypatch.setattr(threads, "count", lambda: 2)


def words(out, name) -> list[str]:
    method = ["method=custom", f"method._target_=tests.edits.test_saving.{name}", "method.uses=[]"]
    return [*method, "metrics=pixel", "limit=6", "batch_size=2", "device=cpu", f"out={out}"]


def go(out, name) -> int:
    return run.main(words(out, name))


def store(out) -> Store:
    (file,) = out.glob("*/*/*/identity.json")
    return Store(file.parent)


def lines(out) -> list[dict]:
    return [json.loads(line) for file in out.rglob("edits-*.jsonl") for line in file.read_text().splitlines()]


def slowly(monkeypatch) -> None:
    """Encoding takes longer than editing."""
    encode = write.write_png

    def encoded(file, picture):
        time.sleep(0.05)
        return encode(file, picture)

    monkeypatch.setattr("bench.edits.folder.write_png", encoded)


def test_the_journal_is_in_the_order_of_the_data_however_long_a_picture_takes(tmp_path, monkeypatch):
    encode = write.write_png

    def encoded(file, picture):
        time.sleep(0.2 if file.name == "00000.png" else 0)
        return encode(file, picture)

    monkeypatch.setattr("bench.edits.folder.write_png", encoded)
    assert go(tmp_path, "Method") == 0
    assert [line["id"] for line in lines(tmp_path)] == [f"{i:05d}" for i in range(6)]


def test_a_sample_is_entered_once_its_picture_is_on_disk_and_not_before(tmp_path, monkeypatch):
    go_on = threading.Event()
    made = Store(tmp_path)
    save = made.save_picture
    made.save_picture = lambda file, picture: go_on.wait(10) and save(file, picture)

    class Rows:
        def on_host(self, number):
            return np.full((3, 4, 4), number, np.uint8)

    class Run:
        store, key = made, "k"

    told, stopped = [], {}
    with Saver(2, stopped, lambda run, count: told.append(count)) as saver:
        saver.save(Run, [{"id": "a"}, {"id": "b"}], {"edit_sha256": (made.edit_file, Rows())})
        time.sleep(0.1)
        assert not lines(tmp_path)
        go_on.set()
        saver.wait()
        assert [line["id"] for line in lines(tmp_path)] == ["a", "b"]
    assert np.asarray(Image.open(made.edit_file("b"))).tolist() == [[[1] * 3] * 4] * 4
    assert (told, stopped, made.changed(made.journal())) == ([2], {}, [])


def test_who_brings_more_than_two_batches_waits(tmp_path, monkeypatch):
    slowly(monkeypatch)
    most, wait = [0], Saver.wait

    def waited(saver, for_less=0):
        wait(saver, for_less)
        most[0] = max(most[0], sum(count for count, _ in saver._under_way))

    monkeypatch.setattr(Saver, "wait", waited)
    assert go(tmp_path, "Method") == 0
    assert most[0] == 2  # beside the batch that was brought


def test_memory_that_a_method_uses_again_is_not_what_is_saved(tmp_path, monkeypatch):
    slowly(monkeypatch)
    assert go(tmp_path, "Reusing") == 0
    data = plan(*cli.jobs(words(tmp_path, "Reusing")))[0].data
    for number, id_ in enumerate(data.ids[:6]):
        saved = np.asarray(Image.open(store(tmp_path).edit_file(id_))).transpose(2, 0, 1)
        assert np.array_equal(saved, 255 - data[number].image)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_finished_before_an_interrupt_is_kept(number, tmp_path, monkeypatch, capsys):
    slowly(monkeypatch)
    STOP[0] = number
    assert go(tmp_path, "Stopped") == 128 + number
    assert "stopped; the same command goes on from here" in capsys.readouterr().err
    assert [line["id"] for line in lines(tmp_path)] == ["00000", "00001"]
    assert not list(tmp_path.rglob(".edit-bench-*"))
    assert go(tmp_path, "Stopped") == 0
    assert len({line["id"] for line in lines(tmp_path)}) == len(lines(tmp_path)) == 6


@pytest.mark.parametrize("raised", [SystemExit(-1), RuntimeError("the time is over")], ids=["exits", "raises"])
def test_what_a_clusters_signal_raises_is_no_failure_of_a_sample(raised, tmp_path):
    def handler(*_):
        raise raised

    STOP[0] = signal.SIGUSR2
    before = signal.signal(signal.SIGUSR2, handler)
    try:
        with pytest.raises(type(raised)):
            edit(plan(*cli.jobs(words(tmp_path, "Stopped"))))
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert [line["id"] for line in lines(tmp_path)] == ["00000", "00001"]
    assert not any("error" in line for line in lines(tmp_path))


@pytest.mark.parametrize("what", ["00003.png", "edits-0of1"])
def test_a_full_disk_stops_the_run_in_one_sentence_and_what_is_whole_is_kept(what, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patched:
        _fill(patched, what)
        assert go(tmp_path, "Method") == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert what in line
    assert "the disk is full" in line
    kept = store(tmp_path)
    assert not kept.changed(kept.journal())
    assert "00003" not in kept.journal()
    assert go(tmp_path, "Method") == 0
    assert len(lines(tmp_path)) == 6


def _fill(patched, what: str) -> None:
    replace, append = os.replace, write.append

    def full(source, target):
        if str(target).endswith(what):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    def full_journal(file, entries):
        with write.writing(file):
            if file.name.startswith(what):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        append(file, entries)

    patched.setattr(os, "replace", full)
    patched.setattr("bench.edits.folder.append", full_journal)


def test_a_picture_that_cannot_be_encoded_is_its_samples_failure(tmp_path, monkeypatch):
    encode = write.write_png

    def encoded(file, picture):
        if file.name == "00002.png":
            raise ValueError("no such mode")
        return encode(file, picture)

    with monkeypatch.context() as patched:
        patched.setattr("bench.edits.folder.write_png", encoded)
        assert go(tmp_path, "Method") == 1
    (failed,) = [line for line in lines(tmp_path) if "error" in line]
    assert failed["error"].startswith("ValueError: no such mode")
    assert (failed["id"], "traceback" in failed) == ("00002", True)
    assert go(tmp_path, "Method") == 0
