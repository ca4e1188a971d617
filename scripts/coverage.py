"""How many of the 95 % intervals of means over grouped pictures hold the true mean, in simulated sets.

    python -m scripts.coverage [sets=2000]

A set has 3 to 40 groups (source pictures) of one to four, or one to nine, edits, which share their group's deviation.
Values are normal, or log-normal: a few large among many small. Prints the table that docs/metrics.md has.
"""

import sys
from collections.abc import Iterator

import numpy as np

from bench.config import cli, options
from bench.errors import UserError
from bench.report.write import grid
from bench.statistics.intervals import FEW, mean_intervals

OPTIONS = {"sets": 2000}
GROUPS = (3, 5, 8, 12, FEW - 1, FEW, 40)
LARGEST = (4, 9)
"""Edits of the largest group; the others have one, two, ... of them."""
OWN, SPREAD = 0.7, 0.5
"""Standard deviation within a group, in those between groups; that of the logarithm of a log-normal value between
groups."""


def coverage(groups: int, largest: int, logarithmic: bool, sets: int, seed: int = 0) -> float:
    """Share of the sets whose interval holds the true mean; sets are the columns of one call.

    Args:
        groups: in a set, of 1, 2, ... `largest`, 1, ... values each.
        logarithmic: whether values are log-normal.
    """
    sizes = np.arange(groups) % largest + 1
    rng, members = np.random.default_rng(seed), np.repeat(np.arange(groups), sizes)
    deviations = rng.standard_normal((sets, groups))[:, members] + OWN * rng.standard_normal((sets, len(members)))
    values = np.exp(SPREAD * deviations) if logarithmic else deviations
    true = np.exp(SPREAD**2 * (1 + OWN**2) / 2) if logarithmic else 0.0
    found = np.array(mean_intervals(list(values), [str(member) for member in members], seed))
    return float(((found[:, 1] <= true) & (true <= found[:, 2])).mean())


def lines(sets: int) -> Iterator[dict[str, str]]:
    """The table, a line for each number of groups."""
    for groups in GROUPS:
        yield {"groups": f"{groups}"} | {
            f"{kind}, groups of 1 to {largest}": f"{coverage(groups, largest, kind == 'log-normal', sets):.1%}"
            for kind in ("normal", "log-normal")
            for largest in LARGEST
        }


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    try:
        sets = options.parse(sys.argv[1:] if argv is None else argv, OPTIONS)["sets"]
        if type(sets) is not int or sets < 1:
            raise UserError(f"sets={sets}, expected a whole number from 1")
        print(grid(list(lines(sets))))
    except UserError as error:
        return cli.fail(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
