"""What the gallery shows: every sample of every data set, its source and truth, and the edits of every run."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from bench.config import progress, stated
from bench.edits.folder import Store
from bench.files.hashing import sha256_of
from bench.files.paths import sample_name
from bench.report import words
from bench.report.page.names import title
from bench.report.page.sources import Sources
from bench.report.page.thumbs import Thumbs
from bench.scores.stored import Scored


def contents(table: pd.DataFrame, out: Path, thumbs: Thumbs, limit: int | None) -> dict[str, Any]:
    """`sets`: each data set with its samples; `runs`: one for each folder, in the table's order. Writes thumbnails of
    sources; those of edits are written by `Thumbs.finish`.

    Runs whose pictures are of data sets of one name that differ in what decides pixels are of different sets.
    """
    runs = dict(iter(table.groupby("folder", sort=False)))
    names = {folder: profiles.data.iloc[0] for folder, profiles in runs.items()}
    identities = {folder: profiles.scored.iloc[0].identity["data"] for folder, profiles in runs.items()}
    keys = {folder: sha256_of([names[folder], identity]) for folder, identity in identities.items()}
    sets, made = [], {}
    of_sets = {key: [folder for folder in runs if keys[folder] == key] for key in dict.fromkeys(keys.values())}
    found: list[Sources] = []
    for folders in of_sets.values():
        scored = [run for folder in folders for run in runs[folder].scored]
        found.append(Sources(names[folders[0]], identities[folders[0]], scored, thumbs, limit))
    with progress.line("page, 2 of 3: sources", sum(len(one.fresh) for one in found)) as bar:
        for sources in found:
            sources.read(bar.update)
    for number, (folders, sources) in enumerate(zip(of_sets.values(), found, strict=True)):
        name, identity = names[folders[0]], identities[folders[0]]
        others = [identities[folder] for folder in runs if names[folder] == name]
        metrics = _metrics([run for folder in folders for run in runs[folder].scored])
        sets.append({"name": title(name, identity, others), "metrics": metrics, **sources.contents()})
        for folder in folders:
            made[folder] = {"set": number, **_run(runs[folder], sources.order, out, thumbs, sources.ending)}
    return {"sets": sets, "runs": [made[folder] for folder in runs]}


def _metrics(runs: list[Scored]) -> dict[str, dict[str, Any]]:
    """What a metric of single pictures is called -> `profile`, `heading`, and whether higher is `better`: the profiles'
    main ones first, then those of their tables. One that several profiles have is called by them, too."""
    facts = [(fact, run.summary) for run in runs for fact in run.summary.metrics.values() if fact.kind == "pair"]
    facts.sort(key=lambda one: (one[0].name != one[1].plot.get("y"), one[0] not in one[1].shown))
    found = {(words.of(fact), summary.profile): fact.higher_is_better for fact, summary in facts}
    times = Counter(heading for heading, _ in found)
    return {
        heading + (f", {profile}" if times[heading] > 1 else ""): {
            "profile": profile,
            "heading": heading,
            "better": better,
        }
        for (heading, profile), better in found.items()
    }


def _run(profiles: pd.DataFrame, order: list[str], out: Path, thumbs: Thumbs, ending: str) -> dict[str, Any]:
    """One run: what became of each sample (`m` edit with a mask, `e` edit, `f` failed, `-` not run), and its scores."""
    row = profiles.iloc[0]
    store, folder = Store(Path(row.folder)), Path(row.folder).relative_to(out)
    journal, place = store.journal(), thumbs.use(str(folder))
    masked = {file.name for file in (store.folder / "masks").glob("*.png")}
    status, edits, masks = "", [], []
    for id_ in order:
        name = sample_name(id_)
        if id_ not in journal or "error" in journal[id_]:
            status += "f" if id_ in journal else "-"
            continue
        edits.append((store.edit_file(id_), place / f"edits/{name}.{ending}"))
        if f"{name}.png" in masked:
            masks.append((store.mask_file(id_), place / f"masks/{name}.png"))
        status += "m" if f"{name}.png" in masked else "e"
    thumbs.copy(edits)
    thumbs.copy_masks(masks)
    return {
        "folder": folder.as_posix(),
        "method": row.method,
        "variant": row.variant,
        "r": words.knob(row.r),
        "control": stated.given(row.method, row.scored.summary.knobs) == [],
        "notices": words.notices(run.summary for run in profiles.scored),
        "thumbs": thumbs.relative(place),
        "status": status,
        "failures": [[id_, entry["error"]] for id_, entry in journal.items() if "error" in entry],
        "scores": {run.summary.profile: _scores(run, order) for run in profiles.scored},
    }


def _scores(run: Scored, order: list[str]) -> dict[str, list[float | str | None]]:
    """Heading -> value of each sample, of the metrics of single pictures. Infinite values are text."""
    facts = [fact for fact in run.summary.metrics.values() if fact.kind == "pair"]
    table = run.table.reindex(index=order, columns=[fact.name for fact in facts])
    return {words.of(fact): [_value(value) for value in table[fact.name]] for fact in facts}


def _value(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return float(f"{value:.4g}") if math.isfinite(value) else str(value)
