"""Speed of editing on one GPU, against what the card itself can do and against the published ways.

    python -m scripts.bench_gpu [--seconds 480] [--batch 16] [--steps 50] [--device cuda] [--dtype bfloat16] [--tiny]

Stable Diffusion 1.4's architecture with random weights at 512 px; every row is printed when it is measured:

ceiling      FLOP a second of one large matrix product, and FLOP of the networks, counted by torch
a method     seconds an image in a batch, picture to picture; FLOP a second of its networks, as a share of the ceiling;
             memory above the weights
harness      pictures a second of a run, reading, writing and scoring included; the share that is not the method's
half         latents of a round trip without words, against those in float32
one by one   a method on one picture with explicit attention maps, the reference's way
diffusers    the loops of diffusers: DiffEdit, and inversion and sampling without any control
by memory    the batch that batch_size=auto takes, and what it gains
compiled     what model.compile=true and model.compile=graphs gain, and what they change in pictures

A row begins only if the longest so far would still end in `--seconds`, imports included; the others are named as not
measured. The exit status is 1 where a row failed. `--tiny` does the same with the embedded model on the CPU.
"""

import argparse
import sys
import time
from collections.abc import Callable

import torch

from bench.config import cli
from bench.diffusion import device as devices
from bench.errors import UserError
from scripts import gpu_compiled
from scripts.gpu_rows import Bench
from scripts.timing import age


def printed(rows: dict[str, Callable[[], str]], seconds: float, started: float) -> int:
    """Prints each row when it is measured; returns the exit status."""
    longest, missing, status = 0.0, [], 0
    for name, row in rows.items():
        began = time.perf_counter()
        if began - started + longest > seconds:
            missing.append(name)
            continue
        try:
            said = row()
        except Exception as error:  # what is measured after it is not lost
            said, status = f"failed: {type(error).__name__}: {error}", 1
        took = time.perf_counter() - began
        longest = max(longest, took)
        print(f"{name}: {said} [{took:.1f} s]", flush=True)
    if missing:
        print(f"not measured, since {seconds:g} s are not enough: {'; '.join(missing)}")
    return status


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=480, help="for everything")
    parser.add_argument("--batch", type=int, help="pictures at once; 16, tiny 4")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--device", help="cuda, tiny cpu")
    parser.add_argument("--dtype", default="bfloat16", choices=["float32", "float16", "bfloat16"])
    parser.add_argument("--tiny", action="store_true", help="the embedded model")
    given = parser.parse_args(argv)
    started = time.perf_counter() - (age() if argv is None else 0)
    try:
        device = devices.pick(given.device or ("cpu" if given.tiny else "cuda"))
        bench = Bench(device, given.dtype, given.batch or (4 if given.tiny else 16), given.steps, given.tiny)
    except UserError as error:
        return cli.fail(error)
    what = "the embedded model" if given.tiny else "Stable Diffusion 1.4's architecture, random weights"
    print(
        f"{what}, {bench.source.size} px, {given.steps} steps, {devices.name(device)}, torch {torch.__version__}; "
        f"loaded after {time.perf_counter() - started:.1f} s",
        flush=True,
    )
    return printed(bench.rows() | gpu_compiled.rows(bench), given.seconds, started)


if __name__ == "__main__":
    sys.exit(main())
