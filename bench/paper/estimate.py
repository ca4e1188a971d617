"""What a set of runs asks of this machine, before any of it is made: runs, evaluations of the denoiser, hours.

Neither data nor models need be here. Evaluations are counted (`bench.paper.counting`), seconds are measured on a short
calibration (`bench.paper.calibration`).
"""

from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import OmegaConf

from bench import validate
from bench.data.pie import TYPES
from bench.errors import UserError, one_line
from bench.hashing import sha256_of
from bench.models import architecture, files
from bench.paper import calibration, counting, grids, outcomes
from bench.paper.items import Item
from bench.plan import make_data, plan

STATED = {"imagenet": 1092, "pie": 700, "pie_pp": 700, "imagen": 360, "coco": 54_253, "ti2i": 223}
"""Samples of the data sets with the options they come with, as their owners state them."""
_FILTERED = 272  # of COCO at data.filter=0.25: DiffEdit, section A.3
_SIZE = 512  # of a model that is not here and states none


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
    """One run, however many items want it; the first of them has it made."""

    first: Wanted
    by_item: dict[str, int | None] = field(default_factory=dict)
    cost: counting.Cost | None = None
    why: str = ""

    @property
    def cfg(self) -> dict[str, Any]:
        return self.first.cfg


def estimate(wanted: list[Wanted]) -> pd.DataFrame:
    """One row for each distinct run (data, model, method with its knobs, seed), in the order in which they are wanted.

    Columns: `item` and `label` of whoever wants it first, `point`, all `items`, `data`, `model`, `n` images, `done` of
    these (None: cannot be told here), `nfe` an image by itself and `nfe_spent` after sharing, `counted` (exact, or the
    most), `seconds` an image by itself, `hours` that the rest takes after sharing, `why` there is no estimate.

    Returns:
        the table; its `attrs` have `alone` (item -> hours if nothing else is made), `left_out` (what is no run) and
        `how` (sentences on what was measured).
    """
    distinct: dict[str, _Distinct] = {}
    for one in wanted:
        if one.cfg is not None:
            run = distinct.setdefault(_key(one.cfg), _Distinct(one))
            run.by_item[one.item] = max(run.by_item.get(one.item) or 0, one.samples or 0) or None
    _count(list(distinct.values()))
    rows, alone, how = [], defaultdict(float), {}
    for run in distinct.values():
        row, pace = _row(run)
        rows.append(row)
        if pace:
            how[pace.how] = None
        for item, samples in run.by_item.items():
            share = (samples or 0) / row["n"] if row["n"] else 0.0
            alone[item] += (row["hours"] or 0.0) * share
    table = pd.DataFrame(rows, columns=COLUMNS)
    left_out = list(dict.fromkeys(f"{one.item} ({one.label})" for one in wanted if one.cfg is None))
    table.attrs = {"alone": dict(alone), "left_out": left_out, "how": list(how)}
    return table


COLUMNS = ["item", "label", "point", "items", "data", "model", "n", "done", "nfe", "nfe_spent", "counted", "seconds"]
COLUMNS += ["hours", "why"]


def _key(cfg: dict[str, Any]) -> str:
    method = cfg["method"]
    uses = method["uses"]
    model = [cfg["model"]["path"], cfg["model"]["dtype"]] if "model" in uses else None
    seed = cfg["seed"] if "noise" in uses else None
    return sha256_of(
        [cfg["data"]["name"], validate.knobs(cfg["data"]), _size(cfg), model, validate.knobs(method), seed]
    )


def _size(cfg: dict[str, Any]) -> int:
    """Pixels a side, as `bench.plan` finds it, where the model is here."""
    if size := cfg["data"]["size"] or cfg["model"]["size"]:
        return size
    folder = _folder(cfg["model"]["path"])
    return files.native_size(folder) if folder else _SIZE


@lru_cache
def _folder(path: str) -> Path | None:
    try:
        return files.locate(path)
    except UserError:
        return None


def _count(runs: list[_Distinct]) -> None:
    """Fills in what each run costs; the points of a job together."""
    jobs: dict[tuple, list[_Distinct]] = defaultdict(list)
    for run in runs:
        if "model" in run.cfg["method"]["uses"]:
            where = [run.cfg[key] for key in ("data", "model", "seed")]
            jobs[run.first.item, run.first.label, run.cfg["method"]["name"], sha256_of(where)].append(run)
    known: dict[str, list[counting.Cost]] = {}
    for job in jobs.values():
        methods, geometry = [run.cfg["method"] for run in job], _geometry(job[0].cfg)
        name = sha256_of([methods, geometry.side, len(geometry.layers), geometry.picture_channels])
        try:
            if name not in known:
                known[name] = counting.count(methods, geometry)
            for run, cost in zip(job, known[name], strict=True):
                run.cost = cost
        except Exception as error:  # a method of the user's own may fail in any way; what it costs is then not known
            for run in job:
                run.why = f"cannot be counted: {type(error).__name__}: {one_line(error)}"


def _geometry(cfg: dict[str, Any]) -> counting.Geometry:
    folder = _folder(cfg["model"]["path"])
    if folder is None:  # of models that are not here, those that edit by instruction are told by their name
        layers = _stable_diffusion()
        return counting.Geometry(_size(cfg) // 8, layers, 4 if "pix2pix" in cfg["model"]["path"] else 0)
    return _geometry_of(folder, _size(cfg))


@lru_cache
def _stable_diffusion() -> tuple:
    return tuple(architecture.attention_layers())


@lru_cache
def _geometry_of(folder: Path, size: int) -> counting.Geometry:
    factor, channels, layers = architecture.described(folder)
    return counting.Geometry(size // factor, tuple(layers), channels)


def _row(run: _Distinct) -> tuple[dict[str, Any], calibration.Pace | None]:
    cfg, cost, pace = run.cfg, run.cost, None
    n = None if None in run.by_item.values() else max(run.by_item.values())
    row = dict.fromkeys(COLUMNS) | {
        "item": run.first.item,
        "label": run.first.label,
        "point": run.first.point,
        "items": ", ".join(run.by_item),
        "data": cfg["data"]["name"],
        "model": cfg["model"]["name"] if "model" in cfg["method"]["uses"] else None,
        "n": n,
        "done": _done(cfg, n),
        "why": run.why,
    }
    if row["model"] is None:
        row |= {"nfe": 0, "nfe_spent": 0, "counted": "exact", "seconds": 0.0, "hours": 0.0}
        row["why"] = "no model: pictures are only read and written"
    elif cost:
        pace = calibration.pace(cfg["model"], _size(cfg), cfg["device"], cfg["batch_size"])
        ratio, backward = calibration.overhead(cfg["method"], cfg["device"])

        def seconds(rows: int, with_gradient: int) -> float:
            plain = (rows - with_gradient) + backward * with_gradient
            return pace.row * plain * ratio + pace.encode + pace.decode

        row |= {"nfe": cost.nfe, "nfe_spent": cost.spent, "counted": "most" if cost.most else "exact"}
        row["seconds"] = seconds(cost.nfe, cost.backward)
        if n is None:
            row["why"] = "how many samples there are is not known without the data; set limit="
        else:
            row["hours"] = (n - (row["done"] or 0)) * seconds(cost.spent, cost.spent_backward) / 3600
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
                wanted.append(Wanted(item.name, rows.label, point.cfg, _samples(item, point.cfg), name))
        for kind in ("theory", "listing"):
            if getattr(item, kind):
                wanted.append(Wanted(item.name, kind, None, None))
    return readable(estimate(wanted))


def _samples(item: Item, cfg: dict[str, Any]) -> int | None:
    """How many samples an item edits: those of its grid, or those the paper scored, as far as there are as many."""
    key = OmegaConf.to_yaml(OmegaConf.create(validate.knobs(cfg["data"]) | {"size": _size(cfg)}))
    data, limit = _data(key), cfg["limit"]
    shown = bool(item.grid) and not item.scored
    if shown and data:
        return len(grids.select(item, limit)(data))
    total = len(data.ids) if data else _stated(cfg["data"])
    if shown:
        named = item.grid.get("ids") or item.grid.get("prompts")
        types = item.grid.get("types") or (TYPES if cfg["data"]["name"].startswith("pie") else [None])
        total = len(named) if named else item.grid.get("per_type", 1) * len(types)
    known = [count for count in (total, limit, item.samples) if count is not None]
    return min(known) if known else None


@lru_cache
def _data(options: str) -> Any:
    """A data set, or None where it is not here."""
    try:
        return make_data(OmegaConf.to_container(OmegaConf.create(options)))
    except UserError:
        return None


def _stated(data: dict[str, Any]) -> int | None:
    if data.get("filter"):
        return _FILTERED
    if data.get("types") or data.get("pairs", "one") != "one":
        return None
    return STATED.get("imagen" if data["name"].startswith("templated") else data["name"])


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
                "model": part.model.iloc[0] or "none",
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
        text += [f"{item}: {_time(hours)} by itself" for item, hours in facts["alone"].items()]
        text.append("runs that several items share are listed and, in the total, counted once, with the first of them")
    hours, unknown = table.hours.sum(), table[table.hours.isna()]
    total = (table.n.fillna(0) * table.nfe_spent.fillna(0)).sum()
    text.append(
        f"in all {len(table)} runs, {table.n.fillna(0).sum():,.0f} images, {total:,.0f} evaluations of a denoiser: "
        f"{_time(hours)}" + (f" ({hours / 24:,.1f} days)" if hours >= 24 else "") + " still to go, an estimate"
    )
    text += [f"not in it: {len(part)} runs: {why}" for why, part in unknown.groupby("why")]
    text += [f"left out, no runs: {', '.join(facts['left_out'])}"] if facts["left_out"] else []
    text += ["", *(f"measured here, just now or before: {how}" for how in facts["how"]), *NOTES]
    return "\n".join(text)


NOTES = (
    "NFE: counted by running each method at these steps on a made-up denoiser; at most: it stops earlier where its "
    "answers are good enough. shared: after sharing between the points of one line, such as values of r",
    "s/image: NFE x seconds a row x what the method takes beside its denoiser, measured on the embedded model, and "
    "encoding and decoding; not reading, writing and scoring. The machine was as busy as it was",
    "done: images made already; ?: cannot be told without the data or the model",
)


def _range(values: pd.Series, unknown: str) -> str:
    """`40`, or `40 to 160`."""
    known = values.dropna()
    if known.empty:
        return unknown
    low, high = (f"{float(end):g}" for end in (known.min(), known.max()))
    return low if low == high else f"{low} to {high}"


def _short(seconds: float | None) -> float | None:
    return None if seconds is None or pd.isna(seconds) else float(f"{seconds:.2g}")


def _time(hours: float) -> str:
    return f"{hours:,.1f} h" if hours >= 0.1 else f"{hours * 3600:,.0f} s"
