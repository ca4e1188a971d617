"""An item's cells as CSV, Markdown and LaTeX (booktabs). No torch."""

from pathlib import Path

import pandas as pd

from bench.files.write import atomic, write
from bench.reproduce.items import Item
from bench.reproduce.verdicts import DIFFERS, INCOMPARABLE, MATCHES, NOT_RUN, Cell, frame

_TEX = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}"}
_TEX |= {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "↑": r"$\uparrow$", "↓": r"$\downarrow$"}
_TEX |= {"→": r"$\to$", "≥": r"$\geq$", "≤": r"$\leq$", "↳": r"$\hookrightarrow$"}


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
    n, expected = max(cell.n for cell in counted), max(cell.n_expected or 0 for cell in counted)
    return f"{n}" if n >= expected else f"{n}/{expected} incomplete"


def _ours(cell: Cell | None) -> str:
    if cell is None:
        return ""
    if isinstance(cell.ours, str):
        return cell.ours
    if cell.ours is None:
        return "not run" if cell.verdict == NOT_RUN else ""
    if cell.kind == "knob":
        return f"{cell.ours:g}"
    size = abs(cell.ours)
    digits = 1 if size >= 100 else 2
    if size < 1 and cell.kind in ("set", "measured"):
        digits = 4 if cell.kind == "measured" else 3
    if cell.metric.startswith("nfe") or isinstance(cell.ours, int):
        digits = 0
    text = f"{round(cell.ours, digits) + 0.0:.{digits}f}"  # no -0.00
    if cell.lo is not None and cell.hi is not None:
        text += f" ±{(cell.hi - cell.lo) / 2:.{digits}f}"
    return text


def remarks(item: Item, cells: list[Cell]) -> list[str]:
    """What has to be said under the table: notices, why values are missing or cannot be compared, the item's notes."""
    lines = [f"Notice: {notice}" for notice in sorted({cell.notice for cell in cells} - {""})]
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
        lines.append("matches: the published value lies in our 95 % interval, or ours rounds to it")
    return [*lines, *item.notes]


def write_all(item: Item, cells: list[Cell], header: list[str], to: Path) -> list[Path]:
    """Writes `<to>/tables/<item>.csv`, `.md` and `.tex`; returns them."""
    stem = to / "tables" / item.name
    stem.parent.mkdir(parents=True, exist_ok=True)
    files = [stem.with_name(stem.name + suffix) for suffix in (".csv", ".md", ".tex")]
    with atomic(files[0]) as temporary:
        frame(cells).to_csv(temporary, index=False)
    write(files[1], markdown(item, cells, header) + "\n")
    write(files[2], latex(item, cells, header))
    return files


def markdown(item: Item, cells: list[Cell], header: list[str]) -> str:
    """The table with its title, source, header and remarks."""
    table = tabulate(cells).to_markdown(index=False, disable_numparse=True)
    notes = [f"- {line}" for line in remarks(item, cells)]
    return "\n".join(
        [f"# {item.title}", "", f"{item.source}  ", *(f"{line}  " for line in header), "", table, "", *notes]
    )


def latex(item: Item, cells: list[Cell], header: list[str]) -> str:
    """The table in booktabs; what has to be said beside it is in the caption."""
    table = tabulate(cells).map(_tex)
    table.columns = [_tex(column) for column in table.columns]
    body = table.to_latex(index=False, escape=False, column_format="ll" + "r" * (table.shape[1] - 2)).splitlines()
    said = [item.title, item.source, *header, *remarks(item, cells)]
    caption = _tex(". ".join(line.rstrip(".") for line in said) + ".")
    lines = [r"% \usepackage{booktabs}", r"\begin{table}", r"\centering", *body, rf"\caption{{{caption}}}"]
    return "\n".join([*lines, rf"\label{{tab:{item.name}}}", r"\end{table}", ""])


def _tex(text: str) -> str:
    return "".join(_TEX.get(letter, letter) for letter in text)
