"""YAML files, read. No Hydra, no torch."""

from pathlib import Path
from typing import Any

import yaml
from omegaconf._utils import get_yaml_loader

from bench.errors import UserError, one_line


def read(file: Path) -> dict[str, Any]:
    """What a file holds, `${...}` as it stands.

    Raises:
        UserError: it cannot be opened, is no YAML, or holds something else than `key: value`; with the line.
    """
    try:
        node = yaml.load(file.read_text(encoding="utf-8"), get_yaml_loader())  # which refuses a key that is there twice
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        why = one_line(getattr(error, "problem", None) or error)
        raise UserError(f"{file}{line}: not YAML ({why}); mend it there") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror})") from None
    if not isinstance(node, dict):
        found = {list: "a list", type(None): "nothing"}.get(type(node), repr(node))
        raise UserError(f"{file} holds {found}; expected lines such as `key: value`")
    return node
