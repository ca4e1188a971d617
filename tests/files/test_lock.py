"""Locks between processes, and file systems that have none."""

import errno
import fcntl
import os
import signal
import socket
import time

import pytest

from bench.files import lock as locks
from bench.files.lock import Busy, lock


@pytest.fixture
def file(tmp_path):
    locks._tell.cache_clear()
    return tmp_path / ".lock"


def test_one_process_at_a_time(file):
    with lock(file, wait=False), pytest.raises(Busy), lock(file, wait=False):
        pass
    with lock(file, wait=False):
        pass


def test_who_holds_it_is_said_until_it_ends(file):
    with lock(file, wait=False), pytest.raises(Busy) as busy, lock(file, wait=False):
        pass
    assert busy.value.by == f" (process {os.getpid()} on {socket.gethostname()})"
    file.write_text("process 1 on a-host-that-is-no-more\n")  # as it left it
    with lock(file, wait=False):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EIO])
def test_without_locks_work_goes_on_and_says_so_once(number, file, monkeypatch, capsys):
    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    done = 0
    for wait in (False, True, False):
        with lock(file, wait):
            done += 1
    assert done == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert f"the file system of {file.parent} has no locks" in line


def test_a_lock_ends_with_its_process_even_where_a_child_lives_on(file):
    """As one may that the user's own code has started."""
    ready, told = os.pipe()
    if (holder := os.fork()) == 0:
        with lock(file, wait=False):
            if os.fork() == 0:
                os.write(told, str(os.getpid()).encode())
            time.sleep(60)
    child = int(os.read(ready, 20))
    with pytest.raises(Busy), lock(file, wait=False):
        pass
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    try:
        with lock(file, wait=False):
            os.kill(child, 0)  # it lives
    finally:
        os.kill(child, signal.SIGKILL)
