"""All runs under a folder as one table, trade-off plots and contact sheets.

    python -m bench.report out=results/runs [data=shapes] [to=<folder>] [rows=10]

Reads summaries only: no model, no metric, no torch.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bench import cli
from bench.errors import UserError, nearest, one_line
from bench.store import atomic, write

OPTIONS = {"out": "results/runs", "data": None, "to": None, "rows": 10}
"""Folder of the runs, the data set to show (null: each), folder for the figures (null: `<out>/report`), samples on a
contact sheet."""
IDENTITY = ["data", "method", "variant", "model", "profile", "r", "guidance", "steps", "seed", "n", "n_expected"]
COSTS = ["nfe", "seconds", "nfe_spent"]


def collect(out: Path) -> pd.DataFrame:
    """One row for each run and profile: identity, every metric with `_lo`, `_hi` and `_n`, costs, folder, summary.

    Raises:
        UserError: there is none.
    """
    files = sorted(out.glob("*/*/*/summary.*.json"))
    if not files:
        raise UserError(f"no run under out={out}; make one with `python -m bench.run out={out}`")
    rows = []
    for file in files:
        summary = json.loads(file.read_text())
        knobs = summary["knobs"]
        row = {key: summary.get(key) for key in IDENTITY} | {k: knobs.get(k) for k in ("r", "guidance", "steps")}
        for name, fact in summary["metrics"].items():
            row |= {name: fact["value"], f"{name}_lo": fact["lo"], f"{name}_hi": fact["hi"], f"{name}_n": fact["n"]}
        row |= {key: summary[key] for key in COSTS}
        row |= {"notice": summary["notice"], "folder": str(file.parent), "summary": summary}
        rows.append(row)
    table = pd.DataFrame(rows)
    table["variant"] = _variants(table)
    last = [*COSTS, "notice", "folder", "summary"]
    table = table[[*IDENTITY, *(c for c in table if c not in IDENTITY + last), *last]]
    return table.sort_values(["data", "profile", "method", "variant", "seed", "r"], kind="stable", ignore_index=True)


def _variants(table: pd.DataFrame) -> pd.Series:
    """For each run, the knobs (apart from r) in which runs of its method on its data differ, as `knob=value`."""
    knobs = table.summary.map(lambda summary: {**summary["knobs"], "model": summary["model"]})
    labels = pd.Series("", index=table.index)
    for _, rows in table.groupby(["data", "method"]).groups.items():
        mine = [knobs[row] for row in rows]
        names = dict.fromkeys(name for one in mine for name in one if name not in ("r", "label"))
        differ = [name for name in names if len({json.dumps(one.get(name)) for one in mine}) > 1]
        labels[rows] = [
            " ".join(filter(None, [one.get("label"), *(f"{name}={one[name]}" for name in differ if name in one)]))
            for one in mine
        ]
    return labels


def readable(table: pd.DataFrame) -> str:
    """The runs of one data set and profile as a text table, with what its header must say."""
    facts = table.summary.iloc[0]
    listed = [name for name in facts["table"] or facts["metrics"] if name in table]
    shown = [name for name in listed if table[name].notna().any()]
    rows = []
    for _, row in table.iterrows():
        line: dict[str, Any] = {"method": " ".join(filter(None, [row.method, row.variant]))}
        line["r"] = "" if pd.isna(row.r) else f"{row.r:g}"
        line["n"] = f"{row.n}" if row.n == row.n_expected else f"{row.n}/{row.n_expected} incomplete"
        for name in shown:
            line[heading(name, facts["metrics"][name])] = cell(row, name)
        line["NFE"] = "" if pd.isna(row.nfe) else f"{row.nfe:.0f}"
        line["s/image"] = "" if pd.isna(row.seconds) else f"{row.seconds:.2f}"
        rows.append(line)
    lines = [header(table), "", pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)]
    reasons = {
        n: f["reason"] for s in table.summary for n, f in s["metrics"].items() if f.get("reason") and n in listed
    }
    lines += [f"{name} is empty: {reason}" for name, reason in reasons.items()]
    return "\n".join(lines)


def header(table: pd.DataFrame) -> str:
    """Data, profile, backbone, models, and the notices of embedded weights."""
    facts = table.summary.iloc[0]
    models = ", ".join(sorted({s["model"] for s in table.summary if s["model"]})) or "no model"
    notices = sorted(table.notice.dropna().unique())
    words = [f"data {facts['data']}", f"profile {facts['profile']} ({facts['backbone']})", f"model {models}"]
    return "; ".join(words) + "".join(f"\n{notice}" for notice in notices)


def heading(name: str, fact: dict[str, Any]) -> str:
    """Metric name with its direction and unit."""
    return f"{name} {'↑' if fact['higher_is_better'] else '↓'}" + (f" ({fact['unit']})" if fact["unit"] else "")


def cell(row: pd.Series, name: str) -> str:
    """Value with its 95 % interval where it has one."""
    value = row[name]
    if value is None or pd.isna(value):
        return ""
    text = f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    if pd.isna(row[f"{name}_lo"]):
        return text
    return f"{text} ±{(row[f'{name}_hi'] - row[f'{name}_lo']) / 2:.1f}"


def report(out: Path, data: str | None = None, to: Path | None = None, rows: int = 10) -> list[Path]:
    """Writes `summary.csv` beside the runs, tables and figures to `to`, and prints the tables.

    Returns:
        the files written to `to`.

    Raises:
        UserError: nothing to report on.
    """
    from bench import figures  # matplotlib

    table = collect(out)
    with atomic(out / "summary.csv") as file:
        table.drop(columns="summary").to_csv(file, index=False)
    if data is not None:
        if data not in set(table.data):
            raise UserError(f"no run of data={data} under out={out}; {nearest(data, sorted(set(table.data)))}")
        table = table[table.data == data]
    to, written = to or out / "report", []
    to.mkdir(parents=True, exist_ok=True)
    for (name, profile), part in table.groupby(["data", "profile"]):
        text = readable(part)
        print(text, end="\n\n")
        written.append(to / f"{name}.{profile}.table.md")
        write(written[-1], text + "\n")
        written += figures.trade_off(part, to / f"{name}.{profile}.trade-off")
    for name, part in table.drop_duplicates("folder").groupby("data"):
        written += figures.contact_sheet(part, to / f"{name}.contact-sheet.png", rows)
    print("\n".join(f"written: {file}" for file in [out / "summary.csv", *written]))
    return written


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    try:
        options = _options(sys.argv[1:] if argv is None else argv)
        to = Path(options["to"]) if options["to"] else None
        report(Path(options["out"]), options["data"], to, _count(options["rows"]))
    except UserError as error:
        return cli.fail(error)
    return 0


def _count(rows: Any) -> int:
    if not isinstance(rows, int) or rows < 1:
        raise UserError(f"rows={rows}, expected a whole number from 1")
    return rows


def _options(argv: list[str]) -> dict[str, Any]:
    try:
        given = OmegaConf.to_container(OmegaConf.from_cli([word for word in argv if "=" in word]))
    except OmegaConfBaseException as error:
        raise UserError(one_line(error)) from None
    unknown = [word for word in argv if "=" not in word] + [name for name in given if name not in OPTIONS]
    if unknown:
        raise UserError(f"unknown option {unknown[0]!r}; {nearest(unknown[0], list(OPTIONS))}")
    return OPTIONS | given


if __name__ == "__main__":
    sys.exit(main())
