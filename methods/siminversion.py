"""SimInversion (Qian et al. 2024): one guidance scale, w_s, in inversion and generation of the source branch, another
one, w_t, in the target branch."""

from dataclasses import dataclass

from bench.schedule import Grid
from bench.types import DiffusionModel, EditBatch
from methods.dual_branch import DualBranch, Source


@dataclass
class SimInversion(DualBranch):
    """Algorithm 1. NFE S + 3 S for w_s = 0 and 1, else 2 S + 4 S.

    Args:
        w_s: guidance scale of the source branch, any real number.
        donor: whose attention steers the target at w_s = 0: `cs` evaluates the source's words for that alone (S
            more), `active` takes the branch's only prediction, the one without words. The paper leaves it open.
    """

    w_s: float = 0.5
    donor: str = "cs"

    @property
    def inverts_with_words(self) -> bool:
        return self.w_s != 0

    def invert(self, model: DiffusionModel, batch: EditBatch, levels: Grid) -> Source:
        words, null = self.conditions(model, batch)
        return Source(self.trajectory(model, batch, levels, self.w_s), words, null, [self.w_s] * self.steps)

    def lineage(self):
        return self.w_s, self.donor
