"""The program as a library; importing it imports no torch.

    from bench import api

    edit = api.edit("fruit.png", "a bowl of pears", "method=diffedit", "model=sd14", "r=0.7", source="a bowl of fruit")
    edit.picture.save("pears.png")

Every `words` is what one would type after the command, one word each, and means the same: an edit or a score is that of
`python -m bench.run`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from bench.config import cli
from bench.data.preprocess import UNREADABLE, as_rgb
from bench.edits.plan import plan, points
from bench.edits.run import Run
from bench.errors import UserError
from bench.files.write import write, write_png
from bench.models import checkpoint as checkpoints
from bench.report import tables
from bench.scores.complete import complete
from bench.types import DiffusionModel

Picture = Image.Image | np.ndarray | str | Path
"""A picture, uint8 `[H, W, 3]` or a file of one."""
_ID = "picture"


@dataclass(frozen=True)
class Edit:
    """One edited picture.

    Attributes:
        picture: RGB, of the model's size or `data.size=`.
        mask: where the method edited, bool `[H, W]`; None for methods without one.
        journal: its cost and whatever the method noted.
        notice: what has to be said of its model, such as that its weights are random; None for nothing.
    """

    picture: Image.Image
    mask: np.ndarray | None
    journal: dict[str, Any]
    notice: str | None


@dataclass(frozen=True)
class Scores:
    """What a metric profile says of some pictures.

    Attributes:
        images: a row for each picture, a column for each metric of single pictures.
        summary: a row for each metric, those of whole sets too: value, 95 % interval (lo, hi), n, unit, version, and
            the reason where it has no value.
    """

    images: pd.DataFrame
    summary: pd.DataFrame


def load_model(*words: str) -> DiffusionModel:
    """The model of `model=<name>`, on `device=`, in `model.dtype=`; the one that the next `edit` with these words uses.

    Raises:
        UserError: its files are missing or not whole.
    """
    import torch

    from bench.diffusion import device as devices

    (cfg,) = cli.jobs(list(words))
    (point, *_) = points(cfg)
    dtype = getattr(torch, point["model"]["dtype"])
    compile_ = checkpoints.compilation(point["model"])
    return checkpoints.load(checkpoints.make(point["model"]), devices.pick(point["device"]), dtype, compile_)


def edit(
    picture: Picture,
    target: str | int | None,
    *words: str,
    source: str | int | None = None,
    mask: np.ndarray | None = None,
    blend: tuple[str, str] | None = None,
    instruction: str | None = None,
    id: str = _ID,
) -> Edit:
    """One picture edited by any method at one operating point. The model stays in memory for the next one.

    Args:
        picture: resized and centre-cropped to the model's size.
        target: what it should show; a class index for class-conditional models.
        words: `method=`, `model=` and knobs.
        source: what it shows, for methods that are told.
        mask: True where the edit belongs, bool `[H, W]` of the picture's size.
        blend, instruction: see `bench.types.EditSample`.
        id: the noise follows from it and `seed=`, so that a sample of a run is edited as it was there.

    Raises:
        UserError: something is missing or wrong, or the edit failed.
    """
    row = {"source": source, "target": target, "blend": blend and list(blend), "instruction": instruction}
    with TemporaryDirectory() as name:
        folder = Path(name)
        _write_data(folder, [id], [picture], [row], [mask])
        run = _run([*words, "metrics=pixel"], folder)
        (done,) = complete([run], scored=False)
        if done.failures:
            raise UserError("\n".join(done.failures))
        drawn = run.store.mask_file(id)
        return Edit(
            _rgb(run.store.edit_file(id)),
            np.asarray(Image.open(drawn)) > 127 if drawn.exists() else None,
            run.store.journal()[id],
            run.notice,
        )


def score(
    edits: Sequence[Picture],
    sources: Sequence[Picture],
    *words: str,
    targets: Sequence[str | int | None] | None = None,
    captions: Sequence[str | int | None] | None = None,
    masks: Sequence[np.ndarray | None] | None = None,
) -> Scores:
    """Edited pictures beside their sources, by any metric profile.

    Args:
        edits: square, all of one size.
        sources: resized and centre-cropped to that.
        words: `metrics=<profile>` (pixel, which needs no weights, by default), `device=`.
        targets, captions: what edits should show and sources show, where metrics ask for it.
        masks: True where the edit belongs, bool `[H, W]` of the source's size.

    Raises:
        UserError: something is missing or wrong, or a picture cannot be scored.
    """
    if not (count := len(edits)):
        raise UserError("there is no edit to score")
    given = {"sources": sources, "targets": targets, "captions": captions, "masks": masks}
    for what, values in given.items():
        if values is not None and len(values) != count:
            raise UserError(f"{count} edits and {len(values)} {what}; expected one for each edit")
    ids = [f"{i:0{len(str(count))}d}" for i in range(count)]
    nothing = [None] * count
    rows = [{"source": a, "target": b} for a, b in zip(captions or nothing, targets or nothing, strict=True)]
    with TemporaryDirectory() as name:
        folder = Path(name)
        _write_data(folder, ids, sources, rows, masks or nothing)
        for id_, made in zip(ids, edits, strict=True):
            write_png(folder / "edits" / f"{id_}.png", _rgb(made))
        side = _rgb(edits[0]).width
        words = ["metrics=pixel", *words, f"data.size={side}", "method=precomputed", f"method.root={folder / 'edits'}"]
        run = _run(words, folder)
        (done,) = complete([run])
        if done.failures or done.scores is None:
            raise UserError("\n".join(done.failures))
        facts = {name: vars(fact) for name, fact in done.scores.summary.metrics.items()}
        shown = ["value", "lo", "hi", "n", "unit", "version", "reason"]
        names = [name for name, fact in facts.items() if fact["kind"] == "pair"]
        return Scores(done.scores.table[names], pd.DataFrame(facts).T[shown])


def sweep(*words: str) -> pd.DataFrame:
    """What `python -m bench.run` makes of the same words; what is there already is not made again.

    Returns:
        a row for each run: its identity, each metric with its interval, costs, folder (`bench.report.tables.collect`).

    Raises:
        UserError: a run was stopped; what is finished stays, and the same call goes on from there.
    """
    runs = [run for cfg in cli.jobs(list(words)) for run in plan(cfg)]
    finished = list(complete(runs))
    if stopped := [done.stopped for done in finished if done.stopped]:
        raise UserError("\n".join(dict.fromkeys(stopped)))
    return tables.frame([done.scores for done in finished if done.scores])


def _write_data(folder: Path, ids: list[str], pictures: Sequence[Picture], rows: list[dict], masks: Sequence) -> None:
    """A data set as `data=manifest` reads it."""
    lines = []
    for number, (id_, picture, row, mask) in enumerate(zip(ids, pictures, rows, masks, strict=True)):
        write_png(folder / f"source{number}.png", _rgb(picture))
        line = {"id": id_, "image": f"source{number}.png", **row}
        if mask is not None:
            write_png(folder / f"mask{number}.png", Image.fromarray(np.asarray(mask, bool)))
            line["mask"] = f"mask{number}.png"
        lines.append(json.dumps(line) + "\n")
    write(folder / "manifest.jsonl", "".join(lines))


def _rgb(picture: Picture) -> Image.Image:
    if isinstance(picture, Image.Image):
        return as_rgb(picture, "the picture")
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise UserError(f"a picture is {list(picture.shape)} of {picture.dtype}; expected uint8 [H, W, 3]")
        return Image.fromarray(picture)
    try:
        with Image.open(picture) as image:
            return as_rgb(image, str(picture))
    except UNREADABLE as error:
        raise UserError(f"{picture} is not a readable picture ({error})") from None


def _run(words: Sequence[str], folder: Path) -> Run:
    """The one run that words mean for the data in a folder."""
    for word in words:
        if word.split("=")[0] in ("data", "data.root", "out"):
            raise UserError(f"{word}: the data are the pictures that were given; leave it out")
    jobs = cli.jobs(["data=manifest", f"data.root={folder}", f"out={folder / 'runs'}", *words])
    runs = [run for cfg in jobs for run in plan(cfg)]
    if len(runs) != 1:
        raise UserError(f"the words ask for {len(runs)} operating points, expected one; bench.api.sweep takes several")
    return runs[0]
