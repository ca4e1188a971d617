"""Which noise a sample gets: its own for each seed, id and stream, wherever in a batch it stands."""

import hashlib

import numpy as np
import torch

from bench.diffusion.noise import SampleNoise


def seed(*key: object) -> int:
    """63 bits of the key's hash."""
    return int(hashlib.sha256("\0".join(map(str, key)).encode()).hexdigest()[:16], 16) // 2


def test_noise_is_drawn_by_seed_id_and_stream():
    """A published run's pictures rest on these numbers."""
    made = SampleNoise(7, ["a", "b"])
    for stream in ("start", "mask"):
        for row, id_ in enumerate("ab"):
            expected = torch.randn((2, 3), generator=torch.Generator().manual_seed(seed(7, id_, stream)))
            assert torch.equal(made(stream, (2, 3))[row], expected)
            expected = np.random.default_rng(seed(7, id_, stream)).random(4)
            assert np.array_equal(made.rng(stream)[row].random(4), expected)


def test_no_two_streams_are_alike_and_every_call_starts_anew():
    keys = [(s, id_, stream) for s in (0, 1) for id_ in ("1", "11") for stream in ("start", "1start", "step 1")]
    draws = {key: SampleNoise(key[0], [key[1]])(key[2], (8,)) for key in keys}
    assert len({tuple(one.flatten().tolist()) for one in draws.values()}) == len(keys)
    together = SampleNoise(0, ["11", "1"])
    for _ in range(2):
        assert torch.equal(together("start", (8,))[1:], draws[0, "1", "start"])
