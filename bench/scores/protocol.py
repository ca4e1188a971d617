"""What the numbers of a stored column depend on, and which columns of runs may therefore stand side by side. No torch.

A summary keeps it for each metric as `made`: the metric's class, its arguments with their defaults, its version, the
content of its weights and of a user's source, and how pictures were prepared. What only chooses columns, or how many
pictures are scored at a time, is not in it.
"""

import inspect
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hydra.utils import get_object

from bench.errors import UserError
from bench.files import sources
from bench.files.hashing import sha256_of
from bench.scores import seal
from bench.scores.stored import Scored

VERSION = 1
"""Raised when what is kept of a column is other, so that summaries are written anew."""
_ARGUMENTS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def made(node: dict[str, Any], profile: dict[str, Any], fact: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """Knob -> value of all that a column's numbers depend on beside the pictures and the metric's version.

    Args:
        node: the metric's resolved configuration; its class is imported.
        profile: the resolved profile, for how it prepares pictures.
        fact: of the metric: `weights`, name -> hash, and `files`, places that its class reads by itself.
        data: the data's identity: where the profile names no size, its pictures are scored as they are.
    """
    size, resample = (profile.get(key) or data.get(key) for key in ("size", "resample"))
    code = {f"code.{one['name']}": one["sha256"] for one in sources.stamps(node)}
    prepared = {"size": size, "resample": resample, "jpeg": profile.get("jpeg")}
    files = {f"files.{Path(file).name}": fact["weights"][Path(file).name] for file in fact["files"]}
    return {**prepared, **_knobs(node, fact["weights"]), **code, **files}


def _knobs(node: dict[str, Any], weights: dict[str, str]) -> dict[str, Any]:
    """`_target_`, and arguments at any depth as `features.weights`; names of weights become their hashes."""
    found = dict(_defaults(node["_target_"])) if "_target_" in node else {}
    for name, value in node.items():
        if isinstance(value, dict):
            found |= {f"{name}.{inner}": one for inner, one in _knobs(value, weights).items()}
            found.pop(name, None)
        else:
            found[name] = weights.get(value, value) if name == "weights" else value
    return found


def _defaults(target: str) -> dict[str, Any]:
    """Arguments that a class has where its configuration names none; none of a class that tells none."""
    try:
        parameters = inspect.signature(get_object(target)).parameters.values()
    except ValueError:
        return {}
    named = {one.name: one.default for one in parameters if one.kind in _ARGUMENTS}
    return {
        name: value if isinstance(value, bool | int | float | str | list | tuple | None) else repr(value)
        for name, value in named.items()
        if value is not inspect.Parameter.empty
    }


def of(run: Scored, metric: str) -> dict[str, Any] | None:
    """What a run's column depends on; of one that an older version scored, its version and a hash. None where the run
    was scored without it."""
    if (fact := run.summary.fact(metric)) is None:
        return None
    if fact.made:
        averaged = {"mean over": run.summary.protocol.get("mean", "pictures")} if fact.kind == "pair" else {}
        return {"version": fact.version, **fact.made, **averaged}
    recorded = fact.made_with or seal.record(run.folder / "scores" / run.summary.profile)["columns"].get(fact.name)
    return {"version": fact.version, "configuration or weights": recorded or sha256_of(run.summary.weights)}


def unlike(run: Scored, other: Scored, metric: str) -> str:
    """Why a metric's values of two runs do not compare, as `border 5 and 0`; empty where they do."""
    first, second = of(run, metric), of(other, metric)
    lacking = [one.folder.name for one, found in ((run, first), (other, second)) if found is None]
    if lacking:
        return f"{' and '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} scored without it"
    return _differ(first, second, "and")


def unlike_among(runs: list[Scored], metric: str) -> str:
    """Why a metric's values do not compare among the runs that have it, as `unlike` says; empty where they do."""
    first, *others = [run for run in runs if run.summary.fact(metric)] or [None]
    return next((why for other in others if (why := unlike(first, other, metric))), "")


def _differ(first: dict[str, Any], second: dict[str, Any], between: str) -> str:
    if ("size" in first) != ("size" in second):
        return "an older version scored one of them and did not say how; run python -m bench.score run=<folder>"
    names = [name for name in dict.fromkeys([*first, *second]) if first.get(name) != second.get(name)]
    return ", ".join(f"{name} {_text(first.get(name))} {between} {_text(second.get(name))}" for name in names)


def _text(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text[:10] if len(text) == 64 else text  # a hash


def apart(runs: list[Scored], metric: str) -> dict[Scored, str]:
    """The runs whose values of a metric do not compare with those of most runs, each with why, such as
    `size 32 instead of 64`."""
    found = {run: known for run in runs if (known := of(run, metric)) is not None}
    keys = {run: sha256_of(known) for run, known in found.items()}
    if len(set(keys.values())) < 2:
        return {}
    ((usual, _),) = Counter(keys.values()).most_common(1)
    common = next(found[run] for run, key in keys.items() if key == usual)
    return {run: _differ(found[run], common, "instead of") for run, key in keys.items() if key != usual}


def columns(runs: list[Scored]) -> tuple[list[str], dict[str, str]]:
    """The metrics that all runs have and whose values compare; for each of the others why they do not.

    Raises:
        UserError: runs are of different data, or nothing of them compares.
    """
    _check_data(runs)
    reasons: dict[str, str] = {}
    names = list(dict.fromkeys(name for run in runs for name in run.summary.metrics))
    for name in names:
        if why := next((why for other in runs[1:] if (why := unlike(runs[0], other, name))), None):
            reasons[name] = why
    if len(reasons) == len(names):
        raise UserError(
            f"{' and '.join(str(run.folder) for run in runs)} were scored with different metrics, versions or weights, "
            f"or otherwise prepared ({_first(reasons)}); score them alike with `python -m bench.score run=<folder>`"
        )
    return [name for name in names if name not in reasons], reasons


def _first(reasons: dict[str, str]) -> str:
    return next((f"{name}: {why}" for name, why in reasons.items()), "no metric at all")


def _check_data(runs: Iterable[Scored]) -> None:
    first, *others = runs
    for other in others:
        if first.identity["data"] | {"size": None} != other.identity["data"] | {"size": None}:
            raise UserError(
                f"{first.folder} (data={first.summary.data}) and {other.folder} (data={other.summary.data}) edit "
                "different data, or the same with different options; expected the same samples"
            )
