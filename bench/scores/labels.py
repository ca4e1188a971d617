"""How runs of one method are told apart in tables and plots: by the knobs that most of them do not share. No torch."""

import json
from collections import Counter
from typing import Any

import pandas as pd


def labels(table: pd.DataFrame) -> pd.Series:
    """For each run, the knobs (apart from r) in which it differs from most runs of its method and label on its data, as
    `knob=value`, and the same of the rest of its identity."""
    found = pd.Series("", index=table.index)
    names = [summary["knobs"].get("label") for summary in table.summary]
    for rows in table.groupby([table.data, table.method, pd.Series(names, table.index)], dropna=False).groups.values():
        mine = [knobs(summary) for summary in table.summary[rows]]
        common, differ = usual(mine), _differ(mine)
        found[rows] = [
            " ".join(
                filter(
                    None,
                    [one.get("label"), *(f"{name}={one[name]}" for name in differ if _told(one, name, common))],
                )
            )
            for one in mine
        ]
    return found


def knobs(summary: dict[str, Any]) -> dict[str, Any]:
    """The method's knobs, the model's name, and what else is told of the run's identity."""
    return {**summary["knobs"], "model": summary["model"], **summary.get("told", {})}


def _differ(runs: list[dict[str, Any]]) -> list[str]:
    """Knobs, apart from r, that these runs of one method do not share."""
    names = dict.fromkeys(name for one in runs for name in one if name not in ("r", "label"))
    return [name for name in names if len({json.dumps(one.get(name)) for one in runs}) > 1]


def usual(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Values that more of the runs have than any other, of the knobs in which they differ."""
    found = {}
    for name in _differ(runs):
        counts = Counter(json.dumps(one.get(name)) for one in runs).most_common(2)
        if counts[0][1] > counts[1][1]:
            found[name] = json.loads(counts[0][0])
    return found


def _told(one: dict[str, Any], name: str, common: dict[str, Any]) -> bool:
    return one.get(name) is not None and (name not in common or one[name] != common[name])


def usual_words(table: pd.DataFrame) -> str:
    """What the labels of one method's runs leave unsaid."""
    common = usual([knobs(summary) for summary in table.summary])
    return ", ".join(f"{name}={value}" for name, value in common.items() if value is not None)
