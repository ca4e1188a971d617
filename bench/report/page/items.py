"""Reproduced items beside the papers' values, and claims, from the files that their commands wrote."""

from pathlib import Path
from typing import Any

import pandas as pd

from bench.files.write import write
from bench.report import words

COLUMNS = ("title", "row", "point", "metric", "heading", "kind", "ours", "lo", "hi", "n", "published", "difference")
COLUMNS = (*COLUMNS, "verdict", "why", "run", "notice", "data", "profile")
"""What is read of an item's table, one line a cell; `groups` and `apart`, which older versions did not write, too."""
CLAIM = (
    "statement",
    "source",
    "data",
    "profile",
    "by",
    "edits",
    "metric",
    "compared",
    "difference",
    "lo",
    "hi",
    "n",
    "verdict",
)
CLAIM = (*CLAIM, "why", "notice")
"""What is read of `claims.csv`."""


def items(out: Path, to: Path, index: dict[str, int]) -> list[dict[str, Any]]:
    """Every item that has a table under `<out>/tables` or a figure under `<out>/figures`; figures are copied.

    Args:
        index: a run's folder, relative to `out` -> its place in the gallery's list.
    """
    found = {}
    for kind, ending in (("tables", "csv"), ("figures", "png")):
        for file in sorted(out.glob(f"{kind}/**/*.{ending}")):
            found.setdefault(file.relative_to(out / kind).with_suffix("").as_posix(), {})[kind] = file
    return [_item(name, files, out, to, index) for name, files in sorted(found.items())]


def _item(name: str, files: dict[str, Path], out: Path, to: Path, index: dict[str, int]) -> dict[str, Any]:
    item: dict[str, Any] = {"title": name}
    if "figures" in files:
        copy = to / "figures" / f"{name}.png"
        if copy.resolve() != files["figures"].resolve():  # a page may be written beside the figures
            write(copy, files["figures"].read_bytes())
        item["figure"] = copy.relative_to(to).as_posix()
    if "tables" in files:
        cells = pd.read_csv(files["tables"], dtype=str, keep_default_na=False)
        if lacking := [column for column in COLUMNS if column not in cells]:
            return item | {"problem": f"{files['tables']} is no item's table: column {lacking[0]} is missing"}
        cells = cells.reindex(columns=[*cells, *sorted({"groups", "apart"} - {*cells})], fill_value="")
        item["title"] = f"{name}: {cells.title.iloc[0]}"
        item["table"] = _table(cells, index)
        points = files["figures"].with_suffix(".csv") if "figures" in files else None
        if points is not None and points.exists():
            panel = pd.read_csv(points, dtype=str)
            if "x_metric" in panel and len(panel):  # figures of measurements and listings have files of another form
                item["plot"] = _plot(item["title"], _drawn(cells, panel), index, panel.iloc[0])
    return item


def _table(cells: pd.DataFrame, index: dict[str, int]) -> dict[str, Any]:
    """A column for each metric. Reasons stand under the table, numbered."""
    headings, whys = _headings(cells), list(dict.fromkeys(cells.why[cells.why != ""]))
    pointed = bool((cells.point != "").any())
    rows = []
    for (row, point), part in cells.groupby(["row", "point"], sort=False):
        found = {cell.metric: _cell(cell, whys) for cell in part.itertuples()}
        line = [row, *([point] if pointed else []), *(found.get(metric, "") for metric in headings)]
        rows.append({"cells": line, "run": _run(part, index)})
    data, profiles = (", ".join(dict.fromkeys(filter(None, cells[name]))) for name in ("data", "profile"))
    return {
        "lead": [f"data {data}; profile {profiles}", *sorted(set(cells.notice) - {""})],
        "columns": ["row", *(["point"] if pointed else []), *headings.values()],
        "rows": rows,
        "remarks": [f"{number}: {why}" for number, why in enumerate(whys, 1)],
    }


def _headings(cells: pd.DataFrame) -> dict[str, str]:
    """Metric -> its heading; a metric that some row lacks is bare there, without direction and unit."""
    return {metric: max(part.heading, key=len) for metric, part in cells.groupby("metric", sort=False)}


def _cell(cell: Any, whys: list[str]) -> dict[str, Any]:
    value, low, high = (words.finite(text) for text in (cell.ours, cell.lo, cell.hi))
    whole = cell.kind in ("cost", "knob") and value is not None and value.is_integer()
    digits = 0 if whole else words.decimals(value, (high - low) / 2 if cell.lo else None)
    ours = cell.ours if value is None else words.between(value, low, high, digits)
    ours += " (few)" if value is not None and words.few(words.finite(cell.groups)) else ""
    lines = [f"paper {cell.published}"] if cell.published else []
    lines += [f"difference {words.number(words.finite(cell.difference), digits, '+')}"] if cell.difference else []
    note = {"note": whys.index(cell.why) + 1} if cell.why else {}
    return {"text": ours, "key": cell.ours, "lines": lines} | ({"mark": cell.verdict} if cell.verdict else {}) | note


def _run(part: pd.DataFrame, index: dict[str, int]) -> int | None:
    """The run behind a row, where it is one."""
    runs = set(part.run) - {""}
    return index.get(runs.pop()) if len(runs) == 1 else None


def _drawn(cells: pd.DataFrame, panel: pd.DataFrame) -> pd.DataFrame:
    """The cells that may be points: differences of rows, and what was scored otherwise, are in the table alone."""
    derived = cells.kind.isin(("derived", "reduction")) & ~cells.row.isin(
        panel.row
    )  # of these, the figure has the best
    return cells[~derived & (cells.apart == "")]


def _plot(title: str, cells: pd.DataFrame, index: dict[str, int], panel: pd.Series) -> dict[str, Any]:
    """The item's values as points, and the published ones as curves of their own."""
    points: list[dict[str, Any]] = []
    for order, ((row, point), part) in enumerate(cells.groupby(["row", "point"], sort=False)):
        start = {"label": point, "order": order, "run": _run(part, index)}
        ours = {
            cell.metric: [words.finite(cell.ours), words.finite(cell.lo), words.finite(cell.hi)]
            for cell in part.itertuples()
        }
        paper = {cell.metric: [words.finite(cell.published), None, None] for cell in part.itertuples()}
        n = max((int(float(n)) for n in part.n if n), default=None)
        points.append(start | {"curve": row, "n": n, "values": _known(ours)})
        points.append(start | {"curve": f"{row} (published)", "n": None, "run": None, "values": _known(paper)})
    return {
        "title": title,
        "notices": sorted(set(cells.notice) - {""}),
        "axes": _headings(cells),
        "x": panel.x_metric,
        "y": panel.y_metric,
        "points": [point for point in points if point["values"]],
    }


def _known(values: dict[str, list[float | None]]) -> dict[str, list[float | None]]:
    return {name: found for name, found in values.items() if found[0] is not None}


def claims(out: Path) -> dict[str, Any] | None:
    """The claims that were evaluated, None if none were."""
    file = out / "claims.csv"
    if not file.exists():
        return None
    found = pd.read_csv(file, dtype=str, keep_default_na=False).reindex(columns=[*CLAIM], fill_value="")
    rows = []
    for claim in found.itertuples():
        difference = words.between(*map(words.finite, (claim.difference, claim.lo, claim.hi)), sign="+")
        data = ", ".join(filter(None, [claim.data, claim.profile]))
        cells = [claim.statement, {"text": "", "mark": claim.verdict}, {"text": difference, "key": claim.difference}]
        by = ", ".join(filter(None, [claim.by, claim.edits]))
        rows.append({"cells": [*cells, by, claim.metric, claim.compared, claim.n, data, claim.why, claim.source]})
    columns = ["claim", "verdict", "difference", "tested on", "metric", "compared", "n", "data", "why", "source"]
    return {"lead": sorted(set(found.notice) - {""}), "columns": columns, "rows": rows}
