"""Tables written: as text, CSV, Markdown and LaTeX (booktabs)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from bench.files.write import atomic

_TEX = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}"}
_TEX |= {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "↑": r"$\uparrow$", "↓": r"$\downarrow$"}
_TEX |= {"→": r"$\to$", "≥": r"$\geq$", "≤": r"$\leq$", "↳": r"$\hookrightarrow$"}


@dataclass
class Table:
    """A table as a reader sees it.

    Attributes:
        cells: texts under headings.
        lead, remarks: lines above it, what it is of and notices, and below it.
    """

    cells: pd.DataFrame
    title: str = ""
    lead: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def text(self) -> str:
        """As it is printed."""
        return "\n".join(line.rstrip() for line in self.markdown().splitlines())

    def markdown(self, level: int = 1) -> str:
        """With the lead's lines kept apart, the remarks as a list, and a title of this level."""
        title = f"{'#' * level} {self.title}" if self.title else ""
        remarks = "\n".join(f"- {line}" for line in self.remarks)
        return "\n\n".join(filter(None, [title, "  \n".join(self.lead), grid(self.cells), remarks]))

    def latex(self, label: str) -> str:
        """A `table` for booktabs; what has to be said beside it is in the caption."""
        cells = self.cells.map(_tex)
        cells.columns = [_tex(column) for column in cells.columns]
        body = cells.to_latex(index=False, escape=False, column_format="ll" + "r" * (cells.shape[1] - 2)).splitlines()
        said = [self.title, *self.lead, *self.remarks]
        caption = _tex(". ".join(line.rstrip(".") for line in said if line) + ".")
        lines = [r"% \usepackage{booktabs}", r"\begin{table}", r"\centering", *body, rf"\caption{{{caption}}}"]
        return "\n".join([*lines, rf"\label{{tab:{label}}}", r"\end{table}"])


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


def _tex(text: str) -> str:
    return "".join(_TEX.get(letter, letter) for letter in text)
