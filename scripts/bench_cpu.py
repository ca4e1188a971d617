"""Speed and memory on the embedded model, as ratios measured in one run.

    python -m scripts.bench_cpu [sharing overhead diffusers memory bfloat16 scoring overlap ssim]

sharing    list form r=[0.3,0.5,0.7,0.9] against four runs: UNet evaluations and wall time
overhead   wall time that is not the model's own forward passes, at batch 16
diffusers  time for each edited image against diffusers' own pipelines called in a loop
memory     peak memory of 2,000 samples against 20
bfloat16   the same edits in half precision: processor time, and what it changes in the pictures
scoring    scoring 1,000 edits against the forward passes of the metrics' backbone alone
overlap    scoring photographs of 512 px against reading and preparing them first and taking the metrics then
ssim       SSIM of 64, 256 and 512 px against its definition, whose window is one matrix as large as the picture
"""

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from bench.config import cli
from bench.edits.plan import plan
from bench.errors import nearest
from bench.models import checkpoint
from bench.models.stable_diffusion import StableDiffusion
from scripts.bench_scoring import overlap, scoring, ssim
from scripts.timing import clocks, timed

MODEL = "bench/models/shapes"
RATIOS = (0.3, 0.5, 0.7, 0.9)
METHODS = ("sdedit", "encode_decode", "diffedit")


def sharing() -> None:
    """The work that operating points share."""
    for method in METHODS:
        with tempfile.TemporaryDirectory() as out:
            apart = [timed(f"{out}/apart", f"method={method}", f"r={r}", "limit=16") for r in RATIOS]
            together = timed(f"{out}/together", f"method={method}", f"r=[{','.join(map(str, RATIOS))}]", "limit=16")
        wall, spent = (sum(part) for part in zip(*apart, strict=True))
        print(
            f"sharing: {method}: evaluations {together[1]:.0f} / {spent:.0f} = {together[1] / spent:.2f}, "
            f"wall {together[0]:.1f} / {wall:.1f} s = {together[0] / wall:.2f}"
        )


def overhead() -> None:
    """Wall time outside the networks."""
    model = checkpoint.load(StableDiffusion(MODEL), torch.device("cpu"), torch.float32)  # that of the runs
    for method in METHODS:
        with tempfile.TemporaryDirectory() as out, _clocked(model) as clock:
            wall, _ = timed(out, f"method={method}", "r=0.8", "limit=64", "batch_size=16")
            share = 1 - clock[0] / wall
        print(f"overhead: {method}: {wall:.1f} s, of which networks {clock[0]:.1f} s; overhead {100 * share:.1f} %")


@contextmanager
def _clocked(model):
    """Seconds spent in the forward passes of a model's networks."""
    total = [0.0]

    def clock(function):
        def wrapped(*args, **kwargs):
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                total[0] += time.perf_counter() - start

        return wrapped

    patched = [(model.unet, "forward"), (model.text_encoder, "forward"), (model.vae, "encode"), (model.vae, "decode")]
    for owner, name in patched:
        setattr(owner, name, clock(getattr(owner, name)))
    try:
        yield total
    finally:
        for owner, name in patched:
            delattr(owner, name)


def diffusers_loop(count: int = 16) -> None:
    """The same edits by diffusers' pipelines, one image at a time."""
    from scripts.diffusers_loops import Loops

    source, strength, steps = StableDiffusion(MODEL), 0.8, 50
    model = checkpoint.load(source, torch.device("cpu"), torch.float32)
    loops = Loops(model, source.schedule, strength, steps, 4.0)
    samples = [plan(cli.jobs([])[0])[0].data[i] for i in range(count)]
    for method, loop in (("sdedit", loops.sdedit), ("diffedit", loops.diffedit)):
        start = time.perf_counter()
        loop(samples)
        seconds = (time.perf_counter() - start) / count
        with tempfile.TemporaryDirectory() as out:
            wall, _ = timed(out, f"method={method}", f"r={strength}", f"steps={steps}", f"limit={count}")
        ours = wall / count
        print(f"diffusers: {method}: {seconds:.2f} s an image, ours {ours:.2f} s: {seconds / ours:.1f} times as fast")


def memory() -> None:
    """Peak resident memory, each in a process of its own."""
    code = (
        "import resource, sys; from bench import run; status = run.main(sys.argv[1:]); "
        "print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024); sys.exit(status)"
    )
    peaks = {}
    for count in (20, 2000):
        with tempfile.TemporaryDirectory() as out:
            words = [f"out={out}", "method=sdedit", "steps=2", f"limit={count}", f"data.count={count}"]
            done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
        peaks[count] = int(done.stdout.split()[-1])
    print(f"memory: 20 samples {peaks[20]} MB, 2000 samples {peaks[2000]} MB: {peaks[2000] - peaks[20]:+d} MB")


def bfloat16() -> None:
    """Processor time an image at batch 16, least of two, by turns; what changes in the pictures."""
    from PIL import Image

    for method in ("sdedit", "ddim"):
        with tempfile.TemporaryDirectory() as out:
            seconds: dict[str, list[float]] = {"float32": [], "bfloat16": []}
            pictures = {}
            for number in range(2):
                for dtype, taken in seconds.items():
                    words = [f"method={method}", f"model.dtype={dtype}", "limit=16", "steps=20", "metrics=pixel"]
                    start = clocks()
                    timed(f"{out}/{number}{dtype}", *words)
                    taken.append((clocks() - start)[1] / 16)
                    files = sorted(Path(out, f"{number}{dtype}").glob("*/*/*/edits/*.png"))
                    pictures[dtype] = np.stack([np.asarray(Image.open(file)) for file in files]).astype(int)
        change = np.abs(pictures["bfloat16"] - pictures["float32"])
        single, half = (min(taken) for taken in seconds.values())
        print(
            f"bfloat16: {method}: {half:.2f} s an image, in float32 {single:.2f} s: {single / half:.2f} times as fast; "
            f"grey levels differ by {change.mean():.2f} on average, by {np.percentile(change, 99):.0f} in one of a "
            f"hundred, by {change.max()} at most"
        )


PARTS = {
    **{"sharing": sharing, "overhead": overhead, "diffusers": diffusers_loop},
    **{"memory": memory, "bfloat16": bfloat16, "scoring": scoring, "overlap": overlap, "ssim": ssim},
}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help="of " + ", ".join(PARTS) + "; all by default")
    parts = parser.parse_args(argv).parts or list(PARTS)
    if unknown := set(parts) - set(PARTS):
        parser.error(f"unknown part {unknown.pop()!r}; {nearest(parts[0], list(PARTS))}")
    for part in parts:
        PARTS[part]()


if __name__ == "__main__":
    main()
