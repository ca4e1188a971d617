"""`conf/claims.yaml`: statements of papers as comparisons of runs, read and checked. No torch."""

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bench.config import cli, validate
from bench.config.profile import metrics
from bench.errors import UserError, nearest, one_line

FILE = cli.CONF / "claims.yaml"
TESTS = {
    "better": list,
    "as_good": list,
    "close": list,
    "trade_off": {"compare", "equal"},
    "stagnates": {"role"},
    "worsens": {"roles"},
    "improves": {"roles"},
    "cost": ["no_more", "less", "more"],
}
"""What a claim may ask for: a list of roles, a mapping with these keys, or one of these words. See docs/claims.md."""
ALONG = {"trade_off": "r", "stagnates": "r", "worsens": None, "improves": None}
"""The tests over several points of a knob, and the knob where none is named."""
_KEYS = {"statement", "source", "first", "second", "where", "data", *TESTS}
_SIGNS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}


@dataclass(frozen=True)
class Side:
    """Which runs stand on one side of a comparison.

    Attributes:
        method: name of the method.
        knobs: knob -> a value, a list of values that must each have been run, or a condition such as ">0.6". A knob
            that is not named has the method's own default, or, where the default is shared by methods (r, guidance,
            steps, ...), any value, the same on both sides.
        best: the best of the runs for each image and metric stands for them.
        label: what tables call it.
    """

    method: str
    knobs: dict[str, Any]
    best: bool = False
    label: str | None = None


@dataclass(frozen=True)
class Claim:
    """A statement of a paper, and what runs have to show for it.

    Attributes:
        sides: one or two, each with the alternatives that must all hold; the difference is the first's value minus the
            second's.
        where: further knobs of both sides, or `data.<option>`.
        data: patterns of data sets that it is about; None for any.
        tests: test -> what it is about.
    """

    name: str
    statement: str
    source: str
    sides: list[list[Side]]
    tests: dict[str, Any]
    where: dict[str, Any] = field(default_factory=dict)
    data: list[str] | None = None

    @property
    def roles(self) -> set[str]:
        """Roles of all tests."""
        return {role for name, test in self.tests.items() for role in roles_of(name, test)}

    def along(self, test: str) -> list[str] | None:
        """For each side the knob whose values make the points of a test; None for a test that has none."""
        if test not in ALONG:
            return None
        named = self.tests[test].get("along", ALONG[test])
        return named if isinstance(named, list) else [named] * len(self.sides)


@dataclass(frozen=True)
class Claims:
    """The file.

    Attributes:
        roles: role -> metric profile -> metric that shows it.
        margins: metric -> how far apart two means are still close, in its unit.
        claims: in the file's order.
    """

    roles: dict[str, dict[str, str]]
    margins: dict[str, float]
    claims: list[Claim]


def roles_of(name: str, test: Any) -> list[str]:
    """Roles that a test is about."""
    if isinstance(test, dict):
        return test.get("roles") or [test[key] for key in ("compare", "equal", "role") if key in test]
    return test if TESTS[name] is list else []


def matches(value: Any, wanted: Any) -> bool:
    """Whether a knob's value is the wanted one, one of a list, or meets a condition."""
    if isinstance(wanted, list):
        return any(matches(value, one) for one in wanted)
    if condition := _condition(wanted):
        return isinstance(value, int | float) and not isinstance(value, bool) and condition(value)
    if isinstance(value, int | float) and isinstance(wanted, int | float):
        return isinstance(value, bool) == isinstance(wanted, bool) and abs(value - wanted) < 1e-8
    return value == wanted


def _condition(wanted: Any) -> Callable[[float], bool] | None:
    if not isinstance(wanted, str) or not (sign := next((s for s in _SIGNS if wanted.startswith(s)), None)):
        return None
    try:
        bound = float(wanted.removeprefix(sign))
    except ValueError:
        raise UserError(f"condition {wanted!r}: expected a number after {sign}") from None
    return lambda value: _SIGNS[sign](value, bound)


@lru_cache
def defaults(method: str) -> tuple[dict[str, Any], set[str]]:
    """A method's own defaults, and the names of its knobs whose default it shares with others."""
    node = cli.jobs([f"method={method}"])[0].method
    names = [name for name in validate.knobs(dict.fromkeys(node)) if name != "_target_"]
    shared = {name for name in names if OmegaConf.is_interpolation(node, name)}
    return {name: node[name] for name in names if name not in shared}, shared


@lru_cache
def profiles() -> dict[str, list[str]]:
    """Name of each metric profile -> its metrics."""
    files = [OmegaConf.to_container(OmegaConf.load(file)) for file in sorted((cli.CONF / "metrics").glob("*.yaml"))]
    return {node["name"]: list(metrics(node)) for node in files}


@lru_cache
def data_options() -> list[str]:
    """`data.<option>` of every data set."""
    files = [OmegaConf.load(file) for file in (cli.CONF / "data").glob("*.yaml")]
    names = {str(name) for node in files for name in node} - {"defaults", *validate.RESERVED}
    return sorted(f"data.{name}" for name in names)


def load(file: Path = FILE) -> Claims:
    """Reads the claims.

    Raises:
        UserError: a key, role, metric, profile, method or knob that does not exist, with the nearest that do.
    """
    try:
        node = OmegaConf.to_container(OmegaConf.load(file))
        _known("", node, {"roles", "margins", "claims"}, {"roles", "claims"})
        for role, shown in node["roles"].items():
            for profile, metric in shown.items():
                _one_of(f"roles.{role}: metric profile", profile, list(profiles()))
                _one_of(f"roles.{role}.{profile}: metric", metric, profiles()[profile])
        margins = node.get("margins", {})
        known = sorted({metric for names in profiles().values() for metric in names})
        for metric in margins:
            _one_of("margins: metric", metric, known)
        claims = [_claim(name, claim, node["roles"], margins) for name, claim in node["claims"].items()]
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from None
    except OmegaConfBaseException as error:
        raise UserError(f"{file}: {one_line(error)}") from None
    except UserError as error:
        raise UserError(f"{file.name}: {error}") from None
    return Claims(node["roles"], margins, claims)


def _claim(name: str, node: dict[str, Any], roles: dict[str, dict[str, str]], margins: dict[str, float]) -> Claim:
    _known(f"{name}: ", node, _KEYS, {"statement", "source", "first"})
    tests = {key: node[key] for key in TESTS if key in node}
    if not tests:
        raise UserError(f"{name} tests nothing; expected one of {', '.join(TESTS)}")
    for key, test in tests.items():
        _check_test(f"{name}.{key}", key, test)
        for role in roles_of(key, test):
            _one_of(f"{name}.{key}: role", role, list(roles))
    for role in node.get("close", []) + node.get("as_good", []):
        if lacking := sorted(set(roles[role].values()) - margins.keys()):
            raise UserError(f"{name} needs a margin of {lacking[0]}, and margins: has none")
    sides = []
    for key in ("first", "second"):
        if key in node:
            listed = node[key] if isinstance(node[key], list) else [node[key]]
            sides.append([_side(f"{name}.{key}", one) for one in listed])
    every = [side for alternatives in sides for side in alternatives]
    if len(sides) == 1 and (two := sorted(set(tests) - {"worsens", "improves"})):
        raise UserError(f"{name}: {two[0]} compares two sides, and there is no second")
    if any(side.best for side in every) and not set(tests) <= {"better", "as_good", "close"}:
        raise UserError(
            f"{name}: the best of several runs can only be compared image by image (better, as_good, close)"
        )
    where = node.get("where", {})
    claim = Claim(name, node["statement"], node["source"], sides, tests, where, node.get("data"))
    for knob in where:
        _check_knob(f"{name}: knob", knob, every)
    for test in tests:
        if (along := claim.along(test)) and len(along) != len(sides):
            raise UserError(f"{name}.{test}.along names {len(along)} knobs; expected one, or one for each side")
        for knob, alternatives in zip(along or [], sides, strict=bool(along)):
            _check_knob(f"{name}.{test}.along: knob", knob, alternatives)
    for value in [*where.values(), *(value for side in every for value in side.knobs.values())]:
        for one in value if isinstance(value, list) else [value]:
            _condition(one)
    return claim


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


def _side(where: str, node: dict[str, Any]) -> Side:
    if not isinstance(node, dict) or "method" not in node:
        raise UserError(f"{where} is {node!r}; expected method and its knobs")
    _one_of(f"{where}: method", node["method"], cli.names("method"))
    knobs = {knob: value for knob, value in node.items() if knob not in ("method", "best", "label")}
    side = Side(node["method"], knobs, node.get("best", False), node.get("label"))
    for knob in knobs:
        _check_knob(f"{where}: knob", knob, [side])
    return side


def _check_knob(where: str, knob: str, sides: list[Side]) -> None:
    if knob.startswith("data."):
        _one_of(where, knob, data_options())
        return
    own, shared = zip(*(defaults(side.method) for side in sides), strict=True)
    _one_of(where, knob, sorted({"seed"}.union(*own, *shared)))


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
