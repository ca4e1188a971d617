"""An item's cells as CSV, Markdown and LaTeX (booktabs). No torch."""

from pathlib import Path

import pandas as pd

from bench.report import words, write
from bench.report.write import Table
from bench.reproduce import marks
from bench.reproduce.items import Item
from bench.reproduce.verdicts import DIFFERS, INCOMPARABLE, MATCHES, NOT_RUN, PRINTED, Cell, frame, notices


def tabulate(item: Item, cells: list[Cell]) -> pd.DataFrame:
    """A line for each row and point with our values and, where any is published, one with the published ones and, where
    they differ, one with the verdicts below it. The best of a column is bold, the second underlined; a row of other
    pictures than most says so and is neither."""
    headings = _headings(cells)
    lines: dict[tuple[str, str], dict[str, Cell]] = {}
    for cell in cells:
        lines.setdefault((cell.row, cell.point), {})[cell.metric] = cell
    named = any(point for _, point in lines)
    judged = {cell.verdict for cell in cells if cell.published} - {PRINTED}
    mixed = len(judged) > 1  # else the remarks say it once
    ours, theirs = (marks.best(item, cells, values) for values in ("ours", "published"))
    n = marks.usual(marks.counts(cells))
    rows = []
    for (row, point), found in lines.items():
        start = {"": row} | ({"point": point} if named else {})
        values = {headings[c]: _marked(_ours(found.get(c)), ours.get((row, point, c))) for c in headings}
        rows.append(start | {"n": _count(found, n)} | values)
        if any(cell.published and cell.verdict != PRINTED for cell in found.values()):
            blank = {"point": ""} if named else {}
            shown = {c: _published(found[c]) if c in found else "" for c in headings}
            paper = {headings[c]: _marked(text, theirs.get((row, point, c))) for c, text in shown.items()}
            verdict = {headings[c]: found[c].verdict if c in found and found[c].published else "" for c in headings}
            rows.append({"": "↳ published"} | blank | {"n": ""} | paper)
            rows += [{"": "↳ verdict"} | blank | {"n": ""} | verdict] if mixed else []
    return pd.DataFrame(rows).fillna("")


def _headings(cells: list[Cell]) -> dict[str, str]:
    """Metric -> its heading; a metric that some row lacks is bare there, without direction and unit."""
    columns = dict.fromkeys(cell.metric for cell in cells)
    return {c: max((cell.heading for cell in cells if cell.metric == c), key=len) for c in columns}


def _marked(text: str, rank: int | None) -> str:
    return {1: f"**{text}**", 2: f"<u>{text}</u>"}.get(rank, text) if text else ""


def _count(found: dict[str, Cell], usual: int | None) -> str:
    counted = [cell for cell in found.values() if cell.n is not None and cell.metric != "seconds"]
    if not counted:
        return ""
    n = max(cell.n for cell in counted)
    extent = words.extent(n, max(cell.n_expected or 0 for cell in counted))
    return extent if n == usual else f"{extent} (others: {usual})"


def _ours(cell: Cell | None) -> str:
    if cell and cell.verdict == PRINTED:
        return _published(cell)
    if cell is None or cell.ours is None:
        return "not run" if cell and cell.verdict == NOT_RUN else ""
    if cell.kind == "knob":
        return words.knob(cell.ours)
    if cell.kind == "cost":
        return words.cost(cell.metric, cell.ours)
    text = words.value(cell.ours, cell.lo, cell.hi, 0 if isinstance(cell.ours, int) else None)
    few = words.few(cell.groups)
    return words.minus(text) + (" %" if cell.kind == "reduction" else "") + (f" ({few})" if few else "")


def _published(cell: Cell) -> str:
    return words.minus(cell.published) + (" %" if cell.kind == "reduction" and cell.published else "")


def remarks(item: Item, cells: list[Cell]) -> list[str]:
    """What has to be said under the table: notices, why values are missing or cannot be compared, the item's notes."""
    lines = [f"Notice: {notice}" for notice in notices(cells)]
    lines += [words.FEWNESS] if any(cell.ours is not None and words.few(cell.groups) for cell in cells) else []
    fewer = {
        cell.metric: cell.n for cell in cells if cell.kind == "pair" and cell.n and cell.n < (cell.n_expected or 0)
    }
    lines += [f"{name}: a mean over images with a finite value, such as {n}" for name, n in fewer.items()]
    said: set[str] = set()
    for verdict in (INCOMPARABLE, NOT_RUN, "", PRINTED):
        reasons: dict[str, list[str]] = {}
        for cell in cells:
            if cell.verdict == verdict and cell.why and cell.why not in said:
                reasons.setdefault(cell.why, []).append(f"{cell.row} {cell.metric}" if not verdict else cell.row)
        said |= set(reasons)
        for why, rows in reasons.items():
            rows = list(dict.fromkeys(rows))
            who = "all rows" if set(rows) == {cell.row for cell in cells} and len(rows) > 1 else words.some(rows)
            lines.append(f"{verdict or 'empty'} ({who}): {' '.join(why.split())}")
    judged = [cell.verdict for cell in cells if cell.published and cell.verdict != PRINTED]
    if judged:
        counts = [f"{judged.count(v)} {v}" for v in (MATCHES, DIFFERS, INCOMPARABLE, NOT_RUN) if v in judged]
        lines.append(f"Of {len(judged)} published values: {', '.join(counts)}")
        lines.append("matches: ours is the published value but for its rounding and what noise, precision or JPEG do")
    lines += [f"published values: {source}" for source in dict.fromkeys(cell.source for cell in cells if cell.source)]
    if marks.best(item, cells, "ours") or marks.best(item, cells, "published"):
        lines.append("bold: the best of a column, underlined: the second; ours and published values each by themselves")
    lines += [f"{others}; they do not compare and are never best" for others in marks.apart(cells)]
    for why in dict.fromkeys(cell.apart for cell in cells if cell.apart):
        places = [f"{cell.metric} of {cell.row}" for cell in cells if cell.apart == why]
        lines.append(f"{why}, so that they do not compare and are never best or drawn: {words.some(places)}")
    return [*lines, *item.notes]


def write_all(item: Item, cells: list[Cell], header: list[str], to: Path) -> list[Path]:
    """Writes `<to>/tables/<item>.csv`, `.md` and `.tex`; returns them."""
    stem = to / "tables" / item.name
    return [write.csv(frame(cells), stem), *write.save(readable(item, cells, header), stem, ["md", "tex"], item.name)]


def readable(item: Item, cells: list[Cell], header: list[str]) -> Table:
    """The table with its title, source, header and remarks."""
    return Table(tabulate(item, cells), item.title, [item.source, *header], remarks(item, cells))
