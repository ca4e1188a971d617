"""What the gallery shows: every sample of every data set, its source and truth, and the edits of every run."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from bench.config import files, stated
from bench.data.own import sample
from bench.edits.folder import Store
from bench.edits.identity import of_data
from bench.edits.plan import make_data
from bench.errors import BadSample, UserError
from bench.files.hashing import sha256_of
from bench.files.paths import file_name, sample_name
from bench.files.write import write
from bench.report import words
from bench.report.page.names import title
from bench.report.page.thumbs import TRUE, Thumbs
from bench.scores.stored import Scored
from bench.types import EditData, EditSample, Query

CHUNK = 64
"""Samples read before their thumbnails are written: they are held in memory."""


def contents(table: pd.DataFrame, out: Path, thumbs: Thumbs, limit: int | None) -> dict[str, Any]:
    """`sets`: each data set with its samples; `runs`: one for each folder, in the table's order. Writes thumbnails.

    Runs whose pictures are of data sets of one name that differ in what decides pixels are of different sets.
    """
    runs = dict(iter(table.groupby("folder", sort=False)))
    names = {folder: profiles.data.iloc[0] for folder, profiles in runs.items()}
    identities = {folder: profiles.scored.iloc[0].identity["data"] for folder, profiles in runs.items()}
    keys = {folder: sha256_of([names[folder], identity]) for folder, identity in identities.items()}
    sets, made = [], {}
    for number, key in enumerate(dict.fromkeys(keys.values())):
        own = {folder: profiles for folder, profiles in runs.items() if keys[folder] == key}
        name, identity = (of[next(iter(own))] for of in (names, identities))
        scored = [run for profiles in own.values() for run in profiles.scored]
        found, order = _set(name, identity, scored, thumbs, limit)
        others = [identities[folder] for folder in runs if names[folder] == name]
        sets.append({"name": title(name, identity, others), "metrics": _metrics(scored), **found})
        for folder, profiles in own.items():
            made[folder] = {"set": number, **_run(profiles, order, out, thumbs, found["ending"])}
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


def _set(
    name: str, identity: dict[str, Any], runs: list[Scored], thumbs: Thumbs, limit: int | None
) -> tuple[dict[str, Any], list[str]]:
    """One data set, and the ids of its samples in the order that statuses and scores of its runs are in."""
    folders = list(dict.fromkeys(run.folder for run in runs))
    configs = [files.read(folder / "config.yaml")["data"] for folder in folders]
    readable, problems = [], []
    for node in {sha256_of(node): node for node in configs}.values():
        try:
            readable.append(_same(node, identity))
        except UserError as error:
            problems.append(str(error))
    readable.sort(key=lambda data: -len(data.ids))  # options that only choose among samples make no other set
    done = {id_ for folder in folders for id_ in Store(folder).journal()}
    known = {id_: (data, i) for data in reversed(readable) for i, id_ in enumerate(data.ids)}
    order = [id_ for id_ in dict.fromkeys(id_ for data in readable for id_ in data.ids) if id_ in done]
    order = [*order, *sorted(done - set(order))][:limit]
    place, side = thumbs.use(f"{file_name(name)}/sources/{sha256_of(identity)[:10]}"), configs[0]["size"]
    facts = _samples([id_ for id_ in order if id_ in known], known, place, thumbs, thumbs.ending(side))
    types = {} if readable else _types(runs)
    samples = []
    for id_ in order:
        file = sample_name(id_)
        named = {"id": id_} if file == id_ else {"id": id_, "file": file}
        samples.append(named | ({"type": types[id_]} if id_ in types else {}) | facts.get(id_, {}))
    found = {
        "why": None if readable else "; ".join(dict.fromkeys(problems)),
        "side": side,
        "left_out": len(done) - len(order),
        "thumbs": _relative(place, thumbs),
        "ending": thumbs.ending(side),
        "samples": samples,
    }
    return found, order


def _same(node: dict[str, Any], identity: dict[str, Any]) -> EditData:
    """The data set of a run's configuration.

    Raises:
        UserError: it cannot be read, or is no longer what was edited.
    """
    data = make_data(node)
    if of_data(node, data) != identity:
        raise UserError(f"data={node['name']} is no longer what these runs edited")
    return data


def _samples(
    ids: list[str], known: dict[str, tuple[EditData, int]], place: Path, thumbs: Thumbs, ending: str
) -> dict[str, dict[str, Any]]:
    """Words of the samples that can be read, and their thumbnails. What was read before is not read again: the folder
    is named by a hash of everything that decides pixels and words."""
    file = place / "samples.json"
    facts = json.loads(file.read_text()) if file.exists() else {}
    fresh = [id_ for id_ in ids if id_ not in facts]
    bar = tqdm(total=len(fresh), unit="sample", desc="thumbnails of sources", disable=None, leave=False)
    for start in range(0, len(fresh), CHUNK):
        samples = []
        for id_ in fresh[start : start + CHUNK]:
            data, index = known[id_]
            try:
                samples.append(sample(data, index))
            except BadSample:
                continue  # its runs have recorded why
        thumbs.each(lambda sample: _save(sample, place, thumbs, ending), samples)
        facts |= {sample.id: _facts(sample) for sample in samples}
        bar.update(len(fresh[start : start + CHUNK]))
    bar.close()
    if fresh:
        write(file, json.dumps(facts))
    return facts


def _save(sample: EditSample, place: Path, thumbs: Thumbs, ending: str) -> None:
    name = sample_name(sample.id)
    thumbs.save(sample.image, place / f"sources/{name}.{ending}")
    if sample.truth is not None:
        thumbs.save(sample.truth, place / f"truths/{name}.{ending}")
    if sample.mask is not None:
        thumbs.save_mask(sample.mask, place / f"masks/{name}.png", TRUE, veil=0)


def _facts(sample: EditSample) -> dict[str, Any]:
    facts = {
        "type": sample.type,
        "source": _words(sample.source),
        "target": _words(sample.target),
        "instruction": sample.instruction,
        "truth": sample.truth is not None,
        "mask": sample.mask is not None,
    }
    return {"seen": True} | {name: value for name, value in facts.items() if value}


def _words(query: Query) -> str | None:
    return f"class {query}" if isinstance(query, int) else query


def _types(runs: list[Scored]) -> dict[str, str]:
    """Edit types as the scores remember them, for a data set that cannot be read."""
    return {id_: kind for run in runs for id_, kind in run.table["type"].dropna().items()}


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
    thumbs.copy(edits, str(folder))
    thumbs.copy_masks(masks, f"{folder}, masks")
    return {
        "folder": folder.as_posix(),
        "method": row.method,
        "variant": row.variant,
        "r": words.knob(row.r),
        "control": stated.given(row.method, row.scored.summary.knobs) == [],
        "notices": words.notices(run.summary for run in profiles.scored),
        "thumbs": _relative(place, thumbs),
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


def _relative(place: Path, thumbs: Thumbs) -> str:
    return place.relative_to(thumbs.folder.parent).as_posix()
