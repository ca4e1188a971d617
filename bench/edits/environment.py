"""What a run was made on: commit, package versions, machine."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from typing import Any

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


def environment() -> dict[str, Any]:
    """Commit, dirty flag, package versions and hardware, as far as they can be told."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return {
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "python": platform.python_version(),
        "packages": versions,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }


def _git(*words: str) -> str | None:
    """What git says of a checkout of this program; None where it is installed, whatever repository is around it."""
    if not (ROOT / ".git").exists():
        return None
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
