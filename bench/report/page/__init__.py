"""The report as a page: one folder that opens in any browser, without server or network, wherever it is moved."""

import json
from importlib.resources import files
from pathlib import Path

import pandas as pd

from bench.files.write import write
from bench.report.page import content, gallery, items
from bench.report.page.thumbs import Thumbs
from bench.report.write import TEX
from bench.scores.selection import ALL, Selection

SCRIPTS = ("parts", "address", "tables", "plots", "filters", "large", "gallery", "page")
STATIC = ("index.html", "page.css", *(f"{name}.js" for name in SCRIPTS))


def make(
    table: pd.DataFrame,
    out: Path,
    to: Path,
    chosen: Selection = ALL,
    thumb: int = 256,
    limit: int | None = None,
    made: Path | None = None,
) -> Path:
    """Writes `index.html` and what it loads: `data.js`, `plotly.min.js`, its own scripts and style, `thumbs/`, and
    `figures/` of reproduced items.

    Args:
        table: the runs to show, as `bench.report.collect` gives them.
        out: where the runs are.
        to: the folder, which exists.
        chosen: which runs the table has.
        thumb: longest side of a thumbnail in pixels.
        limit: samples of each data set in the gallery, None: all.
        made: where reproduced items and claims are, None: beside the runs.

    Returns:
        the page.
    """
    from plotly.offline import get_plotlyjs

    index = {Path(folder).relative_to(out).as_posix(): i for i, folder in enumerate(dict.fromkeys(table.folder))}
    thumbs = Thumbs(to / "thumbs", thumb)
    facts = {
        **content.contents(table, out, chosen),
        "tex": TEX,
        "items": items.items(made or out, to, index),
        "claims": items.claims(made or out),
        **gallery.contents(table, out, thumbs, limit),
    }
    thumbs.finish()
    # a script and not JSON, since a page opened from the file system may not fetch
    write(to / "data.js", f"const REPORT = {json.dumps(facts, separators=(',', ':'), allow_nan=False)};\n")
    write(to / "plotly.min.js", get_plotlyjs())
    for name in STATIC:
        write(to / name, (files("bench.report.page") / "static" / name).read_bytes())
    return to / "index.html"
