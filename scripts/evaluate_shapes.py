"""How good the embedded model is: every bar of its model card, measured.

    python -m scripts.evaluate_shapes [--count 256] [--out results/runs/evaluation] [--card <model card>]

Edits are made and scored by the harness itself, in `--out`, and are reused when they are there.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf

from bench import run
from bench.config import cli
from bench.data.shapes import Shapes
from bench.data.world import scenes
from bench.diffusion import ddim
from bench.diffusion.device import pick, to_float, to_uint8
from bench.diffusion.noise import SampleNoise
from bench.edits.plan import plan
from bench.files.write import write
from bench.models import checkpoint as checkpoints
from bench.scores import stored
from bench.statistics.intervals import mean_interval
from metrics.judge import Judge
from metrics.pixel import mean_squared_error, peak_signal_noise_ratio

STEPS, BATCH = 50, 32
RATIOS = (0.5, 0.6, 0.7, 0.8, 0.9)
JUDGE = "metrics/shapes_judge"
HEADING = "## Measured quality"


class Card:
    """Collects rows of the model card: what, value with interval, bar, verdict."""

    def __init__(self):
        self.rows: list[list[str]] = []

    def add(self, what: str, values, bar: float, unit: str) -> None:
        """Mean of per-sample values against its bar."""
        mean, low, high, n = mean_interval(np.asarray(values, float), [str(i) for i in range(len(values))])
        verdict = "yes" if mean >= bar else f"no, by {bar - mean:.1f}"
        self.rows.append([what, f"{mean:.1f} [{low:.1f}, {high:.1f}] {unit}", str(n), f"{bar:g} {unit}", verdict])
        print(" | ".join(self.rows[-1]), flush=True)

    def table(self) -> str:
        """Markdown."""
        head = ["measured", "mean [95 % interval]", "n", "bar", "met"]
        return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *self.rows])


def attributes_right(judge: Judge, images: torch.Tensor, wanted: list[dict[str, str]]) -> dict[str, np.ndarray]:
    """Attribute -> percent right (0 or 100), `[N]`, for uint8 images."""
    pairs = list(zip(judge.read(judge.maps(images.float() / 255)[-1]), wanted, strict=True))
    return {name: 100.0 * np.array([found[name] == w[name] for found, w in pairs]) for name in judge.attributes}


def judge_bars(card: Card, judge: Judge, count: int) -> None:
    """The judge on true renders of scenes that nothing was trained on."""
    data = Shapes(64, seed=2, count=max(count, 1024))
    right: dict[str, list] = {name: [] for name in scenes.ATTRIBUTES}
    for i in range(0, len(data.ids), BATCH):
        samples = [data[j] for j in range(i, min(i + BATCH, len(data.ids)))]
        images = torch.from_numpy(np.stack([s.truth for s in samples]))
        for name, values in attributes_right(judge, images, [s.attributes[1] for s in samples]).items():
            right[name].extend(values)
    for name, values in right.items():
        card.add(f"judge, {name} of true renders", values, 99, "%")


def model_bars(card: Card, model, judge: Judge, data: Shapes, guidance: float) -> None:
    """Autoencoder, inversion and text-to-image, on the benchmark's sources."""
    levels = model.grid(STEPS)
    trips, inversions, right = [], [], {name: [] for name in scenes.ATTRIBUTES}
    for i in range(0, len(data.ids), BATCH):
        samples = [data[j] for j in range(i, min(i + BATCH, len(data.ids)))]
        images = torch.from_numpy(np.stack([s.image for s in samples])).to(model.device)
        words, null = model.condition([s.source for s in samples]), model.condition([None] * len(samples))
        z0 = model.encode(to_float(images))
        trip = to_uint8(model.decode(z0))
        trips.extend(peak_signal_noise_ratio(mean_squared_error(trip, images)).tolist())
        z_t = ddim.invert(model, z0, levels, STEPS, words)[-1]
        again = to_uint8(model.decode(ddim.sample(model, z_t, levels, STEPS, words, null, 1.0)))
        inversions.extend(peak_signal_noise_ratio(mean_squared_error(again, trip)).tolist())
        noise = SampleNoise(0, [s.id for s in samples], model.device)("generate", tuple(z0.shape[1:]))
        made = to_uint8(model.decode(ddim.sample(model, noise, levels, STEPS, words, null, guidance))).cpu()
        for name, values in attributes_right(judge, made, [s.attributes[0] for s in samples]).items():
            right[name].extend(values)
    card.add("autoencoder round trip", trips, 29, "dB")
    card.add("DDIM invert and reconstruct at guidance 1, against the round trip", inversions, 38, "dB")
    bars = {"shape": 80, "colour": 97, "fill": 90, "background": 97, "companion": 90, "side": 90, "style": 90}
    for name, values in right.items():
        card.add(f"text-to-image at guidance {guidance:g}, {name}", values, bars[name], "%")


def edit_bars(card: Card, count: int, out: Path) -> None:
    """DiffEdit at its best ratio, by the harness itself."""
    words = [f"out={out}", f"r=[{','.join(map(str, RATIOS))}]"]
    for type_, success, overlap in (("colour", 90, 70), ("object", 60, 60)):
        # one in ten samples has the type, so that `count` of it need ten times as many
        options = [*words, f"data.types=[{type_}]", f"data.count={10 * count}"]
        run.main(options)
        best = None
        for point in plan(cli.jobs(options)[0]):
            table = stored.read(point.folder, "shapes-v1").table.loc[point.ids]
            if best is None or table["edit_success"].mean() > best[1]["edit_success"].mean():
                best = point.cfg["method"]["r"], table
        r, table = best
        card.add(f"DiffEdit, {type_} edits at its best r = {r:g}: success", table["edit_success"], success, "%")
        card.add(f"DiffEdit, {type_} edits: mask IoU", table["mask_iou"], overlap, "x 10^2")
        empty = [*options[:1], "r=0", *options[2:], "method.reference=none"]  # the mask alone
        run.main(empty)
        (point,) = plan(cli.jobs(empty)[0])
        table = stored.read(point.folder, "shapes-v1").table.loc[point.ids]
        what = f"DiffEdit, {type_} edits: mask IoU with method.reference=none"
        card.add(what, table["mask_iou"], overlap, "x 10^2")


def into_card(file: Path, table: str) -> None:
    """Writes what was measured below a model card's last heading."""
    head, line, _ = file.read_text().partition(HEADING)
    if not line:
        raise SystemExit(f"{file} has no line {HEADING!r} below which to write")
    write(file, f"{head}{HEADING}\n\n{table}\n")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=256)
    parser.add_argument("--out", type=Path, default=Path("results/runs/evaluation"))
    parser.add_argument("--card", type=Path, help="also write the table there, below its last heading")
    args = parser.parse_args(argv)
    card, cfg = Card(), OmegaConf.to_container(cli.jobs([])[0].model)
    judge = Judge.load(Path(__file__).resolve().parents[1] / JUDGE)
    model = checkpoints.make(cfg).load(pick("auto"), torch.float32)
    with torch.inference_mode():
        judge_bars(card, judge, args.count)
        model_bars(card, model, judge, Shapes(64, count=args.count), cfg["guidance"])
    edit_bars(card, args.count, args.out)
    print("\n" + card.table())
    if args.card:
        into_card(args.card, card.table())


if __name__ == "__main__":
    main()
