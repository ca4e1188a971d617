"""Are a stored run's pictures and identity still what the program made? No torch.

Hashes tell what was changed by hand or by accident; they are no defence against somebody who computes them anew.
"""

import json
import re
from pathlib import Path
from typing import Any

from bench.config import files
from bench.edits.folder import Store
from bench.edits.identity import kind
from bench.errors import UserError
from bench.files.hashing import rounded, sha256_of


def altered(folder: Path) -> list[str]:
    """One sentence for each thing in a run's folder that is not as editing left it: pictures against the journal,
    identity against the folder's name, configuration against the identity. Pictures that `unchecked` counts are passed
    by.

    Not told: a journal whose costs were changed, and an identity in a folder that was renamed.
    """
    if not any(file for name in ("identity.json", "edits-*") for file in folder.glob(name)):
        return []  # not begun; another shard may be about to
    return [*_pictures(Store(folder)), *_identity(folder)]


def unchecked(folder: Path) -> tuple[int, int]:
    """Number of edits whose journal entry has no hash (an older version of this program made them), and of all."""
    made = [entry for entry in Store(folder).journal().values() if "error" not in entry]
    return sum("edit_sha256" not in entry for entry in made), len(made)


def _pictures(store: Store) -> list[str]:
    changed = store.changed(store.journal())
    if not changed:
        return []
    more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    count, total = unchecked(store.folder)
    passed_by = f"; {count} of {total} edits have no hash and were not checked" if count else ""
    return [
        f"{changed[0]}{more}: not the pictures that the method made (their SHA-256 is not the journal's); delete the "
        f"edits and run the same command, which makes them anew{passed_by}"
    ]


def _identity(folder: Path) -> list[str]:
    """The identity against the folder's name, and the configuration against the identity."""
    file = folder / "identity.json"
    try:
        identity = json.loads(file.read_text())
        found = [] if _named_by(folder, identity) else [f"{file}: not that of the run's key, which names the folder"]
        config = files.read(folder / "config.yaml")
        if differ := _contradictions(config, identity):
            found.append(f"{folder / 'config.yaml'}: {', '.join(differ)} differ from identity.json")
    except (OSError, ValueError, KeyError, TypeError, UserError) as error:
        return [f"{folder}: identity.json or config.yaml is missing or cannot be read ({type(error).__name__})"]
    again = "; move the folder away and run again"
    return [sentence + again for sentence in found]


def _named_by(folder: Path, identity: dict[str, Any]) -> bool:
    key = re.search(r"-([0-9a-f]{10})$", folder.resolve().name)
    return not key or sha256_of(identity).startswith(key[1])


def _contradictions(config: dict[str, Any], identity: dict[str, Any]) -> list[str]:
    """Knobs whose configured value is not the one that decided the pixels."""
    pairs = {
        f"method.{name}": (config["method"].get(name), value)
        for name, value in identity["method"].items()
        if name != "root" and not (isinstance(value, dict) and "weights" in value)  # identified by content
    }
    pairs["data"] = kind("data", config["data"]), identity["data"]["name"]
    if identity["seed"] is not None:
        pairs["seed"] = config["seed"], identity["seed"]
    if identity["model"]:
        pairs["model.dtype"] = config["model"]["dtype"], identity["model"]["dtype"]
    return [name for name, (configured, known) in pairs.items() if rounded(configured) != rounded(known)]
