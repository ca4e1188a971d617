"""What a user may have meant by a knob that does not exist. No Hydra, no torch."""

import shlex
from typing import Any

from bench.errors import close, nearest
from bench.files.sources import is_foreign


def unknown_knob(key: str, typed: str, known: list[str], composed: dict[str, Any]) -> str:
    """A sentence with what to type.

    Args:
        key: the knob, `threshold` or `method.threshold`.
        typed: the whole word.
        known: every knob that there is.
        composed: the configuration.
    """
    said, (group, *below) = f"unknown knob {key!r}", key.split(".")
    added = shlex.quote(f"+{typed.lstrip('~+')}")
    if not below:
        top = [name for name in known if "." not in name]
        meant = [name for name in known if name.endswith(f".{key}")] or close(key, top)
        help_ = "`python -m bench.run --help` shows what there is"
        return f"{said}; did you mean {' or '.join(meant)}?" if meant else f"{said}; {help_}"
    if group not in composed:
        return f"{said}; {nearest(group, [name for name in known if '.' not in name])}"
    *above, last = key.split(".")
    beside = {name.split(".")[-1]: name for name in known if name.split(".")[:-1] == above and "_target_" not in name}
    if near := close(last, list(beside)):
        return f"{said}; did you mean {' or '.join(beside[name] for name in near)}?"
    if group == "metrics" and len(below) > 1:
        whose = "its class" if below[0] in composed[group] else "a metric of your own"
        return f"{said}; what is new of {whose} needs a +: {added}"
    if len(below) > 1 and isinstance(table := composed[group].get(below[0]), dict) and "_target_" not in table:
        return f"{said}; what is new in {group}.{below[0]} needs a +: {added}"
    if group in ("method", "data", "model") and is_foreign(str(composed[group].get("_target_"))):
        return f"{said}; a knob of your own class needs a +: {added}"
    return f"{said}; {group}={composed[group].get('name')} has {', '.join(beside) or 'none'}"
