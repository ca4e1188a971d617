"""Saved edits beside their sources, as a metric profile prepares them."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image

from bench.data import own
from bench.data.preprocess import FILTERS, NATIVE, fit
from bench.data.reading import alike, read
from bench.edits.folder import Store
from bench.errors import SourcesLost, UserError
from bench.types import EditData, EditSample, ScoreBatch

Pair = tuple[EditSample, np.ndarray, np.ndarray, np.ndarray | None]
"""A sample, its edit as saved and at the sample's size, uint8 `[H, W, 3]`, and the method's mask, bool `[H, W]`."""


class Pairs:
    """The data set with each sample's saved edit, so that both are decoded ahead of the metrics.

    Args:
        journal: the run's, which says of an edit if it has been through JPEG before.
        profile: `size`, `resample` and `jpeg` say how pictures are prepared.
    """

    def __init__(self, data: EditData, store: Store, journal: dict, profile: dict[str, Any]):
        self.data, self.store, self.journal, self.profile, self.ids = data, store, journal, profile, data.ids

    def __getitem__(self, index: int) -> Pair:
        sample = own.sample(self.data, index)
        with Image.open(self.store.edit_file(sample.id)) as image:
            saved = image.convert("RGB")
        # evaluate.py of PnPInversion reads JPEG files that PIL wrote; edits read from such files have been through it.
        if self.profile.get("jpeg") and not self.journal[sample.id].get("jpeg"):
            saved = _through_jpeg(saved, self.profile["jpeg"])
        size, (height, width) = self.profile.get("size") or NATIVE, sample.image.shape[1:]
        edit = fit(saved, size, FILTERS[self.profile.get("resample") or "bilinear"])
        if edit.size != (width, height):
            raise UserError(
                f"the edit of sample {sample.id!r} is {saved.width}x{saved.height} and its source {width}x{height}; "
                f"expected one size, set data.size={saved.height} or metrics.size="
            )
        mask = None
        if self.store.mask_file(sample.id).exists():
            with Image.open(self.store.mask_file(sample.id)) as image:
                mask = np.asarray(fit(image, size, Image.Resampling.NEAREST)) > 127
        return sample, np.asarray(saved), np.asarray(edit), mask


def _through_jpeg(image: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    with Image.open(stream) as again:
        return again.convert("RGB")


def batches(pairs: Pairs, ids: list[str], batch_size: int) -> Iterator[list[Pair]]:
    """Pictures of some samples, those of a batch of one size. Raises: SourcesLost: at the end, if some cannot be read
    any more."""
    index, lost = {id_: i for i, id_ in enumerate(pairs.ids)}, {}
    made = read(pairs, [index[id_] for id_ in ids], batch_size, Pairs.__getitem__)
    for found, bad in alike(made, batch_size, lambda pair: pair[0].image.shape):
        lost |= {id_: entry["error"] for id_, entry in bad.items()}
        if not lost:  # else they are looked for, so that the others are scored in one go
            yield found
    if lost:
        raise SourcesLost(lost)


def on_device(pairs: list[Pair], device: torch.device, classes: list[int] | None, recall: Callable) -> ScoreBatch:
    """What metrics are given."""
    samples, saved, edits, masks = map(list, zip(*pairs, strict=True))
    sources = torch.from_numpy(np.stack([sample.image for sample in samples])).to(device)
    pictures = torch.from_numpy(np.stack(edits).transpose(0, 3, 1, 2).copy()).to(device)
    return ScoreBatch(samples, pictures, sources, masks, saved=saved, classes=classes, recall=recall)
