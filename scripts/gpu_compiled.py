"""Rows of `scripts.bench_gpu` on what is compiled and on batches that memory chooses, of a method that steers nothing
within the network."""

from collections.abc import Callable
from typing import Any

import torch

from bench.diffusion.memory import AUTO, Portion
from bench.models import checkpoint as checkpoints
from bench.models import compiled, compiler
from bench.types import EditSample
from methods.sdedit import SDEdit
from scripts.gpu_rows import RATIO, Bench

GUIDANCE = 7.5
_COPIES = 256  # more than batches of 1, 2, 8, 32 and 64 take


def rows(bench: Bench) -> dict[str, Callable[[], str]]:
    """Name -> what measures it, those first that take least; graphs where there are some."""
    ways = {"compiled": compiler.BLOCKS} | ({"graphs": compiler.GRAPHS} if bench.device.type == "cuda" else {})
    return {"batch by memory": lambda: by_memory(bench)} | {
        f"SDEdit, {name}": lambda how=how: faster(bench, how) for name, how in ways.items()
    }


def faster(bench: Bench, how: bool | str) -> str:
    """What is compiled against the network as it is; the last batch is one short of full."""
    samples = bench.samples
    timed(bench, bench.model, samples, 2)
    own, expected = timed(bench, bench.model, samples)
    model = checkpoints.load(bench.source, bench.device, getattr(torch, bench.dtype), compile_=how)
    usual = Portion(len(samples), bench.device)
    compiled.expect(model, usual, len(samples))
    first, _ = timed(bench, model, samples, 2)
    seconds, found = timed(bench, model, samples)
    compiled.expect(model, usual, len(samples) - 1)
    last, _ = timed(bench, model, samples[:-1] or samples)
    apart = (found.float() - expected.float()).abs()
    return (
        f"{seconds / len(samples):.3f} s an image, {own / seconds:.2f} times as fast as {own / len(samples):.3f}; a "
        f"first batch of two steps {first:.1f} s; a last batch, one short, {last / seconds:.2f} of a full one; "
        f"pictures {float(apart.mean()):.2g} grey levels apart on average, {int(apart.max())} at most"
    )


def by_memory(bench: Bench) -> str:
    """Batches of copies of a picture, of two steps each, until their number is settled; then that number against the
    usual one, in a fifth of the steps."""
    portion, sizes, sample = Portion(AUTO, bench.device), list[int](), bench.samples[0]
    for batch in portion.batches([sample] * _COPIES):
        timed(bench, bench.model, batch, 2)
        sizes.append(len(batch))
        if portion.settled:
            break
    steps, usual = max(2, bench.steps // 5), len(bench.samples)
    found, own = (timed(bench, bench.model, [sample] * n, steps)[0] / n for n in (portion.most, usual))
    return (
        f"tried {', '.join(map(str, sizes))}, settled at {portion.most}: SDEdit of {steps} steps {found:.4f} s an "
        f"image, {own / found:.2f} times as fast as {usual} at once"
    )


def timed(bench: Bench, model: Any, samples: list[EditSample], steps: int | None = None) -> tuple[float, torch.Tensor]:
    """Seconds of a batch, and what it makes."""
    method, made = SDEdit(RATIO, GUIDANCE, steps or bench.steps), list[torch.Tensor]()
    return bench.clocked(lambda: made.append(bench.edited(method, samples, model))), made[0]
