"""The line: commit, method, weights, data, metric profile, n, seed. No torch."""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from bench.config import cli
from bench.edits.folder import Store
from bench.files.hashing import sha256_of
from bench.report import words
from bench.scores import seal, stored
from bench.scores.stored import Scored


def cite(folder: Path, profile: str | None = None) -> list[str]:
    """A line for each metric profile that the run of a folder is scored by, or for the one that is wanted.

    Raises:
        UserError: the run is not scored, or not by this profile.
    """
    known = stored.profiles(folder)
    if profile is not None or not known:
        known = [stored.shared_profile([folder], profile)]
    return [line(stored.read(folder, name)) for name in known]


def line(run: Scored) -> str:
    """What the scores of a run by one profile rest on; at its end, that weights are embedded, random or unknown."""
    summary, identity = run.summary, run.identity
    weights = ", ".join(f"{name} {digest[:10]}" for name, digest in summary.weights.items())
    model = identity["model"]
    facts = [
        f"Edit Bench {_code(Store(run.folder).environments())}",
        f"method {summary.method}{_version(identity)}{_knobs(summary.method, summary.knobs)}",
        f"model {summary.model} (weights {sha256_of(model)[:10]}, {model['dtype']})" if model else "no model",
        f"data {summary.data} ({sha256_of(identity['data'])[:10]})",
        f"metric profile {summary.profile} ({summary.backbone}{f'; weights {weights}' if weights else ''})",
        f"n = {words.extent(summary.n, summary.n_expected, summary.n_failed)}",
        f"seed {summary.seed}" if summary.seed is not None else "no noise",
    ]
    return "; ".join([*facts, *filter(None, [words.notice(summary)]), *seal.broken(run.folder, summary.profile)])


def _code(environments: list[dict[str, Any]]) -> str:
    """Version and commits that the edits were made by."""
    versions = {facts["packages"].get("edit-bench") for facts in environments} - {None}
    commits = [words.commit(facts) for facts in environments] or ["unknown"]
    return " ".join([*sorted(versions), f"(commit {', '.join(dict.fromkeys(commits))})"])


def _version(identity: dict[str, Any]) -> str:
    code = identity.get("code", {}).get("method", {})
    return f" v{code['version']}" if "version" in code else f" (own code {code['sha256'][:10]})" if code else ""


def _knobs(method: str, knobs: dict[str, Any]) -> str:
    """Those that have no value in the method's file, or another."""
    usual: dict[str, Any] = {}
    if method in cli.names("method"):
        usual = OmegaConf.to_container(cli.jobs([f"method={method}"])[0].method)
    told = [f"{name}={words.knob(value)}" for name, value in knobs.items() if value not in (None, usual.get(name))]
    return f" ({', '.join(told)})" if told else ""
