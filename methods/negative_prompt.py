"""Negative-prompt inversion (Miyake et al. 2023): the source's words stand in for the empty prompt."""

from dataclasses import dataclass

from bench.diffusion.grid import Grid
from bench.types import DiffusionModel, EditBatch
from methods import latents
from methods.branches import Source
from methods.dual_branch import DualBranch


@dataclass
class NegativePrompt(DualBranch):
    """With the same states on both sides guidance cancels in the source branch, which is SimInversion's at w_s = 1.
    NFE S + 3 S; the papers' code evaluates the equal rows twice."""

    version = 1

    def invert(self, model: DiffusionModel, batch: EditBatch, levels: Grid) -> Source:
        latents.check_guidable(model)
        words, null = self.conditions(model, batch)
        instead = [words] * self.steps
        trajectory = self.trajectory(model, batch, levels, 1.0)
        return Source(trajectory, words, null, [1.0] * self.steps, nulls=instead, target_nulls=instead)
