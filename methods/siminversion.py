"""SimInversion (Qian et al. 2024): one guidance scale, w_s, in inversion and generation of the source branch, another
one, w_t, in the target branch."""

from dataclasses import dataclass

import torch

from bench import ddim
from bench.schedule import Grid
from bench.types import DiffusionModel, EditBatch
from methods import latents
from methods.dual_branch import DualBranch, Source

_BETWEEN = 0.5  # where the best scale is looked for: the paper's recommendation


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
        trajectory, best = best_scales(
            model, latents.clean(model, batch), levels, words, null, None if self.auto == "step" else _BETWEEN
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


def best_scales(
    model: DiffusionModel,
    x0: torch.Tensor,
    levels: Grid,
    words: torch.Tensor,
    null: torch.Tensor,
    along: float | None,
    bounded: bool = True,
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Inversion that finds w* (Proposition 3) at each of its steps, for 4 evaluations a step.

    Args:
        x0: clean latents `[B, C, h, w]`.
        along: guidance scale of the inversion; None: at each step the w* just found, from predictions that are there
            already, where z_t was guessed at 0.5.
        bounded: holds w* to [0, 1].

    Returns:
        latents at levels 0 to S, and w* of each step `[S, B, 1, 1, 1]`; 0.5 where both predictions change alike, so
        that w does not matter.
    """
    trajectory, found, both = [x0], [], torch.cat([words, null])
    for j, t in enumerate(levels.timesteps):
        z, a_from, a_to = trajectory[j], levels.levels[j], levels.levels[j + 1]
        given, free = model.eps(torch.cat([z, z]), t, both).chunk(2)
        w = _BETWEEN if along is None else along
        reached = ddim.step(z, free + w * (given - free), a_from, a_to)
        given_there, free_there = model.eps(torch.cat([reached, reached]), t, both).chunk(2)
        moved_free = (free_there - free).flatten(1).double()
        apart = moved_free - (given_there - given).flatten(1).double()
        size = apart.square().sum(1)
        best = torch.where(size > 0, (apart * moved_free).sum(1) / size.clamp(min=1e-300), _BETWEEN)
        best = (best.clamp(0, 1) if bounded else best)[:, None, None, None].to(z.dtype)
        found.append(best)
        trajectory.append(reached if along is not None else ddim.step(z, free + best * (given - free), a_from, a_to))
    return trajectory, torch.stack(found)
