"""Values against what configurations declare under `valid`: the names or, if more than two, the numbers allowed,
`[lowest, highest]`, `[lowest, highest, whole]` for whole numbers, and either with names behind for a number or a
name; the highest may be the name of another knob, checked before. The name `module.Class` stands for any name with a
dot, `cuda:number` for one of several cards. No torch."""

import re
from typing import Any

from bench.errors import UserError, nearest, shown

_PATH = "a path", lambda value: isinstance(value, str)
_NAME = "a name", lambda value: isinstance(value, str | int | float) and not isinstance(value, bool)
_CLASS = "a class such as my_module.Mine", lambda value: isinstance(value, str) and "." in value
_SIZE = "a whole number from 1, or null", lambda value: value is None or (type(value) is int and value > 0)
_SIZE_OR_OWN = f"{_SIZE[0]}, or native", lambda value: value == "native" or _SIZE[1](value)
_TEXT = "text, or null", lambda value: value is None or isinstance(value, str)
_TABLE = "a mapping such as {name: value}", lambda value: isinstance(value, dict)
_ONE = "one value", lambda value: not isinstance(value, list | dict | None)
_ONE_OR_NONE = "one value, or null", lambda value: not isinstance(value, list | dict)
_GIVEN = "a value", lambda value: value is not None
_LIST = "a list, or null", lambda value: value is None or isinstance(value, list)
_NAMES = "a list of names", lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value)
FORM = {
    "": {
        "out": _PATH,
        "shard": _TABLE,
        **dict.fromkeys(("r", "steps"), _GIVEN),
        **dict.fromkeys(("seed", "batch_size", "device", "cache"), _ONE),
        "limit": _ONE_OR_NONE,
    },
    "data": {"_target_": _CLASS, "name": _NAME, "size": _SIZE_OR_OWN},
    "model": {
        **{"_target_": _CLASS, "name": _NAME, "size": _SIZE, "made_for": _SIZE, "notice": _TEXT},
        **dict.fromkeys(("dtype", "offload", "compile"), _ONE),
    },
    "metrics": {"name": _NAME, "backbone": _TEXT, "plot": _TABLE, "table": _LIST},
    "method": {"_target_": _CLASS, "name": _NAME, "uses": _NAMES},
}
"""What other modules take for granted of a configuration: group ("" for the top) -> key -> what it is, in words and as
a test."""
OPTIONAL = ("made_for", "compile")
"""Of these, what a configuration may lack."""
RESERVED = ("valid", "name", "uses", "needs", "only", "classes", "published_nfe", "given", "families")
"""Keys of a group that describe it and are no knobs of its class."""


def check(cfg: dict[str, Any]) -> None:
    """Checks a resolved configuration: that it is whole, then top-level knobs and those of data, model and method;
    lists value by value.

    Raises:
        UserError: for the first value out of range.
    """
    _check_form(cfg)
    _check_node(cfg, "")
    for group in ("data", "model", "method"):
        _check_node(cfg[group], f"{group}.", shared=cfg.get("valid", {}))
    whole = [1, 1_000_000, "whole"]
    of_metrics = {
        "batch_size": [*whole, "auto"],
        "size": whole,
        "jpeg": [1, 100, "whole"],
        "mean": ["pictures", "types"],
    }
    _check_node({"batch_size": None, **cfg["metrics"]}, "metrics.", of_metrics)
    for name, expected in (("batch_size", "a whole number from 1 or auto"), ("mean", "pictures or types")):
        if cfg["metrics"].get(name) is None:
            raise UserError(f"metrics.{name}=null, expected {expected}")
    for name in ("index", "count"):
        if type(number := cfg["shard"].get(name)) is not int:
            raise UserError(f"shard.{name}={shown(number)}, expected a whole number")
    if not 0 <= cfg["shard"]["index"] < cfg["shard"]["count"]:
        raise UserError(f"shard.index={cfg['shard']['index']}, expected 0 to shard.count-1={cfg['shard']['count'] - 1}")


def knobs(node: dict[str, Any]) -> dict[str, Any]:
    """The part of a group's configuration that its class is built with."""
    return {name: value for name, value in node.items() if name not in RESERVED}


def _check_form(cfg: dict[str, Any]) -> None:
    for group, keys in FORM.items():
        node = cfg.get(group) if group else cfg
        if not isinstance(node, dict):
            raise UserError(f"{group}={shown(node)}, expected {group}=<name>, one of conf/{group}/")
        for key, expected in keys.items():
            name = f"{group}.{key}".lstrip(".")
            if key not in node and (group == "metrics" or key in OPTIONAL):
                continue  # `profile.chosen` says what a profile needs
            if key not in node:
                raise UserError(f"{name} is missing in conf/{group}/, in the file of {group}={node.get('name')}")
            if not expected[1](node[key]):
                raise UserError(f"{name}={shown(node[key])}, expected {expected[0]}")
        for key in ("valid", "weights"):
            if not isinstance(node.get(key, {}), dict):
                raise UserError(
                    f"{group}.{key}={shown(node[key])}, expected a mapping such as {{name: value}}".lstrip(".")
                )


def _check_node(node: dict[str, Any], prefix: str, shared: dict | None = None) -> None:
    rules = {**(shared or {}), **node.get("valid", {})}
    for name, rule in rules.items():
        value = node.get(name)
        if not isinstance(rule, list) or not rule or (len(rule) == 1 and not isinstance(rule[0], str | bool)):
            raise UserError(f"{prefix}valid.{name}={rule}, expected [lowest, highest] or the names allowed")
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                _check_value(prefix + name, one, rule, node)
    for name, value in node.items():
        if isinstance(value, list) and not value and name not in RESERVED:
            raise UserError(f"{prefix}{name} is an empty list; expected at least one value")


def _check_value(name: str, value: Any, rule: list, node: dict[str, Any]) -> None:
    if all(isinstance(option, str | bool) for option in rule) or (len(rule) > 2 and not isinstance(rule[2], str)):
        if isinstance(value, str) and "." in value and "module.Class" in rule:
            return
        if isinstance(value, str) and re.fullmatch(r"cuda:\d+", value) and "cuda:number" in rule:
            return
        if value not in rule or type(value) not in map(type, rule):
            raise UserError(f"{name}={shown(value)}, {nearest(str(value), [shown(option) for option in rule])}")
        return
    low, high, *names = rule
    most = high
    if isinstance(high, str):
        others = node[high] if isinstance(node[high], list) else [node[high]]
        high = min((other for other in others if other is not None), default=low)
        most = f"{most}={high}"
    whole, names = "whole" in names, [option for option in names if option != "whole"]
    if isinstance(value, str) and value in names:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        also = "".join(f" or {option}" for option in names)
        raise UserError(f"{name}={shown(value)}, expected a number from {low} to {most}{also}")
    if whole and not isinstance(value, int):
        raise UserError(f"{name}={shown(value)}, expected a whole number")
