"""Values that papers print: `results/published/<paper>.csv`, as printed, each with the place it is printed at.

Columns: paper, item (table, figure or section), method, settings (`knob=value`, joined by `;`), metric, value, source.
A value keeps its digits, since they tell how it was rounded: 25.10 is known to 0.005, 50e3 to 500. No torch.
"""

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

import pandas as pd

from bench.errors import UserError
from bench.paths import ROOT

FOLDER = ROOT / "results" / "published"
COLUMNS = ["paper", "item", "method", "settings", "metric", "value", "source"]


@dataclass(frozen=True)
class Published:
    """One printed value.

    Attributes:
        value: as a number.
        decimals: digits after the point; negative where not even the ones are printed (50e3: -3).
        source: where it is printed.
        text: as printed.
    """

    value: float
    decimals: int
    source: str
    text: str

    @property
    def rounding(self) -> float:
        """By how much the unrounded value may differ."""
        return 0.5 * 10.0**-self.decimals


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
    rows = find(paper, item, method, settings)
    rows = rows[rows.metric == metric]
    if len(rows) > 1:
        where = f"{paper}, {item}, {method}, {metric}"
        raise UserError(
            f"{len(rows)} published values fit {where}, with the settings {' and '.join(rows.settings)}; "
            "say which in the item's published.rows"
        )
    return parsed(rows.iloc[0]) if len(rows) else None


def one(paper: str, where: dict[str, Any]) -> Published:
    """The value that `paper` (its default), `item`, `method`, `settings` and `metric` of an item's file name.

    Raises:
        UserError: nothing or more than one fits.
    """
    place = where.get("paper", paper), where["item"], where["method"], where.get("settings"), where["metric"]
    if (found := lookup(*place)) is None:
        raise UserError(f"no published value fits {', '.join(map(str, place))}; see results/published/")
    return found


def find(paper: str, item: str, method: str | None = None, settings: dict[str, Any] | None = None) -> pd.DataFrame:
    """The published rows of an item, or of one method of it, whose settings contain those given."""
    table = load()
    table = table[(table.paper == paper) & (table.item == item)]
    if method is not None:
        table = table[table.method == method]
    wanted = {knob: _plain(value) for knob, value in (settings or {}).items()}
    return table[table.settings.map(lambda text: wanted.items() <= settings_of(text).items()).astype(bool)]


def settings_of(text: str) -> dict[str, str]:
    """`steps=50;w_t=7.5` as a dict; numbers in one spelling."""
    pairs = (word.split("=", 1) for word in text.split(";") if word)
    return {knob: _plain(value) for knob, value in pairs}


def parsed(row: pd.Series) -> Published:
    """A row of `load` as a number with its rounding."""
    number = Decimal(row.value)
    return Published(float(number), -int(number.as_tuple().exponent), row.source, row.value)


def _plain(value: Any) -> str:
    try:
        return f"{float(value):g}"
    except (TypeError, ValueError):
        return str(value)
