import json
import os
from pathlib import Path

from bench.files import hashing


def test_floats_that_print_alike_hash_alike():
    assert hashing.sha256_of({"r": 0.7000000000000001}) == hashing.sha256_of({"r": 0.7})
    assert hashing.sha256_of({"w": 5}) == hashing.sha256_of({"w": 5.0})
    assert hashing.sha256_of({"r": 0.7}) != hashing.sha256_of({"r": 0.70001})
    assert hashing.sha256_of({"a": True}) != hashing.sha256_of({"a": 1})


def test_order_of_keys_does_not_matter_and_that_of_lists_does():
    assert hashing.sha256_of({"a": 1, "b": 2}) == hashing.sha256_of({"b": 2, "a": 1})
    assert hashing.sha256_of([1, 2]) != hashing.sha256_of([2, 1])


def test_a_file_is_read_again_only_when_it_changed(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    hashing._remembered.cache_clear()
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    first = hashing.sha256(file)
    hashing.remember()
    hashing._remembered.cache_clear()
    (entry,) = json.loads((tmp_path / "cache/edit-bench/sha256.json").read_text()).values()
    assert entry[2] == first
    stamp = file.stat()
    file.write_bytes(b"two")
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert hashing.sha256(file) == first  # same size and time: not read
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 1))
    assert hashing.sha256(file) != first
    hashing._remembered.cache_clear()


def test_what_other_processes_hashed_meanwhile_is_not_forgotten(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("one", "other"):
        (tmp_path / name).write_text(name)
        hashing._remembered.cache_clear()
        hashing.sha256(tmp_path / name)
        if name == "one":
            first = hashing._remembered()
    hashing.remember()
    monkeypatch.setattr(hashing, "_remembered", lambda: first)  # read before the other one wrote
    hashing.remember()
    known = json.loads((tmp_path / "cache/edit-bench/sha256.json").read_text())
    assert {Path(file).name for file in known} == {"one", "other"}


def test_a_cache_that_cannot_be_written_is_no_failure(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    hashing._remembered.cache_clear()
    hashing.remember()
    assert (tmp_path / "file").read_text() == ""
    hashing._remembered.cache_clear()
