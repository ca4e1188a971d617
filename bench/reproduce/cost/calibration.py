"""How long a denoiser, an autoencoder and a method take on this machine: measured shortly, then remembered."""

import json
import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from bench.diffusion import device as devices
from bench.diffusion.noise import SampleNoise
from bench.errors import UserError
from bench.files.hashing import cache_folder, sha256, sha256_of
from bench.files.write import write
from bench.models import architecture, stable_diffusion
from bench.models import folder as files
from bench.reproduce.cost import counting
from bench.types import EditBatch
from bench.types.bill import Shared

BATCH = 4
"""Images together when a method's overhead is measured; alone, Python takes a share that it has not on large models."""
_SHORT = {"steps": 3, "r": 1.0, "strength": 1.0, "n": 2, "inner_steps": 3, "blend_size": 16}
"""Knobs that make a method short to measure and fit the embedded model; the mix of rows is known from counting."""
_SLOW = 1.0  # seconds from which the CPU's work is measured once, one row at a time
_REPEATS = 3


@dataclass(frozen=True)
class Pace:
    """Seconds of one model on this machine.

    Attributes:
        row: one evaluation of the denoiser for one latent.
        encode, decode: the autoencoder, one picture.
        how: what was measured, in words.
    """

    row: float
    encode: float
    decode: float
    how: str


def pace(model: dict[str, Any], size: int, device_name: str, batch_size: int) -> Pace:
    """Of the model of a resolved configuration; where it is not here, of Stable Diffusion 1.4's architecture with
    random weights.

    Args:
        size: pixels a side.
        device_name: as configured.
        batch_size: images that the harness edits together.
    """
    device = devices.pick(device_name)
    try:
        folder: Path | None = files.locate(model["path"])
        what = [sha256(folder / part / "config.json") for part in ("unet", "vae")]
    except UserError:
        folder, what = None, ["Stable Diffusion 1.4"]
    key = ["pace", what, model["dtype"], size, batch_size, *_machine(device)]
    found = _remembered(key, lambda: _measure(folder, device, getattr(torch, model["dtype"]), size, batch_size))
    which = model["name"] if folder else "Stable Diffusion 1.4's architecture with random weights"
    standing = "" if folder else f" in place of {model['name']}, which is not here,"
    how = f"{which}{standing} at {size} px in {model['dtype']}: {found['row']:.3g} s a row, {found['rows']} at once"
    return Pace(found["row"], found["encode"], found["decode"], how)


@torch.inference_mode()
def _measure(folder: Path | None, device: torch.device, dtype: torch.dtype, size: int, batch: int) -> dict[str, float]:
    print("measuring the model's pace, once on this machine ...", file=sys.stderr, flush=True)
    load = architecture.stable_diffusion if folder is None else partial(stable_diffusion.LatentDiffusion.load, folder)
    model = load(device, dtype)
    side = size // model.factor
    states = model.condition([None])

    def denoise(rows: int) -> None:
        z = torch.randn(rows, model.vae.config.latent_channels, side, side, device=device)
        picture = z[:, : model.picture_channels] if model.picture_channels else None
        model.eps(z, 500, states.expand(rows, -1, -1), picture=picture)

    row, rows = seconds(partial(denoise, 1), device), 1
    if row < _SLOW:
        rows = batch
        row = seconds(partial(denoise, rows), device) / rows
    pixels = torch.rand(1, 3, size, size, device=device) * 2 - 1
    latents = torch.randn(1, model.vae.config.latent_channels, side, side, device=device)
    encode = seconds(lambda: model.encode(pixels), device)
    return {"row": row, "rows": rows, "encode": encode, "decode": seconds(lambda: model.decode(latents), device)}


def overhead(method: dict[str, Any], device_name: str) -> tuple[float, float]:
    """What a method takes beside its denoiser (attention control, optimisers), measured on the embedded model.

    On the CPU both are ratios of processor time on one thread, which other programmes hardly touch.

    Returns:
        seconds of the method over those of the plain denoiser for the same rows; seconds of a row that gradients pass
        through over those of one without.
    """
    device = devices.pick(device_name)
    kind = [method["_target_"], method.get("control")]
    with _one_thread():
        found = _remembered(["backward", *_machine(device)], lambda: {"ratio": _backward(device)})
        mine = _remembered(["overhead", kind, *_machine(device)], lambda: {"ratio": _overhead(method, device)})
    return mine["ratio"], found["ratio"]


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _backward(device: torch.device) -> float:
    model = _embedded(device)
    return _plain(model, BATCH, True, device) / _plain(model, BATCH, False, device)


def _overhead(method: dict[str, Any], device: torch.device) -> float:
    model = _Listening(_embedded(device), "instruct_pix2pix" in method["_target_"])
    changed = {name: value for name, value in _SHORT.items() if method.get(name) is not None}
    if method.get("control") == "masactrl":
        changed["start_layer"] = len({layer.index for layer in model.attention()}) // 2
    made = counting.build(method | changed)

    def edit(sample) -> None:
        samples, model.calls = [sample] * BATCH, []
        images = torch.from_numpy(sample.image).to(device).expand(BATCH, -1, -1, -1)
        batch = EditBatch(samples, images, Shared(), points=[made])
        with torch.inference_mode():
            made(model, batch, SampleNoise(0, [sample.id] * BATCH, device))

    taken = _own(lambda: counting.on_a_sample(edit), device)
    calls = Counter(model.calls)
    if not calls:
        return 1.0
    return taken / sum(n * _plain(model.real, *call, device) for call, n in calls.items())


def _plain(model: stable_diffusion.LatentDiffusion, rows: int, gradient: bool, device: torch.device) -> float:
    """Seconds of one call of the denoiser, with its gradient if asked for."""
    side = model.size // model.factor

    def call() -> None:
        with torch.inference_mode(not gradient), torch.set_grad_enabled(gradient):
            z = torch.randn(rows, model.vae.config.latent_channels, side, side, device=device)
            states = torch.randn(rows, *states_shape, device=device, requires_grad=gradient)
            out = model.eps(z, 500, states)
            if gradient:
                out.sum().backward()

    with torch.inference_mode():
        states_shape = model.condition([None]).shape[1:]
    return _own(call, device)


class _Listening:
    """A model that lists its calls: rows, and whether gradients pass through them."""

    def __init__(self, real: stable_diffusion.LatentDiffusion, pictures: bool):
        self.real, self.calls = real, []
        self.picture_channels = 4 if pictures else 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def eps(self, z, t, condition, values=None, picture=None) -> torch.Tensor:
        """As the real one, which has no use for a picture."""
        states = (x for x in (condition, values) if x is not None)
        gradient = torch.is_grad_enabled() and any(x.requires_grad for x in states)
        self.calls.append((len(z), gradient))
        return self.real.eps(z, t, condition, values)


def _embedded(device: torch.device) -> stable_diffusion.LatentDiffusion:
    return stable_diffusion.load(files.locate("bench/models/shapes"), device, torch.float32)


def seconds(work: Callable[[], Any], device: torch.device) -> float:
    """The fastest of a few runs. On the CPU what is slow is done once, and its processor time over the threads taken:
    what it would last if nothing else ran."""
    taken: list[float] = []
    while len(taken) < _REPEATS:
        lasted, worked = _timed(work, device)
        if device.type == "cpu" and lasted > _SLOW:
            return worked / torch.get_num_threads()
        taken.append(lasted)
    return min(taken)


def _own(work: Callable[[], Any], device: torch.device) -> float:
    """Processor time on one thread, which other programmes hardly touch; the fastest of a few runs."""
    times = [_timed(work, device) for _ in range(_REPEATS)]
    return min(worked if device.type == "cpu" else lasted for lasted, worked in times)


def _timed(work: Callable[[], Any], device: torch.device) -> tuple[float, float]:
    """Seconds that it lasted, and of this process's processor time."""
    _wait(device)
    starts = time.perf_counter(), time.process_time()
    work()
    _wait(device)
    return time.perf_counter() - starts[0], time.process_time() - starts[1]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _machine(device: torch.device) -> list[Any]:
    place = [platform.node(), platform.machine(), os.cpu_count(), torch.get_num_threads()]
    return [*place, devices.name(device), torch.__version__]


def _remembered(key: list[Any], measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What was measured under a key, in the user's cache; a cache that cannot be written is no reason to fail."""
    file, name = cache_folder() / "calibration.json", sha256_of(key)
    try:
        known = json.loads(file.read_text())
    except (OSError, ValueError):
        known = {}
    if name not in known:
        known[name] = measure()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write(file, json.dumps(known, indent=1) + "\n")
        except OSError:
            pass
    return known[name]
