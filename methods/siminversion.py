"""SimInversion (Qian et al. 2024): one guidance scale, w_s, in inversion and generation of the source branch, another
one, w_t, in the target branch."""

from dataclasses import dataclass

from bench import ddim
from bench.schedule import Grid
from bench.types import DiffusionModel, EditBatch
from methods import latents
from methods.dual_branch import DualBranch, Source


@dataclass
class SimInversion(DualBranch):
    """Algorithm 1. NFE S + 3 S for w_s = 0 and 1, else 2 S + 4 S; `auto` 4 S + 4 S, and 2 S more for `median`.

    Args:
        w_s: guidance scale of the source branch, any real number; or `auto`, which is ours: Proposition 3's w* of each
            image.
        donor: whose attention steers the target at w_s = 0: `cs` evaluates the source's words for that alone (S
            more), `active` takes the branch's only prediction, the one without words. The paper leaves it open.
        auto: `step` inverts each step with the w* found at it, `median` the whole image with the median of those found
            along w_s = 0.5; both are held to [0, 1] (Corollary 1).
    """

    w_s: float | str = 0.5
    donor: str = "cs"
    auto: str = "step"

    @property
    def inverts_with_words(self) -> bool:
        return self.w_s != 0

    def invert(self, model: DiffusionModel, batch: EditBatch, levels: Grid) -> Source:
        words, null = self.conditions(model, batch)
        if self.w_s != "auto":
            return Source(self.trajectory(model, batch, levels, self.w_s), words, null, [self.w_s] * self.steps)
        trajectory, best = ddim.invert_with_best_scale(
            model, latents.clean(model, batch), levels, words, null, None if self.auto == "step" else ddim.BETWEEN
        )
        median = best.median(0).values
        if self.auto == "median":
            trajectory, best = [trajectory[0]], median.expand_as(best)
            for j in range(self.steps):
                trajectory.append(ddim.invert_step(model, trajectory[j], levels, j, words, null, median))
        notes = [{"w_s": round(float(w), 4)} for w in median.flatten()]
        return Source(trajectory, words, null, list(best.flip(0)), notes=notes)

    def lineage(self):
        return self.w_s, self.donor, self.auto if self.w_s == "auto" else None
