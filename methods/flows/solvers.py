"""Solvers of a flow's differential equation, from one level to the next in either direction."""

from collections.abc import Callable
from typing import Protocol

import torch

Ask = Callable[[torch.Tensor, float, int, int], torch.Tensor]
"""`(latents, level, step, evaluation) -> velocity`; steps are counted from the cleanest, evaluations within a step."""


class Solver(Protocol):
    """One pass through a flow."""

    def __init__(self, ask: Ask): ...

    def __call__(self, z: torch.Tensor, start: float, end: float, step: int) -> torch.Tensor:
        """Latents at level `end` of those at `start`."""


class Euler:
    """The velocity at the level that a step leaves; of order 1, an evaluation a step."""

    def __init__(self, ask: Ask):
        self.ask = ask

    def __call__(self, z: torch.Tensor, start: float, end: float, step: int) -> torch.Tensor:
        return z + (end - start) * self.ask(z, start, step, 0)


class Midpoint(Euler):
    """The velocity at half of a step, whereto Euler leads (RF-Solver); of order 2, two evaluations a step."""

    def __call__(self, z: torch.Tensor, start: float, end: float, step: int) -> torch.Tensor:
        return z + (end - start) * self.halfway(z, start, end, step, self.ask(z, start, step, 0))

    def halfway(self, z: torch.Tensor, start: float, end: float, step: int, velocity: torch.Tensor) -> torch.Tensor:
        """The velocity at half of the step, for which `velocity` leads there."""
        return self.ask(z + (end - start) / 2 * velocity, (start + end) / 2, step, 1)


class Reusing(Midpoint):
    """The midpoint of the step before leads to a step's own (FireFlow); of order 2, an evaluation a step and one."""

    velocity: torch.Tensor | None = None

    def __call__(self, z: torch.Tensor, start: float, end: float, step: int) -> torch.Tensor:
        leads = self.ask(z, start, step, 0) if self.velocity is None else self.velocity
        self.velocity = self.halfway(z, start, end, step, leads)
        return z + (end - start) * self.velocity


def rise(solver: Solver, z: torch.Tensor, levels: tuple[float, ...]) -> torch.Tensor:
    """From the cleanest of some levels to the noisiest."""
    for step in range(len(levels) - 1):
        z = solver(z, levels[step], levels[step + 1], step)
    return z


def fall(solver: Solver, z: torch.Tensor, levels: tuple[float, ...]) -> torch.Tensor:
    """From the noisiest of some levels, cleanest first, to the cleanest."""
    for step in reversed(range(len(levels) - 1)):
        z = solver(z, levels[step + 1], levels[step], step)
    return z
