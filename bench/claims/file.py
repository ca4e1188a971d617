"""`conf/claims.yaml`: statements of papers as comparisons of runs, read and checked. No torch."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bench.claims.claim import ALONG, SHOWS, TESTS, Claim, Claims, Range, Side, comparisons_of
from bench.config import cli, files, validate
from bench.config.matching import condition
from bench.config.profile import metrics
from bench.errors import UserError, nearest

FILE = cli.CONF / "claims.yaml"
_KEYS = {"statement", "source", "first", "second", "where", "data", "margin", *TESTS}


@lru_cache
def defaults(method: str) -> tuple[dict[str, Any], set[str]]:
    """A method's own defaults, and the names of its other knobs: those whose default it shares with other methods, and
    those that are null unless somebody sets them."""
    node, names = _knobs(method)
    free = unset(method) | {name for name in names if OmegaConf.is_interpolation(node, name)}
    return {name: node[name] for name in names if name not in free}, free


@lru_cache
def unset(method: str) -> set[str]:
    """Knobs of a method that are null unless somebody sets them, such as mask_size."""
    node, names = _knobs(method)
    return {name for name in names if not OmegaConf.is_interpolation(node, name) and node[name] is None}


@lru_cache
def _knobs(method: str) -> tuple[DictConfig, list[str]]:
    node = cli.jobs([f"method={method}"])[0].method
    return node, [name for name in validate.knobs(dict.fromkeys(node)) if name != "_target_"]


@lru_cache
def profiles() -> dict[str, list[str]]:
    """Name of each metric profile -> its metrics."""
    nodes = [files.read(file) for file in sorted((cli.CONF / "metrics").glob("*.yaml"))]
    return {node["name"]: list(metrics(node)) for node in nodes}


@lru_cache
def data_options() -> list[str]:
    """`data.<option>` of every data set."""
    nodes = [files.read(file) for file in (cli.CONF / "data").glob("*.yaml")]
    names = {str(name) for node in nodes for name in node} - {"defaults", *validate.RESERVED}
    return sorted(f"data.{name}" for name in names)


def load(file: Path = FILE) -> Claims:
    """Reads the claims.

    Raises:
        UserError: a key, role, metric, profile, method or knob that does not exist, with the nearest that do.
    """
    node = files.read(file)
    try:
        _known("", node, {"roles", "truth", "apart", "margins", "claims"}, {"roles", "claims"})
        for part in ("roles", "truth"):
            _check_roles(part, node.get(part, {}), node["roles"])
        for kind, types in node.get("apart", {}).items():
            if not isinstance(types, list) or not types:
                raise UserError(f"apart.{kind} is {types!r}; expected a list of edit types")
        margins = node.get("margins", {})
        _known("margins: ", margins, {"fixed", "of_range"}, set())
        known = sorted({metric for names in profiles().values() for metric in names})
        for metric in margins.get("fixed", {}):
            _one_of("margins.fixed: metric", metric, known)
        of_range = _range(margins["of_range"]) if "of_range" in margins else None
        head = Claims(
            node["roles"], margins.get("fixed", {}), [], node.get("truth", {}), node.get("apart", {}), of_range
        )
        claims = [_claim(name, claim, head) for name, claim in node["claims"].items()]
    except UserError as error:
        raise UserError(f"{file.name}: {error}") from None
    return replace(head, claims=claims)


def _check_roles(part: str, roles: dict[str, dict[str, str]], known: dict[str, dict[str, str]]) -> None:
    for role, shown in roles.items():
        _one_of(f"{part}: role", role, list(known))
        for profile, metric in shown.items():
            _one_of(f"{part}.{role}: metric profile", profile, list(profiles()))
            if metric not in profiles()[profile]:
                raise UserError(
                    f"{part}.{role}: profile {profile} has no metric {metric!r}; {nearest(metric, profiles()[profile])}"
                )


def _range(node: dict[str, Any]) -> Range:
    where = "margins.of_range"
    _known(f"{where}: ", node, {"share", "method", "along", "between"}, {"share", "method", "along", "between"})
    _one_of(f"{where}: method", node["method"], cli.names("method"))
    _check_knob(f"{where}.along: knob", node["along"], [Side(node["method"], {})])
    share, between = node["share"], node["between"]
    if not _number(share) or share <= 0:
        raise UserError(f"{where}.share={share}, expected a number above 0, such as 0.25")
    if not isinstance(between, list) or len(between) != 2 or not all(map(_number, between)) or between[0] >= between[1]:
        raise UserError(f"{where}.between is {between!r}; expected two numbers, the lower one first")
    return Range(share, node["method"], node["along"], tuple(between))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _claim(name: str, node: dict[str, Any], head: Claims) -> Claim:
    _known(f"{name}: ", node, _KEYS, {"statement", "source", "first"})
    tests = {key: node[key] for key in TESTS if key in node}
    if not tests:
        raise UserError(f"{name} tests nothing; expected one of {', '.join(TESTS)}")
    for key, test in tests.items():
        _check_test(f"{name}.{key}", key, test)
        for role in dict.fromkeys(role for roles in comparisons_of(test) for role in roles):
            _one_of(f"{name}.{key}: role", role, list(head.roles))
    sides = []
    for key in ("first", "second"):
        if key in node:
            listed = node[key] if isinstance(node[key], list) else [node[key]]
            sides.append([_side(f"{name}.{key}", one) for one in listed])
    every = [side for alternatives in sides for side in alternatives]
    if len(sides) == 1 and (two := sorted(set(tests) - {"worsens", "improves"})):
        raise UserError(f"{name}: {two[0]} compares two sides, and there is no second")
    if any(side.best for side in every) and not set(tests) <= set(SHOWS):
        raise UserError(
            f"{name}: the best of several runs can only be compared image by image (better, as_good, close)"
        )
    where, margin = node.get("where", {}), node.get("margin", "fixed")
    claim = Claim(name, node["statement"], node["source"], sides, tests, where, node.get("data"), margin)
    _check_margin(claim, head)
    for knob in where:
        _check_knob(f"{name}: knob", knob, every)
    for test in tests:
        if (along := claim.along(test)) and len(along) != len(sides):
            raise UserError(f"{name}.{test}.along names {len(along)} knobs; expected one, or one for each side")
        for knob, alternatives in zip(along or [], sides, strict=bool(along)):
            if knob is not None or test != "at_best":
                _check_knob(f"{name}.{test}.along: knob", knob, alternatives)
    for value in [*where.values(), *(value for side in every for value in side.knobs.values())]:
        for one in value if isinstance(value, list) else [value]:
            condition(one)
    return claim


def _check_margin(claim: Claim, head: Claims) -> None:
    _one_of(f"{claim.name}.margin:", claim.margin, ["fixed", "of_range"])
    if claim.margin == "of_range":
        if head.of_range is None:
            raise UserError(f"{claim.name}.margin is of_range, and margins: has none")
        return
    for role in claim.within_margin:
        metrics_of_role = {*head.roles[role].values(), *head.truth.get(role, {}).values()}
        if lacking := sorted(metrics_of_role - head.margins.keys()):
            raise UserError(f"{claim.name} needs a margin of {lacking[0]}, and margins.fixed has none")


def _check_test(where: str, name: str, test: Any) -> None:
    form = TESTS[name]
    if form is list:
        if not isinstance(test, list) or not test:
            raise UserError(f"{where} is {test!r}; expected a list of roles")
    elif isinstance(form, list):
        _one_of(f"{where}:", test, form)
    else:
        if not isinstance(test, dict):
            raise UserError(f"{where} is {test!r}; expected {', '.join(sorted(form))}")
        _known(f"{where}: ", test, {*form, "along"}, form | ({"along"} if ALONG[name] is None else set()))
        if "shows" in form:
            _one_of(f"{where}.shows:", test["shows"], list(SHOWS))


def _side(where: str, node: dict[str, Any]) -> Side:
    if not isinstance(node, dict) or "method" not in node:
        raise UserError(f"{where} is {node!r}; expected method and its knobs")
    _one_of(f"{where}: method", node["method"], cli.names("method"))
    knobs = {knob: value for knob, value in node.items() if knob not in ("method", "best", "label")}
    side = Side(node["method"], knobs, node.get("best", False), node.get("label"))
    for knob in knobs:
        _check_knob(f"{where}: knob", knob, [side])
    return side


def _check_knob(where: str, knob: str | None, sides: list[Side]) -> None:
    if str(knob).startswith("data."):
        _one_of(where, knob, data_options())
        return
    own, free = zip(*(defaults(side.method) for side in sides), strict=True)
    _one_of(where, knob, sorted({"seed"}.union(*own, *free)))


def _known(where: str, node: Any, valid: set[str], needed: set[str]) -> None:
    if not isinstance(node, dict):
        raise UserError(f"{where}got {node!r}; expected {', '.join(sorted(needed))}")
    for key in node:
        if key not in valid:
            raise UserError(f"{where}unknown key {key!r}; {nearest(str(key), sorted(valid))}")
    if lacking := sorted(needed - node.keys()):
        raise UserError(f"{where}{lacking[0]} is missing")


def _one_of(where: str, name: Any, valid: list[str]) -> None:
    if name not in valid:
        raise UserError(f"{where} {name!r} is not known; {nearest(str(name), valid)}")
