"""One session: where its results are, the sweep that everything is tried on, and the table of what was seen."""

import functools
import random
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bench import run
from bench.errors import UserError
from bench.report.__main__ import main as report
from bench.scores import stored
from methods import diffedit
from scripts.chaos import children, results

RATIOS = (0.5, 0.8)
NEAR = 1e-5
"""How near to the threshold a cell of a contrast map may fall to either side in another batch, in the unit of the
network's predictions: rounding is of that size, also where all of a map is (a query that the network hardly tells from
the caption), which rescaling would blow up."""


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
    rng: random.Random
    rows: list[dict] = field(default_factory=list)

    def row(self, section: str, case: str, expected: str, what: object, fine: bool) -> None:
        """Adds to the table, and prints it."""
        verdict = "ok" if fine else "FAILED"
        self.rows.append({"section": section, "case": case, "expected": expected, "seen": f"{what}", "": verdict})
        print(f"{verdict:7}{section}: {case}: {what}", flush=True)

    def alike(self, section: str, case: str, out: Path, expected: Path, exact: bool = True, status: int = 0) -> None:
        """A row on results that must be those of an undisturbed run, of a command with this exit status."""
        near = functools.cache(lambda run, name: self._near(expected, run, name))
        found = results.difference(out, expected, exact, near)
        roughly = f"{results.LEVELS} grey level, {results.SHARE:g} of values; masks, but {NEAR:g} about the threshold"
        allowed = "identical" if exact else roughly
        self.row(section, case, allowed, f"exit status {status}; {found}", not (status or found.said))

    def words(self, out: Path, batch: int = 1, count: int | None = None) -> list[str]:
        """The sweep's: two operating points of DiffEdit."""
        few = ["model=shapes", "method=diffedit", "steps=4", "method.n=2", "device=cpu", f"batch_size={batch}"]
        count = count or -(-self.pictures // len(RATIOS))
        return [f"out={out}", "data=shapes", f"data.count={count}", *few, f"r=[{','.join(map(str, RATIOS))}]"]

    def log(self) -> Path:
        """A new file for what a child says."""
        return self.work / f"log{len(list(self.work.glob('log*')))}"

    def run(self, words: list[str]) -> tuple[int, float]:
        """Exit status of `bench.run` in a child, and the seconds it took."""
        return children.do(lambda: run.main(words), self.log())

    def report(self, out: Path) -> int:
        """Exit status of `bench.report` in a child."""
        return children.do(lambda: report([f"out={out}"]), self.log())[0]

    def undisturbed(self, name: str, count: int | None = None) -> Path:
        """A finished sweep at batches of 1, made once."""
        out = self.work / name
        if not out.exists() and (status := self.run(self.words(out, count=count))[0]):
            raise UserError(f"the undisturbed run failed with status {status}; see {self.work}/log*")
        return out

    def _near(self, expected: Path, run_: Path, name: str) -> np.ndarray:
        """Where the mask of a sample changes with a threshold lower and higher by `NEAR`; it is the same at each r."""
        out = self.work / f"near {expected.name}"
        if not out.exists():
            words = self.words(out, count=len(list((expected / run_ / "edits").glob("*.png"))))
            children.do(functools.partial(_surroundings, [*words[:-1], f"r={RATIOS[0]}"]), self.log())
        (made,) = results.runs(out)
        return np.asarray(Image.open(out / made / "masks" / name)) > 127


def _surroundings(words: list[str]) -> int:
    """Runs DiffEdit with masks of the cells that are near the threshold. For a child: it replaces a function."""
    binarise = diffedit.binarise

    def near(maps: torch.Tensor, clip: str, clip_at: float, rescale: str, threshold: float, *more) -> torch.Tensor:
        shift = NEAR / float(clip_at * maps.mean())  # of one sample, whose rescaled map is in this unit
        low, high = (binarise(maps, clip, clip_at, rescale, threshold + s, *more) for s in (-shift, shift))
        return (low != high).to(maps.dtype)

    diffedit.binarise = near
    return run.main(words)


def phase(out: Path, pictures: int) -> str:
    """How far a sweep has come."""
    if results.recorded(out) < pictures:
        return "editing"
    return "reporting" if all(stored.profiles(out / folder) for folder in results.runs(out)) else "scoring"
