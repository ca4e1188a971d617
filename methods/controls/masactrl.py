"""MasaCtrl (Cao et al. 2023, section 3): the target asks, the source answers, in the decoder's self-attention."""

import torch
from torch.nn.functional import scaled_dot_product_attention

from bench.errors import UserError
from bench.types import AttentionLayer, Condition, DiffusionModel, EditSample
from methods.controls import Call, Steering

_BLOCKS = 16  # transformer blocks of Stable Diffusion 1 and 2, for which the paper's start was found


class Control:
    """Self-attention with the target's queries and the source's keys and values, in both halves of the guidance.

    Args:
        start_layer: transformer block from which it acts; None is the paper's 10 of 16, and has to be set for models
            of another size.
        start_step: first step, counted from the noisiest, at which it acts.
    """

    version = 1
    donors = ("null", "words")
    empty_source = True

    def __init__(self, start_layer: int | None = None, start_step: int = 4):
        self.start_layer, self.start_step = start_layer, start_step

    def prepare(
        self, model: DiffusionModel, samples: list[EditSample], null: Condition | None, steps: int, side: int
    ) -> Steering:
        blocks, start = len({layer.index for layer in model.attention()}), self.start_layer
        if start is None and blocks != _BLOCKS:
            raise UserError(
                f"control=masactrl starts at transformer block 10 of {_BLOCKS}, and this model has {blocks}: set "
                "method.start_layer"
            )
        start = 10 if start is None else start
        if start >= blocks:
            raise UserError(f"method.start_layer={start}, but this model's transformer blocks are 0 to {blocks - 1}")
        return _Mutual([{} for _ in samples], steps, start, self.start_step)


class _Mutual(Steering):
    def __init__(self, notes, until: int, start_layer: int, start_step: int):
        super().__init__(notes, until)
        self.start_layer, self.start_step = start_layer, start_step

    def attend(self, layer: AttentionLayer, call: Call) -> dict[str, torch.Tensor]:
        if layer.cross or layer.index < self.start_layer or call.step < self.start_step:
            return {}
        return {
            role: scaled_dot_product_attention(
                call.query[rows], call.key[call.source[role]], call.value[call.source[role]]
            )
            for role, rows in call.target.items()
        }
