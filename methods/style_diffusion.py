"""StyleDiffusion (Li et al. 2023): the values of cross-attention are made from the picture by a small network, trained
step by step until guided generation retraces the inversion."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn.functional import instance_norm, leaky_relu, mse_loss, scaled_dot_product_attention

from bench.diffusion import ddim
from bench.diffusion.grid import Grid
from bench.diffusion.guidance import mixed
from bench.errors import UnfitSize, UserError
from bench.types import AttentionLayer, Condition, DiffusionModel, EditBatch
from methods import latents
from methods.branches import Source
from methods.dual_branch import DualBranch
from methods.tuning import tuned

Weights = list[torch.Tensor]


@dataclass
class StyleDiffusion(DualBranch):
    """Prompt-to-prompt of the published runs: Refine, windows 0.6 and 0.6, no LocalBlend, no reweighting. NFE at most
    S + 2 S + the updates + 4 S, and one backward pass an update; the published code predicts twice what is known.

    The published runs choose Replace where both prompts have as many *letters*, which fails where they have not as many
    words; here it is `edit`.

    Args:
        tower: `(uint8 [B, 3, H, W]) -> tokens [B, N, D]`, D as wide as the states of the words.
        inner_steps: updates at the first step; ceil(inner_steps exp(-0.1 i)) at step i.
        epsilon: a step's updates end once the loss is below epsilon + 2e-5 i.
        value_steps: share of the steps, from the noisiest, during which the target's values are the picture's too.
    """

    version = 1

    tower: Callable[[torch.Tensor], torch.Tensor] | None = None
    inner_steps: int = 100
    epsilon: float = 1e-5
    value_steps: float = 0.5

    def invert(self, model: DiffusionModel, batch: EditBatch, levels: Grid) -> Source:
        latents.check_guidable(model)
        words, null = self.conditions(model, batch)
        if self.tower is None:
            raise UserError(
                "method=style_diffusion needs an image tower, and this model's file names none: set model.tower"
            )
        tokens = batch.shared(("tokens", id(self.tower)), lambda: self.tower(batch.images))
        width = getattr(model, "widths", (words.states.shape[-1],))[0]
        if tokens.shape[-1] != width:
            raise UserError(
                f"the image tower's tokens have {tokens.shape[-1]} numbers and this model's words {width}; choose "
                "another with model.tower"
            )
        trajectory, maps = self._inversion(model, batch, levels, words)
        weights, backward = self._train(model, trajectory, maps, levels, words, null, tokens)
        until = self.value_steps * self.steps

        def values(step: int, branch: str, told: Condition) -> torch.Tensor | None:
            return None if branch == "target" and step >= until else _states(weights[step], tokens, told.states)

        notes = [{"backward": count} for count in backward]
        return Source(trajectory, words, null, [self.w_t] * self.steps, values=values, notes=notes)

    def lineage(self):
        return self.w_t, self.inner_steps, self.epsilon, self.value_steps, id(self.tower)

    def _inversion(self, model, batch: EditBatch, levels: Grid, words) -> tuple[list[torch.Tensor], list[list]]:
        """Latents at each level, and the cross-attention maps that each step of the inversion had."""
        trajectory, maps = [latents.clean(model, batch)], []
        places = [layer for layer in model.attention() if layer.cross and layer.place != "mid"]
        sides = sorted({layer.cells(trajectory[0].shape[-1]) for layer in places})
        height, width = trajectory[0].shape[-2:]
        if height != width:
            raise UnfitSize(
                f"style_diffusion trains on square maps, and latents of {width}x{height} cells have none: set "
                "data.size to pixels a side"
            )
        if self.blend_size not in sides:
            raise UnfitSize(
                f"style_diffusion trains on cross-attention maps of {self.blend_size} x {self.blend_size} cells, and "
                f"those of this model have {sides} a side: set method.blend_size"
            )
        for j in range(self.steps):
            collect = _Maps(self.blend_size)
            with model.attend(collect):
                trajectory.append(ddim.invert_step(model, trajectory[j], levels, j, words, words, 1.0))
            maps.append(collect.found)
        return trajectory, maps

    def _train(self, model, trajectory, maps, levels: Grid, words, null, tokens) -> tuple[list[Weights], list[int]]:
        """The network's weights at each step, with a first axis of one set an image, and each image's updates."""
        kept, backward = [], [0] * len(words)
        with torch.inference_mode(False):
            z, tokens = trajectory[-1].clone(), tokens.clone()
            words, null = (x.with_states(x.states.clone()) for x in (words, null))
            weights = _fresh(len(words), tokens.shape[1], words.states.shape[1], tokens)
            for i in range(self.steps):
                level = self.steps - i
                t = levels.timesteps[level - 1]
                goal = [m.clone() for m in maps[min(level, self.steps - 1)]]  # those one step further, as published
                with torch.no_grad():
                    free = model.eps(z, t, null)
                wanted = trajectory[level - 1].clone()

                def losses(active, own, z=z, t=t, free=free, wanted=wanted, goal=goal, level=level):
                    collect = _Maps(self.blend_size)
                    with model.attend(collect):
                        values = _states(own, tokens[active], words.states[active])
                        given = model.eps(z[active], t, words[active], values=values)
                    guided = mixed(free[active], given, self.w_t)
                    reached = ddim.step(z[active], guided, levels, level, level - 1)
                    loss = mse_loss(reached, wanted[active], reduction="none").mean((1, 2, 3))
                    for found, expected in zip(collect.found, goal, strict=True):
                        loss = loss + mse_loss(found, expected[active], reduction="none").mean((1, 2, 3))
                    return loss

                most = math.ceil(self.inner_steps * math.exp(-0.1 * i))
                weights, updates = tuned(weights, losses, i, most, self.epsilon)
                backward = [a + b for a, b in zip(backward, updates, strict=True)]
                kept.append(weights)
                with torch.no_grad(), model.attend(_Maps(0)):
                    given = model.eps(z, t, words, values=_states(weights, tokens, words.states))
                    z = ddim.step(z, mixed(free, given, self.w_t), levels, level, level - 1)
        return kept, backward


class _Maps:
    """Hook that keeps the cross-attention maps of `size` x `size` cells outside the middle block; 0: of none."""

    def __init__(self, size: int):
        self.size, self.found = size, []

    def __call__(self, layer: AttentionLayer, query, key, value) -> torch.Tensor:
        if not (layer.cross and layer.place != "mid" and query.shape[-2] == self.size**2):
            return scaled_dot_product_attention(query, key, value)
        maps = (query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5).softmax(-1)
        self.found.append(maps)
        return maps @ value


def _fresh(count: int, tokens: int, context: int, like: torch.Tensor) -> Weights:
    """First weights, the same for every image: torch's own initialisation of the three convolutions of width 1."""
    generator, weights = torch.Generator().manual_seed(0), []
    for fan_in in (tokens, 2 * context, 2 * context):
        for shape in ((2 * context, fan_in), (2 * context, 1)):
            one = (2 * torch.rand(shape, generator=generator) - 1) / math.sqrt(fan_in)
            weights.append(one.to(like).expand(count, -1, -1).clone())
    return weights


def _states(weights: Weights, tokens: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
    """States `[B, L, D]` that values are taken from: words * h_1 + h_2, with [h_1; h_2] the network's output for the
    picture's tokens. Its normalisation is over each channel of one image, since the original's batches have one. Of
    words by several text encoders beside each other, the first one's are changed."""
    x = weights[0] @ tokens.to(weights[0]) + weights[1]
    x = leaky_relu(instance_norm(weights[2] @ x + weights[3]), 0.01)
    x = weights[4] @ x + weights[5]
    scale, shift = x.chunk(2, 1)
    made = words[..., : tokens.shape[-1]] * scale.to(words) + shift.to(words)
    return torch.cat([made, words[..., tokens.shape[-1] :].expand(len(made), -1, -1)], -1)
