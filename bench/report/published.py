"""Rows that papers print for a data set, to stand below one's own. No torch.

`conf/published/rows/<data>.csv` holds them value by value, with the paper, its settings, the source, whether that is at
second hand, and the protocol; `tables.csv` beside it says the protocol of whole tables of `conf/published/<paper>.csv`.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import lru_cache

import pandas as pd

from bench.config import profile as profiles
from bench.files.paths import ROOT
from bench.reproduce import published
from bench.scores.stored import Scored

FOLDER = ROOT / "conf" / "published" / "rows"
TABLES = "tables"
PROTOCOL = ("backbone", "size", "brackets", "jpeg", "mean", "samples")
"""What must be the same, beside the metric profile, for two papers' numbers to compare."""
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Row:
    """One row of a paper's table.

    Attributes:
        paper: that prints it.
        settings: `knob=value`, joined by `;`.
        profile: metric profile whose columns the values are.
        second_hand: copied by somebody else from the paper, which nobody here has seen.
        protocol: `PROTOCOL`; what is not known is `unknown`.
        values: metric -> as printed.
        sources: where, each once.
    """

    paper: str
    method: str
    settings: str
    profile: str
    second_hand: bool
    protocol: dict[str, str]
    values: dict[str, str] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)

    @property
    def label(self) -> str:
        """Method, backbone and what is known of the settings, as one reads them."""
        told = {name: value for name, value in published.settings_of(self.settings).items() if value != UNKNOWN}
        backbone = self.known.get("backbone", "") if "model" not in told else ""
        return " ".join(filter(None, [self.method, backbone, *(f"{name}={value}" for name, value in told.items())]))

    @property
    def known(self) -> dict[str, str]:
        """What is known of its protocol."""
        return {name: value for name, value in self.protocol.items() if value != UNKNOWN}

    @property
    def note(self) -> str:
        """Where it is printed and by which protocol."""
        told = [f"{name} {value}" for name, value in self.known.items()]
        facts = published.settings_of(self.settings) | self.protocol
        if unknown := [name for name, value in facts.items() if value == UNKNOWN]:
            told.append(f"{', '.join(unknown)} unknown")
        how = ["at second hand"] if self.second_hand else []
        return "; ".join([*self.sources, *how, ", ".join(told)])

    def compares(self, run: Scored) -> bool:
        """Whether a run was made and scored by the same protocol, as far as all of it is known."""
        told = protocol(run)
        return self.profile == run.summary.profile and self.known == told and "" not in told.values()


def protocol(run: Scored) -> dict[str, str]:
    """That of a run; what an older version of this program did not keep is empty."""
    summary = run.summary
    told = {name: summary.protocol.get(name, "") for name in PROTOCOL}
    told |= {"backbone": summary.model or "", "samples": summary.n if not summary.n_failed else ""}
    return {name: str(value) for name, value in told.items()}


def names() -> list[str]:
    """Data sets that papers' rows are known of."""
    found = {file.stem for file in FOLDER.glob("*.csv")} | {line.data for line in _tables().itertuples()}
    return sorted(found - {TABLES})


def rows(data: str, profile: str) -> list[Row]:
    """What papers print for a data set, scored as a profile such as `pie-v2` does; none where nothing is known."""
    of_tables = _tables()
    values = [_values_of(line) for line in of_tables[of_tables.data == data].to_dict("records")]
    if (file := FOLDER / f"{data}.csv").is_file() and data != TABLES:
        values.append(_read(file.stem).to_dict("records"))
    found: dict[tuple, Row] = {}
    for value in (one for part in values for one in part):
        if profiles.stem(value["profile"]) != profiles.stem(profile):
            continue
        told = {name: value[name] for name in PROTOCOL}
        key = *(value[name] for name in ("paper", "method", "settings", "profile", "second_hand")), *told.values()
        row = found.setdefault(key, Row(*key[:4], value["second_hand"] == "yes", told))
        row.values[value["metric"]] = value["value"]
        if value["source"] not in row.sources:
            row.sources.append(value["source"])
    return list(found.values())


def labelled(rows: Iterable[Row], metrics: Collection[str], runs: list[Scored]) -> tuple[dict[str, Row], list[str]]:
    """The rows that have a value of some metrics, by what they are called below some runs, and what has to be said of
    them: where each is printed, and whether it compares with these."""
    kept = [row for row in rows if row.values.keys() & set(metrics)]
    remarks = [_remark(row, runs) for row in kept]
    notes = list(dict.fromkeys(remarks))
    names = [
        f"{row.label} (as printed{', second-hand' * row.second_hand} [{1 + notes.index(said)}])"
        for row, said in zip(kept, remarks, strict=True)
    ]
    return dict(zip(names, kept, strict=True)), [f"[{number}] {note}" for number, note in enumerate(notes, 1)]


def _remark(row: Row, runs: list[Scored]) -> str:
    alike = [row.compares(run) for run in runs]
    ranks = "no run above has its protocol, so that it has no rank"
    if any(alike):
        ranks = f"its protocol is that of {'the' if all(alike) else 'some of the'} runs above"
    return f"as printed there, not measured here; {ranks}: {row.note}"


def _values_of(line: dict[str, str]) -> list[dict[str, str]]:
    """The values of a table of a paper, each with the protocol of all and its own model."""
    table = published.load()
    part = table[(table.paper == line["paper"]) & (table.item == line["item"])]
    return [
        line | row | {"backbone": published.settings_of(row["settings"]).get("model", UNKNOWN)}
        for row in part.to_dict("records")
    ]


def _tables() -> pd.DataFrame:
    return _read(TABLES)


@lru_cache
def _read(name: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / f"{name}.csv", dtype=str, keep_default_na=False)
