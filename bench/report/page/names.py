"""What data sets are called for people, also several of one name."""

import json
import re
from typing import Any

from bench.report import words

_TITLES = {
    "coco": "COCO captions",
    "flowedit": "FlowEdit's photographs",
    "gedit": "GEdit-Bench",
    "imagen": "Imagen's prompts",
    "imagenet": "ImageNet edits",
    "magicbrush": "MagicBrush",
    "pie": "PIE-Bench",
    "pie_pp": "PIE-Bench++",
    "templated": "templated prompts",
    "ti2i": "TI2I",
}


def title(name: str, identity: dict[str, Any], others: list[dict[str, Any]]) -> str:
    """A data set's name, with the options in which data sets of that name differ. What has no short value, such as a
    hash of files, is numbered.

    Args:
        name: what its runs call it.
        identity: all that decides its pixels.
        others: those of all data sets of that name, itself among them.
    """
    differ = [key for key in identity if len({_key(other.get(key)) for other in others}) > 1]
    values = [_said(key, identity[key], [other.get(key) for other in others]) for key in differ]
    called = _TITLES.get(name, name) if name == identity.get("name") else name
    return called + (f" ({', '.join(values)})" if values else "")


def _said(option: str, value: Any, others: list[Any]) -> str:
    if not any(map(_is_opaque, others)):
        return f"{option} {'none' if value is None else words.knob(value)}"
    versions = list(dict.fromkeys(map(_key, others)))
    return f"{option} no. {1 + versions.index(_key(value))}"


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _is_opaque(value: Any) -> bool:
    """A hash, or something that has parts of such."""
    if isinstance(value, dict | list):
        return isinstance(value, dict) or any(map(_is_opaque, value))
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{32,}", value) is not None
