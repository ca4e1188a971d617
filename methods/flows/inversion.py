"""Inverting the source and generating the target with one solver, with features of the first pass in the second."""

from abc import ABC, abstractmethod

import torch

from bench.diffusion.grid import Grid
from bench.diffusion.guidance import guided_eps
from bench.types import DiffusionModel, EditBatch, EditResult, Noise
from methods import latents
from methods.flows import solvers
from methods.flows.features import Features
from methods.flows.solvers import Solver


class InvertAndInject(ABC):
    """A method of this family says its solver.

    Args:
        steps: n, each way.
        w_s, w_t: guidance of inversion and edit.
        inject: noisiest steps that features are handed over in.
        first_block, last_block: single blocks whose features they are; None: the last.
        features: `replace_v`, `add_q`, ...: which they are, and whether they take the place of the edit's own or are
            added to them.
    """

    version = 1  # raised with what the subclasses share, and so are theirs

    def __init__(
        self,
        steps: int,
        w_s: float = 1.0,
        w_t: float = 2.0,
        inject: int = 1,
        first_block: int = 0,
        last_block: int | None = None,
        features: str = "replace_v",
    ):
        self.steps, self.w_s, self.w_t, self.inject = steps, w_s, w_t, inject
        self.first_block, self.last_block, self.features = first_block, last_block, features

    @abstractmethod
    def solver(self) -> type[Solver]:
        """How either pass is solved."""

    def __call__(self, model: DiffusionModel, batch: EditBatch, noise: Noise) -> EditResult:
        grid = latents.flow(model, batch, self.steps)
        mine = self._lineage()
        family = [p for p in batch.points if isinstance(p, InvertAndInject) and p._lineage() == mine]
        most = max(point.inject for point in [self, *family])
        kept, z = batch.shared(("inverted and kept", grid, mine), lambda: self.invert(model, batch, grid, most))
        z = self.generate(model, batch, grid, kept, z)
        return EditResult(latents.images(model, z), notes=latents.cut(model, batch))

    def invert(self, model: DiffusionModel, batch: EditBatch, grid: Grid, most: int) -> tuple[Features, torch.Tensor]:
        """Noise, and what is kept of the `most` noisiest steps."""
        part = self.features[-1]
        features = Features(model, self.steps, most, self.first_block, self.last_block, part)
        words, null = latents.condition(model, batch, batch.sources), latents.null(model, batch)

        def ask(z: torch.Tensor, level: float, step: int, evaluation: int) -> torch.Tensor:
            with features.keep(step, evaluation):
                return guided_eps(model, z, 1000 * level, words, null, self.w_s)

        return features, solvers.rise(self.solver()(ask), latents.clean(model, batch), grid.levels)

    def generate(
        self, model: DiffusionModel, batch: EditBatch, grid: Grid, features: Features, z: torch.Tensor
    ) -> torch.Tensor:
        """Clean latents of the edit."""
        words, null = latents.condition(model, batch, batch.targets), latents.null(model, batch)
        add = self.features.startswith("add")

        def ask(z: torch.Tensor, level: float, step: int, evaluation: int) -> torch.Tensor:
            with features.give(step, evaluation, self.inject, add):
                return guided_eps(model, z, 1000 * level, words, null, self.w_t)

        return solvers.fall(self.solver()(ask), z, grid.levels)

    def _lineage(self) -> tuple:
        """What the inversion depends on, apart from how much of it is kept."""
        return self.solver(), self.steps, self.w_s, self.first_block, self.last_block, self.features[-1]
