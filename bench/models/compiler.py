"""What `model.compile` may be, said before anything is loaded. No torch."""

import os
import shutil
from importlib.util import find_spec
from typing import Any

from bench.errors import UserError

BLOCKS, GRAPHS = True, "graphs"
"""What it may be besides false: the blocks that repeat are compiled; the whole denoiser is, and is replayed as a CUDA
graph."""


def check(how: bool | str, checkpoint: Any, device: str, offload: str) -> None:
    """Whether the denoiser of a checkpoint can be compiled as asked.

    Args:
        checkpoint: of the model; None for a method that uses none.
        device: as configured, where `auto` is passed by, or what was picked.
        offload: a word of `model.offload`.

    Raises:
        UserError: it cannot.
    """
    if not how or checkpoint is None:
        return
    kind = device.partition(":")[0]
    asked = f"model.compile={str(how).lower()}"
    if not hasattr(checkpoint, "denoiser"):
        raise UserError(
            f"{asked}: {type(checkpoint).__name__} has no denoiser() that names the network of its model; leave "
            "model.compile out"
        )
    if offload != "none":
        raise UserError(f"{asked} is for networks that stay on the device; leave it or model.offload={offload} out")
    if checkpoint.offers == "codes":
        raise UserError(f"{asked}: a VQGAN has no denoiser, which is what is compiled; leave model.compile out")
    if how == GRAPHS and kind == "cpu":
        raise UserError(
            f"{asked} replays graphs of CUDA, and device={device} has none; use model.compile=true or false"
        )
    if kind == "cpu" and not _found("CXX", "g++", "clang++"):
        raise UserError(f"{asked} needs a C++ compiler, and there is no g++ or clang++; install one, or name it in CXX")
    if kind == "cuda" and find_spec("triton") is None:
        raise UserError(f"{asked} needs triton on a GPU, which is not installed; `pip install triton`")
    if kind == "cuda" and not _found("CC", "gcc", "clang"):
        raise UserError(f"{asked} needs a C compiler, and there is no gcc or clang; install one, or name it in CC")


def _found(variable: str, *names: str) -> bool:
    return any(map(shutil.which, filter(None, [os.environ.get(variable), *names])))
