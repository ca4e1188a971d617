"""What the comparisons of a claim say together. No torch."""

import fnmatch
from dataclasses import dataclass, field
from typing import Any

from bench.claims import evidence
from bench.claims.claim import Claim, Claims, Side
from bench.claims.comparisons import rows
from bench.claims.judging import INCOMPARABLE, LEVEL, Row
from bench.claims.views import View, views
from bench.config.matching import matches
from bench.report import words
from bench.scores import seal
from bench.scores.stored import Scored
from bench.statistics.flips import holm


@dataclass
class Result:
    """A claim on one data set and metric profile, in one view.

    Attributes:
        data, profile: empty where nothing has been run.
        view: None where nothing has been run.
        rows: its comparisons.
        lacking: what has not been run.
    """

    claim: Claim
    data: str = ""
    profile: str = ""
    view: View | None = None
    rows: list[Row] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """`supported` where every comparison is as claimed: each at 95 %, which needs no correction, since all of them
        must hold. `contradicted` where any lies wholly on the other side, after Holm over all of them. `not comparable`
        where no two runs were scored alike."""
        if not self.rows:
            return "not run"
        if self.against:
            return "contradicted"
        if all(row.shows == INCOMPARABLE for row in self.rows):
            return INCOMPARABLE
        held = not self.lacking and all(row.shows == "as claimed" for row in self.rows)
        return "supported" if held else "inconclusive"

    @property
    def against(self) -> list[Row]:
        """Comparisons that contradict the claim."""
        adjusted = holm([row.p if row.shows == "against" else 1.0 for row in self.rows])
        return [row for row, p in zip(self.rows, adjusted, strict=True) if p < LEVEL]

    @property
    def summary(self) -> str:
        """How the comparisons came out, and what has not been run, in sentences."""
        return " ".join(map(sentence, [*self._counted, *self._unrun]))

    @property
    def why(self) -> str:
        """The verdict, explained: the summary, with one of the comparisons that it rests on."""
        some, _ = self._telling
        told = []
        if shown := some or (self.rows if len(self.rows) == 1 else []):
            such = "such as" if len(shown) > 1 else "namely"
            told = [f"{such} {shown[0].metric} of {shown[0].compared}: {shown[0].interval or 'no value'}", shown[0].why]
        return " ".join(map(sentence, filter(None, [*self._counted, *told, *self._unrun])))

    @property
    def _unrun(self) -> list[str]:
        return [] if self.against else self.lacking

    @property
    def _counted(self) -> list[str]:
        if not self.rows:
            return []
        some, (one, several) = self._telling
        if len(self.rows) == 1:
            return [f"the only comparison {one if some else 'is as claimed'}"]
        if not some:
            return [f"all {len(self.rows)} comparisons are as claimed"]
        return [f"{len(some)} of {len(self.rows)} comparisons {one if len(some) == 1 else several}"]

    @property
    def _telling(self) -> tuple[list[Row], tuple[str, str]]:
        """The comparisons that keep the claim from being supported, and what they do, of one and of several."""
        if self.against:
            return self.against, ("contradicts it", "contradict it")
        if self.verdict == INCOMPARABLE:
            return self.rows, ("is not comparable", "are not comparable")
        return [row for row in self.rows if row.shows != "as claimed"], ("is open", "are open")

    @property
    def n(self) -> str:
        """How many samples the comparisons have."""
        return words.span(row.n for row in self.rows if row.n)

    @property
    def notices(self) -> list[str]:
        """What must be said beside it."""
        return list(dict.fromkeys(notice for row in self.rows for notice in row.notices))


def sentence(text: str) -> str:
    """With a full stop, and a capital unless it starts with a name such as `w_s=0`."""
    start = text[:1].upper() if text.split(" ")[0].isalpha() else text[:1]
    return start + text[1:] + ("" if text.endswith(".") else ".")


def intact(runs: list[Scored]) -> tuple[list[Scored], list[str]]:
    """The runs whose scores are as they were written, and for each of the others a sentence."""
    broken = {run: seal.broken(run.folder, run.summary.profile) for run in runs}
    said = [f"left out: {sentence}" for sentences in broken.values() for sentence in sentences]
    return [run for run, sentences in broken.items() if not sentences], said


def evaluate(claims: Claims, scored: list[Scored]) -> list[Result]:
    """Every claim on every data set and profile that has runs of both its sides, with what stands beside it; a claim
    without any is one result."""
    results, runs = [], {}
    for run in sorted(scored, key=lambda run: (run.summary.data, run.summary.profile)):
        runs.setdefault((run.summary.data, run.summary.profile), []).append(run)
    for claim in claims.claims:
        found, lacking = [], {}
        for (data, profile), made in runs.items():
            about = claim.data is None or any(fnmatch.fnmatch(data, pattern) for pattern in claim.data)
            if not about or any(profile not in claims.roles[role] for role in claim.roles):
                continue
            own, *beside = (_on(claim, claims, view, data, profile) for view in views(claim, claims, profile, made))
            if own.rows:
                found += [own, *(result for result in beside if result.rows)]
            else:
                lacking[data] = own.lacking
        results += found or [Result(claim, lacking=_all_lacking(claim, lacking))]
    return results


def _on(claim: Claim, claims: Claims, view: View, data: str, profile: str) -> Result:
    result = Result(claim, data, profile, view)
    seen: set[tuple[str, Any]] = set()  # knobs and values that comparisons have
    pending: list[tuple[str, tuple[evidence.Group, ...], str]] = []
    for name in claim.tests:
        along = claim.along(name) or [None] * len(claim.sides)
        found = []
        for knob, alternatives in zip(along, claim.sides, strict=True):
            made = [(side, evidence.select(claim, side, knob, view.runs)) for side in alternatives]
            found.append([(side, [group for group in groups if _whole(group, side)]) for side, groups in made])
        absent = [side for alternatives in found for side, groups in alternatives if not groups]
        result.lacking += [f"no run of {_described(side, claim)}" for side in absent]
        groups = [[group for _, groups in alternatives for group in groups] for alternatives in found]
        if not all(groups):
            continue
        chosen = list(evidence.pairs(groups))
        for i, alternatives in enumerate(found):
            for _, own in alternatives:
                if own and not any(group is pair[i] for pair in chosen for group in own):
                    others = [own if j == i else side for j, side in enumerate(groups)]
                    result.lacking.append(f"{own[0].label}: {evidence.unlike(others)}")
        pending += [(name, pair, evidence.setting(pair, chosen)) for pair in chosen]
        for pair in chosen:
            seen |= {(knob, value) for group in pair for knob, value in [*group.listed, *group.traits.items()]}
    for name, pair, setting in pending:
        for row in rows(claim, name, pair, claims, view):
            row.compared += f" ({setting})" if setting else ""
            result.rows.append(row)
    if pending and not result.rows:
        knobs = {knob: None for name in claim.tests for knob in claim.along(name) or [] if knob}
        result.lacking.append(f"only one value of {' and '.join(knobs)}")
    if result.rows:
        result.lacking += _unseen(claim, seen)
    result.lacking = list(dict.fromkeys(result.lacking))
    return result


def _whole(group: evidence.Group, side: Side) -> bool:
    """Whether a side that takes the best of several runs has all of them."""
    wanted = sum(len(value) for value in side.knobs.values() if isinstance(value, list))
    return not side.best or len(group.listed) == wanted


def _unseen(claim: Claim, seen: set[tuple[str, Any]]) -> list[str]:
    """Listed values that no comparison has."""
    asked = [claim.where, *(side.knobs for alternatives in claim.sides for side in alternatives)]
    return [
        f"{knob}={value} is not run"
        for knobs in asked
        for knob, wanted in knobs.items()
        if isinstance(wanted, list)
        for value in wanted
        if not any(knob == name and matches(had, value) for name, had in seen)
    ]


def _described(side: Side, claim: Claim) -> str:
    return f"method={side.method} {evidence.typed(side.knobs | claim.where)}".strip()


def _all_lacking(claim: Claim, lacking: dict[str, list[str]]) -> list[str]:
    if lacking:
        return [f"on {data}: {'; '.join(said)}" for data, said in lacking.items()]
    about = f" on {', '.join(claim.data)}" if claim.data else ""
    return [f"nothing is run{about} and scored with a profile that shows {' and '.join(sorted(claim.roles)) or 'cost'}"]
