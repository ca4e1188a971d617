"""What kills, full disks and several processes at once do to a sweep: nothing that the same command does not mend.

    python -m scripts.chaos [sections=[kills,kills16,batches,processes,full,readers]] [pictures=500] [kills=100]
                            [seed=0] [to=results/reliability]

kills      a sweep killed with -9 at random moments of editing, scoring and reporting, then resumed; batches of 1
kills16    the same in batches of 16, with a quarter of the kills
batches    shards of 1, 3 and 8 by batches of 1, 3, 8 and 16 against batches of 1
processes  two commands on one run, two shards, two scorings and two reports at the same time
full       a file system that fills up in the middle (a small tmpfs; needs to mount one)
readers    commands that read stored runs, killed

Uses the embedded model with few steps. Writes `chaos.md` and `.csv` to `to`; the exit status is 1 where something is
not as expected. Set OMP_NUM_THREADS=1.
"""

import functools
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from bench import compare, run, score
from bench.config import cli, options
from bench.edits.environment import environment
from bench.edits.plan import plan
from bench.errors import UserError, nearest
from bench.report import write
from bench.report.__main__ import main as report
from bench.report.write import Table
from bench.scores.complete import complete
from scripts import reliability as seen

RATIOS = (0.5, 0.8)
SHARDS, BATCHES = (1, 3, 8), (1, 3, 8, 16)
NEAR = 1e-5  # of the mask's threshold: a cell so near may fall to either side in another batch
FILLED = (0.1, 0.4, 0.7, 0.95)  # parts of what a sweep takes
LARGE = f"size={1 << 30},nr_inodes={1 << 20}"
PHASES = ("editing", "scoring", "reporting")


@dataclass
class Chaos:
    """One session.

    Attributes:
        work: folder of everything that is made.
        rows: the table: section, case, what is expected, what was seen, whether that is as expected.
    """

    work: Path
    pictures: int
    kills: int
    random: random.Random
    rows: list[dict] = field(default_factory=list)

    def row(self, section: str, case: str, expected: str, what: object, fine: bool) -> None:
        self.rows.append(
            {"section": section, "case": case, "expected": expected, "seen": f"{what}", "": "ok" if fine else "FAILED"}
        )
        print(f"{'ok' if fine else 'FAILED':7}{section}: {case}: {what}", flush=True)

    def alike(self, section: str, case: str, out: Path, expected: Path, exact: bool = True, also: str = "") -> None:
        """A row on results that must be those of an undisturbed run."""
        near = functools.cache(lambda run, name: self._near(expected, run, name))
        found = seen.difference(out, expected, exact, near)
        allowed = "identical" if exact else f"{seen.LEVELS} grey level, {seen.SHARE:g} of the values, masks"
        self.row(section, case, allowed, f"{also}{found}", not found.said)

    def words(self, out: Path, batch: int = 1, count: int | None = None) -> list[str]:
        """Of the sweep."""
        few = ["model=shapes", "method=diffedit", "steps=4", "method.n=2", "device=cpu", f"batch_size={batch}"]
        count = count or -(-self.pictures // len(RATIOS))
        return [f"out={out}", "data=shapes", f"data.count={count}", *few, f"r=[{','.join(map(str, RATIOS))}]"]

    def log(self) -> Path:
        return self.work / f"log{len(list(self.work.glob('log*')))}"

    def run(self, words: list[str]) -> tuple[int, float]:
        return seen.do(lambda: run.main(words), self.log())

    def report(self, out: Path) -> int:
        return seen.do(lambda: report([f"out={out}"]), self.log())[0]

    def undisturbed(self, name: str, count: int | None = None) -> Path:
        """A finished sweep at batches of 1, made once."""
        out = self.work / name
        if not out.exists() and (status := self.run(self.words(out, count=count))[0]):
            raise UserError(f"the undisturbed run failed with status {status}; see {self.work}/log*")
        return out

    def _near(self, expected: Path, run_: Path, name: str) -> np.ndarray:
        """Where the mask of a sample changes with a threshold lower and higher by `NEAR`."""
        out = self.work / f"near {expected.name}"
        if not out.exists():
            words = self.words(out, count=len(list((expected / run_ / "edits").glob("*.png"))))
            self.run([*words[:-1], f"r={RATIOS[0]}", f"method.threshold=[{0.5 - NEAR},{0.5 + NEAR}]"])
        masks = [np.asarray(Image.open(out / folder / "masks" / name)) for folder in seen.runs(out)]
        return masks[0] != masks[1]


def phase(out: Path, pictures: int) -> str:
    """How far a sweep has come."""
    if seen.recorded(out) < pictures:
        return "editing"
    folders = seen.runs(out)
    return "reporting" if all(list((out / folder).glob("summary.*")) for folder in folders) else "scoring"


# --- sections ---


def kills(chaos: Chaos) -> None:
    """The whole sweep at batches of 1."""
    _killed(chaos, "kills", 1, chaos.kills)


def kills16(chaos: Chaos) -> None:
    """The same at batches of 16, with a quarter of the kills."""
    _killed(chaos, "kills16", 16, max(1, chaos.kills // 4))


def _killed(chaos: Chaos, section: str, batch: int, count: int) -> None:
    expected, out = chaos.undisturbed("undisturbed"), chaos.work / f"killed {batch}"
    died, faults = _kill(chaos, out, batch, count)
    said = "; ".join([", ".join(f"{died[name]} in {name}" for name in PHASES), *faults[:2]])
    fine = died.total() == count and not faults
    chaos.row(section, "killed", f"{count} kills, journals and pictures whole after each", said, fine)
    statuses = [chaos.run(chaos.words(out, batch))[0], chaos.report(out)]
    chaos.row(section, "resumed", "exit statuses 0", statuses, statuses == [0, 0])
    chaos.alike(section, "results", out, expected, exact=batch == 1)


def _kill(chaos: Chaos, out: Path, batch: int, count: int) -> tuple[Counter, list[str]]:
    """Kills a sweep so often; returns in which phase, and what was not whole after a kill."""
    pictures = seen.recorded(chaos.work / "undisturbed")
    work, seconds = _works(chaos, out, batch), _seconds(chaos, batch)
    died: Counter = Counter()
    faults: list[str] = []
    late = max(1, count * 15 // 100)
    until = {"editing": count - 2 * late, "scoring": count - late, "reporting": count}  # kills by the end of a phase
    for name in PHASES:
        for _ in range(10 * count):
            if died.total() >= until[name] or PHASES.index(phase(out, pictures)) > PHASES.index(name):
                break
            child = seen.start(work[name], chaos.log())
            if seen.kill(child, chaos.random.uniform(0, seconds(name, until["editing"]))):
                died[phase(out, pictures)] += 1
                faults += seen.unsound(out)
        if name == "editing":  # what the kills have left of it
            seen.do(lambda: _edit_only(chaos.words(out, batch)), chaos.log())
    return died, faults


def _works(chaos: Chaos, out: Path, batch: int) -> dict[str, Callable[[], int]]:
    words = chaos.words(out, batch)
    sweep: Callable[[], int] = lambda: run.main(words)  # noqa: E731
    return {"editing": sweep, "scoring": sweep, "reporting": lambda: report([f"out={out}"])}


def _seconds(chaos: Chaos, batch: int) -> Callable[[str, int], float]:
    """The latest moment of a kill in each phase, as it was without any."""
    out, one = chaos.work / f"timed {batch}", chaos.work / f"one {batch}"
    begin = seen.do(lambda: _edit_only([*chaos.words(one, batch), "limit=1"]), chaos.log())[1]
    whole = seen.do(lambda: _edit_only(chaos.words(out, batch)), chaos.log())[1]
    took = {"scoring": chaos.run(chaos.words(out, batch))[1]}
    took["reporting"] = seen.do(lambda: report([f"out={out}"]), chaos.log())[1]
    return lambda name, kills: took.get(name) or 2 * (begin + (whole - begin) / max(1, kills))


def _edit_only(words: list[str]) -> int:
    (cfg,) = cli.jobs(words)
    return max(len(done.failures) for done in complete(plan(cfg), scored=False))


def batches(chaos: Chaos) -> None:
    """Other batches, other shards: on fewer samples, since there are twelve of them."""
    count = min(48, -(-chaos.pictures // len(RATIOS)))
    expected = chaos.undisturbed("undisturbed few", count)
    for shards in SHARDS:
        for batch in BATCHES:
            out = chaos.work / f"shards {shards} batch {batch}"
            words = [*chaos.words(out, batch, count), f"shard.count={shards}"]
            statuses = {chaos.run([*words, f"shard.index={index}"])[0] for index in range(shards)}
            also = "" if statuses == {0} else f"exit status {max(statuses)}; "
            chaos.alike("batches", f"{shards} shards, batches of {batch}", out, expected, batch == 1, also)


def processes(chaos: Chaos) -> None:
    """Two commands at the same time."""
    count = min(16, -(-chaos.pictures // len(RATIOS)))
    expected = chaos.undisturbed("undisturbed at once", count)
    out = chaos.work / "twice"
    for case, words, due in (
        ("two on one run", [*chaos.words(out, count=count)[:-1], f"r={RATIOS[0]}"], [[0, 1]]),
        ("two on one sweep", chaos.words(out, count=count), [[0, 1], [1, 1]]),  # each may have taken a run
    ):
        statuses, said = _at_once(chaos, *[functools.partial(run.main, words)] * 2)
        fine = statuses in due and "another process is working on" in said and "Traceback" not in said
        chaos.row("processes", case, "one works, the other says so", f"exit statuses {statuses}", fine)
    status, _ = chaos.run(words)
    chaos.alike(
        "processes", "two on one sweep: results", out, expected, also=f"exit status {status}; " if status else ""
    )
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
    children = [seen.start(work, log) for work, log in zip(works, logs, strict=True)]
    return sorted(seen.end(child) for child in children), "\n".join(log.read_text() for log in logs)


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
    chaos.row(
        "full",
        "large enough",
        "exit status 0",
        f"{statuses}; {sweep:,} bytes, {everything:,} with its report",
        not any(statuses),
    )
    expected = chaos.undisturbed("undisturbed at once", count)
    sizes = {f"{100 * part:.0f} % of a sweep's bytes": f"size={int(part * sweep)}" for part in FILLED}
    sizes["a sweep and a part of its report"] = f"size={(sweep + everything) // 2}"
    sizes["half of a sweep's files"] = f"nr_inodes={names // 2}"
    for case, limit in sizes.items():
        with _disk(place, limit) as grow:
            out = place / "out"
            work = _both(chaos.words(out, count=count), out)
            status, _ = seen.do(work, log := chaos.log())
            said, left = log.read_text(), list(place.rglob(".edit-bench-*"))
            errors = [line for line in said.splitlines() if line.startswith("error: ")]
            fine = status > 0 and all("the disk is full" in line for line in errors) and errors and not left
            fine = bool(fine) and "Traceback" not in said and not seen.unsound(out)
            what = f"exit status {status} after {seen.recorded(out)} samples, in {phase(out, 2 * count)}: {'; '.join(errors)[-160:]}"
            chaos.row("full", case, "one sentence, all that is recorded whole", what, fine)
            grow()
            status, _ = seen.do(work, chaos.log())
            chaos.alike("full", f"{case}: resumed", out, expected, also=f"exit status {status}; " if status else "")


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


def readers(chaos: Chaos) -> None:
    """Commands that only read: killed, they change nothing, and work the next time."""
    count = min(16, -(-chaos.pictures // len(RATIOS)))
    out = chaos.undisturbed("undisturbed at once", count)
    folders = [out / folder for folder in seen.runs(out)]
    commands: dict[str, Callable[[], int]] = {
        "report": lambda: report([f"out={out}", f"to={chaos.work / 'read'}"]),
        "compare": lambda: compare.main([*map(str, folders), "profile=shapes-v1"]),
        "score": lambda: score.main([f"run={folders[0]}"]),
    }
    before = _content(folders)
    for name, work in commands.items():
        seconds = seen.do(work, chaos.log())[1]
        often = max(1, chaos.kills // 10)
        died = sum(seen.kill(seen.start(work, chaos.log()), chaos.random.uniform(0, seconds)) for _ in range(often))
        status, _ = seen.do(work, chaos.log())
        same = _content(folders) == before
        what = f"{died} of {often} killed, then exit status {status}; runs {'unchanged' if same else 'CHANGED'}"
        chaos.row("readers", name, "runs unchanged, then exit status 0", what, status == 0 and same)


def _content(folders: list[Path]) -> dict[Path, str]:
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    return {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


# --- the command ---

SECTIONS = {section.__name__: section for section in (kills, kills16, batches, processes, full, readers)}
OPTIONS = {"sections": [*SECTIONS], "pictures": 500, "kills": 100, "seed": 0, "to": "results/reliability"}


def warm(work: Path) -> None:
    """Imports what the commands will, on samples that no section has."""
    words = ["model=shapes", "method=diffedit", "steps=4", "method.n=2", "device=cpu"]
    run.main([f"out={work / 'warm'}", "data=shapes", "data.count=2", "data.seed=1", *words])
    report([f"out={work / 'warm'}"])


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    words = sys.argv[1:] if argv is None else argv
    try:
        given = options.parse(words, OPTIONS)
        chosen = given["sections"] if isinstance(given["sections"], list) else [given["sections"]]
        if unknown := [name for name in chosen if name not in SECTIONS]:
            raise UserError(f"unknown section {unknown[0]!r}; {nearest(str(unknown[0]), list(SECTIONS))}")
        for name in ("pictures", "kills"):
            if type(given[name]) is not int or given[name] < 2:
                raise UserError(f"{name}={given[name]}, expected a whole number from 2")
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="chaos-") as work:
            chaos = Chaos(Path(work), given["pictures"], given["kills"], random.Random(given["seed"]))
            print(f"seed={given['seed']} pictures={given['pictures']} kills={given['kills']}", flush=True)
            warm(chaos.work)
            for name in chosen:
                SECTIONS[name](chaos)
        _write(chaos, Path(given["to"]), given, time.monotonic() - began)
    except UserError as error:
        return cli.fail(error)
    return int(any(row[""] != "ok" for row in chaos.rows))


def _write(chaos: Chaos, to: Path, given: dict, seconds: float) -> None:
    now = environment()
    commit = f"{now['commit'] or 'unknown'}{' with local changes' if now['dirty'] else ''}"
    command = " ".join(f"{name}={json.dumps(value)}" for name, value in given.items() if name != "to")
    failed = sum(row[""] != "ok" for row in chaos.rows)
    lead = [f"{date.today()}, commit {commit}", f"{now['machine']}; torch {now['packages']['torch']}"]
    lead += [f"`python -m scripts.chaos {command}`, {seconds / 60:.0f} minutes"]
    lead += [f"{len(chaos.rows) - failed} of {len(chaos.rows)} as expected"]
    table = pd.DataFrame(chaos.rows)
    print("\n".join(lead))
    files = [*write.save(Table(table, "Kills, full disks, several processes", lead), to / "chaos", ["md"])]
    files.append(write.csv(table.rename(columns={"": "verdict"}), to / "chaos"))
    print("\n".join(f"written: {file}" for file in files))


if __name__ == "__main__":
    sys.exit(main())
