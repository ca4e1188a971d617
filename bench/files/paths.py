"""Finding files that a configuration names."""

import hashlib
import os
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[2]
"""The project's root: the checkout or, where a wheel is installed, the folder of packages. Either holds `conf/` and the
embedded weights."""


def find(path: str | Path) -> Path | None:
    """An existing file or folder: as given (from the working directory), else from the project's root."""
    for candidate in (Path(path).expanduser(), ROOT / path):
        if candidate.exists():
            return candidate
    return None


def folder_name(path: str | Path | None, otherwise: str) -> str:
    """The last part of a path, `otherwise` where there is none."""
    return os.path.basename(os.path.abspath(os.path.expanduser(path))) if path is not None else otherwise


def file_name(text: str) -> str:
    """Any text as the name of one file or folder: percent-encoded, a dot at its start too, and shortened with a hash
    where file systems would refuse it."""
    name = quote(text, safe=" ")
    name = name.replace(".", "%2E", 1) if name.startswith(".") else name
    return name if len(name) <= 200 else f"{name[:180]}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"
