"""What a command's words ask of a cluster: Hydra's own `hydra/launcher=`, `workers=` and `wait=`. No torch."""

import importlib.util
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from bench.config import cli, ranks, words
from bench.errors import UserError, nearest, one_line

ENGINES = {"SlurmLauncher": "slurm", "LocalLauncher": "gpus"}
"""Launchers of hydra-submitit-launcher whose settings are taken. Its waiting loop is not used: it ends with the first
failure, and with the connection."""
OPTIONS = ("workers", "wait")
_DEFAULT = {"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher"}
"""Hydra's, which no file of ours replaces."""
_SAME = {"submitit_slurm": "slurm", "submitit_local": "gpus"}
_EXTRA = "pip install 'edit-bench[cluster]'"


@dataclass(frozen=True)
class Launcher:
    """How a command is spread.

    Attributes:
        engine: slurm or gpus.
        settings: of the launcher, by the plugin's names.
        workers: tasks that edit.
        wait: whether to watch them until they are done.
        words: of the command, without those that are about its launching.
        gpus: for `gpus`, the card of each worker, as CUDA_VISIBLE_DEVICES names it.
    """

    engine: str
    settings: dict[str, Any]
    workers: int
    wait: bool
    words: list[str]
    gpus: list[str]


def is_basic(argv: list[str]) -> bool:
    """Whether the words leave the jobs of a sweep to Hydra's own launcher, one after the other in this process.

    Raises:
        UserError: the one that they choose is not installed, or has no such setting.
    """
    return _node(argv)["_target_"].endswith("BasicLauncher")


def chosen(argv: list[str]) -> Launcher | None:
    """What the words ask for; None where the command runs here, or by a launcher of Hydra's that runs whole jobs.

    Raises:
        UserError: what is wrong with them.
    """
    options = {words.knob(typed): typed.partition("=")[2] for typed in argv if words.knob(typed) in OPTIONS}
    node = _node(argv)
    engine = ENGINES.get(node["_target_"].rpartition(".")[2])
    if engine is None:
        if options:
            name = next(iter(options))
            raise UserError(f"{name}= is for hydra/launcher=slurm or gpus; add one of them, or leave it out")
        return None
    if importlib.util.find_spec("submitit") is None:
        raise UserError(f"hydra/launcher={engine} needs submitit; {_EXTRA}")
    if sharded := words.of_shards(argv):
        raise UserError(f"{sharded[0]}: hydra/launcher={engine} shares the samples by itself; say workers= instead")
    for key in ("nodes", "tasks_per_node"):
        if node.get(key, 1) != 1:
            raise UserError(f"hydra.launcher.{key}={node[key]}: a worker is one process; say workers= instead")
    rest = [typed for typed in argv if not _is_about_launching(typed)]
    gpus = _gpus(options.get("workers")) if engine == "gpus" else []
    workers = len(gpus) or _workers(options.get("workers", "4"))
    return Launcher(engine, node, workers, _switch(options.get("wait", "true")), rest, gpus)


def _gpus(asked: str | None) -> list[str]:
    """A card for each worker, in turn."""
    visible = ranks.visible_gpus()
    if asked is None and not visible:
        raise UserError("hydra/launcher=gpus: no GPU is visible here; say workers=<how many processes>")
    count = len(visible) if asked is None else _workers(asked)
    return [visible[i % len(visible)] if visible else str(i) for i in range(count)]


def _workers(typed: str) -> int:
    if not typed.isdecimal() or not 1 <= int(typed) <= 1000:
        raise UserError(f"workers={typed}, expected a whole number from 1 to 1000")
    return int(typed)


def _switch(typed: str) -> bool:
    if typed not in ("true", "false"):
        raise UserError(f"wait={typed}, expected true or false")
    return typed == "true"


def _is_about_launching(typed: str) -> bool:
    return words.knob(typed) in OPTIONS or _is_hydras(typed)


def _is_hydras(typed: str) -> bool:
    return words.knob(typed).startswith(("hydra/launcher", "hydra.launcher"))


def _node(argv: list[str]) -> dict[str, Any]:
    """The launcher's configuration. An experiment may choose one, too."""
    place = os.environ.get("EDIT_BENCH_CONF", "").removeprefix("file://")
    if place and "://" not in place and not Path(place).is_dir():
        raise UserError(f"EDIT_BENCH_CONF={place} is no folder; expected one that holds hydra/launcher/<name>.yaml")
    typed = [re.sub(r"^(hydra/launcher=)(\w+)$", _as_ours, word) for word in argv if _is_hydras(word)]
    known = cli.names("experiment")  # of any other, whoever composes the runs says what is wrong
    typed += [word for word in argv if words.knob(word) == "experiment" and word.partition("=")[2] in known]
    if not typed:  # as nearly every command, which need not compose a configuration for this
        return _DEFAULT
    try:
        with initialize_config_dir(str(cli.CONF), version_base="1.3"):
            node = compose("config", overrides=typed, return_hydra_config=True).hydra.launcher
            # What refers to Hydra's jobs, such as their name, means nothing before there is one.
            known = [key for key in node if not OmegaConf.is_interpolation(node, key)]
            return OmegaConf.to_container(OmegaConf.masked_copy(node, known), resolve=True)
    except Exception as error:  # Hydra's own come in many kinds
        raise _reason(typed, error) from error


def _as_ours(found: re.Match) -> str:
    return found[1] + _SAME.get(found[2], found[2])


def _reason(typed: list[str], error: Exception) -> UserError:
    said = str(error)
    if found := re.search(r"Could not (?:find|load) 'hydra/launcher/(\w+)'", said):
        if found[1].startswith("submitit"):
            asked = next((word for word in typed if word.startswith("hydra/launcher=")), "this launcher")
            return UserError(f"{asked} needs hydra-submitit-launcher; {_EXTRA}")
        known = re.search(r"Available options in 'hydra/launcher':\n(.*?)\nConfig", said, re.DOTALL)
        offered = nearest(found[1], known[1].split() if known else list(ENGINES.values()))
        return UserError(f"unknown hydra/launcher {found[1]!r}; {offered}")
    if found := re.search(r"Could not override 'hydra\.launcher\.([\w.]+)'", said):
        with initialize_config_dir(str(cli.CONF), version_base="1.3"):
            groups = [word for word in typed if word.startswith("hydra/launcher=")]
            node = compose("config", overrides=groups, return_hydra_config=True).hydra.launcher
            offered = nearest(found[1], [key for key in node if key != "_target_"])
            return UserError(f"unknown knob 'hydra.launcher.{found[1]}'; {offered}")
    return UserError(one_line(error))
