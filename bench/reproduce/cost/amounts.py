"""How many samples an item edits, also where its data set is not here."""

from functools import lru_cache
from typing import Any

from omegaconf import OmegaConf

from bench.config import validate
from bench.data.pie import TYPES
from bench.edits.plan import make_data
from bench.errors import UserError
from bench.reproduce import grids
from bench.reproduce.cost import counting
from bench.reproduce.items import Item

STATED = {"imagenet": 1092, "pie": 700, "pie_pp": 700, "imagen": 360, "coco": 54_253, "ti2i": 223}
"""Samples of the data sets with the options they come with, as their owners state them."""
_FILTERED = 272  # of COCO at data.filter=0.25: DiffEdit, section A.3


def samples(item: Item, cfg: dict[str, Any]) -> int | None:
    """How many samples an item edits: those of its grid, or those the paper scored, as far as there are as many."""
    key = OmegaConf.to_yaml(OmegaConf.create(validate.knobs(cfg["data"]) | {"size": counting.size_of(cfg)}))
    data, limit = _data(key), cfg["limit"]
    shown = bool(item.grid) and not item.scored
    if shown and data:
        try:
            return len(grids.select(item, limit)(data))
        except UserError:  # it has none of them
            return 0
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
