"""A training loop that can be killed at any moment and goes on bit-exactly from its last checkpoint.

Every random choice of step `i` is drawn from (seed, i) alone, so a checkpoint needs no random state.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from bench.files.write import atomic


def generator(seed: int, step: int) -> torch.Generator:
    """The random stream of one step."""
    return torch.Generator().manual_seed((seed << 32) + step)


class Ema:
    """Exponential moving average of parameters, with the usual warm-up of the decay."""

    def __init__(self, module: nn.Module, decay: float = 0.998):
        self.decay = decay
        self.shadow = {name: p.detach().clone() for name, p in module.named_parameters()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        decay = min(self.decay, (step + 1) / (step + 10))
        for name, p in module.named_parameters():
            self.shadow[name].lerp_(p, 1 - decay)

    @torch.no_grad()
    def apply(self, module: nn.Module) -> None:
        for name, p in module.named_parameters():
            p.copy_(self.shadow[name])


def adamw(module: nn.Module, rate: float) -> list[torch.optim.Optimizer]:
    """AdamW for everything."""
    return [torch.optim.AdamW(module.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.01)]


def fit(
    module: nn.Module,
    loss: Callable[[int], torch.Tensor],
    folder: Path,
    steps: int,
    rate: float,
    *,
    minutes: float = float("inf"),
    every: int = 500,
    sample: Callable[[int], None] | None = None,
    optimizers: Callable[[nn.Module, float], list[torch.optim.Optimizer]] = adamw,
) -> bool:
    """Trains `module` up to `steps`, or for `minutes` of this call, and leaves its EMA in it.

    The learning rate rises over 200 steps and falls linearly to 1 % over the last third. Every `every` steps a
    checkpoint is written (to a temporary name, then renamed), `loss.csv` gets a line and `sample` is called.

    Returns:
        whether `steps` was reached.
    """
    folder.mkdir(parents=True, exist_ok=True)
    steppers = optimizers(module, rate)
    ema, start, file = Ema(module), 0, folder / "checkpoint.pt"
    device = next(module.parameters()).device
    if file.exists():
        state = torch.load(file, map_location=device, weights_only=True)
        module.load_state_dict(state["module"])
        for stepper, kept in zip(steppers, state["optimizers"], strict=True):
            stepper.load_state_dict(kept)
        ema.shadow, start = state["ema"], state["step"]
        print(f"{folder.name}: going on from step {start}", flush=True)

    def checkpoint(step: int) -> None:
        kept = [stepper.state_dict() for stepper in steppers]
        state = {"module": module.state_dict(), "optimizers": kept, "ema": ema.shadow, "step": step}
        with atomic(file) as temporary:
            torch.save(state, temporary)

    began, seen, total = time.monotonic(), 0, torch.zeros((), device=device)
    step = start
    module.train()
    while step < steps:
        for group in (group for stepper in steppers for group in stepper.param_groups):
            group["lr"] = rate * min(1.0, (step + 1) / 200, max(0.01, 3 * (steps - step) / steps))
        value = loss(step)
        value.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        for stepper in steppers:
            stepper.step()
            stepper.zero_grad(set_to_none=True)
        ema.update(module, step)
        total, seen, step = total + value.detach(), seen + 1, step + 1
        late = time.monotonic() - began > 60 * minutes
        if step % every == 0 or step == steps or late:
            pace = (time.monotonic() - began) / (step - start)
            line = f"{step},{total.item() / seen:.5f},{pace:.4f}"
            with open(folder / "loss.csv", "a") as log:
                log.write(line + "\n")
            print(f"{folder.name}: step {step}/{steps} loss {total.item() / seen:.5f} {pace:.3f} s/step", flush=True)
            total, seen = torch.zeros((), device=device), 0
            checkpoint(step)
            if sample is not None:
                current = {name: p.detach().clone() for name, p in module.named_parameters()}
                ema.apply(module)
                module.eval()
                with torch.no_grad():
                    sample(step)
                    for name, p in module.named_parameters():
                        p.copy_(current[name])
                module.train()
        if late:
            break
    ema.apply(module)
    module.eval()
    return step >= steps


def load_average(module: nn.Module, file: Path) -> int:
    """Puts the averaged parameters of a checkpoint into `module`; returns its step."""
    state = torch.load(file, map_location="cpu", weights_only=True)
    module.load_state_dict(state["module"])
    ema = Ema(module)
    ema.shadow = state["ema"]
    ema.apply(module)
    return state["step"]


def run_stages(
    stages: dict[str, Callable[[argparse.Namespace], bool]], parser: argparse.ArgumentParser, argv: list[str] | None
) -> None:
    """The stages that a command line names, in turn, each with its words.

    Args:
        stages: name -> what does it, and says whether it is done.
        parser: with the options of its own, `--work` among them.
    """
    parser.add_argument("stages", nargs="+", choices=stages)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="time for each training in this call")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args(argv)
    args.device = torch.device(args.device)
    args.work.mkdir(parents=True, exist_ok=True)
    for stage in args.stages:
        if not stages[stage](args):
            raise SystemExit(f"{stage}: stopped by --minutes; the same command goes on")
