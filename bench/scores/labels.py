"""How runs of one method are told apart in tables and plots: by the knobs that most of them do not share. No torch."""

import json
from collections import Counter
from collections.abc import Collection
from typing import Any

from bench.scores.stored import Scored

R = ("r",)
"""What a table has a column of its own for."""
ALWAYS = ("model.size",)
"""What every row says that has it: the size that pictures were edited at, where they are scored at another."""


def labels(runs: list[Scored], apart: Collection[str] = R) -> list[str]:
    """For each run, the knobs in which it differs from most runs of its method and label on its data, as `knob=value`,
    and the same of the rest of its identity; `apart` from some that are told elsewhere."""
    kinds = [(run.summary.data, run.summary.method, run.summary.knobs.get("label")) for run in runs]
    alike = {kind: [knobs(run) for run, own in zip(runs, kinds, strict=True) if own == kind] for kind in set(kinds)}
    told = {kind: (_differ(group, apart), usual(group, apart)) for kind, group in alike.items()}
    return [_label(knobs(run), *told[kind]) for run, kind in zip(runs, kinds, strict=True)]


def _label(own: dict[str, Any], differ: list[str], common: dict[str, Any]) -> str:
    known = [name for name in dict.fromkeys([*differ, *ALWAYS]) if own.get(name) is not None]
    told = [f"{name}={own[name]}" for name in known if name not in common or own[name] != common[name]]
    return " ".join(filter(None, [own.get("label"), *told]))


def knobs(run: Scored) -> dict[str, Any]:
    """The method's knobs, the model's name, the seed, and what else is told of the run's identity."""
    return {**run.summary.knobs, "model": run.summary.model, "seed": run.summary.seed, **run.told}


def _differ(runs: list[dict[str, Any]], apart: Collection[str]) -> list[str]:
    """Knobs, apart from some, that these runs of one method do not share."""
    names = dict.fromkeys(name for one in runs for name in one if name != "label" and name not in apart)
    return [name for name in names if len({json.dumps(one.get(name)) for one in runs}) > 1]


def usual(runs: list[dict[str, Any]], apart: Collection[str] = R) -> dict[str, Any]:
    """Values that more of the runs have than any other, of the knobs in which they differ."""
    found = {}
    for name in _differ(runs, apart):
        counts = Counter(json.dumps(one.get(name)) for one in runs).most_common(2)
        if name not in ALWAYS and counts[0][1] > counts[1][1]:
            found[name] = json.loads(counts[0][0])
    return found


def usual_words(runs: list[Scored], apart: Collection[str] = R) -> str:
    """What the labels of one method's runs leave unsaid."""
    common = usual([knobs(run) for run in runs], apart)
    return ", ".join(f"{name}={value}" for name, value in common.items() if value is not None)
