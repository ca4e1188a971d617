"""Values against what configurations declare under `valid`: the names or, if more than two, the numbers allowed,
`[lowest, highest]`, `[lowest, highest, whole]` for whole numbers, or `[lowest, highest, name, ...]` for a number or a
name; the highest may be the name of another knob, checked before. The name `module.Class` stands for any name with a
dot. No torch."""

from typing import Any

from bench.errors import UserError, nearest

RESERVED = ("valid", "name", "uses", "needs", "only", "classes", "published_nfe", "given")
"""Keys of a group that describe it and are no knobs of its class."""


def check(cfg: dict[str, Any]) -> None:
    """Checks a resolved configuration: top-level knobs, then those of data, model and method; lists value by value.

    Raises:
        UserError: for the first value out of range.
    """
    _check_node(cfg, "")
    for group in ("data", "model", "method"):
        _check_node(cfg[group], f"{group}.", shared=cfg.get("valid", {}))
    whole = [1, 1_000_000, "whole"]
    _check_node({"batch_size": None, **cfg["metrics"]}, "metrics.", {"batch_size": whole, "size": whole})
    if cfg["metrics"].get("batch_size") is None:
        raise UserError("metrics.batch_size=null, expected a whole number from 1")
    if not 0 <= cfg["shard"]["index"] < cfg["shard"]["count"]:
        raise UserError(f"shard.index={cfg['shard']['index']}, expected 0 to shard.count-1={cfg['shard']['count'] - 1}")


def knobs(node: dict[str, Any]) -> dict[str, Any]:
    """The part of a group's configuration that its class is built with."""
    return {name: value for name, value in node.items() if name not in RESERVED}


def _check_node(node: dict[str, Any], prefix: str, shared: dict | None = None) -> None:
    for name, rule in {**(shared or {}), **node.get("valid", {})}.items():
        value = node.get(name)
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
        if value not in rule or type(value) not in map(type, rule):
            raise UserError(f"{name}={value}, {nearest(str(value), [str(option) for option in rule])}")
        return
    low, high, *names = rule
    most = high
    if isinstance(high, str):
        others = node[high] if isinstance(node[high], list) else [node[high]]
        high = min((other for other in others if other is not None), default=low)
        most = f"{most}={high}"
    whole = names == ["whole"]
    if not whole and isinstance(value, str) and value in names:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        also = "" if whole else "".join(f" or {option}" for option in names)
        raise UserError(f"{name}={value}, expected a number from {low} to {most}{also}")
    if whole and not isinstance(value, int):
        raise UserError(f"{name}={value}, expected a whole number")
