"""A file system that fills up in the middle."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import run
from bench.report.__main__ import main as report
from scripts.chaos import children, results
from scripts.chaos.session import RATIOS, Chaos, phase

FILLED = (0.1, 0.4, 0.7, 0.95)  # parts of what a sweep takes
LARGE = f"size={1 << 30},nr_inodes={1 << 20}"


def full(chaos: Chaos) -> None:
    """A file system too small for a run, made larger when it is full."""
    count = min(16, -(-chaos.pictures // len(RATIOS)))
    place = chaos.work / "disk"
    try:
        with _disk(place, LARGE):
            out = place / "out"
            statuses = [chaos.run(chaos.words(out, count=count))[0]]
            sweep, names = _taken(place)
            statuses.append(chaos.report(out))
            everything, _ = _taken(place)
    except OSError as error:
        chaos.row("full", "a tmpfs of its own", "it can be mounted", f"skipped: {error}", True)
        return
    what = f"{statuses}; {sweep:,} bytes, {everything:,} with its report"
    chaos.row("full", "large enough", "exit statuses 0", what, not any(statuses))
    expected = chaos.undisturbed("undisturbed small", count)
    sizes = {"two blocks": "size=8192", "one block, as -m": "size=4096"}
    sizes |= {f"{100 * part:.0f} % of a sweep's bytes": f"size={int(part * sweep)}" for part in FILLED}
    sizes["a sweep and a part of its report"] = f"size={(sweep + everything) // 2}"
    sizes["half of a sweep's files"] = f"nr_inodes={names // 2}"
    for case, limit in sizes.items():
        with _disk(place, limit) as grow:
            out = place / "out"
            words = chaos.words(out, count=count)
            if case.endswith("-m"):
                words = ["-m", *words[:-1], f"r={','.join(map(str, RATIOS))}"]
            work = _both(words, out)
            status, _ = children.do(work, log := chaos.log())
            said, left = log.read_text(), list(place.rglob(".edit-bench-*"))
            errors = [line for line in said.splitlines() if line.startswith("error: ")]
            fine = status > 0 and bool(errors) and all("the disk is full" in line for line in errors)
            fine &= not left and "Traceback" not in said and not results.unsound(out)
            when = f"{phase(out, len(RATIOS) * count)}, {results.recorded(out)} samples recorded"
            what = f"exit status {status} in {when}: " + "; ".join(line.partition(str(out))[2] for line in errors)
            chaos.row("full", case, "one sentence, all that is recorded whole", what, fine)
            grow()
            status, _ = children.do(work, chaos.log())
            chaos.alike("full", f"{case}: resumed", out, expected, status=status)


def _taken(place: Path) -> tuple[int, int]:
    """Bytes and files of a file system that are taken."""
    stat = os.statvfs(place)
    return stat.f_frsize * (stat.f_blocks - stat.f_bfree), stat.f_files - stat.f_ffree


def _both(words: list[str], out: Path) -> Callable[[], int]:
    return lambda: run.main(words) or report([f"out={out}"])


@contextmanager
def _disk(place: Path, limit: str) -> Iterator[Callable[[], None]]:
    """A tmpfs with a limit; yields what makes it large. Raises OSError where none can be mounted."""
    place.mkdir(exist_ok=True)

    def mount(*words: str) -> None:
        done = subprocess.run(["mount", *words, str(place)], capture_output=True, text=True)
        if done.returncode:
            raise OSError(done.stderr.strip() or "mount failed")

    mount("-t", "tmpfs", "-o", limit, "tmpfs")
    try:
        yield lambda: mount("-o", f"remount,{LARGE}")
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
