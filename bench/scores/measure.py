"""The metrics of a profile over the saved edits of a run."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from bench.config import profile as profiles
from bench.config import progress
from bench.config.instances import find, instance
from bench.config.progress import Count
from bench.data.preprocess import NATIVE
from bench.diffusion import device as devices
from bench.diffusion.memory import Portion, exhausted, largest
from bench.edits.folder import Store
from bench.edits.run import Run
from bench.errors import UserError
from bench.files import weights
from bench.models import checkpoint as checkpoints
from bench.scores.columns import HALVES, notes, read_column, read_sets
from bench.scores.features import Recall
from bench.scores.pictures import Pairs, batches, on_device
from bench.scores.returns import checked
from bench.scores.stored import Fact, summary_file
from bench.scores.work import Work, load, without_value
from bench.types import EditData, PairMetric, SetMetric


@dataclass
class Measured:
    """What `measure` found.

    Attributes:
        table: metric -> float64 `[N]`, for pair metrics.
        facts: metric -> version, direction, unit, and for set metrics value and interval.
        samples: id -> type, group and target class.
        lacking: metrics that were not asked for and are not stored of all samples.
    """

    table: dict[str, np.ndarray]
    facts: dict[str, dict[str, Any]]
    samples: dict[str, dict[str, str]]
    lacking: set[str]


def build(profile: dict[str, Any]) -> dict[str, PairMetric | SetMetric]:
    """Instantiates the metrics of a resolved profile; an argument `weights` names a backbone of it and becomes its
    path, beside `open_clip`, its network, where that is stated. A class of a package that the profile has an adapter
    for is handed to it by name.

    Raises:
        UserError: a class does not take its arguments, or cannot be made.
    """
    located, networks = weights.located(profile), weights.networks(profile)

    def resolve(node: dict[str, Any]) -> dict[str, Any]:
        node = {key: resolve(value) if isinstance(value, dict) else value for key, value in node.items()}
        if not (name := node.get("weights")):
            return node
        return node | {"weights": located[name]} | ({"open_clip": networks[name]} if name in networks else {})

    adapters = profile.get("adapters") or {}
    metrics = {}
    for name, node in profiles.columns(profile).items():
        where = f"metrics.{name}"
        metrics[name] = checked(name, instance(_adapted(resolve(node), adapters, where), where))
    return metrics


def _adapted(node: dict[str, Any], adapters: dict[str, str], where: str) -> dict[str, Any]:
    """The configuration of a metric, or of the adapter that makes one of it."""
    kind = find(node["_target_"], where)
    packages = {base.__module__.partition(".")[0] for base in getattr(kind, "__mro__", ())}
    adapter = next((adapter for package, adapter in adapters.items() if package in packages), None)
    if adapter is None or hasattr(kind, "score"):
        return node
    return node | {"_target_": adapter, "metric": node["_target_"]}


def ready(profile: dict[str, Any]) -> None:
    """Loads every network of a profile, so that what is wrong with one is said before anything is edited.

    Raises:
        UserError: one cannot be loaded.
    """
    load(build(profile))


def measure(
    run: Run,
    store: Store,
    data: EditData,
    journal: dict,
    ids: list[str],
    metrics: dict,
    recall: Recall,
    others: dict[str, Fact] | None = None,
) -> Measured:
    """Scores edits by every metric; what `scores/<profile>/` holds is not computed again. What has been computed is
    kept there, whatever stops the rest.

    Args:
        journal: the run's, which says of an edit if it has been through JPEG before.
        recall: where features of sources are kept.
        others: metrics that are not asked for and were scored before; they are read as far as they are stored.

    Raises:
        UserError: a network cannot be loaded, or memory is too small for a single picture.
    """
    folder, others = store.folder / "scores" / run.cfg["metrics"]["name"], others or {}
    work = Work(folder, ids, metrics, apart=data.size == NATIVE)
    load(work.unfinished())
    try:
        if wanted := work.lacking():
            _score(run, Pairs(data, store, journal, run.cfg["metrics"]), wanted, recall, work)
        work.finish()
    finally:
        work.save()

    facts = {name: _facts(metric) | {"reason": work.reasons.get(name)} for name, metric in metrics.items()}
    facts |= {name: {key: getattr(fact, key) for key in _KEPT} for name, fact in others.items()}
    columns = work.known | {
        name: read_column(folder / f"{name}@{fact.version}.csv") for name, fact in others.items() if fact.kind == "pair"
    }
    lacking = {}
    for name in columns.keys() & others.keys():
        number = sum(id_ not in columns[name] for id_ in ids)
        undefined = number == len(ids) and others[name].made_with and others[name].reason
        if number and not undefined:
            lacking[name] = f"not computed for {number} of {len(ids)} samples; {_AGAIN}"
            facts[name]["reason" if number == len(ids) else "note"] = lacking[name]
    fresh = {name: getattr(metric, "notes", {}) | work.small.get(name, {}) for name, metric in work.pairs.items()}
    fresh = {name: found for name, found in fresh.items() if found}
    for name, note in notes(folder / "notes.json", fresh, list(columns), ids).items():
        facts[name]["note"] = "; ".join(filter(None, [facts[name].get("note"), note]))
    results = {name: kept[work.stamp] for name, kept in work.kept.items()}
    for name, fact in others.items():
        if fact.kind == "set":
            results[name] = read_sets(folder / f"{name}@{fact.version}.json").get(work.stamp)
            if not results[name]:
                lacking[name] = f"not computed for these samples; {_AGAIN}"
                results[name] = without_value(len(ids), lacking[name])
    for name, result in results.items():
        facts[name] |= {key: result[key] for key in ("value", "lo", "hi", "n", "reason", *HALVES)}
    nan = float("nan")
    table = {name: np.array([column.get(id_, nan) for id_ in ids], np.float64) for name, column in columns.items()}
    return Measured(table, facts, {id_: work.described[id_] for id_ in ids}, set(lacking))


_KEPT = ("version", "higher_is_better", "unit", "kind", "reason")
_AGAIN = "score again with this column"


def _score(run: Run, pairs: Pairs, ids: list[str], recall: Recall, work: Work) -> None:
    """Takes pictures through the metrics, as many at once as memory allows."""
    device, classes = devices.pick(run.cfg["device"]), getattr(pairs.data, "target_classes", None)
    portion = Portion(run.cfg["metrics"]["batch_size"], device)
    what = f"{run.cfg['data']['name']} {run.cfg['method']['name']}"
    key = str(summary_file(run.folder, run.cfg["metrics"]["name"]))
    with progress.at_work("scoring", what, {key: Count(len(work.ids) - len(ids), len(ids))}) as step:
        for found in batches(pairs, ids, largest(run.cfg["metrics"]["batch_size"], device)):
            while found:
                part = found[: portion.most]
                try:
                    with torch.inference_mode(), portion.measured(len(part)):
                        work.take(on_device(part, device, classes, recall))
                except Exception as error:
                    if (exhausted(error) and checkpoints.free()) or portion.halved(error, len(part)):
                        continue
                    if exhausted(error):
                        raise UserError(_too_small(run, device, work.at)) from None
                    raise
                found = found[len(part) :]
                step(key, len(part))


def _too_small(run: Run, device: torch.device, name: str) -> str:
    column = name.removesuffix(profiles.RANDOM)
    ways = (
        [f"score on the CPU with `python -m bench.score run={run.folder} device=cpu`"] if device.type != "cpu" else []
    )
    ways.append(f"leave the column out with '~metrics.{column}'")
    return f"out of memory on {device} with a single picture in metrics.{column}; {', or '.join(ways)}"


def _facts(metric: PairMetric | SetMetric) -> dict[str, Any]:
    return {
        "version": metric.version,
        "higher_is_better": metric.higher_is_better,
        "unit": metric.unit,
        "kind": "pair" if hasattr(metric, "score") else "set",
    }
