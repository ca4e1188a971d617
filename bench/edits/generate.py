"""Source pictures for Imagen's prompts from the chosen model, where Imagen's own are not to be had."""

import json
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from bench.data.files.annotations import read_json
from bench.data.imagen import CHOICES, GENERATED, Templated, prompt
from bench.diffusion import ddim
from bench.diffusion import device as devices
from bench.diffusion.memory import Portion
from bench.diffusion.noise import SampleNoise
from bench.edits import loading
from bench.errors import BadSample, NotFinite, UserError
from bench.files import threads
from bench.files.write import write, write_png
from bench.models import checkpoint as checkpoints
from bench.models import compiled
from bench.types import DiffusionModel

STREAM = "generated source"
"""Of noise that no edit draws from: editing with the noise a picture was made of gives near-copies
(huggingface/diffusers#14824)."""


def generate(cfg: dict[str, Any]) -> Path:
    """Writes the pictures that `<data.root>` lacks, `000.png` to `359.png`, and what made them to `generated.json`.

    Args:
        cfg: resolved, with data=templated; model, guidance, steps, seed, batch_size and device apply.

    Returns:
        the folder.

    Raises:
        UserError: the model is missing, the folder holds pictures that were made in another way, or some came out as
            no picture; all others are there then.
    """
    if "templated" not in cfg["data"]["name"]:
        raise UserError(f"generate=true makes pictures for data=imagen; data={cfg['data']['name']} has its own")
    source, folder, node = checkpoints.make(cfg["model"]), Path(cfg["data"]["root"]), cfg["data"]
    checkpoints.check_fits(source, "generate=true", None, cfg["model"]["name"], cfg["guidance"])
    identity = source.identity()
    made_by = {
        "model": cfg["model"]["name"],
        "weights": identity.get("files", identity),
        "dtype": cfg["model"]["dtype"],
        **{knob: cfg[knob] for knob in ("guidance", "steps", "seed")},
        "wording": node["wording"],
        **({"size": cfg["model"]["size"]} if cfg["model"]["size"] else {}),
    }
    record = folder / GENERATED
    if record.exists() and read_json(record, dict, Templated.origin) != json.loads(json.dumps(made_by)):
        raise UserError(f"{folder} holds pictures made in another way ({record}); set another data.root=")
    write(record, json.dumps(made_by, indent=1) + "\n")
    lacking = [i for i in range(len(CHOICES)) if not (folder / f"{i:03d}.png").exists()]
    if not lacking:
        return folder
    device = devices.pick(cfg["device"])
    model = loading.model(source, cfg, device, lambda: [prompt(CHOICES[i], cfg["data"]["wording"]) for i in lacking])
    bad: dict[int, str] = {}
    portion = Portion(cfg["batch_size"], device)
    with (
        ThreadPoolExecutor(threads.count()) as pool,
        tqdm(total=len(lacking), desc="pictures", disable=None) as done,
    ):
        written: list[Future] = []
        for numbers in portion.batches(lacking):
            compiled.expect(model, portion, len(numbers))
            made, failed = _made(model, cfg, numbers, device)
            bad |= failed
            for job in written:  # while the model was at work
                job.result()
            named = [(folder / f"{number:03d}.png", Image.fromarray(picture)) for number, picture in made.items()]
            written = [pool.submit(write_png, *one) for one in named]
            done.update(len(numbers))
        for job in written:
            job.result()
    if bad:
        number, why = next(iter(bad.items()))
        raise UserError(f"{len(bad)} of {len(lacking)} pictures were not made, the first is {number:03d}.png: {why}")
    return folder


def _made(
    model: DiffusionModel, cfg: dict[str, Any], numbers: list[int], device: torch.device
) -> tuple[dict[int, np.ndarray], dict[int, str]]:
    """Pictures of some prompts, and why others have none; they are made again without these."""
    try:
        return dict(zip(numbers, _pictures(model, cfg, numbers, device), strict=True)), {}
    except NotFinite as error:
        bad = {numbers[row]: str(error) for row in error.rows}
    rest = [number for number in numbers if number not in bad]
    made, more = _made(model, cfg, rest, device) if rest else ({}, {})
    return made, bad | more


def _pictures(model: DiffusionModel, cfg: dict[str, Any], numbers: list[int], device: torch.device) -> np.ndarray:
    """Pictures of some prompts, uint8 `[B, H, W, 3]`. Raises: NotFinite: some cannot be made."""
    steps, noise = model.grid(cfg["steps"]), SampleNoise(cfg["seed"], [f"{i:03d}" for i in numbers], device)
    prompts = [prompt(CHOICES[i], cfg["data"]["wording"]) for i in numbers]
    with torch.inference_mode():
        side = cfg["model"]["size"] or model.size
        shape = tuple(model.encode(torch.zeros(1, 3, side, side, device=device)).shape[1:])
        try:
            condition = model.condition(prompts)
        except BadSample as error:
            raise UserError(str(error)) from None
        null = None if model.distilled else model.condition([None] * len(numbers))
        z = ddim.sample(model, noise(STREAM, shape), steps, cfg["steps"], condition, null, cfg["guidance"])
        pictures = devices.to_uint8(model.decode(devices.finite(z, "latents")))
    return pictures.permute(0, 2, 3, 1).cpu().numpy()
