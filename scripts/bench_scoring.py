"""The parts of `scripts.bench_cpu` that score."""

import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d

from bench import score
from bench.config import cli
from bench.edits.plan import plan
from bench.files.paths import ROOT
from bench.scores.features import Recall
from bench.scores.measure import build
from bench.scores.pictures import Pairs, on_device
from bench.scores.work import Work
from metrics.features import judge
from metrics.pixel import structural_similarity
from scripts.bench_pipeline import tree
from scripts.timing import clocks, timed


def scoring(count: int = 1000) -> None:
    """The whole `shapes` profile, reading, statistics and files included, against its backbone on pictures that are
    ready in memory: edits, sources and true edits, once each."""
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
            start = clocks()
            for batch in batches:
                network.maps(batch.float() / 255)
            forward = clocks() - start
        start = clocks()
        score.score(run)
        whole = clocks() - start
    ratios = whole / forward
    print(
        f"scoring, threads {torch.get_num_threads()}: {count} edits {whole[0]:.1f} s, the backbone's forward passes "
        f"{forward[0]:.1f} s: {ratios[0]:.2f}; processor time, which other programs disturb less: {ratios[1]:.2f}"
    )


def overlap(count: int = 64) -> None:
    """Least seconds of three, by turns, of the `pixel` profile through JPEG."""
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
