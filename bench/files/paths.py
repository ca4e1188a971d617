"""Finding files that a configuration names."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The project's root: the checkout or, where a wheel is installed, the folder of packages. Either holds `conf/` and the
embedded weights."""


def find(path: str | Path) -> Path | None:
    """An existing file or folder: as given (from the working directory), else from the project's root."""
    for candidate in (Path(path).expanduser(), ROOT / path):
        if candidate.exists():
            return candidate
    return None
