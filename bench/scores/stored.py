"""The one reader of scored runs: `summary.<profile>.json`, `per_image.<profile>.csv`, `identity.json`. No torch."""

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import pandas as pd

from bench.edits import identity
from bench.errors import SourcesLost, UserError, nearest
from bench.files.hashing import sha256_of
from bench.scores.selection import ALL, Selection, named, selected


@dataclass(frozen=True)
class Fact:
    """What a summary says of one metric.

    Attributes:
        name: its column; that of a metric whose backbone has random weights ends in `_random`.
        kind: `pair` (a mean over images) or `set`.
        value, lo, hi: with its 95 % interval; None where there is none, for the `reason`.
        made: all that its numbers depend on; see `bench.scores.protocol`.
        n, n_nan: images that the value is of; images without a value.
        groups: source pictures (or classes) that its interval is over; None where an older version did not say.
        halves, halves_of: a set's values on half-samples, and what those are halves of.
        types: edit type -> `value` and `n`.
        made_with: hash of all that decides its numbers; of it, `weights` (name -> SHA-256) and `prepared` (how the
            profile prepares pictures).
        files: paths and hub ids of weights that its class reads by itself.
    """

    name: str
    version: int
    higher_is_better: bool
    unit: str
    kind: str
    value: float | None = None
    lo: float | None = None
    hi: float | None = None
    n: int | None = None
    n_nan: int | None = None
    groups: int | None = None
    made: dict[str, Any] = field(default_factory=dict)
    reason: str | None = None
    note: str | None = None
    halves: list[float] = field(default_factory=list)
    halves_of: str | None = None
    types: dict[str, dict[str, float]] = field(default_factory=dict)
    made_with: str = ""
    weights: dict[str, str] = field(default_factory=dict)
    prepared: dict[str, Any] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Summary:
    """A run scored by one metric profile.

    Attributes:
        notice: of its model and data; `bench.report.words.notice` has that of its scores, too.
        doubts: weights that may not compare, and why.
        protocol: `size` of the pictures, `brackets`, `jpeg` and `mean`, by which results of different papers differ; of
            an older version empty.
        plot, table: names of the metrics on the axes of the profile's plot, and in its table (None: all).
        own: names of the metrics that the user added to the profile's; they are in its table, too.
        n, n_expected, n_failed: samples that are scored, were asked for, failed.
        nfe, seconds, nfe_spent: an image; None where they are not known.
        ids, weights, signature, code: hashes of the ids, the networks, all that no single column depends on, the
            metrics' source (the oldest, where columns were scored with several).
        notes: what the journal says of the edits, counted.
    """

    data: str
    profile: str
    metrics: dict[str, Fact]
    method: str = ""
    model: str | None = None
    notice: str | None = None
    backbone: str = ""
    protocol: dict[str, Any] = field(default_factory=dict)
    doubts: dict[str, str] = field(default_factory=dict)
    plot: dict[str, str] = field(default_factory=dict)
    table: list[str] | None = None
    own: list[str] = field(default_factory=list)
    knobs: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None
    n: int = 0
    n_expected: int = 0
    n_failed: int = 0
    ids: str = ""
    nfe: float | None = None
    seconds: float | None = None
    nfe_spent: float | None = None
    weights: dict[str, str] = field(default_factory=dict)
    signature: str = ""
    code: str = ""
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, node: dict[str, Any]) -> "Summary":
        """From what the file holds."""
        metrics = {name: _known(Fact, fact | {"name": name}) for name, fact in node["metrics"].items()}
        return _known(cls, node | {"metrics": metrics})

    def fact(self, name: str) -> Fact | None:
        """Of a metric by the profile's name of it, with random weights or without; None where it was not scored."""
        return self.metrics.get(name) or self.metrics.get(f"{name}_random")

    @property
    def shown(self) -> list[Fact]:
        """Metrics of the profile's table."""
        return [self.metrics[name] for name in self.table or self.metrics if name in self.metrics]

    @property
    def versions(self) -> dict[str, int]:
        """Version of each metric."""
        return {name: fact.version for name, fact in self.metrics.items()}


def _known(kind: type, node: dict[str, Any]) -> Any:
    return kind(**{entry.name: node[entry.name] for entry in fields(kind) if entry.name in node})


@dataclass(eq=False)
class Scored:
    """A run with its scores by one metric profile.

    Attributes:
        lost: what could not be scored just now, if anything.
    """

    folder: Path
    summary: Summary
    lost: SourcesLost | None = None

    @cached_property
    def table(self) -> pd.DataFrame:
        """`per_image` of the profile. Raises UserError where it is not there."""
        file = self.folder / f"per_image.{self.summary.profile}.csv"
        try:
            return per_image(file)
        except OSError as error:
            raise UserError(f"{file}: {error.strerror}; {_again(self.folder)}") from None

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All that decides its pixels."""
        return json.loads((self.folder / "identity.json").read_text())

    @property
    def told(self) -> dict[str, Any]:
        """What tells it from others of its method on its data beside knobs and seed."""
        return identity.told(self.identity)

    @cached_property
    def traits(self) -> dict[str, Any]:
        """Everything of the edits that two runs must have alike to be compared: knobs, `data.<option>`, model, seed,
        lists as hashes; of their scores, `bench.scores.protocol` tells. What a run has not (a seed, a model) is not
        among them."""
        summary = self.summary
        data = {f"data.{key}": value for key, value in self.identity["data"].items()}
        model = {f"model.{key}": sha256_of(value) for key, value in (self.identity["model"] or {}).items()}
        more = {f"code.{one['name']}": sha256_of(one)[:6] for one in self.identity.get("code", {}).values()}
        more |= {"model": summary.model, "seed": summary.seed, "identity": self.identity.get("identity_version")}
        found = {name: value for name, value in (summary.knobs | data | model | more).items() if value is not None}
        return {name: sha256_of(value) if isinstance(value, list | dict) else value for name, value in found.items()}


def per_image(file: Path | IO[str]) -> pd.DataFrame:
    """Scores of each image by id. `type`, `group` and `class` are texts; where no group is named it is the id."""
    texts = dict.fromkeys(("id", "type", "group", "class"), str)
    table = pd.read_csv(file, dtype=texts, keep_default_na=False, na_values=[""]).set_index("id")  # "NA" is an id
    return table.assign(group=table.group.fillna(pd.Series(table.index, table.index)))


def summary_file(folder: Path, profile: str) -> Path:
    """Where the summary of a run is."""
    return folder / f"summary.{profile}.json"


def profiles(folder: Path) -> list[str]:
    """Metric profiles that a run is scored by."""
    return sorted(file.name.removeprefix("summary.").removesuffix(".json") for file in folder.glob("summary.*.json"))


def read(folder: Path, profile: str) -> Scored:
    """The scores of one run. Raises UserError where there are none, or they cannot be read."""
    file = summary_file(folder, profile)
    if not file.is_file():
        raise UserError(f"{folder} has no scores of profile {profile}; {_again(folder)}")
    try:
        return Scored(folder, Summary.of(json.loads(file.read_text())))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise UserError(f"{file} cannot be read any more; {_again(folder)}") from None


def _again(folder: Path) -> str:
    return f"score it with `python -m bench.score {shlex.quote(f'run={folder}')}`"


def folders(out: Path) -> list[Path]:
    """Every run under a folder that anything has scored."""
    return sorted({file.parent for file in out.glob("*/*/*/summary.*.json")})


def several(out: Path, chosen: Selection) -> list[Path]:
    """Folders of the scored runs that are chosen, in the order of `run=`; of all that are, where fewer than two are
    scored. Raises: UserError: there is none."""
    found = named(out, chosen)
    scored = [folder for folder in found if profiles(folder)]
    return scored if len(scored) > 1 else found


def under(out: Path, chosen: Selection = ALL) -> list[Scored]:
    """Every run under a folder, once for each profile that it is scored by.

    Raises:
        UserError: there is none, or none that is chosen.
    """
    found = selected(out, chosen)
    runs = [read(folder, profile) for folder in found for profile in profiles(folder)]
    if not runs:
        raise UserError(
            f"no scored run under out={out}; {len(found)} are not scored, such as {found[0]}: "
            f"`python -m bench.report {shlex.quote(f'out={out}')}` says how to go on"
        )
    return runs


def unscored(out: Path, chosen: Selection = ALL) -> list[Path]:
    """Folders of runs that nothing has scored. Raises: UserError: as for `selected`."""
    return [folder for folder in selected(out, chosen) if not profiles(folder)]


def shared_profile(runs: Iterable[Path], profile: str | None = None) -> str:
    """The metric profile that all of these runs are scored by.

    Args:
        profile: the one that is wanted, None: the only one.

    Raises:
        UserError: a folder that is no scored run, no such profile, or several to choose from.
    """
    have = {folder: profiles(folder) for folder in runs}
    for folder, names in have.items():
        if not names or not (folder / "identity.json").exists():
            raise UserError(f"{folder} holds no scores; expected a run folder; {_again(folder)}")
    common = sorted(set.intersection(*map(set, have.values())))
    if profile in common or (profile is None and len(common) == 1):
        return profile or common[0]
    if not common:
        each = " and ".join(f"{folder} is scored by {', '.join(names)}" for folder, names in have.items())
        raise UserError(f"{each}; score one of them again with `python -m bench.score run=<folder> metrics=<profile>`")
    who = "both" if len(have) <= 2 else "all"
    if profile is None:
        raise UserError(f"{who} runs have several profiles; choose one with profile={' or profile='.join(common)}")
    raise UserError(f"profile={profile} is not one that {who} runs have; {nearest(str(profile), common)}")
