"""Runs that have pictures and no scores: how far they are, and the command that goes on. No torch."""

import json
import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bench.config import cli, files
from bench.config.words import PATHS
from bench.edits.folder import Store
from bench.edits.identity import model_size
from bench.edits.plan import make_data
from bench.errors import UserError
from bench.scores import stored
from bench.scores.selection import ALL, Selection

GROUPS = ("data", "model", "metrics", "method")


@dataclass
class Unfinished:
    """One of them.

    Attributes:
        edited, failed: samples.
        expected: of the command that began it; None where its data set cannot be read.
        command: what to type.
    """

    folder: Path
    edited: int
    failed: int
    expected: int | None
    command: str

    @property
    def state(self) -> str:
        """`interrupted, not scored: 12 of 256 samples edited, 1 failed`."""
        whole = self.expected is not None and self.edited + self.failed >= self.expected
        of = f"{self.edited} of {self.expected}" if self.expected is not None else f"{self.edited}"
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{'edited' if whole else 'interrupted'}, not scored: {of} samples edited{failed}"

    def __str__(self) -> str:
        return f"{self.folder} is {self.state}; go on with: {self.command}"


def under(out: Path, chosen: Selection = ALL) -> list[Unfinished]:
    """Those under a folder. Raises: UserError: there is no run, or none that is chosen."""
    return [found for folder in stored.unscored(out, chosen) if (found := _look(folder))]


def _look(folder: Path) -> Unfinished | None:
    journal = Store(folder).journal()
    failed = sum("error" in entry for entry in journal.values())
    score = f"python -m bench.score {shlex.quote(f'run={folder}')}"
    try:
        cfg = files.read(folder / "config.yaml")
        cfg["model"]["size"] = model_size(folder)
        expected = max(len(make_data(cfg["data"]).ids[: cfg["limit"]]), len(journal))
    except (UserError, KeyError, TypeError):
        return Unfinished(folder, len(journal) - failed, failed, None, score)
    whole = len(journal) >= expected
    return Unfinished(folder, len(journal) - failed, failed, expected, score if whole else _edit(cfg) or score)


def _edit(cfg: dict[str, Any]) -> str | None:
    """The command of a run's configuration, or None where there is none that composes it."""
    try:
        stems = {group: _stem(group, cfg[group]) for group in GROUPS}
        words = [f"{group}={stem}" for group, stem in stems.items()]
        words += [f"{group}._target_={cfg[group]['_target_']}" for group, stem in stems.items() if stem == "custom"]
        others = cfg.keys() - {*GROUPS, "valid", "shard"}  # of all samples, whoever began
        if str(cfg["device"]).startswith("cuda:"):
            others -= {"device"}
        for keys in (others, {*GROUPS}):  # shared knobs first: those of the groups follow them
            (base,) = cli.jobs(words)
            before = OmegaConf.to_container(base, resolve=True)
            for key in sorted(keys):
                words += _differing(before.get(key), cfg[key], key)
        (job,) = cli.jobs(words)
        if OmegaConf.to_container(job, resolve=True)["method"] != cfg["method"]:
            return None
    except (UserError, KeyError, OmegaConfBaseException):
        return None
    return shlex.join(["python", "-m", "bench.run", *words])


@cache
def _files(group: str) -> dict[str, dict[str, Any]]:
    """Name -> content of the files of `conf/<group>/`, which every run asks for."""
    return {name: files.read(cli.CONF / group / f"{name}.yaml") for name in cli.names(group)}


def _stem(group: str, node: dict[str, Any]) -> str:
    """The file of `conf/<group>/` that a resolved configuration came from."""
    found = _files(group)
    for key in ("name", "_target_"):  # a data set may be called after its folder
        for name, file in found.items():
            if key in file and file[key] == node.get(key):
                return name
    return "custom"


def _differing(before: Any, now: Any, name: str) -> list[str]:
    if before == now:
        return []
    if isinstance(before, dict) and isinstance(now, dict) and not name.endswith(".valid"):
        lines = [_differing(before.get(key, _ABSENT), value, f"{name}.{key}") for key, value in now.items()]
        return [word for of_key in lines for word in of_key]
    if name.endswith((".notice", ".name", ".valid")):  # made, not typed
        return []
    return [f"{'+' * (before is _ABSENT)}{name}={now if name.split('.')[-1] in PATHS else _typed(now)}"]


def _typed(value: Any) -> str:
    """A value as Hydra reads it."""
    if isinstance(value, list):
        return f"[{','.join(map(_typed, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{_typed(one)}' for key, one in value.items())}}}"
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w.-]*", value, re.ASCII) and value.lower() not in _OTHERS:
        return value
    return QuotedString(value, Quote.double).with_quotes() if isinstance(value, str) else json.dumps(value)


_OTHERS = ("null", "true", "false", "inf", "nan")
_ABSENT = object()
