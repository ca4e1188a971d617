"""DDIM inversion for editing (Hertz et al. 2022; SimInversion, Figure 1a): invert at guidance 1, generate both branches
at w_t."""

from dataclasses import dataclass

from bench.diffusion.grid import Grid
from bench.types import DiffusionModel, EditBatch
from methods.branches import Source
from methods.dual_branch import DualBranch


@dataclass
class DDIM(DualBranch):
    """Vanilla DDIM inversion. NFE S + 4 S."""

    version = 1

    def invert(self, model: DiffusionModel, batch: EditBatch, levels: Grid) -> Source:
        words, null = self.conditions(model, batch)
        return Source(self.trajectory(model, batch, levels, 1.0), words, null, [self.w_t] * self.steps)

    def lineage(self):
        return (self.w_t,)
