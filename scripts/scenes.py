"""Training data drawn on the fly, and pictures of how training goes."""

import itertools
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from bench.data.world import drawing, scenes
from bench.files.write import atomic

SEED = 1
"""data.seed of the benchmark is 0: no training scene is a test scene."""


class Scenes(Dataset):
    """Endless stream of scenes, by index: uint8 `[3, size, size]`, caption, attribute indices `[7]`."""

    def __init__(self, seed: int = SEED):
        self.seed = seed

    def __getitem__(self, index: int):
        scene = scenes.random_scene(np.random.default_rng([self.seed, index]))
        labels = [values.index(scene.attributes[name]) for name, values in scenes.ATTRIBUTES.items()]
        pixels = torch.from_numpy(drawing.draw(scene)).permute(2, 0, 1).contiguous()
        return pixels, scenes.caption(scene), torch.tensor(labels)


def stream(start: int, batch: int, device: torch.device, seed: int = SEED):
    """Batches of `Scenes` from index `start` on; images float in [-1, 1]."""
    indices = (list(range(i, i + batch)) for i in itertools.count(start, batch))
    workers = 12 if device.type == "cuda" else 0
    for pixels, captions, labels in DataLoader(Scenes(seed), batch_sampler=indices, num_workers=workers):
        images = pixels.to(device).float() / 127.5 - 1
        yield images.contiguous(memory_format=torch.channels_last), list(captions), labels.to(device)


def grid(images: torch.Tensor, file: Path, columns: int = 8) -> None:
    """Writes float images `[N, 3, H, W]` in [-1, 1] as one PNG."""
    array = ((images.float().cpu() / 2 + 0.5).clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    rows = [np.concatenate(list(array[i : i + columns]), 1) for i in range(0, len(array), columns)]
    with atomic(file) as temporary:
        Image.fromarray(np.concatenate(rows)).save(temporary, format="PNG")
