"""FlexIT (Couairon et al. 2022): the codes of a VQGAN are moved until several CLIPs see the target in the picture, and
LPIPS and the codes themselves hold it near the source."""

import math
from collections.abc import Hashable
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch.nn.functional import relu
from torchvision.transforms import functional as transforms

from bench.diffusion.device import finite, to_uint8
from bench.errors import BadSample
from bench.types import CodesModel, EditBatch, EditResult, Noise
from methods import latents

_XI = 1e-6  # without it the first gradient of the latent term would be 0 / 0
_ANGLE, _AREA, _ASPECT = 10.0, (0.8, 1.0), (0.9, 1.1)  # of a view
_TRIES = 10  # torchvision's, for a crop that fits


@dataclass(frozen=True)
class View:
    """What is drawn to show a picture to a CLIP.

    Attributes:
        angle: degrees, counter-clockwise.
        box: top, left, height and width of the crop.
        flip: left and right swapped.
    """

    angle: float
    box: tuple[int, int, int, int]
    flip: bool


@dataclass(frozen=True)
class Draws:
    """What one update of a batch is drawn with.

    Attributes:
        xi: standard normal, as the codes.
        views: CLIP -> for each view, one a picture.
    """

    xi: torch.Tensor
    views: dict[str, list[list[View]]]


@dataclass(frozen=True)
class Goal:
    """What stays the same during an optimisation.

    Attributes:
        codes: of the sources, `[B, C, h, w]`.
        features: of the sources, for the perceptual distance.
        points: CLIP -> where its embeddings of the pictures should go, `[B, D]`, not of unit length.
    """

    codes: torch.Tensor
    features: list[torch.Tensor]
    points: dict[str, torch.Tensor]


@dataclass
class FlexIT:
    """Defaults are those of the authors' final.yaml. No denoiser is asked: NFE 0; an image's backward passes, one an
    update, are in its notes.

    Args:
        updates: of the codes; the picture is what they decode to afterwards.
        views: random crops that each CLIP is shown at each update.
        image_weight, source_weight, target_weight: of the embeddings of source picture, source text (taken away) and
            target text in the point that each CLIP's embedding should go to.
        perceptual, latent: weights of LPIPS and of the codes' distance.
        rate: length of an update, as a share of the length of the source's codes.
        antialias: of what resizes pictures for the CLIPs. The original, of torchvision before 0.17, did not.
        clip_dtype: float32, or float16 as on the authors' GPU.
    """

    version = 1

    updates: int = 160
    views: int = 1
    image_weight: float = 0.2
    source_weight: float = 0.4
    target_weight: float = 1.0
    perceptual: float = 0.15
    latent: float = 0.05
    rate: float = 0.05
    antialias: bool = False
    clip_dtype: str = "float32"

    @property
    def backward(self) -> int:
        """Backward passes an image: what it costs, since it asks no denoiser."""
        return self.updates

    def __call__(self, model: CodesModel, batch: EditBatch, noise: Noise) -> EditResult:
        _check(batch)
        mine = self._lineage()
        family = [point for point in batch.points if isinstance(point, FlexIT) and point._lineage() == mine]
        stops = sorted({point.updates for point in [self, *family] if point.updates <= self.updates})
        with torch.inference_mode(False), torch.no_grad():
            goal = batch.shared(("goal", mine), lambda: self.goal(model, batch))
            codes = goal.codes
            for start, stop in zip([0, *stops], stops, strict=False):

                def moved(codes=codes, start=start, stop=stop) -> torch.Tensor:
                    for step in range(start, stop):
                        codes = self.update(model, goal, codes, self.draws(model, batch, goal, noise, step))
                    return codes

                codes = batch.shared(("codes", mine, stop), moved)
            decoded = finite(model.decode(codes), "pixels", "after decoding")  # clamping would make infinity white
            images = to_uint8(2 * soft_clamp((decoded + 1) / 2) - 1)
        notes = [{"backward": self.backward, **cut} for cut in latents.cut(model, batch)]
        return EditResult(images, notes=notes)

    def goal(self, model: CodesModel, batch: EditBatch) -> Goal:
        """Codes, features and points of a batch."""
        source, points = batch.images.float() / 255, {}
        for name, clip in model.encoders(self.clip_dtype).items():
            whole = transforms.resize(source, clip.size, antialias=self.antialias)
            points[name] = (
                self.target_weight * clip.texts(batch.targets)
                + self.image_weight * clip.images(transforms.center_crop(whole, clip.size))
                - self.source_weight * clip.texts(batch.sources)
            )
        return Goal(model.encode(2 * source - 1), model.features(source), points)

    def draws(self, model: CodesModel, batch: EditBatch, goal: Goal, noise: Noise, step: int) -> Draws:
        """Those of an update: of streams that nothing else draws from, so that neither the batch nor the number of
        updates changes them."""
        side, views = tuple(batch.images.shape[-2:]), {}
        for name in goal.points:
            streams = (noise.rng(f"flexit {step} {name} {number}") for number in range(self.views))
            views[name] = [[_view(rng, *side) for rng in rngs] for rngs in streams]
        return Draws(noise(f"flexit {step}", tuple(goal.codes.shape[1:])), views)

    def update(self, model: CodesModel, goal: Goal, codes: torch.Tensor, draws: Draws) -> torch.Tensor:
        """The codes after an update, each picture's by itself."""
        gradient = self.gradient(model, goal, codes, draws)
        return codes - self.rate * _length(goal.codes) * gradient / _length(gradient)

    def gradient(self, model: CodesModel, goal: Goal, codes: torch.Tensor, draws: Draws) -> torch.Tensor:
        """That of each picture's loss."""
        with torch.enable_grad():
            codes = codes.detach().requires_grad_()
            clip, perceptual, latent = self.losses(model, goal, codes, draws)
            loss = clip + self.perceptual * perceptual + self.latent * latent
            return torch.autograd.grad(loss.sum(), codes)[0]

    def losses(self, model: CodesModel, goal: Goal, codes: torch.Tensor, draws: Draws) -> tuple[torch.Tensor, ...]:
        """CLIP's, LPIPS and the codes' distance, before they are weighted, `[B]` each."""
        x, agreement = picture(model, codes), []
        for name, clip in model.encoders(self.clip_dtype).items():
            seen = [self._seen(x[n], one, clip.size) for views in draws.views[name] for n, one in enumerate(views)]
            embedded = clip.images(torch.stack(seen)).unflatten(0, (self.views, len(x)))
            agreement.append((embedded.mean(0) * goal.points[name]).sum(1))
        moved = (codes - goal.codes + _XI * draws.xi).norm(dim=1).sum((1, 2))
        latent = moved / goal.codes.norm(dim=1).sum((1, 2))
        return -torch.stack(agreement).mean(0), model.distance(model.features(x), goal.features), latent

    def _seen(self, x: torch.Tensor, view: View, size: int) -> torch.Tensor:
        turned = transforms.rotate(x, view.angle)
        cropped = transforms.resized_crop(turned, *view.box, [size, size], antialias=self.antialias)
        return transforms.hflip(cropped) if view.flip else cropped

    def _lineage(self) -> tuple[Hashable, ...]:
        """All but the number of updates: points that agree in it share an optimisation."""
        return tuple(getattr(self, field.name) for field in fields(self) if field.name != "updates")


def picture(model: CodesModel, codes: torch.Tensor) -> torch.Tensor:
    """What codes decode to, float `[B, 3, H, W]` in [0, 1]."""
    return soft_clamp((model.decode(codes) + 1) / 2)


def soft_clamp(x: torch.Tensor) -> torch.Tensor:
    """Into [0, 1], nearly the identity inside. By two halves, since a power of an absolute value has a gradient of NaN
    at 1/2."""
    y = torch.tanh((2 * x - 1) ** 5)
    return (1 + relu(y) ** 0.2 - relu(-y) ** 0.2) / 2


def _length(x: torch.Tensor) -> torch.Tensor:
    """Of each row, `[B, 1, 1, 1]`."""
    return x.flatten(1).norm(dim=1).clamp_min(1e-30)[:, None, None, None]


def _view(rng: np.random.Generator, height: int, width: int) -> View:
    """One view of a picture, as torchvision's RandomRotation, RandomResizedCrop and RandomHorizontalFlip draw it."""
    angle, box = rng.uniform(-_ANGLE, _ANGLE), (0, 0, height, width)
    for _ in range(_TRIES):
        area = rng.uniform(*_AREA) * height * width
        aspect = math.exp(rng.uniform(*np.log(_ASPECT)))
        h, w = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
        if h <= height and w <= width:
            box = (int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w)
            break
    return View(angle, box, bool(rng.random() < 0.5))


def _check(batch: EditBatch) -> None:
    """Raises BadSample for samples that lack a text."""
    bad = {}
    for sample in batch.samples:
        for side, query in (("source", sample.source), ("target", sample.target)):
            if isinstance(query, int):
                bad[sample.id] = f"FlexIT takes text and got the class index {query}; set data.queries=names"
            elif query is None:
                bad[sample.id] = f"FlexIT needs a source and a target text, and this sample has no {side} text"
    if bad:
        raise BadSample(next(iter(bad.values())), bad)
