"""Features of pictures that every run of a data set needs again, kept on disk by the pictures' content."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from bench.files.hashing import sha256_of
from bench.files.write import keep


class Recall:
    """`<out>/.features/<backbone>/<pictures>.npy`, one file a batch: written atomically, read one at a time, so that
    processes can share the folder and memory stays constant.

    Args:
        folder: need not exist.
        fingerprints: hash of the weights, by the path that backbones were given.
    """

    def __init__(self, folder: Path, fingerprints: dict[Path, str]):
        self.folder, self.fingerprints = Path(folder), fingerprints

    def __call__(self, name: str, weights: Path, images: torch.Tensor, extract: Callable) -> torch.Tensor:
        """`extract(images)`, computed once for these images in this order.

        Args:
            name: backbone and how it prepares pictures, with its version.
            weights: one of the paths of `fingerprints`; of others nothing is kept.
            images: uint8 `[B, 3, H, W]`.
        """
        if weights not in self.fingerprints:
            return extract(images)
        content = hashlib.sha256(str(tuple(images.shape)).encode() + images.cpu().numpy().tobytes()).hexdigest()
        file = self.folder / sha256_of([name, self.fingerprints[weights]])[:16] / f"{content[:32]}.npy"
        try:
            return torch.from_numpy(np.load(file)).to(images.device)
        except (OSError, ValueError, EOFError):  # not there, or no longer whole
            features = extract(images)
        stream = io.BytesIO()
        np.save(stream, features.cpu().numpy())
        keep(file, stream.getvalue())
        return features
