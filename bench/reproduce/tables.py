"""An item's cells as CSV, Markdown and LaTeX (booktabs). No torch."""

from pathlib import Path

import pandas as pd

from bench.report import words, write
from bench.report.write import Table
from bench.reproduce.items import Item
from bench.reproduce.verdicts import DIFFERS, INCOMPARABLE, MATCHES, NOT_RUN, Cell, frame


def tabulate(cells: list[Cell]) -> pd.DataFrame:
    """A line for each row and point with our values and, where any is published, one with the paper's and, where
    they differ, one with the verdicts below it."""
    columns = list(dict.fromkeys(cell.metric for cell in cells))
    headings = {c: max((cell.heading for cell in cells if cell.metric == c), key=len) for c in columns}
    lines: dict[tuple[str, str], dict[str, Cell]] = {}
    for cell in cells:
        lines.setdefault((cell.row, cell.point), {})[cell.metric] = cell
    named = any(point for _, point in lines)
    mixed = len({cell.verdict for cell in cells if cell.published}) > 1  # else the remarks say it once
    rows = []
    for (row, point), found in lines.items():
        start = {"": row} | ({"point": point} if named else {})
        rows.append(start | {"n": _count(found)} | {headings[c]: _ours(found.get(c)) for c in columns})
        if any(cell.published for cell in found.values()):
            blank = {"point": ""} if named else {}
            paper = {headings[c]: found[c].published if c in found else "" for c in columns}
            verdict = {headings[c]: found[c].verdict if c in found and found[c].published else "" for c in columns}
            rows.append({"": "↳ paper"} | blank | {"n": ""} | paper)
            rows += [{"": "↳ verdict"} | blank | {"n": ""} | verdict] if mixed else []
    return pd.DataFrame(rows).fillna("")


def _count(found: dict[str, Cell]) -> str:
    counted = [cell for cell in found.values() if cell.n is not None]
    if not counted:
        return ""
    return words.extent(max(cell.n for cell in counted), max(cell.n_expected or 0 for cell in counted))


def _ours(cell: Cell | None) -> str:
    if cell is None or cell.ours is None:
        return "not run" if cell and cell.verdict == NOT_RUN else ""
    if cell.kind == "knob":
        return words.knob(cell.ours)
    if cell.kind == "cost":
        return words.cost(cell.metric, cell.ours)
    few = words.few(cell.groups)
    return words.value(cell.ours, cell.lo, cell.hi, 0 if isinstance(cell.ours, int) else None) + (
        f" ({few})" if few else ""
    )


def remarks(item: Item, cells: list[Cell]) -> list[str]:
    """What has to be said under the table: notices, why values are missing or cannot be compared, the item's notes."""
    lines = [f"Notice: {notice}" for notice in sorted({cell.notice for cell in cells} - {""})]
    lines += [words.FEWNESS] if any(cell.ours is not None and words.few(cell.groups) for cell in cells) else []
    fewer = {
        cell.metric: cell.n for cell in cells if cell.kind == "pair" and cell.n and cell.n < (cell.n_expected or 0)
    }
    lines += [f"{name}: a mean over images with a finite value, such as {n}" for name, n in fewer.items()]
    for verdict in (INCOMPARABLE, NOT_RUN, ""):
        reasons: dict[str, list[str]] = {}
        for cell in cells:
            if cell.verdict == verdict and cell.why:
                reasons.setdefault(cell.why, []).append(f"{cell.row} {cell.metric}" if not verdict else cell.row)
        for why, rows in reasons.items():
            rows = list(dict.fromkeys(rows))
            who = "all rows" if set(rows) == {cell.row for cell in cells} and len(rows) > 1 else ", ".join(rows[:6])
            who += " and others" if len(rows) > 6 and who != "all rows" else ""
            lines.append(f"{verdict or 'empty'} ({who}): {' '.join(why.split())}")
    judged = [cell.verdict for cell in cells if cell.published]
    if judged:
        counts = [f"{judged.count(v)} {v}" for v in (MATCHES, DIFFERS, INCOMPARABLE, NOT_RUN) if v in judged]
        lines.append(f"Of {len(judged)} published values: {', '.join(counts)}")
        lines.append("matches: ours is the published value but for its rounding and what noise, precision or JPEG do")
    return [*lines, *item.notes]


def write_all(item: Item, cells: list[Cell], header: list[str], to: Path) -> list[Path]:
    """Writes `<to>/tables/<item>.csv`, `.md` and `.tex`; returns them."""
    stem = to / "tables" / item.name
    return [write.csv(frame(cells), stem), *write.save(readable(item, cells, header), stem, ["md", "tex"], item.name)]


def readable(item: Item, cells: list[Cell], header: list[str]) -> Table:
    """The table with its title, source, header and remarks."""
    return Table(tabulate(cells), item.title, [item.source, *header], remarks(item, cells))
