"""What the operating system refuses a command, or a user stops, is a sentence, whatever it was about to do."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from bench import __main__ as overview
from bench.config.command import command
from bench.files.paths import ROOT


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "a.csv"), "a.csv: permission denied"),
        (OSError(errno.EIO, "Input/output error", b"a.csv"), "a.csv: the device failed"),
        (OSError(errno.ENOSPC, "No space left on device", "a.csv"), "a.csv: the disk is full"),
        (OSError(errno.EMFILE, "Too many open files"), "too many files are open"),
        (OSError("of a library"), "of a library"),
    ],
)
def test_an_error_that_nobody_expected(error, sentence, capsys):
    @command
    def main(argv):
        raise error

    assert main([]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {sentence}")


def test_an_interrupt_is_no_stack_trace(capsys):
    @command
    def main(argv):
        raise KeyboardInterrupt

    assert main([]) == 130
    assert capsys.readouterr().err == "stopped; the same command goes on from here\n"


def test_being_asked_to_end_is_as_being_interrupted(capsys):
    @command
    def main(argv):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    assert main([]) == 143
    assert capsys.readouterr().err == "stopped; the same command goes on from here\n"
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_whoever_handles_signals_already_goes_on_doing_so(capsys):
    seen = []

    @command
    def main(argv):
        os.kill(os.getpid(), signal.SIGTERM)
        return 0

    before = signal.signal(signal.SIGTERM, lambda *_: seen.append(True))
    try:
        assert main([]) == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [True]


def printing(to) -> subprocess.Popen:
    """A light command whose output goes somewhere."""
    return subprocess.Popen([sys.executable, "-m", "bench"], stdout=to, stderr=subprocess.PIPE, text=True, cwd=ROOT)


def test_what_is_printed_to_a_full_disk(tmp_path):
    with open("/dev/full", "w") as full, printing(full) as process:
        (line,) = process.stderr.read().splitlines()
    assert process.returncode == 2
    assert line.startswith("error: cannot write what is printed: the disk is full")


def test_what_is_printed_to_a_reader_that_is_gone():
    reader, writer = os.pipe()
    os.close(reader)
    with printing(writer) as process:
        os.close(writer)
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_every_command_is_one():
    """Whatever can be run is kept from stack traces."""
    for name in overview.commands():
        file = ROOT / "bench" / f"{name}.py"
        text = (file if file.exists() else ROOT / "bench" / name / "__main__.py").read_text()
        assert "\n@command\ndef main(" in text, name
