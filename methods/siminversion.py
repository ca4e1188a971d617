"""SimInversion (Qian et al. 2024): one guidance scale, w_s, in inversion and generation of the source branch, another
one, w_t, in the target branch."""

from dataclasses import dataclass

from bench.diffusion import ddim
from bench.diffusion.grid import Grid
from bench.types import DiffusionModel, EditBatch
from methods import latents
from methods.branches import Source
from methods.dual_branch import DualBranch


@dataclass
class SimInversion(DualBranch):
    """Algorithm 1. NFE S + 3 S for w_s = 0 and 1, else 2 S + 4 S; `auto_step` 4 S + 4 S, `auto` 6 S + 4 S.

    Args:
        w_s: guidance scale of the source branch, any real number. Ours, from Proposition 3's best scale w*, held to
            [0, 1] (Corollary 1): `auto` measures w* at each step of an inversion at 0.5 and inverts again with each
            image's median; `auto_step` inverts each step with the w* found at it.
        donor: whose attention steers the target at w_s = 0: `cs` evaluates the source's words for that alone (S
            more), `active` takes the branch's only prediction, the one without words. The paper leaves it open.
    """

    version = 1

    w_s: float | str = 0.5
    donor: str = "cs"

    @property
    def inverts_with_words(self) -> bool:
        return self.w_s != 0

    def invert(self, model: DiffusionModel, batch: EditBatch, levels: Grid) -> Source:
        words, null = self.conditions(model, batch)
        if not isinstance(self.w_s, str):
            return Source(self.trajectory(model, batch, levels, self.w_s), words, null, [self.w_s] * self.steps)
        latents.check_guidable(model)
        along = ddim.BETWEEN if self.w_s == "auto" else None
        x0 = latents.clean(model, batch)
        trajectory, best = ddim.invert_with_best_scale(model, x0, levels, words, null, along)
        median = best.median(0).values
        if self.w_s == "auto":
            trajectory, best = [x0], median.expand_as(best)
            for j in range(self.steps):
                trajectory.append(ddim.invert_step(model, trajectory[j], levels, j, words, null, median))
        notes = [{"w_s": round(float(w), 4)} for w in median.flatten()]
        return Source(trajectory, words, null, list(best.flip(0)), notes=notes)

    def lineage(self):
        return self.w_s, self.donor
