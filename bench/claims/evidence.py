"""Scored runs that a claim is about, in pairs that are alike in everything else. No torch."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from bench.claims.claim import Claim, Side
from bench.claims.file import defaults, unset
from bench.config.matching import matches
from bench.files.hashing import sha256_of
from bench.report import words
from bench.scores.stored import Scored

_OPAQUE = ("data.files", "data.annotations", "model.files")
"""What must be alike in two runs and has no short value to show."""


@dataclass(eq=False)
class Group:
    """Runs of one side that differ in nothing but one knob.

    Attributes:
        label: method, and the knobs that the side names.
        traits: what is the same in all of them, without the knobs that the claim names.
        listed: (knob, value) of the side's knobs with several values.
        runs: in the order of the knob; of a side that takes the best, in no order that matters.
        along: the knob's value of each run, a number.
        knob: its name, None for a side of single points.
        best: the best of them for each image and metric stands for them.
    """

    label: str
    traits: dict[str, Any]
    listed: set[tuple[str, Any]]
    runs: list[Scored]
    along: list[float]
    knob: str | None
    best: bool


def select(claim: Claim, side: Side, along: str | None, runs: list[Scored]) -> list[Group]:
    """The runs of a side, one group for each setting of everything but `along`."""
    named = {along, *(knob for alternatives in claim.sides for one in alternatives for knob in one.knobs)}
    own_defaults, _ = defaults(side.method)  # a method's own affair, also where another has a knob of that name
    found: dict[str, Group] = {}
    for run in runs:
        if run.summary.method != side.method or not _belongs(claim, side, run, along):
            continue
        if along and not isinstance(run.traits.get(along), int | float):
            continue
        own = {knob: run.traits.get(knob) for knob in side.knobs if knob != along and knob in run.traits}
        known = run.traits | {knob: run.traits.get(knob) for knob in unset(side.method)}
        traits = {name: value for name, value in known.items() if name not in named | own_defaults.keys()}
        key = sha256_of([traits, None if side.best else own])
        listed = {(knob, run.traits[knob]) for knob, wanted in side.knobs.items() if isinstance(wanted, list)}
        label = side.label or f"{side.method} {typed(side.knobs if side.best else own)}".strip()
        group = found.setdefault(key, Group(label, traits, set(), [], [], along, side.best))
        group.listed |= listed
        group.runs.append(run)
        group.along.append(run.traits[along] if along else 0)
    for group in found.values():
        order = sorted(range(len(group.runs)), key=group.along.__getitem__)
        group.runs, group.along = [group.runs[i] for i in order], [group.along[i] for i in order]
    return list(found.values())


def _belongs(claim: Claim, side: Side, run: Scored, along: str | None) -> bool:
    own, _ = defaults(side.method)
    wanted = {knob: value for knob, value in own.items() if run.traits.get(knob) is not None and knob != along}
    wanted |= {knob: value for knob, value in claim.where.items() if knob.startswith("data.") or knob in run.traits}
    return all(matches(run.traits.get(knob), value) for knob, value in (wanted | side.knobs).items())


def typed(knobs: dict[str, Any]) -> str:
    """Knobs as one types them: `w_s=[0,1] mask_noise>0.6`."""
    signs = {name: "" if str(value)[:1] in "<>" else "=" for name, value in knobs.items()}
    return " ".join(f"{name}{signs[name]}{words.knob(value)}" for name, value in knobs.items())


def alike(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Whether what both have is the same."""
    return all(matches(value, second[name]) for name, value in first.items() if name in second)


def pairs(groups: list[list[Group]]) -> Iterator[tuple[Group, ...]]:
    """Groups of each side that are alike in everything that both have."""
    for chosen in product(*groups):
        if len(chosen) == 1 or alike(chosen[0].traits, chosen[1].traits):
            yield chosen


def setting(chosen: tuple[Group, ...], others: list[tuple[Group, ...]]) -> str:
    """Where a comparison was made, as far as the claim's comparisons differ in it: `w_t=7.5, steps=50`."""
    own = _together(chosen)
    values = {name: {str(made[name]) for made in map(_together, others) if name in made} for name in own}
    differ = [name for name, found in values.items() if len(found) > 1 and name not in _OPAQUE]
    return ", ".join(f"{name}={words.knob(own[name]) or 'null'}" for name in differ)


def unlike(groups: list[list[Group]]) -> str:
    """What keeps the closest two groups of two sides apart."""
    apart = [
        [name for name, value in a.traits.items() if name in b.traits and not matches(value, b.traits[name])]
        for a, b in product(*groups)
    ]
    names = min(apart, key=len)
    return f"the two sides were run with different {', '.join(names)}"


def _together(chosen: tuple[Group, ...]) -> dict[str, Any]:
    return {name: value for group in reversed(chosen) for name, value in group.traits.items()}
