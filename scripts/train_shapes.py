"""Trains the embedded model of the shapes world and its judge, from nothing, on a CPU or a GPU.

    python -m scripts.train_shapes vae judge unet export --work runs/shapes-training

Each stage goes on from its last checkpoint when it was stopped, bit-exactly; `--minutes` bounds one call. `export`
writes the diffusers folder (fp16 safetensors) and the judge to the places from which the harness loads them.
`--from-shipped` starts the UNet at the shipped weights instead of from nothing.
"""

import argparse
import os
import shutil
from pathlib import Path

os.environ.setdefault("MALLOC_ARENA_MAX", "1")

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from torch import nn
from torch.nn import functional as F
from torchvision.transforms.functional import gaussian_blur

from bench.data.world import scenes as world
from metrics.judge import Judge
from scripts import exporting, shapes_model
from scripts.latents import Latents
from scripts.scenes import SEED, grid, stream
from scripts.training import fit, generator, load_average, run_stages

ROOT = Path(__file__).resolve().parents[1]
MODEL, JUDGE = ROOT / "bench/models/shapes", ROOT / "metrics/shapes_judge"


def progress(file: Path) -> int:
    """Step of a checkpoint, 0 where there is none."""
    return torch.load(file, map_location="cpu", weights_only=True)["step"] if file.exists() else 0


# --------------------------------------------------------------------------------------------------- stages


def train_vae(args: argparse.Namespace) -> bool:
    folder = args.work / "vae"
    torch.manual_seed(SEED)
    vae = shapes_model.vae().to(args.device, memory_format=torch.channels_last)
    batch = 64 if args.device.type == "cuda" else 16
    batches = stream(progress(folder / "checkpoint.pt") * batch, batch, args.device)
    fixed = next(stream(10**9, 16, args.device))[0]

    def loss(step: int) -> torch.Tensor:
        images = next(batches)[0]
        posterior = vae.encode(images).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=generator(SEED, step)).to(args.device)
        error = vae.decode(posterior.mean + posterior.std * noise).sample - images
        # squared error leads, since fidelity is the bar; a little absolute error keeps edges crisp
        return error.square().mean() + 0.05 * error.abs().mean() + 3e-7 * posterior.kl().mean()

    def sample(step: int) -> None:
        again = vae.decode(vae.encode(fixed).latent_dist.mode()).sample
        psnr = -10 * torch.log10(((again.clamp(-1, 1) - fixed) / 2).square().mean((1, 2, 3))).mean()
        print(f"vae: round trip {psnr:.2f} dB", flush=True)
        grid(torch.cat([fixed, again.clamp(-1, 1)]), folder / "samples.png")

    done = fit(vae, loss, folder, args.vae_steps, 2e-3, minutes=args.minutes, sample=sample)
    if done:
        with torch.no_grad():  # once, and never again: the UNet is trained on this scale
            images = torch.cat([next(batches)[0] for _ in range(2048 // batch)])
            latents = torch.cat([vae.encode(part).latent_dist.mode() for part in images.split(64)])
        vae.register_to_config(scaling_factor=round(1 / latents.std().item(), 5))
        print("vae: scaling factor", vae.config.scaling_factor, "channel means", latents.mean((0, 2, 3)).tolist())
        vae.save_pretrained(folder / "model")
    return done


def train_judge(args: argparse.Namespace) -> bool:
    folder = args.work / "judge"
    vae = shapes_model.load_vae(_trained(args, "vae/model", MODEL / "vae")).to(args.device)
    torch.manual_seed(SEED)
    judge = Judge({k: list(v) for k, v in world.ATTRIBUTES.items()}, world.vocabulary()).to(args.device)
    judge = judge.to(memory_format=torch.channels_last)
    batch = 64
    batches = stream(10**8 + progress(folder / "checkpoint.pt") * batch, batch, args.device)

    def loss(step: int) -> torch.Tensor:
        images, captions, labels = next(batches)
        rng, quarter = generator(SEED, step), batch // 4
        # The judge must see past what a latent model does to a true render, so three quarters are spoilt:
        # autoencoded (half of those from disturbed latents), blurred, noisy.
        with torch.no_grad():
            z = vae.encode(images[: 2 * quarter]).latent_dist.mode()
            disturbed = torch.randn(z[:quarter].shape, generator=rng).to(z) * z.std() * 0.12
            z[:quarter] += disturbed
            images[: 2 * quarter] = vae.decode(z).sample.clamp(-1, 1)
            blur = 0.3 + torch.rand((), generator=rng).item()
            images[quarter : 3 * quarter] = gaussian_blur(images[quarter : 3 * quarter], 5, blur)
            grain = torch.rand((), generator=rng).item() * 0.1
            noise = torch.randn(images[: 3 * quarter].shape, generator=rng).to(images) * grain
            images[: 3 * quarter] += noise
        top = judge.maps(images / 2 + 0.5)[-1]
        logits = judge.logits(top)
        value = sum(F.cross_entropy(logits[name], labels[:, i]) for i, name in enumerate(judge.attributes))
        cosines = judge.log_scale.exp() * judge.embed_images(top) @ judge.embed_texts(captions).T
        same = torch.arange(batch, device=args.device)
        return value + 0.5 * (F.cross_entropy(cosines, same) + F.cross_entropy(cosines.T, same))

    done = fit(judge, loss, folder, args.judge_steps, 2e-3, minutes=args.minutes)
    if done:
        judge.save(folder / "model")
        right, seen = torch.zeros(len(world.ATTRIBUTES)), 0
        held_out = stream(0, 64, args.device, seed=2)
        with torch.no_grad():
            for _ in range(32):
                images, _, labels = next(held_out)
                logits = judge.logits(judge.maps(images / 2 + 0.5)[-1])
                guesses = torch.stack([value.argmax(-1) for value in logits.values()], 1)
                right, seen = right + (guesses == labels).float().sum(0).cpu(), seen + len(images)
        print(
            "judge: accuracy on fresh true renders", dict(zip(world.ATTRIBUTES, (right / seen).tolist(), strict=True))
        )
    return done


def train_unet(args: argparse.Namespace) -> bool:
    folder, device = args.work / "unet", args.device
    vae = shapes_model.load_vae(_trained(args, "vae/model", MODEL / "vae")).to(device)
    tokenizer = _tokenizer(args)
    scheduler = shapes_model.scheduler()
    torch.manual_seed(SEED)
    module = nn.ModuleDict({"unet": shapes_model.unet(), "text": shapes_model.text_encoder(tokenizer)})
    if args.from_shipped:
        module["unet"] = module["unet"].from_pretrained(MODEL / "unet", torch_dtype=torch.float32)
        module["text"] = module["text"].from_pretrained(MODEL / "text_encoder", dtype=torch.float32)
    module = module.to(device, memory_format=torch.channels_last)
    batch = 256 if device.type == "cuda" else 32
    alphas = scheduler.alphas_cumprod.to(device)
    empty = shapes_model.ids(tokenizer, [""])
    # encoded a pool at a time, and each seen a few times with other noise
    latents = Latents(vae, tokenizer, first=2 * 10**8, batch=batch, pool=8192, passes=4)

    def loss(step: int) -> torch.Tensor:
        rng = generator(SEED, step)
        z, ids = latents(step)
        ids = torch.where(torch.rand(batch, 1, generator=rng) < 0.1, empty, ids).to(device)
        # one timestep per stratum
        t = ((torch.randperm(batch, generator=rng) + torch.rand(batch, generator=rng)) * 1000 / batch).long().to(device)
        noise = torch.randn(z.shape, generator=rng).to(device)
        a = alphas[t].view(-1, 1, 1, 1)
        noisy = (a.sqrt() * z + (1 - a).sqrt() * noise).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda"):
            guess = module["unet"](noisy, t, module["text"](ids).last_hidden_state).sample
        snr = a.flatten() / (1 - a.flatten())
        return ((guess.float() - noise).square().mean((1, 2, 3)) * snr.clamp(max=5) / snr).mean()

    def sample(step: int) -> None:
        rng = np.random.default_rng([SEED, 5])
        captions = [world.caption(world.random_scene(rng)) for _ in range(16)]
        words = module["text"](shapes_model.ids(tokenizer, captions + [""] * 16).to(device)).last_hidden_state
        z = torch.randn(16, 4, 16, 16, generator=generator(SEED, 0)).to(device)
        scheduler.set_timesteps(25)
        for t in scheduler.timesteps:
            given, free = module["unet"](torch.cat([z, z]), t, words).sample.chunk(2)
            z = scheduler.step(free + 4.0 * (given - free), t, z).prev_sample
        grid(vae.decode(z / vae.config.scaling_factor).sample.clamp(-1, 1), folder / "samples.png")

    return fit(module, loss, folder, args.unet_steps, 1e-3, minutes=args.minutes, sample=sample)


def export(args: argparse.Namespace) -> bool:
    """Writes the trained parts, averaged and in fp16, to where the harness loads them; the UNet as far as it is."""
    tokenizer = _tokenizer(args)
    module = nn.ModuleDict({"unet": shapes_model.unet(), "text": shapes_model.text_encoder(tokenizer)})
    steps = load_average(module, args.work / "unet/checkpoint.pt")
    StableDiffusionPipeline(
        vae=shapes_model.load_vae(_trained(args, "vae/model", MODEL / "vae")).half(),
        unet=module["unet"].half(),
        text_encoder=module["text"].half(),
        tokenizer=tokenizer,
        scheduler=shapes_model.scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(MODEL)
    Judge.load(_trained(args, "judge/model", JUDGE)).save(JUDGE)
    for folder in (MODEL, JUDGE):
        exporting.mend(folder)
    print(f"exported the UNet of step {steps} to {MODEL}, the judge to {JUDGE}")
    return True


def _tokenizer(args: argparse.Namespace):
    if args.from_shipped and not (args.work / "tokenizer").exists():
        shutil.copytree(MODEL / "tokenizer", args.work / "tokenizer")
    return shapes_model.stored_tokenizer(args.work / "tokenizer", world.vocabulary())


def _trained(args: argparse.Namespace, part: str, shipped: Path) -> Path:
    """A part trained in this work folder, else the shipped one."""
    return args.work / part if (args.work / part).exists() else shipped


STAGES = {"vae": train_vae, "judge": train_judge, "unet": train_unet, "export": export}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=ROOT / "results/runs/shapes-training")
    parser.add_argument("--vae-steps", type=int, default=5000)
    parser.add_argument("--judge-steps", type=int, default=3000)
    parser.add_argument("--unet-steps", type=int, default=16_000)
    parser.add_argument("--from-shipped", action="store_true", help="start the UNet at the shipped weights")
    run_stages(STAGES, parser, argv)


if __name__ == "__main__":
    main()
