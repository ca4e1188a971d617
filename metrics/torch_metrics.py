"""Any image metric of torchmetrics as a metric of ours, one picture at a time where its class only reduces."""

import inspect
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import torchmetrics
from hydra.utils import get_class
from torchmetrics.functional.image import dists

from bench.diffusion.memory import exhausted
from bench.errors import UserError, one_line
from bench.types import ScoreBatch, Undefined
from metrics import offline, regions, words
from metrics.pixel import truths

_WRONG = (ValueError, RuntimeError, TypeError, IndexError, KeyError, AttributeError, NotImplementedError)
_GREY_LEVELS = ("VisualInformationFidelity",)  # whose constants are meant for pixels up to 255
_WHOLE_SETS = ("InceptionScore",)  # which take nothing but edits, and are of all of them
_TEXTS = ("CLIPScore",)


def adapted(metric: str, against: str = "sources", region: str = "frame", range: int | None = None, **options: Any):
    """A metric of ours that hands its pictures to one of torchmetrics.

    What it is given is told by what its `update` takes: two pictures (edit and reference), a picture and a text
    (CLIPScore: edit and target prompt), one picture (edit), or pictures with `real` (FID, KID: all edits and all
    references). Networks are loaded from files that are here, and nothing is downloaded.

    Args:
        metric: dotted name of the class.
        against: `sources`, or `truths`, the true edited images.
        region: of two pictures one of `regions.REGIONS`; in the `background`, edits are taken as if they had left the
            region to edit alone, and the value is of the whole frame (no class of theirs averages over a part of it).
            Of a picture alone or with a text, `frame` or `edited`, black outside the region to edit. Of sets, `frame`.
        range: what white is, 1 or 255; null: 255 for visual information fidelity, whose constants are meant for it, and
            1 for all others. Sets and CLIPScore are given uint8, as they ask for.
        options: arguments of the class. `data_range` and LPIPS's `normalize` follow from the range unless given. For
            CLIPScore, `model_name_or_path` may be any local folder of a CLIP model. `higher_is_better`, where the class
            does not say it.

    Raises:
        UserError: the class takes something else, an option is wrong, or a file that it needs is not here.
    """
    kind = get_class(metric)
    takes = _takes(kind)
    allowed = {"pair": regions.REGIONS, "set": ("frame",)}.get(takes, ("frame", "edited"))
    for name, value, known in (("region", region, allowed), ("against", against, ("sources", "truths"))):
        if value not in known:
            raise UserError(f"{metric}: {name}={value}, expected {' or '.join(known)}")
    if range not in (None, 1, 255):
        raise UserError(f"{metric}: range={range}, expected 1 or 255")
    if takes == "set":
        return TorchSet(kind, against, options)
    white = 255 if range == 255 or (range is None and kind.__name__ in _GREY_LEVELS) else 1
    return TorchPair(kind, takes, against, region, white, options)


def _takes(kind: type) -> str:
    """`pair`, `text`, `picture` or `set`. Raises: UserError: something else."""
    parameters = list(inspect.signature(kind.update).parameters.values())[1:]
    names = [p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    annotations = str([p.annotation for p in parameters])
    if "real" in names or kind.__name__ in _WHOLE_SETS:
        return "set"
    if any(base.__name__ in _TEXTS for base in kind.__mro__):
        return "text"
    if len(names) in (1, 2) and "dict" not in annotations.lower() and "generator" not in names:
        return "pair" if len(names) == 2 else "picture"
    raise UserError(
        f"{kind.__name__} takes {', '.join(p.name for p in parameters)}; expected a metric of pictures: of two, of "
        "one, of one and a text, or of two sets"
    )


class _Adapted:
    """Base.

    Attributes:
        files: paths and hub ids that the class read its networks from, after `load`.
        notes: sample id -> why it has no value.
    """

    unit, version = "", 1  # torchmetrics' own is in the stamp

    def __init__(self, kind: type, options: dict[str, Any]):
        self.name, self.notes = kind.__name__, {}
        self._dists = cache(dists.DISTSNetwork)  # which torchmetrics builds anew for every picture
        options = dict(options)
        self.higher_is_better = options.pop("higher_is_better", kind.higher_is_better)
        if not isinstance(self.higher_is_better, bool):
            raise UserError(
                f"{self.name} does not say whether higher is better; set its higher_is_better=true or false"
            )
        if kind.__name__ in _TEXTS:
            options = _with_local_clip(kind, options)
        known = inspect.signature(kind.__init__).parameters
        self.made_with = {name: parameter.default for name, parameter in known.items()} | options
        with offline.closed(self.name, self.made_with) as read:
            try:
                self.metric = kind(**options)
            except _WRONG as error:
                raise UserError(f"{self.name}: {one_line(error)[:300]}") from None
        self.files = read + offline.pretrained(self.metric)
        _without_outputs(self.metric)

    def load(self) -> None:
        """All is read when it is made."""

    def _give(self, *arguments: Any, **keywords: Any) -> None:
        """Updates the metric, whose network may be built only then."""
        with offline.closed(self.name, self.made_with) as read, mock.patch.object(dists, "DISTSNetwork", self._dists):
            self.metric.update(*arguments, **keywords)
        self.files += [file for file in read if file not in self.files]

    def _number(self) -> float:
        value = self.metric.compute()
        value = value[0] if isinstance(value, tuple) else value  # KID and IS: mean and spread
        if not isinstance(value, torch.Tensor) or value.numel() != 1:
            raise UserError(f"{self.name} gives several numbers; expected options with which it gives one")
        return float(value)


class TorchPair(_Adapted):
    """A number for each edit; see `adapted`."""

    def __init__(self, kind: type, takes: str, against: str, region: str, white: int, options: dict[str, Any]):
        known = inspect.signature(kind.__init__).parameters
        if "data_range" in known:
            options = {"data_range": float(white)} | options
        if "normalize" in known and known["normalize"].default is False:
            options = {"normalize": True} | options
        super().__init__(kind, options)
        self.takes, self.against, self.region, self.white = takes, against, region, white

    def load(self) -> None:
        """Takes a picture through, since some networks are built only then. Raises: UserError: a file is not here."""
        picture = torch.arange(3 * 224**2).reshape(1, 3, 224, 224).remainder(256).byte()
        try:
            with torch.inference_mode():
                self._value(picture, picture, "a picture")
        except _WRONG:
            pass  # said of the pictures that there are

    def score(self, batch: ScoreBatch) -> np.ndarray:
        self.metric.to(batch.edits.device)
        edits, references, known = batch.edits, batch.sources, torch.ones(len(batch.samples), dtype=torch.bool)
        if self.takes == "pair" and self.against == "truths":
            references = truths(batch)
        if self.region != "frame":
            kept = regions.outside(batch)
            inside = [sample.mask is not None and bool(sample.mask.any()) for sample in batch.samples]
            known = torch.tensor(inside) if self.region == "edited" else kept.flatten(1).any(1).cpu()
            if self.region == "background":
                edits = torch.where(kept[:, None], edits, references)
            elif self.region == "masked":
                edits, references = regions.blacked(edits, kept), regions.blacked(references, kept)
            else:
                edits = regions.blacked(edits, ~kept)
        texts, notes = words.targets(batch) if self.takes == "text" else (dict.fromkeys(range(len(edits)), ""), {})
        self.notes |= notes
        values = np.full(len(batch.samples), np.nan)
        for place, text in texts.items():
            if not known[place]:
                continue
            try:
                values[place] = self._value(edits[place : place + 1], references[place : place + 1], text)
            except _WRONG as error:
                if exhausted(error):
                    raise
                self.notes[batch.samples[place].id] = f"{self.name}: {one_line(error)[:200]}"
        return values

    def _value(self, edit: torch.Tensor, reference: torch.Tensor, text: str) -> float:
        """Of uint8 `[1, 3, H, W]` each."""
        self.metric.reset()
        if self.takes == "text":
            self._give(edit, [text])
        else:
            pictures = [(x.float() * (self.white / 255)).contiguous() for x in (edit, reference)]
            self._give(*pictures[: 2 if self.takes == "pair" else 1])
        return self._number()


class TorchSet(_Adapted):
    """A number for all edits together; see `adapted`."""

    def __init__(self, kind: type, against: str, options: dict[str, Any]):
        if "normalize" in options:
            raise UserError(f"{kind.__name__}: normalize={options['normalize']}, but it is given uint8; leave it out")
        super().__init__(kind, options)
        self.against, self.count = against, 0
        self.compares = "real" in inspect.signature(kind.update).parameters

    def update(self, batch: ScoreBatch) -> None:
        self.metric.to(batch.edits.device)
        if self.compares:
            self._give(truths(batch) if self.against == "truths" else batch.sources, real=True)
            self._give(batch.edits, real=False)
        else:
            self._give(batch.edits)
        self.count += len(batch.samples)

    def compute(self) -> float:
        """The random subsets of some classes are the same each time."""
        subset = getattr(self.metric, "subset_size", 1)
        if subset > self.count:
            raise Undefined(f"{self.name} takes subsets of {subset}, of {self.count} pictures; set its subset_size")
        with torch.random.fork_rng():
            torch.manual_seed(0)
            try:
                return self._number()
            except _WRONG as error:
                if exhausted(error):
                    raise
                raise Undefined(f"{self.name}: {one_line(error)[:200]}") from None


def _with_local_clip(kind: type, options: dict[str, Any]) -> dict[str, Any]:
    """CLIPScore takes a local folder as a function alone."""
    named = options.get("model_name_or_path")
    if not isinstance(named, str) or not Path(named).is_dir():
        return options
    from transformers import CLIPModel, CLIPProcessor

    def read():
        return CLIPModel.from_pretrained(named), CLIPProcessor.from_pretrained(named)

    return options | {"model_name_or_path": read}


def _without_outputs(metric: torchmetrics.Metric) -> None:
    """CLIP's features as tensors: since transformers 5 they are wrapped, which torchmetrics' CLIP metrics do not
    expect."""
    for module in metric.modules():
        for name in ("get_image_features", "get_text_features"):
            if hasattr(module, name):
                setattr(module, name, _unwrapped(getattr(module, name)))


def _unwrapped(function):
    def unwrapped(*arguments: Any, **keywords: Any) -> torch.Tensor:
        found = function(*arguments, **keywords)
        return getattr(found, "pooler_output", found)

    return unwrapped
