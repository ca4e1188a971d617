"""CompVis' VQGAN of ImageNet, f16 with 1024 codes: `last.ckpt` of taming-transformers."""

import torch

from bench.convert import vq
from bench.convert.names import take
from bench.convert.parts import Part

DROPPED = ("loss.",)
"""What it was trained against: a discriminator, and LPIPS with its trunk."""
SIZE = 256  # no tensor depends on it


def convert(state: dict[str, torch.Tensor]) -> dict[str, Part]:
    """vqgan (VQModel); what it uses is taken out of `state`.

    Raises:
        KeyError: with the names that are missing.
    """
    parts = take(state, {"vqgan": vq.names(state, "")})
    return {"vqgan": vq.part(parts["vqgan"], SIZE)}
