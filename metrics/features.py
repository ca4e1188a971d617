"""Backbones that turn uint8 images into feature vectors, loaded once a process."""

import tempfile
from functools import lru_cache
from pathlib import Path

import torch
from torch.nn import functional as F

from bench.errors import UserError, one_line
from bench.types import ScoreBatch, Undefined
from metrics import clip_networks, states, vit
from metrics.judge import Judge
from metrics.pixel import truths


class InceptionPool:
    """2048 pooled features of the FID Inception network, prepared as pytorch-fid and FlexIT do: float images,
    bilinear to 299 px without antialiasing, 2x - 1. (torch-fidelity resizes as TensorFlow 1 did and gives other
    features for equal weights; torchmetrics antialiases since 1.8.)

    Args:
        weights: pt_inception-2015-12-05-6726825d.pth or its twin of torch-fidelity, or `random`.
    """

    version = 1
    _LAYERS = (
        "Conv2d_1a_3x3 Conv2d_2a_3x3 Conv2d_2b_3x3 MaxPool_1 Conv2d_3b_1x1 Conv2d_4a_3x3 MaxPool_2 Mixed_5b Mixed_5c "
        "Mixed_5d Mixed_6a Mixed_6b Mixed_6c Mixed_6d Mixed_6e Mixed_7a Mixed_7b Mixed_7c AvgPool"
    )

    def __init__(self, weights: Path):
        self.weights = Path(weights)

    def load(self) -> None:
        """Reads the network. Raises: UserError: the file is not of it."""
        _inception(self.weights)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 `[B, 3, H, W]` to float32 `[B, 2048]`."""
        network = _inception(self.weights).to(images.device)
        x = F.interpolate(images.float() / 255, (299, 299), mode="bilinear", align_corners=False, antialias=False)
        x = 2 * x - 1
        for layer in self._LAYERS.split():
            x = getattr(network, layer)(x)
        return x.flatten(1)


class Dinov2:
    """Class token of DINOv2 at 224 px, which Stein et al. 2023 found closest to human judgement of realism. Images are
    resized as floats, bicubic and antialiased.

    Args:
        weights: dinov2_vitl14_pretrain.pth, or `random`.
        architecture: timm's name of the network.
    """

    version = 1

    def __init__(self, weights: Path, architecture: str = "vit_large_patch14_dinov2"):
        self.weights, self.architecture = Path(weights), architecture

    def load(self) -> None:
        """Reads the network; see `vit.load`."""
        vit.load(self.architecture, self.weights, 224)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 `[B, 3, H, W]` to float32 `[B, D]`."""
        network = vit.load(self.architecture, self.weights, 224).to(images.device)
        x = F.interpolate(images.float() / 255, (224, 224), mode="bicubic", align_corners=False, antialias=True)
        return network(vit.normalised(x.clamp(0, 1)))


class ClipImage:
    """Unit embeddings of a CLIP model, which CMMD compares (Jayasumana et al. 2024).

    Args:
        weights, open_clip: as in `clip.ClipScore`.
    """

    version = 1

    def __init__(self, weights: Path, open_clip: str | None = None):
        self.weights, self.open_clip = Path(weights), open_clip

    def load(self) -> None:
        """Reads the model; see `clip_networks.load`."""
        clip_networks.load(self.weights, self.open_clip)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 `[B, 3, H, W]` to float32 `[B, D]`."""
        return F.normalize(clip_networks.load(self.weights, self.open_clip).images(images), dim=-1)


class JudgePool:
    """Pooled features of the shapes judge.

    Args:
        weights: folder written by `metrics.judge.Judge.save`.
    """

    def __init__(self, weights: Path):
        self.weights = Path(weights)

    def load(self) -> None:
        """Reads the judge; see `judge`."""
        judge(self.weights, torch.device("cpu"))

    def of(self, batch: ScoreBatch, which: str) -> torch.Tensor:
        """float32 `[B, 128]`, from the forward pass that the other metrics of the judge share."""
        return judge_maps(self.weights, batch, which)[-1].mean((2, 3))


def load(extract) -> None:
    """Reads the network of one of these. Raises: UserError: its files are not of it."""
    if hasattr(extract, "load"):
        extract.load()


def vectors(batch: ScoreBatch, which: str, extract) -> torch.Tensor:
    """Features of the batch's `edits`, `sources` or `truths`, computed once a batch; those of sources and truths, which
    every run of a data set needs again, are taken from the batch's memory where it has one.

    Raises:
        Undefined: those of a picture are not finite; no distance of sets holds them.
    """
    found = extract.of(batch, which) if hasattr(extract, "of") else _extracted(batch, which, extract)
    sound = found.isfinite().flatten(1).all(1)
    if not sound.all():
        first = batch.samples[int((~sound).nonzero()[0])].id
        raise Undefined(f"the features of sample {first!r} ({which}) are not finite, so there is no distance")
    return found


def _extracted(batch: ScoreBatch, which: str, extract) -> torch.Tensor:
    settings = [f"{name}={value}" for name, value in sorted(vars(extract).items()) if isinstance(value, str)]
    name = " ".join([type(extract).__name__, *settings])

    def compute(images: torch.Tensor) -> torch.Tensor:
        if which == "edits" or batch.recall is None or not hasattr(extract, "version"):
            return extract(images)
        return batch.recall(f"{name}@{extract.version}", extract.weights, images, extract)

    return of(batch, which, f"{name} {extract.weights}", compute)


def judge_maps(weights: Path, batch: ScoreBatch, which: str) -> list[torch.Tensor]:
    """`Judge.maps` of the batch's `edits`, `sources` or `truths`, computed once a batch."""
    return of(batch, which, f"judge {weights}", lambda x: judge(weights, x.device).maps(x.float() / 255))


def of(batch: ScoreBatch, which: str, name: str, extract):
    """`extract` of the batch's `edits`, `sources` or `truths`, computed once a batch under (name, which)."""

    def make():
        return extract(truths(batch) if which == "truths" else getattr(batch, which))

    return batch.shared((name, which), make)


@lru_cache
def judge(folder: Path, device: torch.device) -> Judge:
    """The judge of a folder, on a device."""
    return Judge.load(folder).to(device)


@lru_cache
def _inception(file: Path) -> torch.nn.Module:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    if str(file) != "random":
        states.load(file)
        try:
            network = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(file))
        except (RuntimeError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{file} is no state dict of the FID Inception: {one_line(error)[:300]}") from None
        states.check_finite(network, file)
        return network.eval().requires_grad_(False)
    from torchvision.models import inception_v3  # has the same layers under the same names

    with torch.random.fork_rng(), tempfile.TemporaryDirectory() as folder:  # theirs takes nothing but a file
        torch.manual_seed(0)
        state = inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False).state_dict()
        torch.save(state, Path(folder, "random.pth"))
        return _inception(Path(folder, "random.pth"))
