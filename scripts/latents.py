"""Latents of drawn scenes, to train a denoiser on."""

import torch

from scripts import shapes_model
from scripts.scenes import SEED, stream
from scripts.training import generator


class Latents:
    """Scaled latents `[batch, 4, 16, 16]` and token ids `[batch, context]` of a step: scenes are encoded a pool at a
    time and each is seen a few times.

    Args:
        vae: the autoencoder.
        tokenizer: of the captions.
        first: number of the first scene.
        batch: of a step.
        pool: scenes of a pool.
        passes: how often each is seen.
    """

    def __init__(self, vae, tokenizer, *, first: int, batch: int, pool: int, passes: int):
        self._vae, self._tokenizer, self._first, self._batch = vae, tokenizer, first, batch
        self._pool, self._passes = pool, passes
        self._number = -1

    def __call__(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        number, turn = divmod(step, self._pool * self._passes // self._batch)
        if self._number != number:
            self._fill(number)
        chosen = self._order[turn * self._batch : (turn + 1) * self._batch]
        return self._z[chosen.to(self._z.device)], self._ids[chosen]

    @torch.no_grad()
    def _fill(self, number: int) -> None:
        parts, captions = [], []
        scenes = stream(self._first + number * self._pool, 64, self._vae.device)
        for _ in range(self._pool // 64):
            images, words, _ = next(scenes)
            parts.append(self._vae.encode(images).latent_dist.mode() * self._vae.config.scaling_factor)
            captions += words
        turns = (generator(SEED + 1, number * self._passes + turn) for turn in range(self._passes))
        self._number, self._order = number, torch.cat([torch.randperm(self._pool, generator=turn) for turn in turns])
        self._z, self._ids = torch.cat(parts), shapes_model.ids(self._tokenizer, captions)
