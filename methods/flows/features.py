"""What single blocks attend to in one pass through a flow, handed to another pass."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch.nn.functional import scaled_dot_product_attention

from bench.errors import UserError
from bench.types import AttentionLayer, DiffusionModel

_PARTS = "qkv"


class Features:
    """Queries, keys or values of all tokens, words too, of some single blocks in the noisiest steps.

    Args:
        steps: of a pass.
        most: noisiest steps whose features are kept.
        first, last: blocks; None: the last one there is.
        part: `q`, `k` or `v`.

    Raises:
        UserError: the model has no such blocks.
    """

    def __init__(self, model: DiffusionModel, steps: int, most: int, first: int, last: int | None, part: str):
        self.model, self.steps, self.most, self.part = model, steps, most, _PARTS.index(part)
        blocks = sum(layer.place == "single" for layer in model.attention()) if most else 0
        if most and not blocks:
            raise UserError(
                "what is injected are features of single blocks, which this model has none of: set method.inject=0"
            )
        if most and first >= blocks:
            raise UserError(f"method.first_block={first}, but this model's single blocks are 0 to {blocks - 1}")
        self.blocks = range(first, min(blocks if last is None else last + 1, blocks))
        self.kept: dict[tuple[int, int, int], torch.Tensor] = {}

    def keep(self, step: int, evaluation: int) -> AbstractContextManager[None]:
        """While the context lasts, keeps what the model attends to."""

        def hook(layer: AttentionLayer, *parts: torch.Tensor) -> torch.Tensor:
            if self._is_among(layer):
                self.kept[step, evaluation, layer.index] = parts[self.part]
            return scaled_dot_product_attention(*parts)

        return self.model.attend(hook) if step >= self.steps - self.most else nullcontext()

    def give(self, step: int, evaluation: int, most: int, add: bool) -> AbstractContextManager[None]:
        """While the context lasts, what was kept of the same evaluation takes the place of the model's own, or is added
        to it, in the `most` noisiest steps."""

        def hook(layer: AttentionLayer, *parts: torch.Tensor) -> torch.Tensor:
            if self._is_among(layer) and (step, evaluation, layer.index) in self.kept:
                mixed, other = list(parts), self.kept[step, evaluation, layer.index]
                mixed[self.part] = other + mixed[self.part] if add else other
                parts = tuple(mixed)
            return scaled_dot_product_attention(*parts)

        return self.model.attend(hook) if step >= self.steps - most else nullcontext()

    def _is_among(self, layer: AttentionLayer) -> bool:
        return layer.place == "single" and layer.index in self.blocks
