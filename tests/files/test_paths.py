"""Files behind links, and files that cannot be opened."""

import os

import pytest

from bench.files.hashing import sha256_if_readable, sha256_of_files
from bench.files.paths import files_under, listed
from bench.files.weights import fingerprints


def names(folder) -> list[str]:
    return [str(file.relative_to(folder)) for file in files_under(folder)]


def test_files_behind_links_are_found_and_loops_end(tmp_path):
    root, scratch = tmp_path / "root", tmp_path / "scratch"
    (scratch / "deep").mkdir(parents=True)
    root.mkdir()
    for file in ("a", "deep/b"):
        (scratch / file).write_text("")
    (root / "once").symlink_to(scratch)
    (root / "twice").symlink_to(scratch)
    (scratch / "deep/up").symlink_to(scratch)
    (root / "self").symlink_to(root)
    (root / "dead").symlink_to(tmp_path / "gone")
    assert names(root) == ["dead", "once/a", "once/deep/b", "twice/a", "twice/deep/b"]


def test_two_folders_that_lead_to_each_other(tmp_path):
    for one, other in (("a", "b"), ("b", "a")):
        (tmp_path / one).mkdir()
        (tmp_path / one / "file").write_text("")
        (tmp_path / one / "link").symlink_to(tmp_path / other)
    assert names(tmp_path) == ["a/file", "a/link/file", "b/file", "b/link/file"]


def test_weights_behind_a_linked_folder_are_hashed(tmp_path):
    (tmp_path / "text").mkdir()
    (tmp_path / "model").mkdir()
    (tmp_path / "model/text").symlink_to(tmp_path / "text")

    def fingerprint(content) -> str:
        (tmp_path / "text/weights").write_text(content)
        return fingerprints({"weights": {"clip": {"path": str(tmp_path / "model")}}})["clip"]

    assert fingerprint("one") != fingerprint("other one")


def test_listed(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "dead").symlink_to(tmp_path / "gone")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    assert all(listed(tmp_path / name) for name in ("file", "link", "dead", "loop", "n" * 300))
    assert not any(listed(tmp_path / name) for name in ("gone", ".", "pipe", "file/below", "a\0b"))


def test_what_cannot_be_read_has_no_content_and_is_not_remembered(tmp_path):
    files = {name: tmp_path / name for name in ("file", "dead", "loop")}
    files["file"].write_text("a")
    files["dead"].symlink_to(tmp_path / "gone")
    files["loop"].symlink_to(files["loop"])
    assert [sha256_if_readable(file) is None for file in files.values()] == [False, True, True]
    before = sha256_of_files(files)
    assert sha256_of_files(files) == before
    (tmp_path / "gone").write_text("b")
    assert sha256_of_files(files) != before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_without_permission(tmp_path):
    (tmp_path / "shut").mkdir()
    (tmp_path / "shut/file").write_text("a")
    (tmp_path / "shut/file").chmod(0)
    assert sha256_if_readable(tmp_path / "shut/file") is None
    assert sha256_of_files({"a": tmp_path / "shut/file"})
    (tmp_path / "shut").chmod(0)
    assert listed(tmp_path / "shut/file")
    assert sha256_if_readable(tmp_path / "shut/file") is None
    (tmp_path / "shut").chmod(0o700)
