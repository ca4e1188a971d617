"""Files written whole or not at all; what an operating system refuses, said as what it is."""

import errno
import json
import os
import resource
import signal

import pytest

from bench.files import write as writing
from bench.files.refused import NotWritten
from bench.files.write import append, aside, atomic, keep, make_folder, write

WORDS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk is full for you",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EIO: "the device failed",
    errno.EISDIR: "a folder of that name is there",
    errno.EMFILE: "too many files are open",
    errno.ESTALE: "stale file handle",
    errno.ENOTCONN: "not connected",
}


def hidden(folder) -> list[str]:
    return [file.name for file in folder.iterdir() if file.name.startswith(".")]


def refuse(monkeypatch, number: int, name: str = "replace") -> None:
    def refused(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(f"os.{name}", refused)


@pytest.mark.parametrize("number", WORDS, ids=errno.errorcode.get)
def test_each_refusal_is_said_as_what_it_is_and_nothing_is_half_written(number, tmp_path, monkeypatch):
    file = tmp_path / "a.csv"
    write(file, "before")
    refuse(monkeypatch, number)
    with pytest.raises(NotWritten) as told:
        write(file, "after")
    assert f"cannot write {file}: " in str(told.value)
    assert WORDS[number] in str(told.value).lower()
    assert ("disk is full" in str(told.value)) == (number in (errno.ENOSPC, errno.EDQUOT))
    assert len(str(told.value).splitlines()) == 1
    assert (file.read_text(), hidden(tmp_path)) == ("before", [])


def test_a_failing_writer_leaves_nothing(tmp_path):
    def fail(temporary, error: Exception) -> None:
        temporary.write_bytes(b"half")
        raise error

    with pytest.raises(ZeroDivisionError), atomic(tmp_path / "a.png") as temporary:
        fail(temporary, ZeroDivisionError())
    theirs = RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")
    with pytest.raises(NotWritten, match="the disk is full"), aside(tmp_path / "made") as temporary:
        fail(temporary / "part", theirs)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["file/new.csv", "file/deep/new.csv", "dead/new.csv"])
def test_a_parent_that_is_no_folder_is_named(place, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "dead").symlink_to(tmp_path / "gone/away")
    with pytest.raises(NotWritten) as told:
        write(tmp_path / place, "")
    what = "a file" if place.startswith("file") else "a link that leads nowhere"
    assert f"{tmp_path / place.split('/')[0]} is {what}, expected a folder" in str(told.value)


def test_a_folder_where_a_file_is_wanted(tmp_path):
    make_folder(tmp_path / "a.csv")
    with pytest.raises(NotWritten, match="a folder of that name is there"):
        write(tmp_path / "a.csv", "")
    assert hidden(tmp_path) == []


def killed_while_writing(file) -> None:
    """Leaves what a process leaves that is killed while it writes a file, or a folder of that name."""
    if (child := os.fork()) == 0:
        with atomic(file) as temporary, aside(file) as folder:
            temporary.write_bytes(b"half")
            (folder / "part").write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


def test_what_killed_processes_left_is_deleted_and_what_others_write_is_not(tmp_path):
    killed_while_writing(tmp_path / "a")
    assert len(hidden(tmp_path)) == 2
    with atomic(tmp_path / "b") as kept:
        writing._swept.clear()  # as another process begins
        write(tmp_path / "c", "")
        assert hidden(tmp_path) == [kept.name]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["b", "c"]


def test_a_cache_that_cannot_be_written_is_told_once(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for name in ("a", "b"):
        keep(tmp_path / "file" / name, b"")
    (line,) = capsys.readouterr().err.splitlines()
    assert "is a file, expected a folder" in line
    assert line.endswith("it is a cache, and the work goes on without")


# --- journals ---


def entries(file) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.parametrize(
    ("left", "kept"),
    [('{"id": 1}\n{"id"', [1]), ('{"id"', []), ('{"id": 1}\n{"id": 2}', [1, 2]), ('{"id": 1}\n', [1]), ("", [])],
)
def test_a_torn_last_line_is_taken_off_and_a_whole_one_stays(left, kept, tmp_path):
    file = tmp_path / "edits.jsonl"
    file.write_text(left)
    append(file, [{"id": 8}, {"id": 9}])
    append(file, [{"id": 10}])
    assert [entry["id"] for entry in entries(file)] == [*kept, 8, 9, 10]


def test_lines_that_do_not_fit_leave_the_journal_whole(tmp_path):
    file = tmp_path / "edits.jsonl"
    append(file, [{"id": "a" * 50}])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # the system takes a part of the line, then refuses
    try:
        with pytest.raises(NotWritten, match="larger than this file system takes"):
            append(file, [{"id": "b" * 50}])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [entry["id"][0] for entry in entries(file)] == ["a"]
    append(file, [{"id": "c"}])
    assert [entry["id"][0] for entry in entries(file)] == ["a", "c"]
