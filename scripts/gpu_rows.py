"""The rows of `scripts.bench_gpu`, each with what measures it."""

import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.config import cli
from bench.diffusion import ddim
from bench.diffusion.noise import SampleNoise
from bench.edits.edit import edit
from bench.edits.plan import plan
from bench.models import checkpoint as checkpoints
from bench.models.stable_diffusion import StableDiffusion
from bench.scores.score import score
from bench.types import EditBatch, EditSample, Method
from bench.types.bill import Shared
from methods import latents
from methods.diffedit import DiffEdit
from methods.dual_branch import DualBranch
from scripts.architecture import Untrained
from scripts.bench_inversion import compared, edited, explicit, picture
from scripts.bench_pipeline import tree
from scripts.diffusers_loops import Loops

RATIO = 0.7
SHARE, FASTER, OVERHEAD = 40, 8, 5
"""Goals: % of the ceiling, times as fast as the published way, % of a run that is not its method's."""


class Bench:
    """What is measured, one method a row; each returns what the row says."""

    def __init__(self, device: torch.device, dtype: str, batch: int, steps: int, tiny: bool):
        self.device, self.dtype, self.steps, self.tiny = device, dtype, steps, tiny
        self.source = StableDiffusion("bench/models/shapes") if tiny else Untrained()
        self.model = checkpoints.load(self.source, device, getattr(torch, dtype))
        self.samples = [picture(self.source.size, number) for number in range(batch)]
        self._fused: dict[str, tuple[float, float, int]] = {}
        self._peak = self._flops = None

    def rows(self) -> dict[str, Callable[[], str]]:
        """Name -> what measures it, those first that take least."""
        names = list(methods(self.steps))
        return {
            "ceiling": self.ceiling,
            **{name: lambda name=name: self.method(name) for name in names},
            "harness": self.harness,
            "half": self.half,
            **{f"{name}, one by one": lambda name=name: self.one_by_one(name) for name in names},
            "diffusers, DiffEdit": lambda: self.diffusers("diffedit", RATIO, ["DiffEdit"]),
            "diffusers, DDIM": lambda: self.diffusers("ddim", 1.0, [name for name in names if name != "DiffEdit"]),
        }

    # --- the card ---

    def ceiling(self) -> str:
        row, rest = self.flops
        return (
            f"{self.peak / 1e12:.3g} TFLOP/s in {self.dtype}; the UNet needs {row / 1e9:.4g} GFLOP a row, encoding and "
            f"decoding {rest / 1e9:.4g} an image"
        )

    @property
    def peak(self) -> float:
        """FLOP a second of a matrix product."""
        if self._peak is None:
            side = 8192 if self.device.type == "cuda" else 512
            a, b = (torch.randn(side, side, device=self.device).to(getattr(torch, self.dtype)) for _ in range(2))
            products = lambda: [a @ b for _ in range(10)]  # noqa: E731
            self.clocked(products)
            self._peak = 10 * 2 * side**3 / min(self.clocked(products) for _ in range(5))
        return self._peak

    @property
    def flops(self) -> tuple[int, int]:
        """Of a row of the UNet; of encoding and decoding an image."""
        if self._flops is None:
            with torch.inference_mode():
                with FlopCounterMode(display=False) as ends:
                    z = latents.clean(self.model, self.batch(self.samples[:1]))
                    self.model.decode(z)
                words = self.model.condition([None])
                with FlopCounterMode(display=False) as row:
                    self.model.eps(z, 1, words)
            self._flops = row.get_total_flops(), ends.get_total_flops()
        return self._flops

    # --- ours ---

    def method(self, name: str) -> str:
        seconds, flops, memory = self.fused(name)
        said = f"{memory / 2**20:.0f} MB above the weights" if memory else "memory is measured on a GPU"
        return (
            f"{seconds:.3f} s an image at batch {len(self.samples)}; {flops / seconds / 1e12:.3g} TFLOP/s, "
            f"{100 * flops / seconds / self.peak:.1f} % of the ceiling (goal {SHARE} %); {said}"
        )

    def fused(self, name: str) -> tuple[float, float, int]:
        """Seconds and the networks' FLOP of an image in a batch; bytes of memory above the weights, 0 on a CPU."""
        if name not in self._fused:
            self.edited(methods(2)[name], self.samples)
            cuda, rows = self.device.type == "cuda", self.model.rows
            if cuda:
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats(self.device)
            before = torch.cuda.memory_allocated(self.device) if cuda else 0
            took = self.clocked(lambda: self.edited(methods(self.steps)[name], self.samples)) / len(self.samples)
            memory = torch.cuda.max_memory_allocated(self.device) - before if cuda else 0
            row, rest = self.flops
            self._fused[name] = took, (self.model.rows - rows) / len(self.samples) * row + rest, memory
        return self._fused[name]

    def edited(self, method: Method, samples: list[EditSample], model: Any = None) -> torch.Tensor:
        """Pictures to pictures, uint8 `[B, 3, H, W]`, by the bench's model or another."""
        noise = SampleNoise(0, [sample.id for sample in samples], self.device)
        with torch.inference_mode():
            return method(model or self.model, self.batch(samples), noise).images

    def batch(self, samples: list[EditSample]) -> EditBatch:
        images = torch.stack([torch.from_numpy(sample.image) for sample in samples]).to(self.device)
        return EditBatch(samples, images, Shared())

    def clocked(self, work: Callable[[], object]) -> float:
        """Seconds, until the device is done."""
        self.wait()
        start = time.perf_counter()
        work()
        self.wait()
        return time.perf_counter() - start

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def harness(self) -> str:
        batch = len(self.samples)
        model = ["model=shapes"] if self.tiny else ["model=custom", "model._target_=scripts.architecture.Untrained"]
        with tempfile.TemporaryDirectory() as made:
            words = [*tree(Path(made), 4 * batch, self.source.size), *model, f"model.dtype={self.dtype}"]
            words += ["method=siminversion", f"steps={self.steps}", f"batch_size={batch}", f"device={self.device}"]
            runs = plan(cli.jobs([*words, "metrics=pixel", f"out={made}/out"])[0])
            checkpoints.load(runs[0].checkpoint, self.device, getattr(torch, self.dtype))
            own, call = [], DualBranch.__call__

            def clocked(*args):
                results = []
                own.append(self.clocked(lambda: results.append(call(*args))))
                return results[0]

            start = time.perf_counter()
            with patch.object(DualBranch, "__call__", clocked):
                for error in edit(runs).values():
                    raise error
            editing = time.perf_counter() - start
            scored = score(runs[0]).summary.n
            whole = time.perf_counter() - start
        rest = 100 * (1 - sum(own) / whole)
        return (
            f"SimInv-0.5, {scored} photographs, metrics=pixel: {scored / whole:.3g} a second; the method's own "
            f"{sum(own):.2f} s, editing {editing:.2f} s, with scoring {whole:.2f} s: overhead {rest:.1f} % "
            f"(goal {OVERHEAD} %)"
        )

    def half(self) -> str:
        single = self.source.load(self.device, torch.float32)
        with torch.inference_mode():
            z = latents.clean(single, self.batch(self.samples))
            words, levels = single.condition([None] * len(z)), single.grid(self.steps)

            def round_trip(model) -> torch.Tensor:
                there = ddim.invert(model, z, levels, self.steps, words)[-1]
                return ddim.sample(model, there, levels, self.steps, words, None, 1.0)

            whole, half = round_trip(single), round_trip(self.model)
        unit, apart = whole.square().mean().sqrt(), (half - whole).abs()
        mean, most = float(apart.mean() / unit), float(apart.max() / unit)
        missed = [float((back - z).abs().mean() / unit) for back in (whole, half)]
        return (
            f"latents of a round trip in {self.dtype} differ from float32's by {mean:.1e} of their size on average, by "
            f"{most:.1e} at most; they miss the picture's by {missed[1]:.1e}, float32's by {missed[0]:.1e}"
        )

    # --- the published ways ---

    def one_by_one(self, name: str) -> str:
        sample = self.samples[:1]

        def work(steps: int) -> None:
            method = methods(steps)[name]
            if not isinstance(method, DualBranch):
                return self.edited(method, sample)
            z = edited(self.model, sample, replace(method, keep_source=True), True)
            with torch.inference_mode():
                latents.images(self.model, z)

        with explicit(self.model):
            work(2)
            seconds = self.clocked(lambda: work(self.steps))
        return f"explicit maps {seconds:.3f} s an image; {self.faster(seconds, [name])}"

    def diffusers(self, loop: str, strength: float, names: list[str]) -> str:
        for steps in (2, self.steps):  # the first warms up
            loops = Loops(self.model, self.source.schedule, strength, steps, 7.5)
            seconds = self.clocked(lambda loops=loops: getattr(loops, loop)(self.samples[:1]))
        return f"{seconds:.3f} s an image; {self.faster(seconds, names)}"

    def faster(self, seconds: float, names: Iterable[str]) -> str:
        found = ", ".join(f"{name} {seconds / self.fused(name)[0]:.1f}" for name in names)
        return f"ours is so many times as fast: {found} (goal {FASTER})"


def methods(steps: int) -> dict[str, Method]:
    """What is measured, at so many steps."""
    table = compared(steps)
    names = ("SimInv-0", "SimInv-1", "SimInv-0.5", "DDIM", "Direct")
    return {**{name: table[name] for name in names}, "DiffEdit": DiffEdit(RATIO, 7.5, steps)}
