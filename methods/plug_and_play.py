"""Plug-and-Play diffusion features (Tumanyan et al. 2022, arXiv 2211.12572): the target generated with the source's
self-attention and one of its activations."""

from contextlib import ExitStack

import torch
from torch.nn.functional import scaled_dot_product_attention

from bench.diffusion import ddim
from bench.diffusion.guidance import mixed
from bench.errors import UserError
from bench.types import AttentionLayer, Condition, DiffusionModel, EditBatch, EditResult, Noise
from methods import latents

_LEVELS = 4  # of Stable Diffusion's decoder, in which the places below are


class PlugAndPlay:
    """Queries and keys of the source take the place of the target's in the decoder from the second layer of its second
    block on; what the second residual block there adds is the source's too. NFE 999 + 3 n.

    Args:
        steps: n.
        guidance: of the edit.
        inversion_steps: of DDIM inversion without words; the edit's timesteps must be among its own.
        attention: share of the steps, from the noisiest, with the source's self-attention, rounded down.
        residual: the same of its activation.
        negative: prompt in place of the unconditional model.
    """

    version = 1

    def __init__(
        self,
        steps: int,
        guidance: float,
        inversion_steps: int = 999,
        attention: float = 0.5,
        residual: float = 0.8,
        negative: str = "ugly, blurry, black, low res, unrealistic",
    ):
        self.steps, self.guidance, self.inversion_steps = steps, guidance, inversion_steps
        self.attention, self.residual, self.negative = attention, residual, negative

    def __call__(self, model: DiffusionModel, batch: EditBatch, noise: Noise) -> EditResult:
        latents.trained_levels(model)
        factors = {layer.factor for layer in model.attention() if layer.place == "up"}
        if not hasattr(model, "residual") or factors != {1, 2, 4}:
            raise UserError(
                f"method=plug_and_play knows the places of Stable Diffusion's UNet, whose decoder has {_LEVELS} blocks "
                "with attention in all but the first, and this model is another; choose another method or model=sd14"
            )
        z = self.generate(model, batch, self.inverted(model, batch))
        return EditResult(latents.images(model, z), notes=latents.cut(model, batch))

    def inverted(self, model: DiffusionModel, batch: EditBatch) -> list[torch.Tensor]:
        """The source at the level of each of the edit's timesteps, cleanest first.

        Raises:
            UserError: inversion passes some of them by.
        """
        finer, timesteps = model.grid(self.inversion_steps), model.grid(self.steps).timesteps
        if passed := set(timesteps) - set(finer.timesteps):
            raise UserError(
                f"method.inversion_steps={self.inversion_steps} passes by timestep {min(passed)} of "
                f"steps={self.steps}: set 999 or as many as the steps"
            )
        trajectory = latents.inverted(model, batch, finer, self.inversion_steps, [None] * len(batch.samples), 1.0)
        at = dict(zip(finer.timesteps, trajectory[1:], strict=True))
        return [at[t] for t in timesteps]

    def generate(self, model: DiffusionModel, batch: EditBatch, source: list[torch.Tensor]) -> torch.Tensor:
        """Clean latents of the edit."""
        grid, count = latents.grid(model, batch, self.steps), len(batch.samples)
        told = [latents.condition(model, batch, [text] * count) for text in (None, self.negative)]
        told.append(latents.condition(model, batch, batch.targets))
        z = source[-1]
        for i in range(self.steps):
            level = self.steps - i
            steered, moved = i < int(self.attention * self.steps), i < int(self.residual * self.steps)
            beside = [source[level - 1]] if steered or moved else []
            rows, conditions = torch.cat([*beside, z, z]), Condition.cat(told if beside else told[1:])
            with ExitStack() as stack:
                if steered:
                    stack.enter_context(model.attend(_as_first(model, count)))
                if moved:
                    stack.enter_context(model.residual(1, 1, lambda x: torch.cat([x[:count]] * 3)))
                output = model.eps(rows, grid.timesteps[level - 1], conditions)
            if not beside:  # the authors evaluate the source's row to the end
                batch.shared.credit(count, 0.0)
            free, given = output[-2 * count :].chunk(2)
            z = ddim.step(z, mixed(free, given, self.guidance), grid, level, level - 1)
        return z


def _as_first(model: DiffusionModel, count: int):
    """The hook that has all rows attend as the first `count` do."""
    own = [layer for layer in model.attention() if layer.place == "up" and not layer.cross]
    chosen = set(own[1:])  # all but the first layer of the decoder's second block, the first to have one

    def hook(layer: AttentionLayer, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        if layer in chosen:
            query, key = (torch.cat([x[:count]] * (len(x) // count)) for x in (query, key))
        return scaled_dot_product_attention(query, key, value)

    return hook
