"""What items of papers would cost, before any of it is made: runs, images, evaluations of the denoiser, hours.

Neither data nor models need be here. Evaluations are counted (`bench.reproduce.cost.counting`); seconds are told by the
user or by earlier runs (`bench.reproduce.cost.pace`), and never made up.
"""

import shlex
from pathlib import Path
from typing import Any

import pandas as pd

from bench.edits.plan import plan
from bench.errors import UserError, one_line
from bench.files import hashing
from bench.files.hashing import sha256_of
from bench.report.write import grid
from bench.reproduce import outcomes
from bench.reproduce.cost import amounts, counting, pace
from bench.reproduce.items import Item, knob_of
from bench.reproduce.outcomes import Rows

NUMBERS = ["n", "done", "left", "nfe", "nfe_spent", "updates", "hours"]
COLUMNS = ["item", "label", "run", "data", "model", *NUMBERS, "most", "how", "why"]
UNKNOWN = "how many samples they have is not known without the data"
NO_DENOISER = "updates are no evaluations of a denoiser, and how long one takes is not known"


def of_items(chosen: list[Item], words: list[str], seconds_per_nfe: float | None = None, workers: int = 1) -> str:
    """The estimate for items of papers, as text; arguments as for `estimate`.

    Args:
        workers: that share all of it alike.
    """
    table = estimate(chosen, words, seconds_per_nfe)
    hashing.remember()
    no_runs = [f"{item.name} ({kind})" for item in chosen for kind in ("theory", "listing") if getattr(item, kind)]
    return readable(table, words, workers) + (f"\nleft out, not edits: {', '.join(no_runs)}" if no_runs else "")


def estimate(chosen: list[Item], words: list[str], seconds_per_nfe: float | None = None) -> pd.DataFrame:
    """One row for each run of each label, in the order in which `bench.reproduce` makes them: what one row makes, a
    later one that wants the same finds done.

    Args:
        words: the user's, which change every run.
        seconds_per_nfe: what one evaluation of a denoiser takes; None: what runs on this machine took.

    Returns:
        columns `item`, `label`, `run` (equal for equal data, model, knobs and seed), `data`, `model` (or none), `n`
        images, `done` of these and `left` to make; where something is left, `nfe` of an image by itself, `nfe_spent`
        after sharing with the label's other runs, `updates` along gradients, whether these are the `most` it can be,
        `hours` for what is left, `how` these are known; `why` something is not known.
    """
    rows: list[dict[str, Any]] = []
    made: dict[str, set[str]] = {}
    costs: dict[str, list[counting.Cost]] = {}
    told = seconds_per_nfe and pace.Pace(seconds_per_nfe, f"as given: {seconds_per_nfe:g} s an evaluation")
    for item in chosen:
        for label in outcomes.compose(item, words):
            lines = _amounts(item, label, made)
            todo = [(line, point.cfg) for line, point in zip(lines, label.points, strict=True) if line["left"] != 0]
            _count(todo, costs)
            for line, cfg in todo:
                if line["nfe"] and line["left"] and (known := told or pace.known(cfg)):
                    line |= {"hours": line["left"] * line["nfe_spent"] * known.seconds / 3600, "how": known.how}
            rows += lines
    return pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(NUMBERS, float))


def _amounts(item: Item, label: Rows, made: dict[str, set[str]]) -> list[dict[str, Any]]:
    """A row for each run of a label, with its images. `made`: for each run, the samples that are there by then."""
    first, lines = label.points[0].cfg, []
    wanted, finished = amounts.wanted(item, first), _finished(label)
    if wanted and any(0 < len(ids) < wanted.of for ids in finished or ()):
        wanted = amounts.wanted(item, first, look=True)
    for point, ids in zip(label.points, finished or [set()] * len(label.points), strict=True):
        cfg = point.cfg
        model = cfg["model"]["name"] if "model" in cfg["method"]["uses"] else "none"
        line = dict.fromkeys(COLUMNS) | {"item": item.name, "label": label.label, "run": (key := _key(cfg))}
        line |= {"data": cfg["data"]["name"], "model": model, "most": False, "why": "" if wanted else UNKNOWN}
        if wanted:
            by_then = made.setdefault(key, set(ids))
            n = len(wanted.samples)
            left = max(0, min(len(wanted.samples - by_then), wanted.of - len(by_then)))
            by_then |= wanted.samples
            line |= {"n": n, "done": None if finished is None else n - left, "left": left}
        lines.append(line)
    return lines


def _finished(label: Rows) -> list[set[str]] | None:
    """The ids that each run of a label has; None: cannot be told, since data, model or weights are not here."""
    cfg = label.points[0].cfg
    if not any(Path(cfg["out"], cfg["data"]["name"], cfg["method"]["name"]).glob("*/edits")):
        return [set()] * len(label.points)
    try:
        journals = [run.store.journal() for run in plan(label.cfg)]
    except UserError:
        return None
    return [{id_ for id_, entry in journal.items() if "traceback" not in entry} for journal in journals]


def _count(job: list[tuple[dict[str, Any], dict[str, Any]]], costs: dict[str, list[counting.Cost]]) -> None:
    """Fills in what each run of a label costs, together with the others. `costs`: those that are counted already."""
    methods = [cfg["method"] for _, cfg in job]
    if not job or "model" not in methods[0]["uses"]:
        for line, _ in job:
            line |= {"nfe": 0, "nfe_spent": 0, "updates": 0, "hours": 0.0}
        return
    first = job[0][1]
    name = sha256_of([methods, first["model"], counting.size_of(first)])
    try:
        if name not in costs:
            costs[name] = counting.count(methods, counting.geometry_of(first))
    except Exception as error:  # a method of the user's own may fail in any way; what it costs is then not known
        for line, _ in job:
            line["why"] = f"cannot be counted: {type(error).__name__}: {one_line(error)}"
        return
    for (line, _), cost in zip(job, costs[name], strict=True):
        line |= {"nfe": cost.nfe, "nfe_spent": cost.spent, "updates": cost.updates, "most": cost.most}
        line["why"] = line["why"] or ("" if cost.nfe else NO_DENOISER * bool(cost.updates))


def _key(cfg: dict[str, Any]) -> str:
    uses = cfg["method"]["uses"]
    model, seed = (cfg[name] if thing in uses else None for name, thing in (("model", "model"), ("seed", "noise")))
    return sha256_of([cfg["data"], counting.size_of(cfg), model, cfg["method"], seed])


def readable(table: pd.DataFrame, words: list[str], workers: int = 1) -> str:
    """The estimate as text: a line for each label of an item, the total, what is not in it, where seconds are from."""
    table = table.assign(evaluations=table.left * table.nfe_spent)
    untimed, timed, lines = table[table.hours.isna() & (table.evaluations > 0)], table.how.notna().any(), []
    for (item, label), part in table.groupby(["item", "label"], sort=False):
        nothing = "" if (part.left == 0).all() else "?"
        line = {
            "item": item,
            "runs of": label,
            "runs": len(part),
            "data": part.data.iloc[0],
            "model": part.model.iloc[0],
            "images": _range(part.n, "?"),
            "done": _range(part.done, "?"),
            "NFE": _range(part.nfe, nothing) + (" at most" if part.most.any() else ""),
            "shared": _range(part.nfe_spent, nothing),
            "evaluations": f"{part.evaluations.sum():,.0f}" if part.evaluations.notna().any() else nothing,
        }
        line |= {"updates": _range(part.updates, nothing)} if table.updates.any() else {}
        hours = _time(part.hours.sum()) if part.hours.notna().any() else nothing
        lines.append(line | ({"hours": hours} if timed else {}))
    text = [grid(lines), ""] if lines else []
    total = f"{table.left.sum():,.0f} images to make, {table.evaluations.sum():,.0f} evaluations of a denoiser"
    hours = f": {'at least ' * bool(len(untimed))}{_time(table.hours.sum())}" if timed else ""
    text.append(f"in all {table.run.nunique()} runs, {total}{hours}")
    if workers > 1:
        each = f", {_time(table.hours.sum() / workers)}" if timed else ""
        text.append(f"{workers} workers: {table.evaluations.sum() / workers:,.0f} evaluations each{each}")
    text += [f"not in it: {part.run.nunique()} runs: {why}" for why, part in table[table.why != ""].groupby("why")]
    if len(untimed):
        which = " and ".join(sorted(set(untimed.model)))
        others = [word for word in words if knob_of(word) != "limit"]
        few = shlex.join(["python", "-m", "bench.reproduce", untimed.item.iloc[0], *others, "limit=4"])
        text.append(
            f"hours are not known of {which}, of which no run is here at this size and dtype on this device: say "
            f"seconds_per_nfe=<seconds an evaluation takes>, or make a few images first: {few}"
        )
    return "\n".join([*text, "", *table.how.dropna().unique(), *NOTES])


NOTES = (
    "NFE: an image by itself, counted by running each method at these steps on a made-up denoiser; at most: it stops "
    "earlier where its answers are good enough. shared: with the other runs of the line, such as values of r",
    "updates: along gradients, an image; those of null-text inversion and its like are evaluations too",
    "done: images that are there, or that a line above makes; ?: cannot be told without the data or the model",
)


def _range(values: pd.Series, unknown: str) -> str:
    """`40`, or `40 to 160`."""
    known = values.dropna()
    if known.empty:
        return unknown
    low, high = (f"{end:,.10g}" for end in (known.min(), known.max()))
    return low if low == high else f"{low} to {high}"


def _time(hours: float) -> str:
    """`36 s`, `0.72 h`, or `84 h (3.5 days)`: three digits, since it is an estimate."""
    if hours < 0.1:
        return f"{_short(3600 * hours)} s"
    return f"{_short(hours)} h" + (f" ({_short(hours / 24)} days)" if hours >= 48 else "")


def _short(value: float) -> str:
    return f"{float(f'{value:.3g}'):,.10g}"
