"""Values that papers print: `conf/published/<paper>.csv`, as printed, each with the place it is printed at.

Columns: paper, item (table, figure or section), method, settings (`knob=value`, joined by `;`), metric, value, source.
A value keeps its digits, since they tell how it was rounded: 25.10 is known to 0.005, 50e3 to 500. No torch.
"""

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import UserError
from bench.files.paths import ROOT

FOLDER = ROOT / "conf" / "published"
COLUMNS = ["paper", "item", "method", "settings", "metric", "value", "source"]


@dataclass(frozen=True)
class Published:
    """One printed value.

    Attributes:
        value: as a number.
        decimals: digits after the point; negative where not even the ones are printed (50e3: -3).
        source: where it is printed.
        text: as printed.
        settings: under which it was found, as `load` has them.
        rounded: how many rounded values it is made of.
    """

    value: float
    decimals: int
    source: str
    text: str
    settings: str = ""
    rounded: int = 1

    @property
    def rounding(self) -> float:
        """By how much the unrounded value may differ."""
        return self.rounded * 0.5 * 10.0**-self.decimals

    def minus(self, other: "Published") -> "Published":
        """A difference that a paper prints as two values."""
        text = str(Decimal(self.text) - Decimal(other.text))
        source = self.source if self.source == other.source else f"{self.source}, less {other.source}"
        decimals = min(self.decimals, other.decimals)
        return Published(float(text), decimals, source, text, rounded=self.rounded + other.rounded)


@lru_cache(1)
def load() -> pd.DataFrame:
    """Every published value; all columns are text."""
    files = sorted(FOLDER.glob("*.csv"))
    return pd.concat([pd.read_csv(file, dtype=str, keep_default_na=False) for file in files], ignore_index=True)


def lookup(paper: str, item: str, method: str, settings: dict[str, Any] | None, metric: str) -> Published | None:
    """The value that a paper prints, None where it prints none.

    Args:
        settings: what the row's own settings must contain; None: nothing.

    Raises:
        UserError: several rows fit.
    """
    wanted = {knob: _plain(value) for knob, value in (settings or {}).items()}
    rows = [row for row in _rows(FOLDER).get((paper, item, method, metric), []) if wanted.items() <= row[0].items()]
    if len(rows) > 1:
        where = f"{paper}, {item}, {method}, {metric}"
        raise UserError(
            f"{len(rows)} published values fit {where}, with the settings "
            f"{' and '.join(found.settings for _, found in rows)}; say which in the item's published.rows"
        )
    return rows[0][1] if rows else None


def one(paper: str, where: dict[str, Any]) -> Published:
    """The value that `paper` (its default), `item`, `method`, `settings` and `metric` of an item's file name.

    Raises:
        UserError: nothing or more than one fits.
    """
    place = where.get("paper", paper), where["item"], where["method"], where.get("settings"), where["metric"]
    if (found := lookup(*place)) is None:
        raise UserError(f"no published value fits {', '.join(map(str, place))}; see conf/published/")
    return found


@lru_cache(1)
def _rows(folder: Path) -> dict[tuple[str, ...], list[tuple[dict[str, str], Published]]]:
    """The rows of `load`, which reads `folder`, by paper, item, method and metric."""
    found: dict[tuple[str, ...], list] = {}
    for row in load().itertuples(index=False):
        number = Decimal(row.value)
        value = Published(float(number), -int(number.as_tuple().exponent), row.source, row.value, row.settings)
        found.setdefault((row.paper, row.item, row.method, row.metric), []).append((settings_of(row.settings), value))
    return found


def settings_of(text: str) -> dict[str, str]:
    """`steps=50;w_t=7.5` as a dict; numbers in one spelling."""
    pairs = (word.split("=", 1) for word in text.split(";") if word)
    return {knob: _plain(value) for knob, value in pairs}


def _plain(value: Any) -> str:
    try:
        return f"{float(value):g}"
    except (TypeError, ValueError):
        return str(value)
