"""The goldens' tiny networks under their original names: weights follow from the names (golden README, section 1)."""

import hashlib
import json
import math
from pathlib import Path
from zlib import crc32

import numpy as np
import torch

RESIDUAL = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
"""Layers of a residual block of guided-diffusion's UNet by diffusers' names."""


def noise(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal float32 that follows from a name."""
    seed = (crc32(name.encode()) ^ (11 * 2654435761)) & 0xFFFFFFFF
    return np.random.Generator(np.random.PCG64(seed)).standard_normal(shape, np.float32)


def state(tag: str, spec: Path) -> dict[str, torch.Tensor]:
    """State dict of the network `tag`, whose names, shapes and digests are in a file."""
    entries = json.loads(spec.read_text())
    made = {name: torch.from_numpy(_tensor(tag, name, tuple(entry["shape"]))) for name, entry in entries.items()}
    assert {name: digest(tensor) for name, tensor in made.items()} == {n: e["sha256_16"] for n, e in entries.items()}
    return made


def digest(tensor: torch.Tensor) -> str:
    """As the goldens' specifications have it."""
    return hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()[:16]


def _tensor(tag: str, name: str, shape: tuple[int, ...]) -> np.ndarray:
    z = noise(f"{tag}.{name}", shape)
    if name.endswith("num_batches_tracked"):
        value = 0 * z
    elif name.endswith("running_var"):
        value = np.exp(0.2 * z)
    elif name.endswith("running_mean"):
        value = 0.1 * z
    elif name.endswith(("cls_token", "pos_embed")) or "embedding" in name:
        value = 0.5 * z
    elif len(shape) < 2:
        value = 1 + 0.1 * z if name.endswith("weight") else 0.05 * z
    elif len(shape) == 4:
        value = z * math.sqrt(2 / math.prod(shape[1:]))
    else:
        value = z / math.sqrt(math.prod(shape[1:]))
    return np.asarray(value, np.float32).astype(np.float16).astype(np.float32)
