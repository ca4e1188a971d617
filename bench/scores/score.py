"""Saved PNGs of a run to scores. Never loads the diffusion model."""

import io
import json
from copy import copy
from pathlib import Path
from typing import Any

from bench.config import profile as profiles
from bench.config.guard import BrokenCode
from bench.edits.folder import Store
from bench.edits.plan import make_data
from bench.edits.run import Run
from bench.errors import SourcesLost, UserError
from bench.files import weights
from bench.files.hashing import sha256, sha256_of
from bench.files.refused import writing
from bench.files.sources import is_foreign
from bench.files.write import make_folder, write
from bench.scores import protocol, seal, stored, summaries
from bench.scores.recipe import Recipe
from bench.scores.stored import Fact, Scored, Summary
from bench.statistics import intervals

TRACEBACK = "scoring_error.log"
"""In a run's folder: where a metric broke, the last time that one did."""


def score(run: Run, wait: bool = True) -> Scored:
    """Scores the current command's samples of a run, as far as they are edited; only what is missing is computed, and
    nothing is imported if nothing is. Scores that were changed by hand (`bench.scores.seal`) count as missing.

    Writes `per_image.<profile>.csv` and `summary.<profile>.json`. What is stored of more samples than these (an earlier
    command had a larger `limit`) stays, brought up to date, and the scores of these are returned only.

    Args:
        wait: for another process that scores it.

    Raises:
        UserError: pictures were changed by hand.
        bench.files.lock.Busy: another process scores it, and is not waited for.
    """
    journal, before = Store(run.folder).journal(), _intact(run)
    if before and before.summary.n_expected > len(run.ids):
        covered, wider = set(before.table.index), run.data.ids[: before.summary.n_expected]
        if covered >= set(_edited(run.ids, journal)):
            if covered <= set(wider):  # else the command's data are a choice of those
                _score(run, wider, journal, wait)
            return _score(run, run.ids, journal, wait, keep=False)
    return _score(run, run.ids, journal, wait)


def is_scored(run: Run) -> bool:
    """Whether all of the current command's samples are edited, and their scores stored: nothing is left to do."""
    if run.pending() or (before := _intact(run)) is None:
        return False
    journal, count = Store(run.folder).journal(), max(before.summary.n_expected, len(run.ids))
    asked = run.data.ids[:count] if count > len(run.ids) else run.ids
    return _is_whole(run, asked, journal, before, Recipe(run.cfg["metrics"]))


def _intact(run: Run) -> Scored | None:
    """What is stored, if it is as it was written."""
    name = run.cfg["metrics"]["name"]
    if not stored.summary_file(run.folder, name).exists() or seal.broken(run.folder, name):
        return None
    return stored.read(run.folder, name)


def _edited(ids: list[str], journal: dict[str, dict]) -> list[str]:
    return [id_ for id_ in ids if id_ in journal and "error" not in journal[id_]]


def _score(run: Run, asked: list[str], journal: dict[str, dict], wait: bool, keep: bool = True) -> Scored:
    """The scores of some samples; `keep`: they are stored as the run's. Columns that were scored before and are not
    asked for stay beside those that are. A source that has vanished since is its sample's failure."""
    try:
        return _score_all(run, asked, journal, wait, keep)
    except SourcesLost as lost:
        scored = _score(run, asked, journal | {id_: {"error": why} for id_, why in lost.ids.items()}, wait, keep)
        scored.lost = lost
        return scored


def _pictures(ids: list[str], journal: dict[str, dict]) -> dict[str, list]:
    """The hashes of their edits and masks."""
    return {id_: [journal[id_].get("edit_sha256"), journal[id_].get("mask_sha256")] for id_ in ids}


def _signature(run: Run, asked: list[str], journal: dict[str, dict]) -> str:
    """Of which samples, and how, a summary would be."""
    profile, ids = run.cfg["metrics"], _edited(asked, journal)
    shared = [profile["name"], profile["backbone"], profile["plot"], profile["table"], profile["mean"]]
    versions = [seal.code(), intervals.VERSION, protocol.VERSION]
    return sha256_of([shared, ids, _pictures(ids, journal), len(asked), *versions])


def _is_whole(run: Run, asked: list[str], journal: dict[str, dict], before: Scored, recipe: Recipe) -> bool:
    """Whether what is stored is what scoring would store."""
    return before.summary.signature == _signature(run, asked, journal) and recipe.is_in(before.summary)


def _score_all(run: Run, asked: list[str], journal: dict[str, dict], wait: bool, keep: bool) -> Scored:
    store, profile = Store(run.folder), run.cfg["metrics"]
    ids, name = _edited(asked, journal), profile["name"]
    pictures, recipe = _pictures(ids, journal), Recipe(profile)

    def whole(before: Scored | None) -> bool:
        return bool(keep and before and _is_whole(run, asked, journal, before, recipe))

    if whole(before := _intact(run)):
        return before
    with store.scoring(wait):
        if whole(before := _intact(run)):  # another process was faster
            return before
        if changed := store.changed({id_: journal[id_] for id_ in ids}):
            raise UserError(
                f"{len(changed)} pictures are not what the method made, such as {changed[0]} (its SHA-256 is not the "
                "journal's), and are not scored; delete them and run the command that made them again"
            )
        folder, others = run.folder / "scores" / name, recipe.others(before.summary) if before else {}
        metrics = _metrics(profile, recipe)
        made_with = _forget_stale(folder, recipe.made_with, pictures)
        try:
            measured = _measure(run, store, journal, ids, metrics, recipe, others)
        finally:
            _remember(folder, made_with, pictures)
        summary = summaries.summary(run, asked, journal, ids, measured)
        summary |= {"weights": recipe.hashes, "doubts": recipe.doubts, "code": seal.code()}
        if others:
            summary |= recipe.beside(others, before.summary) | {"code": before.summary.code}
            summary["metrics"] = _in_order(summary["metrics"], list(before.summary.metrics))
        table = summaries.table(ids, measured, list(summary["metrics"]), journal)
        if keep:
            file = run.folder / f"per_image.{name}.csv"
            write(file, table)
            made = {"signature": _signature(run, asked, journal), "per_image": sha256(file)}
            made["config"] = sha256(run.folder / "config.yaml")
            summary = seal.seal(summary | made)
            write(stored.summary_file(run.folder, name), json.dumps(summary, indent=1) + "\n")
    scored = Scored(run.folder, Summary.of(summary))
    scored.table = stored.per_image(io.StringIO(table))
    return scored


def _in_order(metrics: dict[str, Any], before: list[str]) -> dict[str, Any]:
    """Metrics in the order that they had, new ones last."""
    place = {name.removesuffix(profiles.RANDOM): number for number, name in enumerate(before)}
    names = sorted(metrics, key=lambda name: place.get(name.removesuffix(profiles.RANDOM), len(place)))
    return {name: metrics[name] for name in names}


def _forget_stale(folder: Path, now: dict[str, str], pictures: dict[str, list]) -> dict[str, str]:
    """Deletes stored columns that other weights, another preparation, another configuration or other pictures gave, or
    that are not as they were written.

    Args:
        now: column -> hash of what it is made with now.

    Returns:
        the same, with columns that are not asked for.
    """
    known = seal.record(folder)
    remade = any(known["pictures"].get(id_, hashes) != hashes for id_, hashes in pictures.items())
    for file in [file for file in folder.glob("*") if file.name != seal.RECORD]:
        column, is_column = file.name.split("@")[0], "@" in file.name
        intact = known["files"].get(file.name) == sha256(file)
        other = column in now and known["columns"].get(column) != now[column]
        if not intact or (is_column and (remade or other)):
            with writing(file):
                file.unlink()
    make_folder(folder)
    return known["columns"] | now


def _remember(folder: Path, made_with: dict[str, str], pictures: dict[str, list]) -> None:
    """Records what the stored columns were made with and of, and their hashes."""
    names = sorted(file.name for file in folder.iterdir() if file.name != seal.RECORD)
    pictures = seal.record(folder)["pictures"] | pictures
    entry = {"columns": made_with, "files": {name: sha256(folder / name) for name in names}, "pictures": pictures}
    write(folder / seal.RECORD, json.dumps(entry, indent=1) + "\n")


def _metrics(profile: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    """The metrics of a profile; those that read files of their own choice tell the recipe which."""
    from bench.scores import measure

    metrics = measure.build(profile)
    for name, metric in metrics.items():
        if hasattr(metric, "files"):
            metric.load()
            recipe.reads(name, metric.files)
    return metrics


def _measure(
    run: Run, store: Store, journal: dict, ids: list[str], metrics: dict, recipe: Recipe, others: dict[str, Fact]
):
    from bench.scores import measure
    from bench.scores.features import Recall

    profile, located = run.cfg["metrics"], weights.located(run.cfg["metrics"])
    nodes = profiles.columns(profile)
    changed = {key: profile[key] for key in ("size", "resample") if profile.get(key) is not None}
    if is_foreign(run.cfg["data"]["_target_"]):
        data = make_data(run.cfg["data"], **changed)
    else:  # not made anew, which would refuse all of it for a picture that has vanished since
        data = copy(run.data)
        vars(data).update(changed)
    recall = Recall(Path(run.cfg["out"]) / ".features", {located[name]: recipe.hashes[name] for name in located})
    try:
        measured = measure.measure(run, store, data, journal, ids, metrics, recall, others)
    except BrokenCode as error:
        log = run.folder / TRACEBACK
        write(log, error.traceback)
        raise UserError(f"{error}; the traceback is in {log}") from error
    for name, fact in measured.facts.items():
        if name in others:
            fact |= {key: getattr(others[name], key) for key in ("made_with", "weights", "prepared", "files", "made")}
            fact["made_with"] = "" if name in measured.lacking else fact["made_with"]  # it is computed when asked for
            fact["note"] = "; ".join(filter(None, [fact.get("note"), recipe.note(others[name])])) or None
        else:
            fact |= recipe.facts[name]
            fact["made"] = protocol.made(nodes[name], profile, fact, run.identity["data"])
    return measured


def failures(run: Run, journal: dict[str, dict]) -> list[str]:
    """A sentence on the samples that failed, if any did."""
    bad = {id_: journal[id_]["error"] for id_ in run.ids if "error" in journal.get(id_, {})}
    if not bad:
        return []
    id_, why = next(iter(bad.items()))
    return [f"{len(bad)} of {len(run.ids)} samples failed, recorded in {run.folder}; the first is {id_!r}: {why}"]
