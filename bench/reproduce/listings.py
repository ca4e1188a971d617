"""Items that show a data set itself: `listing:` of an item.

    listing: {count: true, of: {all: [data=coco], filtered: [data=coco, data.filter=0.25]}}
    listing: {queries: 12}

`count` counts the samples of each data set of `of` (label -> words; without it, of the item's words), `queries` shows
the first so many pictures of the first one with what they are and what they should become. No model is loaded.
"""

from itertools import islice
from pathlib import Path

import pandas as pd

from bench.config import cli
from bench.edits.plan import make_data, picture_size, points
from bench.errors import UserError
from bench.report import sheets
from bench.report.write import csv
from bench.reproduce import cells
from bench.reproduce.items import Item, merged
from bench.reproduce.verdicts import NOT_RUN, Cell, Shown, judge
from bench.types import EditData, EditSample

_COLUMNS, _CELL = 4, 224  # pictures in a row, and their side in pixels
_NAMES = "caption", "query"


def make(item: Item, words: list[str], to: Path) -> Shown:
    """The cells and figures of an item's listing.

    Args:
        words: the user's, which change every data set of it.
        to: the figure goes to `<to>/figures/<item>.png`, `.pdf` and `.csv`.
    """
    made, written, problems, names = [], [], [], []
    for number, (label, mine) in enumerate((item.listing.get("of") or {"": []}).items()):
        (cfg,) = cli.jobs(merged(item.words, mine, words))
        row = label or cfg.data.name
        names.append(cfg.data.name)
        try:
            data, why = _open(cfg), ""
        except UserError as error:
            data, why = None, str(error)
            problems.append(why)
        if item.listing.get("count"):
            cell = Cell(item.name, item.title, row, "", "count", heading="samples", kind="measured", data=cfg.data.name)
            cell.ours, cell.why = len(data.ids) if data else None, why
            judge(item, cell, [*filter(None, [item.incomparable]), *cells.changes(item, words)] if data else [])
            cell.verdict = cell.verdict if data else NOT_RUN
            made.append(cell)
        if item.listing.get("queries") and number == 0 and data:
            samples = islice(sheets.samples(data, data.ids), item.listing["queries"])
            written = _draw(item, row, list(samples), to)
    header = f"data {', '.join(dict.fromkeys(names))}"
    return Shown(made, written, [header], list(dict.fromkeys(problems)))


def _open(cfg) -> EditData:
    """The data set, without a model: at the size of the model's folder only where nothing else says one."""
    resolved = points(cfg)[0]
    return make_data(resolved["data"], size=picture_size(resolved))


def _draw(item: Item, row: str, samples: list[EditSample], to: Path) -> list[Path]:
    shown = []
    for sample in samples:
        source, target = sheets.queries(sample)
        given = zip(_NAMES, (source, target), (sample.source, sample.target), strict=True)
        said = [(name, words) for name, words, query in given if query is not None]
        shown.append((sheets.picture(sample.image, _CELL), [[(f"{name}:", False), *words] for name, words in said]))
    stem, notes = to / "figures" / item.name, [f"{row}, the first {len(samples)} samples", sheets.CHANGED, *item.notes]
    written = sheets.save(sheets.cards(item.title, shown, notes, _COLUMNS), stem, ["png", "pdf"])
    table = pd.DataFrame([{"id": s.id, "type": s.type, "source": s.source, "target": s.target} for s in samples])
    return [*written, csv(table, stem)]
