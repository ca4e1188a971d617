"""Direct inversion (Ju et al. 2023): the source branch is put back onto the inversion's latents after each step."""

from dataclasses import dataclass

from bench.diffusion.grid import Grid
from bench.types import DiffusionModel, EditBatch
from methods.branches import Source
from methods.dual_branch import DualBranch


@dataclass
class Direct(DualBranch):
    """The source's latents are the inversion's, so that its own prediction is not needed, only what the control reads.
    NFE S + 3 S. The original finds the offsets by an extra pass over both prompts, which comes to the same latents.

    Args:
        w_s: guidance scale of the inversion.
    """

    version = 1

    w_s: float = 1.0

    def invert(self, model: DiffusionModel, batch: EditBatch, levels: Grid) -> Source:
        words, null = self.conditions(model, batch)
        trajectory = self.trajectory(model, batch, levels, self.w_s)
        return Source(trajectory, words, null, [self.w_s] * self.steps, held=True)

    def lineage(self):
        return (self.w_s,)
