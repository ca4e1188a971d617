"""Every two runs compared as `python -m bench.compare` compares them, for the page to show those that one chooses.
No torch."""

import math
from collections.abc import Callable
from itertools import combinations
from typing import Any

from bench.config import progress
from bench.errors import UserError
from bench.report import words
from bench.report.page.answers import Groups
from bench.report.pairs import COLUMNS, Comparison, cells, compared, remarks
from bench.scores.stored import Scored

MOST = 100
"""Runs of a data set and profile of which every two are compared; there are 4,950 such pairs."""
_TOGETHER = 256  # pairs whose differences are held at a time


def two(found: Groups, index: dict[str, int], leaders: set[int]) -> list[dict[str, Any]]:
    """For each data set and profile that has two runs: `title`, `profile`, `runs`, places in the gallery's list,
    `left_out`, how many more there are, and `pairs`, `A B` -> lines of cells, `n` and remarks, or why they do not
    compare. Texts that many pairs share are in `texts`, and lines have their numbers.

    Runs are listed as they are in the table; B follows A.

    Args:
        leaders: places of runs that are kept where there are too many.
    """
    several = [(name, runs) for name, runs in found if len(runs) > 1]
    total = sum(math.comb(min(len(runs), MOST), 2) for _, runs in several)
    with progress.line("page, 1 of 3: runs compared", total, unit="pair") as bar:
        return [_pairs(name, runs, index, leaders, bar.update) for name, runs in several]


def _pairs(
    name: str, runs: list[Scored], index: dict[str, int], leaders: set[int], tell: Callable[[int], Any]
) -> dict[str, Any]:
    first = sorted(runs, key=lambda run: index[str(run.folder)] not in leaders)[:MOST]
    kept = [run for run in runs if run in first]
    chosen, texts = list(combinations(kept, 2)), {}
    found: list[Comparison | UserError] = []
    for start in range(0, len(chosen), _TOGETHER):
        found += compared(chosen[start : start + _TOGETHER])
        tell(len(chosen[start : start + _TOGETHER]))
    keys = [" ".join(str(index[str(run.folder)]) for run in pair) for pair in chosen]
    return {
        "title": name,
        "profile": runs[0].summary.profile,
        "notices": words.notices(run.summary for run in runs),
        "runs": [index[str(run.folder)] for run in kept],
        "left_out": len(runs) - len(kept),
        "columns": [column or "verdict" for column in COLUMNS],
        "pairs": {key: _pair(one, texts) for key, one in zip(keys, found, strict=True)},
        "texts": list(texts),
    }


def _pair(found: Comparison | UserError, texts: dict[str, int]) -> dict[str, Any]:
    if isinstance(found, UserError):
        return {"why": str(found)}
    lines = [[texts.setdefault(text, len(texts)) for text in cells(row).values()] for row in found.rows]
    return {
        "lines": lines,
        "n": found.n,
        "remarks": [texts.setdefault(text, len(texts)) for text in remarks(found.rows, found.apart)],
    }
