"""How close pictures that the embedded models make of captions come to true renders.

    python -m scripts.sample_quality shapes shapes_flow [--count 1024] [--steps 25] [--card <model card>]

Captions are of scenes that nothing was trained on, noise is each scene's own, guidance the model's. A line a model: the
Frechet distance to the renders of the same captions, in the features of `shapes-v1`, how well inverted pictures come
back, and how often the judge finds each attribute. Beside them what the autoencoder alone and other renders would have.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from bench.config import cli
from bench.data.world import drawing, scenes
from bench.diffusion import ddim
from bench.diffusion.device import pick, to_float, to_uint8
from bench.diffusion.noise import SampleNoise
from bench.files.paths import ROOT
from bench.models import checkpoint
from metrics.frechet import Moments, frechet_distance
from metrics.judge import Judge
from metrics.pixel import mean_squared_error, peak_signal_noise_ratio
from scripts.evaluate_shapes import into_card

SEED, BATCH, INVERTED = 7, 64, 256
JUDGE = "metrics/shapes_judge"


def rendered(seed: int, count: int) -> tuple[list[scenes.Scene], torch.Tensor]:
    """Scenes and their pictures, uint8 `[count, 3, 64, 64]`."""
    made = [scenes.random_scene(np.random.default_rng([seed, i])) for i in range(count)]
    return made, torch.from_numpy(np.stack([drawing.draw(scene) for scene in made])).permute(0, 3, 1, 2).contiguous()


def looked_at(judge: Judge, images: torch.Tensor) -> tuple[Moments, list[dict[str, str]]]:
    """Moments of the judge's pooled features, and the attributes that it reads."""
    found, read, device = Moments(), [], next(judge.parameters()).device
    for part in images.split(BATCH):
        top = judge.maps(part.to(device).float() / 255)[-1]
        found.update(top.mean((2, 3)))
        read += judge.read(top)
    return found, read


def samples(model, guidance: float, wanted: list[scenes.Scene], steps: int) -> torch.Tensor:
    """uint8 pictures of the scenes' captions."""
    grid, parts = model.grid(steps), []
    for first in range(0, len(wanted), BATCH):
        part = wanted[first : first + BATCH]
        words, null = model.condition([scenes.caption(s) for s in part]), model.condition([None] * len(part))
        noise = SampleNoise(SEED, [str(first + i) for i in range(len(part))], model.device)("generate", (4, 16, 16))
        parts.append(to_uint8(model.decode(ddim.sample(model, noise, grid, steps, words, null, guidance))).cpu())
    return torch.cat(parts)


def inverted(model, images: torch.Tensor, wanted: list[scenes.Scene], steps: int) -> float:
    """PSNR of pictures inverted and made again at guidance 1, against the autoencoder's own round trip; mean, dB."""
    grid, found = model.grid(steps), []
    for first in range(0, len(images), BATCH):
        words = model.condition([scenes.caption(scene) for scene in wanted[first : first + BATCH]])
        z0 = model.encode(to_float(images[first : first + BATCH].to(model.device)))
        again = ddim.sample(model, ddim.invert(model, z0, grid, steps, words)[-1], grid, steps, words, words, 1.0)
        trip, again = (to_uint8(model.decode(z)) for z in (z0, again))
        found.append(peak_signal_noise_ratio(mean_squared_error(again, trip)))
    return torch.cat(found).mean().item()


@torch.inference_mode()
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", choices=["shapes", "shapes_flow"])
    parser.add_argument("--count", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--card", type=Path, help="also write the table there, below its last heading")
    args = parser.parse_args(argv)
    device = pick("auto")
    judge = Judge.load(ROOT / JUDGE).to(device)
    wanted, truths = rendered(SEED, args.count)
    reference, _ = looked_at(judge, truths)
    table = ["| pictures | Frechet distance | invert and reconstruct, dB | " + " | ".join(judge.attributes) + " |"]
    table.append("|---|---|---|" + "---|" * len(judge.attributes))

    def say(what: str, images: torch.Tensor, trip: str = "") -> None:
        found, read = looked_at(judge, images)
        pairs = list(zip(read, wanted, strict=True))
        right = [100 * sum(r[n] == scene.attributes[n] for r, scene in pairs) / len(pairs) for n in judge.attributes]
        values = [f"{frechet_distance(found, reference):.4f}", trip, *(f"{share:.1f}" for share in right)]
        table.append(f"| {what} | " + " | ".join(values) + " |")
        print(table[-1], flush=True)

    print(table[0])
    say("renders of other scenes", rendered(SEED + 1, args.count)[1])
    for name in args.models:
        cfg = cli.jobs([f"model={name}"])[0].model
        model = checkpoint.load(checkpoint.make(cfg), device, torch.float32)
        if name == args.models[0]:
            parts = truths.to(model.device).split(BATCH)
            say("the autoencoder alone", torch.cat([to_uint8(model.decode(model.encode(to_float(p)))) for p in parts]))
        made = samples(model, cfg.guidance, wanted, args.steps)
        say(f"`{name}`", made, f"{inverted(model, truths[:INVERTED], wanted[:INVERTED], args.steps):.1f}")
    if args.card:
        said = (
            f"`python -m scripts.sample_quality`: {args.count} captions of scenes that nothing was trained on,\n"
            f"at guidance {cfg.guidance:g} in {args.steps} steps. Distances are to true renders of the same captions,\n"
            f"in the features of `shapes-v1`; {INVERTED} of the renders are inverted and made again at guidance 1;\n"
            "the rest is how often the judge finds what the caption says, in percent.\n\n"
        )
        into_card(args.card, said + "\n".join(table))


if __name__ == "__main__":
    main()
