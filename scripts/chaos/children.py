"""Forked children, which can be killed and cost no import."""

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch


def start(work: Callable[[], int], log: Path) -> int:
    """Forks a child that does `work`, its words in a log; returns its number. What is imported here it has already."""
    sys.stdout.flush()
    sys.stderr.flush()
    if child := os.fork():
        return child
    status = 70  # as of an error inside
    try:
        with open(log, "w", buffering=1) as words, contextlib.redirect_stdout(words), contextlib.redirect_stderr(words):
            torch.set_num_threads(1)
            try:
                status = work()
            except BaseException:
                traceback.print_exc()
    finally:
        os._exit(status)


def end(child: int) -> int:
    """Waits for a child; returns its exit status, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill(child: int, seconds: float) -> bool:
    """Kills a child with -9 after so many seconds; False: it was done before."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    return end(child) == -signal.SIGKILL


def do(work: Callable[[], int], log: Path) -> tuple[int, float]:
    """Does work in a child undisturbed; returns its exit status and the seconds it took."""
    began = time.monotonic()
    return end(start(work, log)), time.monotonic() - began
