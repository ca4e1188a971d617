"""Null-text inversion (Mokady et al. 2023): the states of the empty prompt are optimised, step by step, until guided
generation retraces the inversion."""

from dataclasses import dataclass

import torch
from torch.nn.functional import mse_loss

from bench.diffusion import ddim
from bench.diffusion.grid import Grid
from bench.diffusion.guidance import mixed
from bench.types import Condition, DiffusionModel, EditBatch
from methods import latents
from methods.branches import Source
from methods.dual_branch import DualBranch
from methods.tuning import tuned


@dataclass
class NullText(DualBranch):
    """Both branches use the optimised states. NFE at most S + 12 S of optimisation + 4 S, and 10 S backward passes.

    Args:
        inner_steps: updates a step at most.
        epsilon: a step's updates end once the loss is below epsilon + 2e-5 i.
    """

    version = 1

    inner_steps: int = 10
    epsilon: float = 1e-5

    def invert(self, model: DiffusionModel, batch: EditBatch, levels: Grid) -> Source:
        latents.check_guidable(model)
        words, null = self.conditions(model, batch)
        trajectory = self.trajectory(model, batch, levels, 1.0)
        nulls, backward = self._optimise(model, trajectory, levels, words, null)
        notes = [{"backward": count} for count in backward]
        weights = [self.w_t] * self.steps
        return Source(trajectory, words, null, weights, nulls=nulls, target_nulls=nulls, notes=notes)

    def lineage(self):
        return self.w_t, self.inner_steps, self.epsilon

    def _optimise(self, model, trajectory, levels: Grid, words, null) -> tuple[list[Condition], list[int]]:
        """The optimised condition of each step, and how many backward passes each sample took."""
        found, backward = [], [0] * len(words)
        with torch.inference_mode(False):  # gradients cannot pass through what inference mode has made
            z, words = trajectory[-1].clone(), words.with_states(latents.states(words).clone())
            states = null.states.float().clone()
            for i in range(self.steps):
                level = self.steps - i
                t = levels.timesteps[level - 1]
                wanted = trajectory[level - 1].clone()
                with torch.no_grad():
                    given = model.eps(z, t, words)

                def losses(active, own, z=z, t=t, given=given, wanted=wanted, level=level):
                    free = model.eps(z[active], t, null[active].with_states(own[0]))
                    guided = mixed(free, given[active], self.w_t)
                    reached = ddim.step(z[active], guided, levels, level, level - 1)
                    return mse_loss(reached, wanted[active], reduction="none").mean((1, 2, 3))

                (states,), updates = tuned([states], losses, i, self.inner_steps, self.epsilon)
                backward = [a + b for a, b in zip(backward, updates, strict=True)]
                found.append(null.with_states(states.to(null.states.dtype)))
                with torch.no_grad():
                    free = model.eps(z, t, null.with_states(states))
                    z = ddim.step(z, mixed(free, given, self.w_t), levels, level, level - 1)
        return found, backward
