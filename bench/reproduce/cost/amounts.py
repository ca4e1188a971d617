"""Which samples an item edits, also where its data set is not here. Of the usual data sets no picture is read."""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from bench.config import validate
from bench.data.imagen import edits
from bench.data.pie import FOLDERS
from bench.data.world.scenes import EDITS
from bench.edits.plan import make_data
from bench.errors import UserError
from bench.reproduce import grids
from bench.reproduce.cost import counting
from bench.reproduce.items import Item
from bench.types import EditData, EditSample


@dataclass(frozen=True)
class Amount:
    """What an item edits of a data set.

    Attributes:
        samples: their ids; without the data, their places; prompts of samples that were not looked for.
        of: samples of the whole data set.
    """

    samples: frozenset[str]
    of: int


def wanted(item: Item, cfg: dict[str, Any], look: bool = False) -> Amount | None:
    """The samples that an item edits with a resolved configuration; None: not known without the data.

    Args:
        look: whether to look for prompts, which reads the data set's pictures, to know their samples' ids.
    """
    limit, types = cfg["limit"], _stated(cfg["data"])
    data = _data(json.dumps(validate.knobs(cfg["data"]) | {"size": counting.size_of(cfg)}))
    if data is None and types is None:
        return None
    ids = data.ids if data else [str(i) for i in range(len(types))]
    prompts, part = item.grid.get("prompts"), limit is not None and limit < len(ids)
    if item.scored or not item.grid:
        return Amount(frozenset(ids[:limit]), len(ids))
    if types and len(types) == len(ids):
        if prompts and not (look or part):
            return Amount(frozenset(map(str, prompts)), len(ids))
        data = data if prompts else _Listed(ids, types)
    if data is None:  # which prompts are among the first, only the data tells
        return None
    try:
        return Amount(frozenset(grids.select(item, limit)(data)), len(ids))
    except UserError:  # it has none of them
        return Amount(frozenset(), len(ids))


class _Listed:
    """A data set without its pictures and prompts."""

    def __init__(self, ids: list[str], types: list[str | None]):
        self.ids, self._types = ids, types

    def __getitem__(self, index: int) -> EditSample:
        return EditSample(self.ids[index], np.zeros((3, 1, 1), np.uint8), None, None, type=self._types[index])


@lru_cache
def _data(options: str) -> EditData | None:
    """A data set, or None where it is not here."""
    try:
        return make_data(json.loads(options))
    except UserError:
        return None


def _stated(data: dict[str, Any]) -> list[str | None] | None:
    """The type of each sample, in order, as the data set's owners state it; None where they do not."""
    name = data["name"]
    if name == "shapes":
        kinds = list(EDITS)
        types = [kinds[i % len(kinds)] for i in range(data["count"])]
        return [kind for kind in types if data["types"] is None or kind in data["types"]]
    if name == "imagen" or name.startswith("templated"):
        return [slot for _, slot, _ in edits(data["pairs"], data["styles"], data["seed"])]
    if name in ("pie", "pie_pp") and not data["types"]:
        return [kind for kind, folder in FOLDERS.items() for _ in range(int(folder.rsplit("_", 1)[1]))]
    if name == "coco":  # filtered: DiffEdit, section A.3
        return {None: [None] * 54_253, 0.25: [None] * 272}.get(data["filter"])
    if name == "ti2i":
        return ["wild"] * 78 + ["imagenet-r"] * 145
    if name == "magicbrush" and data["turns"]:
        return None
    amounts = {"flowedit": 281, "gedit": 606, "imagenet": 1092, "magicbrush": 528}
    return [None] * amounts[name] if name in amounts else None
