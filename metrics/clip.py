"""CLIPScore and CLIP's directional similarity."""

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from bench.types import ScoreBatch
from metrics import clip_networks, words


class _Clip:
    """Base: embeddings that the metrics of a batch share.

    Attributes:
        notes: sample id -> what was wrong with its prompt.
    """

    def __init__(self, weights: Path, open_clip: str | None, resize: str):
        self.weights, self.open_clip, self.resize, self.notes = Path(weights), open_clip, resize, {}

    def load(self) -> None:
        """Reads the model; see `clip_networks.load`."""
        self.network()

    def network(self):
        return clip_networks.load(self.weights, self.open_clip, self.resize)

    def embed_pictures(self, batch: ScoreBatch, which: str) -> torch.Tensor:
        """Of the batch's `edits` or `sources`, float64 `[B, D]`; the sources' are kept where the batch has a memory."""
        name = " ".join(filter(None, ["clip picture", self.open_clip, self.resize]))
        images, extract = getattr(batch, which), self.network().images

        def make() -> torch.Tensor:
            if which == "edits" or batch.recall is None:
                return extract(images)
            return batch.recall(f"{name}@1", self.weights, images, extract)

        return batch.shared((name, str(self.weights), which), make).double()

    def embed_texts(self, batch: ScoreBatch, texts: dict[int, str]) -> torch.Tensor:
        """Of texts by their places in the batch, float64 `[len(texts), D]`."""
        network, prompts = self.network(), list(texts.values())
        for place, length in zip(texts, network.lengths(prompts), strict=True):
            if length > network.longest:
                self.notes[batch.samples[place].id] = f"prompt of {length} tokens cut at CLIP's {network.longest}"
        key = ("clip text", str(self.weights), self.open_clip, *prompts)
        return batch.shared(key, lambda: network.texts(prompts, batch.edits.device)).double()


class ClipScore(_Clip):
    """`scale` x cosine of the CLIP embeddings of edit and target prompt. DiffEdit's gains of "0.25 points" (section
    4.4) only fit 100 x cosine; Hessel et al. 2021 have 2.5 x max(cosine, 0) and a prefix.

    Own code, since torchmetrics' CLIPScore crashes with transformers 5 and keeps no per-image values. NaN for a sample
    whose target is no words.

    Args:
        weights: folder of a Hugging Face CLIP model and its processor, or a file of open_clip.
        region: `frame`, or `edited`: black outside the region to edit, and still the full prompt, as PnPInversion has
            it; NaN without a mask and where it is empty.
        scale: 100, or Hessel's 2.5.
        floor: lowest value, 0 in torchmetrics (hence in PnPInversion) and Hessel; null for none.
        prefix: put before the prompt, "A photo depicts" in Hessel's code.
        resize: what resizes pictures, `torchvision` or `pil`; they differ by some hundredths of a point. Both belong to
            transformers' own CLIP processor, which ran on PIL before version 5. open_clip's is PIL.
        open_clip: its name of the network that a file is of.
    """

    version, higher_is_better = 2, True

    def __init__(
        self,
        weights: Path,
        region: str = "frame",
        scale: float = 100.0,
        floor: float | None = None,
        prefix: str = "",
        resize: str = "torchvision",
        open_clip: str | None = None,
    ):
        if region not in ("frame", "edited"):
            raise ValueError(f"region={region!r}, expected frame or edited")
        super().__init__(weights, open_clip, resize)
        self.region, self.scale, self.floor, self.prefix = region, scale, floor, prefix
        self.unit = "x 10^2" if scale == 100 else f"x {scale:g}"

    def score(self, batch: ScoreBatch) -> np.ndarray:
        known = np.ones(len(batch.samples), bool)
        values = np.full(len(batch.samples), np.nan)
        texts, notes = words.targets(batch)
        self.notes |= notes
        if self.region == "edited":
            inside = [np.zeros(batch.edits.shape[-2:], bool) if s.mask is None else s.mask for s in batch.samples]
            known = np.array([mask.any() for mask in inside])
        if texts:
            if self.region == "edited":
                masks = torch.from_numpy(np.stack(inside)).to(batch.edits.device)
                images = self.network().images(batch.edits * masks[:, None]).double()
            else:
                images = self.embed_pictures(batch, "edits")
            prompts = {place: f"{self.prefix} {text}".strip() for place, text in texts.items()}
            cosines = torch.cosine_similarity(images[list(texts)], self.embed_texts(batch, prompts), dim=-1)
            values[list(texts)] = self.scale * cosines.cpu().numpy()
        return np.where(known, values if self.floor is None else np.maximum(values, self.floor), np.nan)


class ClipDirection(_Clip):
    """Cosine of E_I(edit) - E_I(source) and E_T(target) - E_T(source), of unit embeddings (Gal et al. 2022, section
    3.2; as InstructPix2Pix's evaluation has it): whether the picture changed as the words did.

    NaN for a sample without words for source or target, and where the picture or the words did not change.

    Args:
        weights, resize, open_clip: as in `ClipScore`.
    """

    version, higher_is_better, unit = 1, True, ""

    def __init__(self, weights: Path, resize: str = "torchvision", open_clip: str | None = None):
        super().__init__(weights, open_clip, resize)

    def score(self, batch: ScoreBatch) -> np.ndarray:
        values = np.full(len(batch.samples), np.nan)
        targets, notes = words.targets(batch)
        sources, lacking = words.sources(batch)
        self.notes |= lacking | notes
        same = (batch.edits == batch.sources).flatten(1).all(1).cpu().numpy()
        places = []
        for place in targets.keys() & sources.keys():
            if targets[place].strip() == sources[place].strip():
                self.notes[batch.samples[place].id] = "source and target say the same: undefined"
            elif same[place]:
                self.notes[batch.samples[place].id] = "the picture did not change: undefined"
            else:
                places.append(place)
        if places:
            places = sorted(places)
            ends = [self.embed_pictures(batch, which)[places] for which in ("edits", "sources")]
            ends += [self.embed_texts(batch, {place: texts[place] for place in places}) for texts in (targets, sources)]
            edit, source, target, before = (F.normalize(end, dim=-1) for end in ends)
            values[places] = torch.cosine_similarity(edit - source, target - before, dim=-1).cpu().numpy()
        return values
