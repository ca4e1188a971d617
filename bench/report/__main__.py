"""All runs under a folder as one table, trade-off plots, contact sheets, and a page that shows them with every edit.

    python -m bench.report
    python -m bench.report data=pie method=ddim,edict 'run=*seed0*' page=false to=my/report
    python -m bench.report data=shapes published=true tex=true pivot=r

Reads what is stored: no model, no metric, no torch.
"""

import sys
from pathlib import Path
from typing import Any

import pandas as pd

from bench.config import cli, options
from bench.config.command import command
from bench.config.options import Option
from bench.errors import UserError, nearest
from bench.files import hashing
from bench.files.hashing import sha256_of
from bench.files.paths import file_name
from bench.files.write import check_writable
from bench.report import latex, unfinished, write
from bench.report import published as printed
from bench.report.tables import by_type, collect, readable
from bench.scores import selection
from bench.scores.selection import ALL, Selection
from bench.scores.stored import Scored

OPTIONS = {
    "out": Option("results/runs", "folder of the runs"),
    **selection.OPTIONS,
    "to": Option(None, "folder for tables, figures and page; null: <out>/report"),
    "rows": Option(10, "samples on a contact sheet"),
    "page": Option(True, "whether to write the page"),
    "thumb": Option(256, "longest side of its thumbnails in pixels"),
    "limit": Option(None, "samples of each data set in its gallery; null: all"),
    "published": Option(False, "whether rows that papers print for a data set stand below its runs"),
    "tex": Option(False, "whether tables are written for LaTeX, too"),
    "pivot": Option(None, "knob with a group of columns for each of its values there; null: a line a point"),
}

SHOWN = 10  # runs without scores


def report(
    out: Path,
    chosen: Selection = ALL,
    to: Path | None = None,
    rows: int = 10,
    page: bool = True,
    thumb: int = 256,
    limit: int | None = None,
    published: bool = False,
    tex: bool = False,
    pivot: str | None = None,
) -> list[Path]:
    """Writes `summary.csv` beside the runs, or to `to` if that is given, tables and figures to `to`, and prints the
    tables; with `page`, also what `bench.report.page.make` does.

    Returns:
        the files written to `to`.

    Raises:
        UserError: nothing to report on.
    """
    from bench.report import figures

    try:
        table, shown = collect(out), collect(out, chosen)
    except UserError as error:
        raise UserError("\n".join(_unfinished(out, chosen)) or str(error)) from None
    if pivot is not None:
        _check_pivot(shown, pivot, tex)
    check_writable(to or out)
    summary = write.csv(table.drop(columns="scored"), (to or out) / "summary")
    table, to, written = shown, to or out / "report", []
    for (name, profile), part in table.groupby(["data", "profile"]):
        rows_of = printed.rows(name, profile) if published else []
        shown, stem = readable(part, rows_of), to / f"{file_name(name)}.{profile}"
        print(shown.text(), end="\n\n")
        if published and not rows_of:
            known = ", ".join(printed.names())
            print(f"no paper's rows are known for data={name}, scored by {profile}; there are some for: {known}\n")
        written += write.save(shown, Path(f"{stem}.table"), ["md"])
        if tex:
            written += write.save(latex.table(part, pivot, rows_of), Path(f"{stem}.table"), ["tex"])
        if not (types := by_type(part)).empty:
            written.append(write.csv(types, Path(f"{stem}.types")))
        written += figures.trade_off(part, Path(f"{stem}.trade-off"))
    for name, runs in table.drop_duplicates("folder").groupby("data"):
        for number, (_, part) in enumerate(runs.groupby(runs.scored.map(_pictures), sort=False), 1):
            stem = file_name(name) if number == 1 else f"{file_name(name)}.{number}"
            written += figures.contact_sheet(part, to / f"{stem}.contact-sheet", rows)
    if page:
        from bench.report.page import make

        written.append(make(table, out, to, chosen, thumb, limit))
    print("\n".join([*_unfinished(out, chosen), *(f"written: {file}" for file in [summary, *written])]))
    return written


def _unfinished(out: Path, chosen: Selection) -> list[str]:
    """A line for each run that has no scores, up to a few."""
    found = unfinished.under(out, chosen)
    more = [f"and {len(found) - SHOWN} more runs without scores"] if len(found) > SHOWN else []
    return [*map(str, found[:SHOWN]), *more]


def _pictures(run: Scored) -> str:
    """What tells the pictures of data sets of one name apart."""
    return sha256_of({name: value for name, value in run.told.items() if name.startswith("data.")})


@command
def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    try:
        given = options.parse(sys.argv[1:] if argv is None else argv, OPTIONS)
        for name in ("rows", "thumb", "limit"):
            _check_count(name, given[name])
        for name in ("page", "published", "tex"):
            if not isinstance(given[name], bool):
                raise UserError(f"{name}={given[name]}, expected true or false")
        to = Path(given["to"]) if given["to"] else None
        own = {name: value for name, value in given.items() if name not in selection.OPTIONS}
        report(**own | {"out": Path(given["out"]), "to": to}, chosen=Selection.of(given))
        hashing.remember()
    except UserError as error:
        return cli.fail(error)
    return 0


def _check_pivot(table: pd.DataFrame, pivot: str, tex: bool) -> None:
    if not tex:
        raise UserError(f"pivot={pivot} is of tables for LaTeX; add tex=true")
    known = sorted({name for run in table.scored for name, value in run.summary.knobs.items() if value is not None})
    if pivot not in known:
        raise UserError(f"pivot={pivot} is a knob of no run; {nearest(str(pivot), known)}")


def _check_count(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        if value is None and OPTIONS[name].default is None:
            return
        raise UserError(f"{name}={value}, expected a whole number from 1")


if __name__ == "__main__":
    sys.exit(main())
