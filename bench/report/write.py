"""Tables written: as text, CSV, Markdown and LaTeX (booktabs)."""

import re
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from bench.files.write import atomic

TEX = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}"}
TEX |= {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "↑": r"$\uparrow$", "↓": r"$\downarrow$"}
TEX |= {
    "\N{MINUS SIGN}": "$-$",
    "δ": r"$\delta$",
    "τ": r"$\tau$",
    "\N{SCRIPT SMALL L}": r"$\ell$",
    "∅": r"$\emptyset$",
    "∝": r"$\propto$",
    "≠": r"$\neq$",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    "[": "{[}",  # which after a line's end would be an argument of it
    "→": r"$\to$",
    "←": r"$\leftarrow$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "∞": r"$\infty$",
    "↳": r"$\hookrightarrow$",
}
TEX |= {raised: f"$^{{{plain}}}$" for raised, plain in zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-", strict=True)}
_NARROW = 12  # letters in a line of a heading


@dataclass
class Table:
    """A table as a reader sees it.

    Attributes:
        cells: texts under headings.
        lead, remarks: lines above it, what it is of and notices, and below it.
        apart: rows from this one on are ruled off in LaTeX.
    """

    cells: pd.DataFrame
    title: str = ""
    lead: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    apart: int | None = None

    def text(self) -> str:
        """As it is printed."""
        return "\n".join(line.rstrip() for line in self.markdown().splitlines())

    def markdown(self, level: int = 1) -> str:
        """With the lead's lines kept apart, the remarks as a list, and a title of this level."""
        title = f"{'#' * level} {self.title}" if self.title else ""
        remarks = "\n".join(f"- {line}" for line in self.remarks)
        return "\n\n".join(filter(None, [title, "  \n".join(self.lead), grid(self.cells), remarks]))

    def latex(self, label: str) -> str:
        """A `table*` for booktabs, which spans both columns of a page; what has to be said beside it stands under it.
        Headings of the form `group, name` get a row of their own for the groups; `**` is bold, `<u>` underlined."""
        heads = [_split(heading) for heading in self.cells]
        groups = [(group, len(list(same))) for group, same in groupby(group for group, _ in heads)]
        above, rules, at = [], [], 1
        for group, width in groups:
            above.append(rf"\multicolumn{{{width}}}{{c}}{{{_tex(group)}}}" if group else " & ".join([""] * width))
            rules += [rf"\cmidrule(lr){{{at}-{at + width - 1}}}"] if group else []
            at += width
        named = [" & ".join(above) + r" \\", "".join(rules)] if rules else []
        texts = sum(heading in ("", "point", "method") for heading in self.cells)
        rows = [" & ".join(map(_tex, line)) + r" \\" for line in self.cells.itertuples(index=False)]
        if self.apart is not None:
            rows.insert(self.apart, r"\midrule")
        body = [*named, " & ".join(_stacked(name) for _, name in heads) + r" \\", r"\midrule", *rows]
        said = _tex(" ".join(f"{line.rstrip('.')}." for line in [*self.lead, *self.remarks] if line))
        lines = [r"% \usepackage{booktabs}", r"\begin{table*}", r"\centering", r"\footnotesize"]
        lines += [r"\setlength{\tabcolsep}{3pt}", rf"\caption{{{_tex(self.title)}}}", rf"\label{{tab:{_key(label)}}}"]
        columns = "l" * texts + "r" * (len(heads) - texts)
        lines += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", *body, r"\bottomrule", r"\end{tabular}"]
        lines += [r"\par\medskip", rf"\parbox{{\textwidth}}{{\scriptsize {said}}}"] if said else []
        return "\n".join([*lines, r"\end{table*}"])


def files(stem: Path, forms: Iterable[str], save: Callable[[Path, str], Any]) -> list[Path]:
    """Writes `<stem>.<form>` for each form; `save` does it, given a file and the form. Returns the files."""
    made = [stem.with_name(f"{stem.name}.{form}") for form in forms]
    for file in made:
        with atomic(file) as temporary:
            save(temporary, file.suffix[1:])
    return made


def save(table: Table, stem: Path, forms: Iterable[str], label: str = "") -> list[Path]:
    """Writes a table as `<stem>.md` or `.tex`, or both; returns the files."""
    made = {"md": table.markdown, "tex": lambda: table.latex(label or stem.name)}
    return files(stem, forms, lambda file, form: file.write_text(made[form]() + "\n", encoding="utf-8"))


def csv(numbers: pd.DataFrame, stem: Path, **form: Any) -> Path:
    """Writes `<stem>.csv`; returns it. `form` are further arguments of `pandas.DataFrame.to_csv`."""
    return files(stem, ["csv"], lambda file, _: numbers.to_csv(file, **{"index": False} | form))[0]


def grid(cells: pd.DataFrame | list[dict[str, Any]]) -> str:
    """Texts under headings as a Markdown table, each as it is."""
    return pd.DataFrame(cells).to_markdown(index=False, disable_numparse=True)


def _split(heading: str) -> tuple[str, str]:
    """Group and name of a column."""
    group, _, name = heading.rpartition(", ")
    return group, name


def _stacked(name: str) -> str:
    """A heading in narrow lines; direction and unit in one of their own where they do not fit beside it."""
    lines = [_tex(line) for line in textwrap.wrap(name, _NARROW, break_long_words=False, break_on_hyphens=False)]
    return "".join(lines) if len(lines) < 2 else r"\shortstack[r]{" + r"\\".join(lines) + "}"


def _key(label: str) -> str:
    """A label without what LaTeX reads as more than a letter."""
    return re.sub(r"[^A-Za-z0-9:./-]+", "-", label)


def _tex(text: str) -> str:
    parts = re.split(r"(\*\*.*?\*\*|<u>.*?</u>)", text)
    return "".join(_marked(part) if number % 2 else _escaped(part) for number, part in enumerate(parts))


def _marked(part: str) -> str:
    if part.startswith("**"):
        return rf"\textbf{{{_escaped(part[2:-2])}}}"
    return rf"\underline{{{_escaped(part[3:-4])}}}"


def _escaped(text: str) -> str:
    return "".join(TEX.get(letter, letter) for letter in text)
