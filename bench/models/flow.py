"""What rectified flows over an autoencoder's latents share."""

from contextlib import AbstractContextManager

import numpy as np
import torch

from bench.diffusion.path import Flow
from bench.errors import UserError
from bench.models import attention, joint_attention
from bench.models.autoencoded import AutoencodedModel
from bench.models.flow_folder import PATCH
from bench.models.prompts import Prompts
from bench.types import AttentionHook, AttentionLayer, Condition, Grid, Query, Token


class FlowModel(AutoencodedModel):
    """Predicts velocity, noise - x0, with a transformer whose tokens are words and 2 x 2 cells of the latents.

    Args:
        side: of the latents that the transformer was made for, in cells.
        prompts: what words become.
        scheduler: diffusers' FlowMatchEulerDiscreteScheduler.
        words: tokens that are words.
    """

    words_first: bool
    """Whether a joint layer's words come before the picture."""
    even: bool
    """Whether levels run evenly from 1 to 1/S before they are shifted; else from the scheduler's largest to its
    smallest."""

    def __init__(self, side: int, transformer, vae, prompts: Prompts, scheduler, words: int):
        super().__init__(side, vae)
        self.multiple *= PATCH
        self.transformer, self.prompts, self.scheduler, self.words = transformer, prompts, scheduler, words
        self._layers: dict[AttentionLayer, torch.nn.Module] | None = None

    @property
    def denoiser(self) -> torch.nn.Module:
        return self.transformer

    def grid(self, steps: int) -> Grid:
        return self._grid(steps, (self.size // self.multiple) ** 2)

    def grid_for(self, steps: int, latents: torch.Tensor) -> Grid:
        return self._grid(steps, latents.shape[-1] * latents.shape[-2] // PATCH**2)

    def _grid(self, steps: int, tokens: int) -> Grid:
        """What the folder's scheduler visits. Levels shift with the number of tokens where the file says so."""
        options, config = {}, self.scheduler.config
        if config.use_dynamic_shifting:
            slope = (config.max_shift - config.base_shift) / (config.max_image_seq_len - config.base_image_seq_len)
            options["mu"] = config.base_shift + (tokens - config.base_image_seq_len) * slope
        if self.even:
            options["sigmas"] = np.linspace(1, 1 / steps, steps)
        self.scheduler.set_timesteps(steps, **options)
        levels, timesteps = self.scheduler.sigmas.double(), self.scheduler.timesteps.double()
        return Grid(tuple(timesteps.flip(0).tolist()), tuple(levels.flip(0).tolist()), Flow())

    def condition(self, queries: list[Query]) -> Condition:
        return self.prompts.condition(queries)

    def tokens(self, query: Query) -> list[Token]:
        """Raises: UserError: words and picture attend to each other in one map."""
        raise UserError("this model has no maps of attention to words alone; use control=none")

    def excess(self, query: Query) -> int:
        return self.prompts.excess(query)

    def cuts(self, query: Query) -> dict[str, int]:
        return self.prompts.cuts(query)

    def attention(self) -> list[AttentionLayer]:
        """Layers in call order; their words stand where they do with pictures of the model's own size."""
        if self._layers is None:
            first = 0 if self.words_first else (self.size // self.multiple) ** 2
            self._layers = joint_attention.find(self.transformer, (first, first + self.words))
        return list(self._layers)

    def attend(self, hook: AttentionHook) -> AbstractContextManager[None]:
        """See `bench.models.attention.hooked`."""
        self.attention()
        return attention.hooked(self._layers, hook, joint_attention.Processor)
