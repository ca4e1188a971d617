"""Per-sample randomness, so that batch size, order and sharding change nothing but float rounding."""

import hashlib

import numpy as np
import torch


class SampleNoise:
    """Noise of the samples of one batch: every (seed, sample id, stream) has a generator of its own.

    Drawn on the CPU and then moved, so that a GPU run starts from the same noise.
    """

    def __init__(self, seed: int, ids: list[str], device: torch.device | str = "cpu"):
        self.seed, self.ids, self.device = seed, ids, device

    def __call__(self, stream: str, shape: tuple[int, ...]) -> torch.Tensor:
        """Standard normal float32 `[B, *shape]`."""
        draws = [torch.randn(shape, generator=generator) for generator in self.generators(stream)]
        return torch.stack(draws).to(self.device, non_blocking=True)

    def generators(self, stream: str) -> list[torch.Generator]:
        """One generator a sample, on the CPU, for libraries that draw by themselves."""
        return [torch.Generator().manual_seed(s) for s in self._seeds(stream)]

    def rng(self, stream: str) -> list[np.random.Generator]:
        """One numpy generator a sample."""
        return [np.random.default_rng(s) for s in self._seeds(stream)]

    def _seeds(self, stream: str) -> list[int]:
        keys = (f"{self.seed}\0{id_}\0{stream}" for id_ in self.ids)
        return [int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1 for key in keys]
