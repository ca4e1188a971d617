"""Runs and processor time, clocked."""

import os
import time
from pathlib import Path

import numpy as np

from bench.config import cli
from bench.edits.edit import edit
from bench.edits.folder import Store
from bench.edits.plan import plan


def timed(out: str, *words: str) -> tuple[float, float]:
    """Wall seconds of editing, and UNet evaluations paid for each image and operating point."""
    (cfg,) = cli.jobs([f"out={out}", "device=cpu", *words])
    runs = plan(cfg)
    start = time.perf_counter()
    for error in edit(runs).values():
        raise error
    wall = time.perf_counter() - start
    spent = [np.mean([entry["nfe_spent"] for entry in Store(run.folder).journal().values()]) for run in runs]
    return wall, float(sum(spent))


def clocks() -> np.ndarray:
    """Wall seconds, and processor seconds of this process and its finished children."""
    times = os.times()
    return np.array([times.elapsed, times.user + times.system + times.children_user + times.children_system])


def age() -> float:
    """Seconds since this process began, its imports included (Linux)."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
