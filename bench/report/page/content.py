"""What ran, on what, and the tables and trade-offs of all runs. Texts and numbers only; how they look is the page's."""

import datetime
import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from bench.edits.environment import environment
from bench.edits.folder import Store
from bench.files.paths import file_name
from bench.report import tables


def contents(table: pd.DataFrame, out: Path, data: str | None) -> dict[str, Any]:
    """Overview, and tables and plots of all runs.

    Tables are `{title, lead, columns, rows, remarks}`; a row has `cells` and, where one run stands behind it, `run`,
    its place in the gallery's list. A cell is a text, or `{text, key, lines, mark, note}`: what it is sorted by,
    further lines, a word that the page marks by sign and colour, and the number of a remark.
    """
    index = {folder: i for i, folder in enumerate(dict.fromkeys(table.folder))}
    parts = [part for _, part in table.groupby(["data", "profile"])]
    return {
        "made": _made(),
        "notices": sorted(set(table.notice.dropna())),
        "overview": [_runs(table, index), _unscored(out, data), _weights(table)],
        "tables": [_table(part, index) for part in parts],
        "plots": [_plot(part, index) for part in parts],
    }


def _made() -> dict[str, Any]:
    now = environment()
    when = datetime.datetime.now(datetime.timezone.utc)
    return {"when": f"{when:%Y-%m-%d %H:%M} UTC", "commit": _commit(now)}


def _commit(facts: dict[str, Any]) -> str:
    """Ten digits of a commit, and whether the code was really that."""
    if not facts.get("commit"):
        return "unknown commit"
    return facts["commit"][:10] + (" with local changes" if facts["dirty"] else "")


def _runs(table: pd.DataFrame, index: dict[str, int]) -> dict[str, Any]:
    rows = []
    for folder, profiles in table.groupby("folder", sort=False):
        row = profiles.iloc[0]
        store = Store(Path(folder))
        made_by = store.environments()
        commits = list(dict.fromkeys(_commit(facts) for facts in made_by))
        machines = list(dict.fromkeys(f"{facts['device']}, {facts['machine']}" for facts in made_by))
        lacks = bool((profiles.n != profiles.n_expected).any())
        state = {"text": tables.extent(row), "key": int(row.n)} | ({"mark": "incomplete"} if lacks else {})
        scored = [one.profile if one.n == row.n else f"{one.profile} ({one.n})" for _, one in profiles.iterrows()]
        cells = [
            row.method,
            "" if pd.isna(row.r) else f"{row.r:g}",
            row.variant,
            row.data,
            row.summary["model"] or "none",
            state,
            ", ".join(scored),
            {"text": commits[0] if commits else "unknown commit", "lines": commits[1:]},
            {"text": machines[0] if machines else "unknown", "lines": machines[1:]},
            Path(folder).name,
        ]
        rows.append({"cells": cells, "run": index[folder]})
    columns = ["method", "r", "variant", "data", "model", "samples", "scored by", "edited by commit", "on", "folder"]
    return {"title": "Runs", "columns": columns, "rows": rows}


def _unscored(out: Path, data: str | None) -> dict[str, Any]:
    """Runs that no table has: edits without scores."""
    rows = []
    for file in sorted(out.glob(f"{file_name(data) if data else '*'}/*/*/identity.json")):
        if not any(file.parent.glob("summary.*.json")):
            journal = Store(file.parent).journal()
            failed = sum("error" in entry for entry in journal.values())
            folder = file.parent.relative_to(out).as_posix()
            rows.append({"cells": [folder, str(len(journal) - failed), str(failed), f"run={file.parent}"]})
    lead = ["Edited but not scored, so in no table, plot or gallery: python -m bench.score run=<folder>"]
    columns = ["folder", "edits", "failed", "score with python -m bench.score"]
    return {"title": "Runs without scores", "lead": lead, "columns": columns, "rows": rows}


def _weights(table: pd.DataFrame) -> dict[str, Any]:
    """Every file of weights by its hash: of the models that edited, and of the networks that scored."""
    used: dict[tuple[str, str, str], None] = {}
    for row in table.drop_duplicates("folder").itertuples():
        model = json.loads((Path(row.folder) / "identity.json").read_text())["model"]
        for name, digest in (model or {}).get("files", {}).items():
            if not name.endswith((".json", ".txt")):
                used[f"model {row.model}", name, digest] = None
    for row in table.itertuples():
        for name, digest in row.summary["weights"].items():
            why = row.summary.get("doubts", {}).get(name)
            used[f"metrics {row.profile}", name + (f" ({why})" if why else ""), digest] = None
    rows = [{"cells": list(facts)} for facts in used]
    return {"title": "Weights", "columns": ["used by", "what", "SHA-256"], "rows": rows}


def _table(part: pd.DataFrame, index: dict[str, int]) -> dict[str, Any]:
    """The printed table of one data set and profile."""
    text = tables.cells(part)
    rows = []
    for folder, lacks, line in zip(part.folder, part.n != part.n_expected, text.itertuples(index=False), strict=True):
        cells: list[Any] = list(line)
        if lacks:
            cells[2] = {"text": cells[2], "mark": "incomplete"}
        rows.append({"cells": cells, "run": index[folder]})
    return {
        "title": f"{part.data.iloc[0]}, {part.profile.iloc[0]}",
        "lead": tables.header(part).splitlines(),
        "columns": list(text),
        "rows": rows,
        "remarks": tables.remarks(part),
    }


def _plot(part: pd.DataFrame, index: dict[str, int]) -> dict[str, Any]:
    """Every metric and cost of every run, so that any two can be the axes."""
    facts = part.summary.iloc[0]
    default = facts["plot"].values()  # choices even where no run has them
    known = {name for name in facts["metrics"] if name in default or part[name].notna().any()}
    axes = {name: tables.heading(name, fact) for name, fact in facts["metrics"].items() if name in known}
    costs = {"nfe": "NFE ↓", "seconds": "seconds for each image ↓"}
    axes |= {name: text for name, text in costs.items() if part[name].notna().any()}
    points = []
    for _, row in part.iterrows():
        values = {name: [_number(row.get(f"{name}{end}")) for end in ("", "_lo", "_hi")] for name in axes}
        points.append(
            {
                "run": index[row.folder],
                "curve": " ".join(filter(None, [row.method, row.variant])),
                "label": "" if pd.isna(row.r) else f"r = {row.r:g}",
                "order": _number(row.r) or 0,
                "n": int(row.n),
                "values": {name: found for name, found in values.items() if found[0] is not None},
            }
        )
    return {
        "title": f"{part.data.iloc[0]}, {part.profile.iloc[0]} ({facts['backbone']})",
        "notices": sorted(set(part.notice.dropna())),
        "axes": axes,
        "x": facts["plot"]["x"],
        "y": facts["plot"]["y"],
        "points": points,
    }


def _number(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
