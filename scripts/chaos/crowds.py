"""Shards and batches, and commands at the same time."""

import functools
import hashlib
import re
import time
from collections.abc import Callable
from pathlib import Path

from bench import compare, run, score
from bench.report.__main__ import main as report
from scripts.chaos import children, results
from scripts.chaos.session import RATIOS, Chaos

SHARDS, BATCHES = (1, 3, 8), (1, 3, 8, 16)


def batches(chaos: Chaos) -> None:
    """Other batches, other shards: on fewer samples, since there are twelve of them."""
    count = min(48, -(-chaos.pictures // len(RATIOS)))
    expected = chaos.undisturbed("undisturbed few", count)
    for shards in SHARDS:
        for batch in BATCHES:
            out = chaos.work / f"shards {shards} batch {batch}"
            words = [*chaos.words(out, batch, count), f"shard.count={shards}"]
            statuses = {chaos.run([*words, f"shard.index={index}"])[0] for index in range(shards)}
            chaos.alike("batches", f"{shards} shards, batches of {batch}", out, expected, batch == 1, max(statuses))


def processes(chaos: Chaos) -> None:
    """Two commands at the same time."""
    count = min(16, -(-chaos.pictures // len(RATIOS)))
    expected = chaos.undisturbed("undisturbed scored twice", count)
    out = chaos.work / "twice"
    for case, words, due in (
        ("two on one run", [*chaos.words(out, count=count)[:-1], f"r={RATIOS[0]}"], [[0, 1]]),
        ("two on one sweep", chaos.words(out, count=count), [[0, 1], [1, 1]]),  # each may have taken a run
    ):
        statuses, said = _at_once(chaos, *[functools.partial(run.main, words)] * 2)
        told = re.search(r"another process.* is working on", said)
        fine = statuses in due and bool(told) and "Traceback" not in said
        chaos.row("processes", case, "one works, the other says so", f"exit statuses {statuses}", fine)
    status, _ = chaos.run(words)
    chaos.alike("processes", "two on one sweep: results", out, expected, status=status)
    halves = chaos.work / "halves"
    words = [*chaos.words(halves, count=count), "shard.count=2"]
    shards = [lambda i=i: run.main([*words, f"shard.index={i}"]) for i in (0, 1)]
    statuses, _ = _at_once(chaos, *shards)
    chaos.row("processes", "two shards", "exit statuses 0", statuses, statuses == [0, 0])
    chaos.alike("processes", "two shards: results", halves, expected)
    pixel = [*chaos.words(expected, count=count), "metrics=pixel"]
    statuses, _ = _at_once(chaos, *[lambda: run.main([*pixel, f"out={out}"])] * 2)
    chaos.run(pixel)
    chaos.row("processes", "two scorings", "exit statuses 0", statuses, statuses == [0, 0])
    chaos.alike("processes", "two scorings: results", out, expected)
    statuses, _ = _at_once(chaos, *[lambda: report([f"out={out}"])] * 2)
    chaos.row("processes", "two reports", "exit statuses 0", statuses, statuses == [0, 0])


def _at_once(chaos: Chaos, *works: Callable[[], int]) -> tuple[list[int], str]:
    """Exit statuses, sorted, and what was said."""
    logs = [chaos.work / f"log at once {time.monotonic_ns()} {number}" for number in range(len(works))]
    started = [children.start(work, log) for work, log in zip(works, logs, strict=True)]
    return sorted(map(children.end, started)), "\n".join(log.read_text() for log in logs)


def readers(chaos: Chaos) -> None:
    """Commands that only read: killed, they change nothing, and work the next time."""
    count = min(16, -(-chaos.pictures // len(RATIOS)))
    out = chaos.undisturbed("undisturbed small", count)
    folders = [out / folder for folder in results.runs(out)]
    commands: dict[str, Callable[[], int]] = {
        "report": lambda: report([f"out={out}", f"to={chaos.work / 'read'}"]),
        "compare": lambda: compare.main([*map(str, folders), "profile=shapes-v1"]),
        "score": lambda: score.main([f"run={folders[0]}"]),
    }
    before = _content(folders)
    for name, work in commands.items():
        seconds = children.do(work, chaos.log())[1]
        often = max(1, chaos.kills // 10)
        died = sum(
            children.kill(children.start(work, chaos.log()), chaos.rng.uniform(0, seconds)) for _ in range(often)
        )
        status, _ = children.do(work, chaos.log())
        same = _content(folders) == before
        what = f"{died} of {often} killed, then exit status {status}; runs {'unchanged' if same else 'CHANGED'}"
        chaos.row("readers", name, "runs unchanged, then exit status 0", what, status == 0 and same)


def _content(folders: list[Path]) -> dict[Path, str]:
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    return {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
