"""The inside of one edit as pictures: what a method asks its model on the way, in order. `layout: stages` of a grid.

The model is watched, not the method: calls at one timestep after the other are the search for a mask, rising timesteps
an encoding, falling ones a decoding, so that methods of one's own are shown, too.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from PIL import Image

from bench.config import validate
from bench.diffusion import device as devices
from bench.diffusion.grid import grid_for
from bench.diffusion.noise import SampleNoise
from bench.edits import loading, sizes
from bench.edits.run import Run
from bench.report import sheets
from bench.reproduce.items import Item
from bench.reproduce.outcomes import Point
from bench.types import DiffusionModel, EditBatch, EditSample

SHOWN = 5
"""Pictures of an encoding or decoding, evenly spread, with both ends."""
MASK, ENCODE, DECODE = "mask", "encoding", "decoding"


@dataclass
class Call:
    """A question to the model: timestep, latents `[B, C, h, w]` and its answer."""

    t: float
    z: torch.Tensor
    output: torch.Tensor


@dataclass
class Watched:
    """A model that notes what it is asked."""

    model: DiffusionModel
    calls: list[Call] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def eps(self, z: torch.Tensor, t: float, *told: Any, **more: Any) -> torch.Tensor:
        """See `DiffusionModel.eps`."""
        output = self.model.eps(z, t, *told, **more)
        self.calls.append(Call(t, z.detach(), output.detach()))
        return output


def phases(timesteps: list[float]) -> list[tuple[str, list[int]]]:
    """What calls at these timesteps are for: the name of each phase and its calls.

    A phase ends where the direction turns. Where an encoding turns into a decoding both ask at the noisiest timestep; a
    timestep from which the next phase jumps away is that of a mask.
    """
    groups = [list(same) for _, same in groupby(range(len(timesteps)), lambda i: timesteps[i])]
    rising = [timesteps[a[0]] < timesteps[b[0]] for a, b in pairwise(groups)]
    found: list[tuple[str, list[int]]] = []
    at = 0
    while at < len(groups):
        end = at
        while end < len(rising) and rising[end] == rising[at]:
            end += 1
        if end == at or (end == at + 1 < len(rising)):  # alone, or one jump before a turn
            found.append((MASK, groups[at]))
            at += 1
            continue
        top = groups[end]
        mine = [i for group in groups[at:end] for i in group] + (top[:1] if end < len(rising) else top)
        found.append((ENCODE if rising[at] else DECODE, mine))
        groups[end] = top[1:]
        at = end if end < len(rising) and top[1:] else end + 1
    return found


def draw(item: Item, points: list[Point], ids: list[str], header: list[str], stem: Path) -> list[Path]:
    """Writes `<stem>.png` and `.pdf`, a block of lines for each sample and run; returns them, or nothing where no run
    asks a model.

    Raises:
        UserError: the device or the model is not usable.
    """
    runs = {", ".join(filter(None, [point.row, point.name])): point.run for point in points}
    runs = {label: run for label, run in runs.items() if run and run.checkpoint}
    lines: list[sheets.Line] = []
    size = 0
    for label, run in runs.items():
        size = sheets.cell_of(run.data)
        for sample in sheets.samples(run.data, ids):
            words = [*sheets.plain(f"{label}:"), *sheets.caption(sample)] if len(runs) > 1 else sheets.caption(sample)
            lines += _lines(run, sample, words, size)
    if not lines:
        return []
    notices = sorted({run.notice for run in runs.values() if run.notice})
    notes = [
        *header,
        *notices,
        "line by line: what the model is asked at timestep t",
        sheets.CHANGED,
    ]
    heads = [""] * max(len(line.pictures) for line in lines)
    page = sheets.sheet(item.title, heads, lines, [*notes, *item.notes], size)
    return sheets.save(page, stem, ["png", "pdf"])


def _lines(run: Run, sample: EditSample, words: sheets.Words, size: int) -> Iterator[sheets.Line]:
    device = devices.pick(run.cfg["device"])
    watched = Watched(loading.model(run.checkpoint, run.cfg, device))
    method = instantiate(validate.knobs(run.cfg["method"]))
    given = sizes.given([sample], sizes.editing_size(run, sample))
    batch = EditBatch(
        given,
        torch.from_numpy(given[0].image)[None].to(device),
        real_image=run.data.real_image,
        points=[method],
    )
    with torch.inference_mode():
        result = method(watched, batch, SampleNoise(run.cfg["seed"], [sample.id], device))

        def shown(z: torch.Tensor) -> Image.Image:
            return sheets.picture(devices.to_uint8(watched.decode(z[None]))[0].cpu().numpy(), size)

        edit = sheets.picture(result.images[0].cpu().numpy(), size)
        source, calls = sheets.picture(sample.image, size), watched.calls
        for number, (phase, of_phase) in enumerate(phases([call.t for call in calls]), 1):
            name = f"{number}. {phase}"
            above, words = words, []
            if phase == MASK:
                guesses = [shown(z) for z in _guesses(watched, calls[of_phase[0]], run.cfg["steps"])]
                pictures = [source, shown(calls[of_phase[0]].z[0]), *guesses]
                labels = ["source", "with noise", "guess, query", "guess, reference"][: len(pictures)]
                if result.mask is not None:
                    area = (result.mask[0].float().expand(3, -1, -1) * 255).to(torch.uint8).cpu().numpy()
                    pictures, labels = [*pictures, sheets.picture(area, size)], [*labels, "mask"]
                yield sheets.Line(above, [name, *pictures], ("", *labels))
                continue
            chosen = sorted({of_phase[i] for i in np.linspace(0, len(of_phase) - 1, SHOWN).round().astype(int)})
            labels = [f"t = {calls[i].t:g}" for i in chosen]
            branches = [_branches(calls[i].z) for i in chosen]
            both = phase == DECODE and any(len(one) > 1 for one in branches)
            for which in [0, -1] if both else [-1]:
                row = f"{name}, {'source' if which == 0 else 'target'}" if both else name
                pictures = [shown(one[which]) for one in branches]
                ends = [edit] if phase == DECODE and which == -1 else []
                under = (*labels, "edit") if ends else tuple(labels)
                yield sheets.Line(above, [row, *pictures, *ends], ("", *under))
                above = []


def _guesses(model: DiffusionModel, call: Call, steps: int) -> list[torch.Tensor]:
    """The clean latents that each row of an answer stands for."""
    grid = grid_for(model, steps, call.z)
    level = grid.levels[grid.timesteps.index(call.t) + 1]
    return [grid.path.clean(z, output, level) for z, output in zip(call.z, call.output, strict=True)]


def _branches(z: torch.Tensor) -> list[torch.Tensor]:
    """The latents of a call, each once: a branch is asked with words and without."""
    found: list[torch.Tensor] = []
    for one in z:
        if not any(torch.equal(one, other) for other in found):
            found.append(one)
    return found
