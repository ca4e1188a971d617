"""Speed and memory on the embedded model, as ratios measured in one run.

    python -m scripts.bench_cpu [sharing overhead diffusers memory scoring overlap ssim]

sharing    list form r=[0.3,0.5,0.7,0.9] against four runs: UNet evaluations and wall time
overhead   wall time that is not the model's own forward passes, at batch 16
diffusers  time for each edited image against diffusers' own pipelines called in a loop
memory     peak memory of 2,000 samples against 20
scoring    scoring 1,000 edits against the forward passes of the metrics' backbone alone
overlap    scoring photographs of 512 px against reading and preparing them first and taking the metrics then
ssim       SSIM of 64, 256 and 512 px against its definition, whose window is one matrix as large as the picture
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d

from bench.config import cli
from bench.edits.edit import edit
from bench.edits.folder import Store
from bench.edits.plan import plan
from bench.errors import nearest
from bench.files.paths import ROOT
from bench.models import checkpoint
from bench.models.stable_diffusion import StableDiffusion
from bench.scores.features import Recall
from bench.scores.measure import build
from bench.scores.pictures import Pairs, on_device
from bench.scores.work import Work
from scripts.bench_pipeline import tree

MODEL = "bench/models/shapes"
RATIOS = (0.3, 0.5, 0.7, 0.9)
METHODS = ("sdedit", "encode_decode", "diffedit")


def timed(out: str, *words: str) -> tuple[float, float]:
    """Wall seconds of editing, and UNet evaluations paid for each image and operating point."""
    (cfg,) = cli.jobs([f"out={out}", "device=cpu", *words])
    runs = plan(cfg)
    start = time.perf_counter()
    for error in edit(runs).values():
        raise error
    wall = time.perf_counter() - start
    spent = [np.mean([entry["nfe_spent"] for entry in Store(run.folder).journal().values()]) for run in runs]
    return wall, float(sum(spent))


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
    """The same edits by diffusers' pipelines, one image at a time, as their documentation calls them."""
    from diffusers import DDIMInverseScheduler, DDIMScheduler, StableDiffusionDiffEditPipeline
    from diffusers import StableDiffusionImg2ImgPipeline as Img2Img
    from diffusers.utils import logging
    from PIL import Image

    logging.set_verbosity_error()
    folder = StableDiffusion(MODEL).folder
    quiet = {"safety_checker": None, "requires_safety_checker": False, "dtype": torch.float32}
    strength, guidance, steps = 0.8, 4.0, 50
    samples = [plan(cli.jobs([])[0])[0].data[i] for i in range(count)]
    pictures = [Image.fromarray(sample.image.transpose(1, 2, 0)) for sample in samples]

    pipe = Img2Img.from_pretrained(folder, **quiet)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    start = time.perf_counter()
    for sample, picture in zip(samples, pictures, strict=True):
        pipe(sample.target, picture, strength, num_inference_steps=steps, guidance_scale=guidance)
    theirs = {"sdedit": (time.perf_counter() - start) / count}

    pipe = StableDiffusionDiffEditPipeline.from_pretrained(folder, **quiet)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    pipe.inverse_scheduler = DDIMInverseScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    start = time.perf_counter()
    for sample, picture in zip(samples, pictures, strict=True):
        mask = pipe.generate_mask(
            picture, target_prompt=sample.target, source_prompt=sample.source, num_inference_steps=steps
        )
        inverted = pipe.invert(
            prompt="", image=picture, inpaint_strength=strength, num_inference_steps=steps, guidance_scale=1.0
        ).latents
        pipe(
            sample.target,
            mask_image=mask,
            image_latents=inverted,
            inpaint_strength=strength,
            num_inference_steps=steps,
            guidance_scale=guidance,
        )
    theirs["diffedit"] = (time.perf_counter() - start) / count

    for method, seconds in theirs.items():
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


def scoring(count: int = 1000) -> None:
    """The whole `shapes` profile, reading, statistics and files included, against its backbone on pictures that are
    ready in memory: edits, sources and true edits, once each."""
    from bench import score
    from metrics.features import judge

    with tempfile.TemporaryDirectory() as out:
        words = ["method=copy", f"data.count={count}", f"limit={count}", "device=cpu"]
        timed(out, *words)
        (run,) = plan(cli.jobs([f"out={out}", *words])[0])
        most = run.cfg["metrics"]["batch_size"]
        network = judge(ROOT / "metrics/shapes_judge", torch.device("cpu"))
        samples = [run.data[i] for i in range(count)]
        pictures = [[s.image for s in samples], [s.image for s in samples], [s.truth for s in samples]]
        batches = [
            torch.from_numpy(np.stack(side[start : start + most]))
            for side in pictures
            for start in range(0, count, most)
        ]
        with torch.inference_mode():
            network.maps(batches[0].float() / 255)
            start = _clocks()
            for batch in batches:
                network.maps(batch.float() / 255)
            forward = _clocks() - start
        start = _clocks()
        score.score(run)
        whole = _clocks() - start
    ratios = whole / forward
    print(
        f"scoring, threads {torch.get_num_threads()}: {count} edits {whole[0]:.1f} s, the backbone's forward passes "
        f"{forward[0]:.1f} s: {ratios[0]:.2f}; processor time, which other programs disturb less: {ratios[1]:.2f}"
    )


def overlap(count: int = 64) -> None:
    """Least seconds of three, by turns, of the `pixel` profile through JPEG."""
    from bench import score

    seconds: dict[str, list[float]] = {"reading": [], "metrics": [], "scoring": []}
    with tempfile.TemporaryDirectory() as made:
        words = [*tree(Path(made), count), "method=copy", "device=cpu", "metrics=pixel", "+metrics.jpeg=95"]
        timed(f"{made}/out", *words)
        (run,) = plan(cli.jobs([f"out={made}/out", *words])[0])
        profile, device = run.cfg["metrics"], torch.device("cpu")
        pairs, most = Pairs(run.data, run.store, run.store.journal(), profile), profile["batch_size"]
        for _ in range(3):
            start = time.perf_counter()
            found = [pairs[index] for index in range(count)]
            seconds["reading"].append(time.perf_counter() - start)
            work, start = Work(Path(made), run.ids, build(profile)), time.perf_counter()
            with torch.inference_mode():
                for first in range(0, count, most):
                    work.take(on_device(found[first : first + most], device, None, Recall(Path(made), {})))
            seconds["metrics"].append(time.perf_counter() - start)
            shutil.rmtree(run.folder / "scores", ignore_errors=True)
            for file in run.folder.glob("*.pixel-v1.*"):
                file.unlink()
            start = time.perf_counter()
            score.score(run)
            seconds["scoring"].append(time.perf_counter() - start)
    reading, metrics, whole = (min(taken) for taken in seconds.values())
    print(
        f"overlap, threads {torch.get_num_threads()}: {count} edits {whole:.2f} s; reading and preparing them "
        f"{reading:.2f} s and metrics {metrics:.2f} s one after the other: {whole / (reading + metrics):.2f}"
    )


def ssim() -> None:
    """Least seconds of ten, by turns, so that a busy machine disturbs both alike."""
    from metrics.pixel import structural_similarity

    for size, count in ((64, 32), (256, 8), (512, 4)):
        rng = np.random.default_rng(0)
        source = rng.integers(0, 256, (count, 3, size, size))
        near = (source + rng.integers(-20, 21, source.shape)).clip(0, 255)
        pair = [torch.from_numpy(pixels.astype(np.uint8)) for pixels in (near, source)]
        seconds = {_dense_ssim: [], structural_similarity: []}
        for _ in range(10):
            values = []
            for function, taken in seconds.items():
                start = time.perf_counter()
                values.append(function(*pair))
                taken.append(time.perf_counter() - start)
        dense, ours = (1000 * min(taken) / count for taken in seconds.values())
        print(
            f"ssim: {size} px: {ours:.2f} ms a picture, by whole matrices {dense:.2f}: {dense / ours:.1f} times as "
            f"fast; values within {(values[0] - values[1]).abs().max():.0e}"
        )


def _dense_ssim(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    window = gaussian_filter1d(np.eye(a.shape[-1]), 1.5, axis=0, mode="mirror", radius=5)
    window = torch.from_numpy(window)
    x, y = a.double() / 255, b.double() / 255
    mean_x, mean_y, xx, yy, xy = (window @ z @ window.T for z in (x, y, x * x, y * y, x * y))
    above = (2 * mean_x * mean_y + 0.01**2) * (2 * (xy - mean_x * mean_y) + 0.03**2)
    below = (mean_x**2 + mean_y**2 + 0.01**2) * (xx + yy - mean_x**2 - mean_y**2 + 0.03**2)
    return (above / below).mean(1)


def _clocks() -> np.ndarray:
    """Wall seconds, and processor seconds of this process and its finished children."""
    times = os.times()
    return np.array([times.elapsed, times.user + times.system + times.children_user + times.children_system])


PARTS = {
    **{"sharing": sharing, "overhead": overhead, "diffusers": diffusers_loop},
    **{"memory": memory, "scoring": scoring, "overlap": overlap, "ssim": ssim},
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
