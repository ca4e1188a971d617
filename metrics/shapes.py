"""Metrics of the shapes world: what its judge sees in an edit, against the truth that the world knows."""

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from bench.types import EditSample, ScoreBatch, Undefined
from metrics import features, words
from metrics.judge import Judge


class _Judged:
    """Base of the metrics that share the judge's forward pass.

    Args:
        weights: folder written by `metrics.judge.Judge.save`.
    """

    version = 1

    def __init__(self, weights: Path):
        self.weights = Path(weights)

    def load(self) -> None:
        """Reads the judge; see `features.judge`."""
        features.judge(self.weights, torch.device("cpu"))

    def judge(self, batch: ScoreBatch) -> Judge:
        """The network, on the batch's device."""
        return features.judge(self.weights, batch.edits.device)

    def maps(self, batch: ScoreBatch, which: str) -> list[torch.Tensor]:
        """Feature maps of `edits`, `sources` or `truths`."""
        return features.judge_maps(self.weights, batch, which)

    def verdicts(self, batch: ScoreBatch, changed: bool) -> np.ndarray:
        """100 where every attribute that the edit changes (or, if not `changed`, leaves alone) is judged to have the
        target's value, else 0; NaN where there is none. float64 `[B]`."""
        truths, verdicts = [_attributes(sample) for sample in batch.samples], []
        for (source, target), found in zip(truths, self.judge(batch).read(self.maps(batch, "edits")[-1]), strict=True):
            names = [name for name in source if (source[name] != target[name]) == changed]
            verdicts.append(100.0 * all(found[name] == target[name] for name in names) if names else np.nan)
        return np.array(verdicts)


class EditSuccess(_Judged):
    """Whether every attribute that the edit changes is judged equal to the target's; NaN where it changes none."""

    higher_is_better, unit = True, "%"

    def score(self, batch: ScoreBatch) -> np.ndarray:
        return self.verdicts(batch, changed=True)


class Kept(_Judged):
    """Whether every attribute that the edit leaves alone is judged unchanged; NaN where it leaves none."""

    higher_is_better, unit = True, "%"

    def score(self, batch: ScoreBatch) -> np.ndarray:
        return self.verdicts(batch, changed=False)


class TextAgreement(_Judged):
    """100 x cosine of the judge's embeddings of edit and target caption: this world's CLIPScore; NaN for a sample whose
    target is no words."""

    version, higher_is_better, unit = 2, True, "x 10^2"

    def __init__(self, weights: Path):
        super().__init__(weights)
        self.notes: dict[str, str] = {}

    def score(self, batch: ScoreBatch) -> np.ndarray:
        texts, notes = words.targets(batch)
        self.notes |= notes
        values = np.full(len(batch.samples), np.nan)
        if texts:
            image = self.judge(batch).embed_images(self.maps(batch, "edits")[-1])[list(texts)]
            text = self.judge(batch).embed_texts(list(texts.values()))
            values[list(texts)] = 100 * (image * text).sum(-1).double().cpu().numpy()
        return values


class Perceptual(_Judged):
    """Distance of the judge's unit-normalised feature maps, summed over stages: this world's LPIPS.

    Args:
        against: `sources` or `truths`.
    """

    higher_is_better, unit = False, "x 10^2"

    def __init__(self, weights: Path, against: str = "sources"):
        super().__init__(weights)
        self.against = against

    def score(self, batch: ScoreBatch) -> np.ndarray:
        total = torch.zeros(len(batch.samples), dtype=torch.float64, device=batch.edits.device)
        for a, b in zip(self._directions(batch, "edits"), self._directions(batch, self.against), strict=True):
            total += (a - b).square_().sum(1).mean((1, 2)).double()
        return 100 * total.cpu().numpy()

    def _directions(self, batch: ScoreBatch, which: str) -> list[torch.Tensor]:
        def make() -> list[torch.Tensor]:
            # F.normalize takes many times as long over this dimension.
            return [x * x.square().sum(1, keepdim=True).clamp_(min=1e-20).rsqrt_() for x in self.maps(batch, which)]

        return batch.shared((f"judge directions {self.weights}", which), make)


class StructureDistance(_Judged):
    """Mean squared difference of the self-similarity matrices of the judge's third stage (8 x 8 cells)."""

    higher_is_better, unit = False, "x 10^3"

    def score(self, batch: ScoreBatch) -> np.ndarray:
        a, b = (self_similarity(self.maps(batch, which)[2]) for which in ("edits", "sources"))
        return 1000 * (a - b).square().mean((1, 2)).double().cpu().numpy()


def self_similarity(maps: torch.Tensor) -> torch.Tensor:
    """Cosines between all cells of `[B, C, h, w]`: `[B, hw, hw]`."""
    cells = F.normalize(maps.flatten(2), dim=1)
    return cells.transpose(1, 2) @ cells


def _attributes(sample: EditSample) -> tuple[dict[str, str], dict[str, str]]:
    if sample.attributes is None:
        raise Undefined("needs the scene's attributes, which only data=shapes has")
    return sample.attributes
