"""What a statement of a paper asks of runs. No torch."""

from dataclasses import dataclass, field
from typing import Any

TESTS = {
    "better": list,
    "as_good": list,
    "close": list,
    "trade_off": {"compare", "equal"},
    "same_trade_off": {"compare", "equal"},
    "at_best": {"role", "shows"},
    "stagnates": {"role"},
    "worsens": {"roles"},
    "improves": {"roles"},
    "cost": ["no_more", "less", "more"],
}
"""What a claim may ask for: a list of roles, a mapping with these keys, or one of these words. See docs/claims.md."""
SHOWS = ("better", "as_good", "close")
"""What two values side by side may be claimed to show."""
ALONG = {"trade_off": "r", "same_trade_off": "r", "at_best": "r", "stagnates": "r", "worsens": None, "improves": None}
"""The tests over several points of a knob, and the knob where none is named."""


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
        margin: which margins are its own, `fixed` or `of_range`.
        tests: test -> what it is about.
    """

    name: str
    statement: str
    source: str
    sides: list[list[Side]]
    tests: dict[str, Any]
    where: dict[str, Any] = field(default_factory=dict)
    data: list[str] | None = None
    margin: str = "fixed"

    @property
    def roles(self) -> set[str]:
        """Roles of all tests."""
        return {role for roles in self.comparisons for role in roles}

    @property
    def comparisons(self) -> list[tuple[str, ...]]:
        """The roles that each comparison needs."""
        return [roles for test in self.tests.values() for roles in comparisons_of(test)]

    @property
    def within_margin(self) -> set[str]:
        """Roles in which two sides are said to be no further apart than a margin."""
        found = {role for name in ("as_good", "close") for role in self.tests.get(name, [])}
        found |= set(compared(self.tests.get("same_trade_off")))
        best = self.tests.get("at_best")
        return found | ({best["role"]} if best and best["shows"] != "better" else set())

    def along(self, test: str) -> list[str | None] | None:
        """For each side the knob whose values make the points of a test, None for a side of one point; None for a test
        that has no points."""
        if test not in ALONG:
            return None
        named = self.tests[test].get("along", ALONG[test])
        return named if isinstance(named, list) else [named] * len(self.sides)


@dataclass(frozen=True)
class Range:
    """A margin that is a share of how far a method's own points are apart, lowest to highest.

    Attributes:
        along, between: the knob of its points, and both ends, which have to be run.
    """

    share: float
    method: str
    along: str
    between: tuple[float, float]


@dataclass(frozen=True)
class Claims:
    """The file.

    Attributes:
        roles: role -> metric profile -> metric that shows it as the paper does.
        truth: role -> metric profile -> metric that shows it by what a world knows of its own edits.
        apart: a kind of edit -> its types, which are shown apart.
        margins: metric -> how far apart two means are still close, in its unit.
        of_range: the other kind of margin, of any metric.
        claims: in the file's order.
    """

    roles: dict[str, dict[str, str]]
    margins: dict[str, float]
    claims: list[Claim]
    truth: dict[str, dict[str, str]] = field(default_factory=dict)
    apart: dict[str, list[str]] = field(default_factory=dict)
    of_range: Range | None = None


def compared(test: dict[str, Any] | None) -> list[str]:
    """Roles that a trade-off compares."""
    found = (test or {}).get("compare", [])
    return found if isinstance(found, list) else [found]


def comparisons_of(test: Any) -> list[tuple[str, ...]]:
    """The roles that each comparison of a test needs."""
    if isinstance(test, list):
        return [(role,) for role in test]
    if not isinstance(test, dict):
        return []
    if "equal" in test:
        return [(role, test["equal"]) for role in compared(test)]
    return [(role,) for role in (test.get("roles") or [test.get("role")]) if role is not None]
