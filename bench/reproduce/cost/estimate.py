"""What a set of runs asks of this machine, before any of it is made: runs, evaluations of the denoiser, hours.

Neither data nor models need be here. Evaluations are counted (`bench.reproduce.cost.counting`), seconds are measured
on a short calibration (`bench.reproduce.cost.calibration`).
"""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import OmegaConf

from bench.config import validate
from bench.edits.plan import plan
from bench.errors import UserError, one_line
from bench.files import hashing
from bench.files.hashing import sha256_of
from bench.reproduce import outcomes
from bench.reproduce.cost import amounts, calibration, counting
from bench.reproduce.items import Item


@dataclass(frozen=True)
class Wanted:
    """A run that an item needs.

    Attributes:
        item, label: points of one label are one job, which shares work.
        cfg: resolved, at one operating point; None for what is no run (theory, a listing).
        samples: how many; None: not known without the data.
        point: tells it from the label's other points.
    """

    item: str
    label: str
    cfg: dict[str, Any] | None
    samples: int | None
    point: str = ""


@dataclass
class _Distinct:
    """One run, however many items want it; the first of those that want most samples has it made."""

    maker: Wanted
    by_item: dict[str, int | None] = field(default_factory=dict)
    cost: counting.Cost | None = None
    why: str = ""

    @property
    def cfg(self) -> dict[str, Any]:
        return self.maker.cfg


def estimate(wanted: list[Wanted]) -> pd.DataFrame:
    """One row for each distinct run (data, model, method with its knobs, seed), item by item as they are wanted.

    Columns: `item` and `label` of whoever has it made, `point`, all `items`, `data`, `model`, `n` images, `done` of
    these (None: cannot be told here), `nfe` an image by itself and `nfe_spent` after sharing, `counted` (exact, or the
    most), `seconds` an image by itself and `seconds_spent` after sharing, `hours` that the rest takes, `why` there is
    no estimate.

    Returns:
        the table; its `attrs` have `alone` (item -> runs, and hours if nothing else is made), `left_out` (what is no
        run) and `how` (sentences on what was measured).
    """
    distinct: dict[str, _Distinct] = {}
    for one in wanted:
        if one.cfg is not None:
            run = distinct.setdefault(_key(one.cfg), _Distinct(one))
            if (one.samples or 0) > (run.maker.samples or 0):
                run.maker = one
            counts = [run.by_item.get(one.item, 0), one.samples]
            run.by_item[one.item] = None if None in counts else max(counts)
    _count(list(distinct.values()))
    alone = {one.item: (0, 0.0) for one in wanted if one.cfg is not None}
    rows, how = [], {}
    for run in distinct.values():
        row, pace = _row(run)
        rows.append(row)
        if pace:
            how[pace.how] = None
        for item, samples in run.by_item.items():
            left = max((samples or 0) - (row["done"] or 0), 0)
            seconds = row["seconds_spent" if item == run.maker.item else "seconds"] or 0.0
            runs, hours = alone[item]
            alone[item] = runs + 1, hours + left * seconds / 3600
    table = pd.DataFrame(rows, columns=COLUMNS).sort_values(
        "item", key=lambda items: items.map(list(alone).index), kind="stable", ignore_index=True
    )
    left_out = list(dict.fromkeys(f"{one.item} ({one.label})" for one in wanted if one.cfg is None))
    table.attrs = {"alone": alone, "left_out": left_out, "how": list(how)}
    return table


COLUMNS = ["item", "label", "point", "items", "data", "model", "n", "done", "nfe", "nfe_spent", "counted"]
COLUMNS += ["seconds", "seconds_spent", "hours", "why"]


def _key(cfg: dict[str, Any]) -> str:
    method = cfg["method"]
    uses = method["uses"]
    model = [cfg["model"]["path"], cfg["model"]["dtype"]] if "model" in uses else None
    seed = cfg["seed"] if "noise" in uses else None
    return sha256_of(
        [cfg["data"]["name"], validate.knobs(cfg["data"]), counting.size_of(cfg), model, validate.knobs(method), seed]
    )


def _count(runs: list[_Distinct]) -> None:
    """Fills in what each run costs; the points of a job together."""
    jobs: dict[tuple, list[_Distinct]] = defaultdict(list)
    for run in runs:
        if "model" in run.cfg["method"]["uses"]:
            where = [run.cfg[key] for key in ("data", "model", "seed")]
            jobs[run.maker.item, run.maker.label, run.cfg["method"]["name"], sha256_of(where)].append(run)
    known: dict[str, list[counting.Cost]] = {}
    for job in jobs.values():
        methods, geometry = [run.cfg["method"] for run in job], counting.geometry_of(job[0].cfg)
        name = sha256_of([methods, geometry.side, len(geometry.layers), geometry.picture_channels])
        try:
            if name not in known:
                known[name] = counting.count(methods, geometry)
            for run, cost in zip(job, known[name], strict=True):
                run.cost = cost
        except Exception as error:  # a method of the user's own may fail in any way; what it costs is then not known
            for run in job:
                run.why = f"cannot be counted: {type(error).__name__}: {one_line(error)}"


def _row(run: _Distinct) -> tuple[dict[str, Any], calibration.Pace | None]:
    cfg, cost, pace = run.cfg, run.cost, None
    n = None if None in run.by_item.values() else max(run.by_item.values())
    row = dict.fromkeys(COLUMNS) | {
        "item": run.maker.item,
        "label": run.maker.label,
        "point": run.maker.point,
        "items": ", ".join(run.by_item),
        "data": cfg["data"]["name"],
        "model": cfg["model"]["name"] if "model" in cfg["method"]["uses"] else None,
        "n": n,
        "done": _done(cfg, n),
        "why": run.why,
    }
    if row["model"] is None:
        row |= {"nfe": 0, "nfe_spent": 0, "counted": "exact", "seconds": 0.0, "seconds_spent": 0.0, "hours": 0.0}
        row["why"] = "no model: pictures are only read and written"
    elif cost:
        row |= {"nfe": cost.nfe, "nfe_spent": cost.spent, "counted": "most" if cost.most else "exact"}
        pace = calibration.pace(cfg["model"], counting.size_of(cfg), cfg["device"], cfg["batch_size"])
        try:
            ratio, backward = calibration.overhead(cfg["method"], cfg["device"])
        except Exception as error:
            return row | {"why": f"cannot be timed: {type(error).__name__}: {one_line(error)}"}, pace

        def seconds(rows: int, with_gradient: int) -> float:
            plain = (rows - with_gradient) + backward * with_gradient
            return pace.row * plain * ratio + pace.encode + pace.decode

        row["seconds"] = seconds(cost.nfe, cost.backward)
        row["seconds_spent"] = seconds(cost.spent, cost.spent_backward)
        if n is None:
            row["why"] = "how many samples there are is not known without the data; set limit="
        else:
            row["hours"] = (n - (row["done"] or 0)) * row["seconds_spent"] / 3600
    return row, pace


def _done(cfg: dict[str, Any], n: int | None) -> int | None:
    """Images of a run that are there already; None where its folder cannot be named, since data or model are not."""
    if not Path(cfg["out"]).exists():
        return 0
    try:
        (run,) = plan(OmegaConf.create(cfg))
    except UserError:
        return None
    journal = run.store.journal()
    return sum(id_ in journal and "error" not in journal[id_] for id_ in run.ids[:n])


def of_items(chosen: list[Item], words: list[str]) -> str:
    """The estimate for items of papers, as text.

    Args:
        words: the user's, which change every run.
    """
    wanted = []
    for item in chosen:
        for rows in outcomes.compose(item, words):
            for point in rows.points:
                name = ", ".join(filter(None, [point.row if point.row != rows.label else "", point.name]))
                wanted.append(Wanted(item.name, rows.label, point.cfg, amounts.samples(item, point.cfg), name))
        for kind in ("theory", "listing"):
            if getattr(item, kind):
                wanted.append(Wanted(item.name, kind, None, None))
    text = readable(estimate(wanted))
    hashing.remember()
    return text


def readable(table: pd.DataFrame) -> str:
    """The estimate as text: a line for each label of an item, totals for each item and in all, how it was made."""
    lines, facts = [], table.attrs
    for (item, label), part in table.groupby(["item", "label"], sort=False):
        lines.append(
            {
                "item": item,
                "runs of": label,
                "runs": len(part),
                "data": part.data.iloc[0],
                "model": next(iter(part.model.dropna()), "none"),
                "images": _range(part.n, "?"),
                "done": _range(part.done, "?"),
                "NFE": _range(part.nfe, "?") + (" at most" if (part.counted == "most").any() else ""),
                "shared": _range(part.nfe_spent, "?"),
                "s/image": _range(part.seconds.map(_short), "?"),
                "hours": _time(part.hours.sum()),
            }
        )
    text = [pd.DataFrame(lines).to_markdown(index=False, disable_numparse=True), ""] if lines else []
    if len(facts["alone"]) > 1:
        each = [{"item": i, "runs": n, "by itself": _time(hours)} for i, (n, hours) in facts["alone"].items()]
        text += [pd.DataFrame(each).to_markdown(index=False, disable_numparse=True), ""]
        text.append("runs that several items want are above, and in the total, with the one that wants most samples")
    hours, unknown = table.hours.sum(), table[table.hours.isna()]
    total = (table.n.fillna(0) * table.nfe_spent.fillna(0)).sum()
    text.append(
        f"in all {len(table)} runs, {table.n.fillna(0).sum():,.0f} images, {total:,.0f} evaluations of a denoiser: "
        f"{_time(hours)} still to go, an estimate"
    )
    text += [f"not in it: {len(part)} runs: {why}" for why, part in unknown.groupby("why")]
    text += [f"left out, no runs: {', '.join(facts['left_out'])}"] if facts["left_out"] else []
    text += ["", *(f"measured here, just now or before: {how}" for how in facts["how"]), *NOTES]
    return "\n".join(text)


NOTES = (
    "NFE: counted by running each method at these steps on a made-up denoiser; at most: it stops earlier where its "
    "answers are good enough. shared: after sharing between the points of one line, such as values of r",
    "s/image: NFE x seconds a row x what the method takes beside its denoiser, measured on the embedded model, and "
    "encoding and decoding; not reading, writing and scoring; on the CPU, as if nothing else ran",
    "done: images made already; ?: cannot be told without the data or the model",
)


def _range(values: pd.Series, unknown: str) -> str:
    """`40`, or `40 to 160`."""
    known = values.dropna()
    if known.empty:
        return unknown
    low, high = (f"{float(end):,.10g}" for end in (known.min(), known.max()))
    return low if low == high else f"{low} to {high}"


def _short(value: float | None, digits: int = 2) -> float | None:
    return None if value is None or pd.isna(value) else float(f"{value:.{digits}g}")


def _time(hours: float) -> str:
    if hours < 0.1:
        return f"{_short(3600 * hours):,g} s"
    return f"{_short(hours, 3):,.10g} h" + (f" ({_short(hours / 24, 3):,.10g} days)" if hours >= 48 else "")
