"""A finished run, or pictures that somebody else's code made, scored by any metric profile. No torch."""

import json
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bench.config import cli, files, validate
from bench.config import profile as profiles
from bench.edits.folder import Store
from bench.edits.identity import of_data
from bench.edits.plan import make_data, plan
from bench.edits.run import Run
from bench.errors import UserError, nearest
from bench.files import weights

TAKEN = ("metrics", "device", "limit")
"""Overrides, with all below them, that scoring a finished run takes; everything else is fixed by the run."""


def runs(folder: Path, words: list[str]) -> list[Run]:
    """What to score: the finished run of a folder, or, if it is none, its pictures as edits of `data=`.

    Args:
        folder: given as `run=`.
        words: the other arguments.

    Raises:
        UserError: there is nothing to score, or one sentence for each thing that is missing.
    """
    if not folder.is_dir():
        raise UserError(f"run={folder} is no folder; expected a run, or a folder of edited pictures with data=<name>")
    if (folder / "identity.json").exists():
        return [finished(folder, words)]
    if not any(word.startswith("data=") for word in words):
        raise UserError(
            f"run={folder} is no run (it has no identity.json); to score a folder of edited pictures, add "
            f"data=<name>, one of: {', '.join(cli.names('data'))}"
        )
    (cfg,) = cli.jobs(["method=precomputed", f"method.root={folder}", *words], sweeps=False)
    return plan(cfg)


def finished(folder: Path, words: list[str]) -> Run:
    """The run of a folder, wherever it was moved, with another metric profile or other weights.

    Raises:
        UserError: an override that scoring does not take, no edit, or a data set that is not what was edited.
    """
    for word in words:
        name = word.split("=")[0].lstrip("+~")
        if name.split(".")[0] not in TAKEN:
            raise UserError(f"{word}: a finished run is fixed, only metrics=, device= and limit= can be given here")
    stored = files.read(folder / "config.yaml")
    identity = json.loads((folder / "identity.json").read_text())
    journal = Store(folder).journal()
    if all("error" in entry for entry in journal.values()):
        raise UserError(f"{folder} holds no edit; finish the run first, with python -m bench.run")
    chosen = any(word.startswith("metrics=") for word in words)
    profile = [] if chosen else [f"metrics={_stem(stored['metrics']['name'])}"]
    (composed,) = cli.jobs([*profile, *words], sweeps=False)
    cfg = stored | _resolved(composed, TAKEN)
    cfg["out"] = str(folder.parents[2]) if len(folder.resolve().parents) > 2 else str(folder)
    if problems := weights.missing(cfg["metrics"]):
        raise UserError("\n".join(problems))
    data = make_data(cfg["data"])
    if of_data(cfg["data"], data) != identity["data"]:
        raise UserError(f"data={cfg['data']['name']} is not what {folder} edited (its identity.json differs)")
    if cfg["limit"] is None:
        cfg["limit"] = 1 + max(i for i, id_ in enumerate(data.ids) if id_ in journal)
    run = Run(cfg, data, None, identity)
    run.folder = folder  # a run may have been moved
    return run


def _resolved(cfg: DictConfig, keys: tuple[str, ...]) -> dict[str, Any]:
    resolved: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)
    validate.check(resolved)
    resolved["metrics"] = profiles.chosen(resolved["metrics"])
    return {key: resolved[key] for key in keys}


def _stem(profile: str) -> str:
    """What one types for a profile by its name; see `profiles.stem`."""
    stem = profiles.stem(profile)
    if stem not in cli.names("metrics"):
        raise UserError(f"the run's metric profile {profile} is not known here; {nearest(stem, cli.names('metrics'))}")
    return stem
