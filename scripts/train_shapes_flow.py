"""Trains the embedded flow of the shapes world, from nothing, on the latents of the embedded autoencoder.

    python -m scripts.train_shapes_flow train export --work results/runs/flow-training

Training goes on from its last checkpoint when it was stopped, bit-exactly; `--minutes` bounds one call. `export` writes
the diffusers folder (fp16 safetensors) to the place from which the harness loads it.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("MALLOC_ARENA_MAX", "1")

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, StableDiffusion3Pipeline
from transformers import CLIPTokenizer

from bench.data.world import scenes
from bench.files.paths import ROOT
from scripts import exporting, shapes_flow_model, shapes_model
from scripts.latents import Latents
from scripts.scenes import SEED, grid
from scripts.training import fit, generator, load_average, run_stages

DIFFUSION, MODEL = ROOT / "bench/models/shapes", ROOT / "bench/models/shapes_flow"
BATCH, SPREAD = 64, 1.4


def train(args: argparse.Namespace) -> bool:
    device, tokenizer = args.device, _tokenizer()
    vae = shapes_model.load_vae(DIFFUSION / "vae").to(device)
    torch.manual_seed(SEED)
    flow = shapes_flow_model.Flow(tokenizer).to(device)
    latents = Latents(vae, tokenizer, first=3 * 10**8, batch=BATCH, pool=4096, passes=16)
    empty = shapes_model.ids(tokenizer, [""])

    def loss(step: int) -> torch.Tensor:
        rng = generator(SEED, step)
        z, ids = latents(step)
        ids = torch.where(torch.rand(BATCH, 1, generator=rng) < 0.1, empty, ids).to(device)
        # one level per stratum, logit-normal: middle levels oftener than the ends, pure noise among them
        share = (torch.randperm(BATCH, generator=rng) + torch.rand(BATCH, generator=rng)) / BATCH
        sigma = (SPREAD * torch.special.ndtri(share.clamp(1e-6, 1 - 1e-6))).sigmoid().to(device)
        noise = torch.randn(z.shape, generator=rng).to(device)
        s = sigma.view(-1, 1, 1, 1)
        with torch.autocast(device.type, torch.bfloat16):
            guess = flow((1 - s) * z + s * noise, sigma, ids)
        return (guess.float() - (noise - z)).square().mean()

    def sample(step: int) -> None:
        rng = np.random.default_rng([SEED, 5])
        captions = [scenes.caption(scenes.random_scene(rng)) for _ in range(16)]
        ids = shapes_model.ids(tokenizer, captions + [""] * 16).to(device)
        z = torch.randn(16, 4, 16, 16, generator=generator(SEED, 0)).to(device)
        for s in range(25, 0, -1):
            given, free = flow(torch.cat([z, z]), torch.full((32,), s / 25, device=device), ids).chunk(2)
            z = z - (free + 4.0 * (given - free)) / 25
        grid(vae.decode(z / vae.config.scaling_factor).sample.clamp(-1, 1), args.work / "samples.png")

    options = {"minutes": args.minutes, "every": 250, "sample": sample, "optimizers": shapes_flow_model.optimizers}
    return fit(flow, loss, args.work, args.steps, 2e-3, **options)


def export(args: argparse.Namespace) -> bool:
    """Writes the trained parts, averaged and in fp16, and the autoencoder; the flow as far as it is."""
    tokenizer = _tokenizer()
    flow = shapes_flow_model.Flow(tokenizer)
    steps = load_average(flow, args.work / "checkpoint.pt")
    vae = shapes_model.load_vae(DIFFUSION / "vae").half()
    vae.register_to_config(shift_factor=0.0)  # the pipeline adds it
    first, second = (text.half() for text in flow.text)
    StableDiffusion3Pipeline(
        transformer=flow.transformer.half(),
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae,
        text_encoder=first,
        tokenizer=tokenizer,
        text_encoder_2=second,
        tokenizer_2=tokenizer,
        text_encoder_3=None,
        tokenizer_3=None,
    ).save_pretrained(args.to)
    exporting.mend(args.to)
    print(f"exported the flow of step {steps} to {args.to}")
    return True


def _tokenizer() -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(DIFFUSION / "tokenizer")


STAGES = {"train": train, "export": export}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=ROOT / "results/runs/flow-training")
    parser.add_argument("--to", type=Path, default=MODEL, help="folder that export writes")
    parser.add_argument("--steps", type=int, default=4200)
    run_stages(STAGES, parser, argv)


if __name__ == "__main__":
    main()
