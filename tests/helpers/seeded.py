"""Metric backbones with the fixed random weights that the reference outputs were made with (golden README, section 4).

A tensor's values depend on its name alone, so that the files need not be stored.
"""

from pathlib import Path
from zlib import crc32

import numpy as np
import timm
import torch
import torchvision

_SEED = 11


def alexnet(folder: Path) -> Path:
    """A torchvision AlexNet state dict; its classifier, which no metric looks at, is a stub."""
    with torch.device("meta"):
        shapes = _shapes(torchvision.models.alexnet())
    trunk = {name: shape for name, shape in shapes.items() if name.startswith("features.")}
    return _write(folder / "alexnet.pth", values("alexnet", trunk) | {"classifier.6.bias": torch.zeros(1000)})


def squeezenet(folder: Path) -> Path:
    """A torchvision SqueezeNet 1.1 state dict, without the classifier, which no metric looks at."""
    with torch.device("meta"):
        shapes = _shapes(torchvision.models.squeezenet1_1())
    trunk = {name: shape for name, shape in shapes.items() if name.startswith("features.")}
    return _write(folder / "squeezenet1_1.pth", values("squeezenet1_1", trunk))


def vgg16(folder: Path) -> Path:
    """A torchvision VGG16 state dict, whole but for its classifier's values, which no metric looks at."""
    with torch.device("meta"):
        shapes = _shapes(torchvision.models.vgg16())
    trunk = {name: shape for name, shape in shapes.items() if name.startswith("features.")}
    rest = {name: torch.zeros(1).expand(shape) for name, shape in shapes.items() if name not in trunk}
    return _write(folder / "vgg16.pth", values("vgg16", trunk) | rest)


def dino(folder: Path) -> Path:
    """A state dict of DINO's ViT-B/8, which timm's has the names of."""
    with torch.device("meta"):
        network = timm.create_model("vit_base_patch8_224", num_classes=0)
    return _write(folder / "dino_vitbase8_pretrain.pth", values("dino_vitb8", _shapes(network)))


def inception(folder: Path) -> Path:
    """A state dict of the FID Inception network, which has torchvision's layers and one class for each of 1008."""
    with torch.device("meta"):
        network = torchvision.models.inception_v3(num_classes=1008, aux_logits=False, init_weights=False)
    return _write(folder / "inception.pth", values("inception", _shapes(network)))


def values(tag: str, shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Weights by name, float32."""
    return {name: torch.from_numpy(_tensor(tag, name, shape)) for name, shape in shapes.items()}


def _tensor(tag: str, name: str, shape: tuple[int, ...]) -> np.ndarray:
    seed = (crc32(f"{tag}.{name}".encode()) ^ (_SEED * 2654435761)) & 0xFFFFFFFF
    z = np.random.Generator(np.random.PCG64(seed)).standard_normal(shape, np.float32)
    if name.endswith("running_var"):
        return np.exp(np.float32(0.2) * z)
    if name.endswith("running_mean"):
        return np.float32(0.1) * z
    if name.endswith(("cls_token", "pos_embed")):
        return np.float32(0.5) * z
    if len(shape) < 2:
        return 1 + np.float32(0.1) * z if name.endswith("weight") else np.float32(0.05) * z
    return z * np.float32(((2 if len(shape) == 4 else 1) / np.prod(shape[1:])) ** 0.5)


def _shapes(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {k: tuple(v.shape) for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}


def _write(file: Path, state: dict[str, torch.Tensor]) -> Path:
    torch.save(state, file)
    return file
