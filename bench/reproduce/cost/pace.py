"""Seconds that one evaluation of a denoiser takes on this machine, from the journals of runs that it made."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any

from bench.config import files
from bench.diffusion import device as devices
from bench.edits.environment import environment
from bench.edits.folder import Store
from bench.edits.identity import model_size
from bench.errors import UserError
from bench.models import checkpoint as checkpoints
from bench.reproduce.cost import counting


@dataclass(frozen=True)
class Pace:
    """Seconds an evaluation, autoencoder and the method's own work included, and in words where they are from."""

    seconds: float
    how: str


@dataclass(frozen=True)
class _Run:
    """What a stored run tells: on which machine and device, with which model, by which method, seconds of each image
    over its evaluations."""

    place: tuple[Any, ...]
    model: list[Any]
    method: str
    rates: list[float]


def known(cfg: dict[str, Any]) -> Pace | None:
    """For a resolved configuration: the median over the images that its method made with this model, at this size and
    dtype on this device, compiled or not as it is to be, under the configuration's `out`; those of other methods where
    its own made none. None where nothing of the kind is there.
    """
    place = (*_place(cfg["device"]), checkpoints.compilation(cfg["model"]))
    model, method = _model(cfg, counting.editing_size_of(cfg)), cfg["method"]["name"]
    like = [run for run in _runs(Path(cfg["out"])) if run.rates and (run.place, run.model) == (place, model)]
    own = [run for run in like if run.method == method]
    if not like:
        return None
    seconds = median(rate for run in own or like for rate in run.rates)
    count = f"{len(own or like)} run{'s' * (len(own or like) > 1)}"
    what = f"{cfg['model']['name']}, {method}: from {count} {'' if own else 'of other methods '}here"
    return Pace(seconds, f"{what}: {seconds:.2g} s an evaluation")


@lru_cache
def _place(device: str) -> tuple[str, str | None]:
    """This machine and what a configured device is on it, None where it has none such."""
    machine = environment()["machine"]
    try:
        return machine, devices.name(devices.pick(device))
    except UserError:
        return machine, None


@lru_cache
def _runs(out: Path) -> list[_Run]:
    found = []
    for file in sorted(out.glob("*/*/*/config.yaml")):
        store, cfg = Store(file.parent), files.read(file)
        keys = ("machine", "device", "compile")
        places = {tuple(made_on.get(key) or False for key in keys) for made_on in store.environments()}
        if len(places) == 1 and "model" in cfg["method"]["uses"]:  # of several, no entry says which one made it
            rates = [entry["seconds"] / entry["nfe"] for entry in store.journal().values() if entry.get("nfe")]
            size = model_size(file.parent) or cfg["data"]["size"]
            found.append(_Run(places.pop(), _model(cfg, size), cfg["method"]["name"], rates))
    return found


def _model(cfg: dict[str, Any], size: int) -> list[Any]:
    """What of a resolved configuration decides how fast its model is."""
    node = cfg["model"]
    return [checkpoints.arguments(node), *(node.get(key) for key in ("name", "_target_", "dtype")), size]
