"""What a run was made on: commits of the code, package versions, machine."""

import os
import platform
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.files import sources
from bench.files.paths import ROOT

PACKAGES = (
    "edit-bench",
    "torch",
    "torchvision",
    "diffusers",
    "transformers",
    "hydra-core",
    "torchmetrics",
    "lpips",
    "numpy",
    "pillow",
)
CODE = ("bench", "methods", "metrics", "conf")
"""What of the project decides its results."""


@lru_cache  # this process goes on with the code that it started with
def environment(*foreign: str) -> dict[str, Any]:
    """Commit and whether the code was changed since, package versions and hardware, as far as they can be told: None
    where they cannot.

    Args:
        foreign: classes outside the project, of which `code` says the same, and the hash of their source.
    """
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return {
        # Where it is installed, the repository around it, if any, is not its own.
        **_state([ROOT / name for name in CODE if (ROOT / ".git").exists()]),
        "python": platform.python_version(),
        "packages": versions,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "code": [sources.stamp(target) | _state(sources.files(target)) for target in foreign],
    }


def _state(files: list[Path]) -> dict[str, Any]:
    """`commit` of the repository that files or folders are in, and `dirty`: whether they are not as in that commit,
    such as files that were never committed."""
    places = [str(file) for file in files]
    if not files or (commit := _git(files[0].parent, "rev-parse", "HEAD")) is None:
        return {"commit": None, "dirty": None}
    missing = _git(files[0].parent, "ls-files", "--error-unmatch", "--", *places) is None
    changed = _git(files[0].parent, "status", "--porcelain", "--untracked-files=all", "--", *places)
    return {"commit": commit, "dirty": missing or bool(changed)}


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
