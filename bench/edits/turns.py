"""Which runs are edited together, batch by batch."""

from itertools import groupby
from typing import Any

from bench.config.instances import find
from bench.edits.run import Run
from bench.errors import UserError
from bench.files.hashing import sha256_of
from bench.models.checkpoint import compilation


def turns(runs: list[Run]) -> list[list[Run]]:
    """Runs that take turns on every batch, in the order given: those of a plan, and those of other plans whose methods
    keep what theirs can find (an inversion), so that memory need only hold what is kept of one batch: of 700 pictures
    of 512 px, 50 steps of one inversion are 2.3 GB."""
    groups: list[tuple[Any, list[Run]]] = []
    for number, (_, plan) in enumerate(groupby(runs, lambda run: id(run.data))):
        of_plan = list(plan)
        shared, keys = _shared(of_plan[0]) or number, {run.key for run in of_plan}
        for of_group, group in groups:
            if of_group == shared and keys.isdisjoint(run.key for run in group):
                group += of_plan
                break
        else:
            groups.append((shared, of_plan))
    return [group for _, group in groups]


def _shared(run: Run) -> str | None:
    """What runs that find each other's latents have in common; None for a method that keeps none."""
    cfg = run.cfg
    try:
        keeps = getattr(find(cfg["method"]["_target_"], ""), "keeps", False)
    except UserError:
        return None  # said when it is made
    if not keeps or cfg["cache"] == "none":
        return None
    settings = [cfg[name] for name in ("data", "out", "device", "batch_size", "shard", "cache")]
    loaded = run.identity["model"], cfg["model"]["dtype"], compilation(cfg["model"])
    return sha256_of([settings, run.identity["data"], *loaded])
