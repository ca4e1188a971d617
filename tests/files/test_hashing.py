import json
import os
from pathlib import Path

import pytest

from bench.files import hashing


def test_floats_that_print_alike_hash_alike():
    assert hashing.sha256_of({"r": 0.7000000000000001}) == hashing.sha256_of({"r": 0.7})
    assert hashing.sha256_of({"w": 5}) == hashing.sha256_of({"w": 5.0})
    assert hashing.sha256_of({"r": 0.7}) != hashing.sha256_of({"r": 0.70001})
    assert hashing.sha256_of({"a": True}) != hashing.sha256_of({"a": 1})


def test_order_of_keys_does_not_matter_and_that_of_lists_does():
    assert hashing.sha256_of({"a": 1, "b": 2}) == hashing.sha256_of({"b": 2, "a": 1})
    assert hashing.sha256_of([1, 2]) != hashing.sha256_of([2, 1])


def fresh():
    """What a process knows that begins."""
    hashing._remembered.cache_clear()
    hashing._added.clear()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The file."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fresh()
    yield tmp_path / "cache/edit-bench/sha256.json"
    fresh()


def test_a_file_is_read_again_only_when_it_changed(tmp_path, cache):
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    first = hashing.sha256(file)
    hashing.remember()
    fresh()
    (entry,) = json.loads(cache.read_text()).values()
    assert entry[2] == first
    stamp = file.stat()
    file.write_bytes(b"two")
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert hashing.sha256(file) == first  # same size and time: not read
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 1))
    assert hashing.sha256(file) != first


def hashed(folder, *names):
    for name in names:
        (folder / name).write_text(name)
        hashing.sha256(folder / name)


def test_what_other_processes_hashed_meanwhile_is_not_forgotten(tmp_path, cache):
    hashed(tmp_path, "one")
    mine = dict(hashing._added)
    fresh()
    hashed(tmp_path, "other")
    hashing.remember()
    hashing._added.update(mine)
    hashing.remember()
    assert {Path(file).name for file in json.loads(cache.read_text())} == {"one", "other"}


def test_only_what_is_new_is_written_and_the_oldest_goes_first(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(hashing, "_MOST", 2)
    hashed(tmp_path, "a", "b")
    hashing.remember()
    written = cache.stat()
    fresh()
    hashing.sha256(tmp_path / "a")
    hashing.remember()
    assert cache.stat().st_ino == written.st_ino
    hashed(tmp_path, "c")
    hashing.remember()
    assert cache.stat().st_ino != written.st_ino
    assert {Path(file).name for file in json.loads(cache.read_text())} == {"b", "c"}


def test_a_cache_that_cannot_be_written_is_no_failure(tmp_path, cache, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    hashed(tmp_path, "file")
    hashing.remember()
    assert (tmp_path / "file").read_text() == "file"
