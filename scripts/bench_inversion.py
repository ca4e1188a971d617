"""Speed and memory of inversion-based editing, as ratios measured in one run.

    python -m scripts.bench_inversion [maps paper memory] [--device cuda] [--full] [--dtype bfloat16]

maps     time an image at batch 8, fused, against one image at a time with explicit attention maps (the reference's way)
paper    the methods of the SimInversion paper's Table 3 against DDIM, with and without keeping the source branch
memory   peak memory of one step of both branches at 512 px, fused against explicit maps (full architecture)

By default the embedded model on one thread, in processor time; `--full` is Stable Diffusion 1.4's architecture with
random weights at 512 px. `memory` always uses that architecture; without a GPU it measures the attention of its largest
layer alone.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import torch
from torch.nn.functional import scaled_dot_product_attention

from bench.diffusion import device as devices
from bench.errors import nearest
from bench.models.stable_diffusion import StableDiffusion
from bench.types import AttentionLayer, EditBatch, EditSample
from bench.types.bill import Shared
from methods import branches
from methods.controls import Call, p2p
from methods.ddim import DDIM
from methods.direct import Direct
from methods.dual_branch import DualBranch
from methods.negative_prompt import NegativePrompt
from methods.siminversion import SimInversion
from scripts.architecture import stable_diffusion

BATCH = 8
PAPER = {"SimInv-0": 21, "SimInv-1": 21, "SimInv-0.5": 29, "Direct": 43, "NP": 25, "DDIM": 25}
"""Seconds an image on a V100 in the paper's Table 3."""


@contextmanager
def explicit(model) -> Iterator[None]:
    """Every attention map of every row is built, as in the reference code."""
    from diffusers.models.attention_processor import AttnProcessor

    before = dict(model.unet.attn_processors)
    model.unet.set_attn_processor(AttnProcessor())
    try:
        with patch.object(branches, "scaled_dot_product_attention", mapped):
            yield
    finally:
        model.unet.set_attn_processor(before)


def maps(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """Attention maps `[B, heads, cells, tokens]`."""
    return (query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5).softmax(-1)


def mapped(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Attention through its map."""
    return maps(query, key) @ value


class ExplicitMaps(p2p.Maps):
    """Prompt-to-prompt on whole maps: replaced, mixed, reweighted, stored, then multiplied by the values."""

    def attend(self, layer: AttentionLayer, call: Call) -> dict[str, torch.Tensor]:
        donor, rows = call.source["words"], call.target["words"]
        source, target = (maps(call.query[at], call.key[at]) for at in (donor, rows))
        if not layer.cross:
            if call.step in self.self_steps and target.shape[-2] <= self.self_cells:
                target = source
        elif call.step in self.cross_steps:
            target = source @ self.take[:, None].to(source.dtype) + target * self.keep[:, None, None].to(source.dtype)
        if layer.cross and layer.place != "mid" and target.shape[-2] == self.size**2 and self.blended.any():
            words = self.columns.to(source.dtype)
            both = [torch.einsum("bhpl,bl->bp", m, words[:, n]) for n, m in enumerate((source, target))]
            total = torch.stack(both, 1).unflatten(-1, (self.size, self.size))
            self.totals = total if self.totals is None else self.totals + total
        return {"words": target @ call.value[rows]}


def edited(model, samples: list[EditSample], method, explicit_maps: bool = False) -> torch.Tensor:
    """Clean latents of the edits, from pictures to before decoding."""
    images = torch.stack([torch.from_numpy(s.image) for s in samples]).to(model.device)
    batch, levels = EditBatch(samples, images, Shared()), model.grid(method.steps)
    with torch.inference_mode():
        source = method.invert(model, batch, levels)
        target = method.target(model, batch)
        if explicit_maps:
            target.steering = ExplicitMaps(**vars(target.steering))
        ((z, _),) = (part.value for part in branches.generate(model, levels, source, [target]).values())
    if model.device.type == "cuda":
        torch.cuda.synchronize()
    return z


def seconds(work, repeats: int) -> float:
    """The fastest of several runs; on the CPU in processor time, which other programmes hardly touch."""
    clock = time.perf_counter if torch.cuda.is_initialized() else time.process_time
    times = []
    for _ in range(repeats):
        start = clock()
        work()
        times.append(clock() - start)
    return min(times)


def maps_part(model, samples: list[EditSample], steps: int, repeats: int) -> None:
    """Batched and fused against one by one with whole maps."""
    for name, method in (("DDIM", DDIM(7.5, steps)), ("SimInv-0.5", SimInversion(7.5, steps))):
        kept = replace(method, keep_source=True)
        with explicit(model):
            theirs = [edited(model, [sample], kept, True) for sample in samples]
            slow = seconds(lambda kept=kept: [edited(model, [s], kept, True) for s in samples], repeats)
        ours = edited(model, samples, method)
        apart = (torch.cat(theirs) - ours).abs().max() / ours.abs().max()
        fast = seconds(lambda method=method: edited(model, samples, method), repeats)
        alone = seconds(lambda method=method: [edited(model, [s], method) for s in samples], repeats)
        print(
            f"maps: {name}: one by one with maps {slow / BATCH:.3f} s an image, fused at batch {BATCH} "
            f"{fast / BATCH:.3f} s: {slow / fast:.2f} times as fast (fusing alone {slow / alone:.2f}); "
            f"latents differ by {apart:.1e} of the largest"
        )


def compared(steps: int) -> dict[str, DualBranch]:
    """The methods of the SimInversion paper's Table 3."""
    return {
        "DDIM": DDIM(7.5, steps),
        "NP": NegativePrompt(7.5, steps),
        "SimInv-1": SimInversion(7.5, steps, w_s=1),
        "SimInv-0": SimInversion(7.5, steps, w_s=0, donor="active"),
        "SimInv-0.5": SimInversion(7.5, steps),
        "Direct": Direct(7.5, steps),
    }


def paper_part(model, samples: list[EditSample], steps: int, repeats: int) -> None:
    """Table 3 of the SimInversion paper, in units of DDIM."""
    methods = compared(steps)
    variants = {
        "source branch kept": {"keep_source": True},
        "dropped when done (LocalBlend needs it)": {},
        "dropped when done, no LocalBlend": {"local_blend": False},
    }
    base = None
    for what, knobs in variants.items():
        found = {}
        for name, method in methods.items():
            point = replace(method, **knobs)
            found[name] = seconds(lambda point=point: edited(model, samples, point), repeats)
        base = base or found["DDIM"]
        row = ", ".join(f"{n} {t / base:.2f} (paper {PAPER[n] / PAPER['DDIM']:.2f})" for n, t in found.items())
        print(f"paper: {what}: {row}; in units of DDIM with its source branch, {base / BATCH:.3f} s an image")


def memory_part(device: torch.device, dtype: torch.dtype) -> None:
    """One step of both branches of one image at 512 px."""
    if device.type != "cuda":
        shape = (4, 8, 64**2, 40)  # rows, heads, cells, width of the largest self-attention layer
        query, key, value = (torch.randn(shape, dtype=dtype) for _ in range(3))
        fused = peak(lambda: scaled_dot_product_attention(query, key, value))
        whole = peak(lambda: mapped(query, key, value))
        print(
            f"memory: largest self-attention layer, both branches: fused {fused:.0f} MB, explicit maps {whole:.0f} MB"
        )
        return
    model, peaks = stable_diffusion(device, dtype), {}
    steering = {"fused": False, "explicit": True}
    sample = picture(512)
    for name, whole in steering.items():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        if whole:
            with explicit(model):
                edited(model, [sample], SimInversion(7.5, 1, w_s=0.5), True)
        else:
            edited(model, [sample], SimInversion(7.5, 1, w_s=0.5))
        peaks[name] = (torch.cuda.max_memory_allocated() - before) / 2**20
    print(
        f"memory: fused {peaks['fused']:.0f} MB, explicit maps {peaks['explicit']:.0f} MB above the weights: "
        f"{peaks['fused'] / peaks['explicit']:.2f}"
    )


def peak(work) -> float:
    """MB that the process grows by while it works (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
    read = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    work()
    after = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return (int(after["VmHWM"].split()[0]) - int(read["VmRSS"].split()[0])) / 1024


def picture(size: int, number: int = 0) -> EditSample:
    """A sample of the embedded world at any size."""
    from bench.data.shapes import Shapes

    return Shapes(size)[number]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help="of maps, paper, memory; all by default")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "float16", "bfloat16"])
    parser.add_argument("--full", action="store_true", help="Stable Diffusion 1.4's architecture at 512 px")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=2)
    args = parser.parse_args(argv)
    parts = args.parts or ["maps", "paper", "memory"]
    if unknown := set(parts) - {"maps", "paper", "memory"}:
        parser.error(f"unknown part {(name := unknown.pop())!r}; {nearest(name, ['maps', 'paper', 'memory'])}")
    device, dtype = devices.pick(args.device), getattr(torch, args.dtype)
    if device.type == "cpu":
        torch.set_num_threads(1)
    architecture = "Stable Diffusion 1.4's architecture, random weights" if args.full else "the embedded model"
    print(f"{architecture}, {devices.name(device)}, {args.dtype}, {args.steps} steps")
    if set(parts) - {"memory"}:
        model = (
            stable_diffusion(device, dtype) if args.full else StableDiffusion("bench/models/shapes").load(device, dtype)
        )
        samples = [picture(512 if args.full else 64, n) for n in range(BATCH)]
        if "maps" in parts:
            maps_part(model, samples, args.steps, args.repeats)
        if "paper" in parts:
            paper_part(model, samples, args.steps, args.repeats)
    if "memory" in parts:
        memory_part(device, dtype)


if __name__ == "__main__":
    main()
