"""Hooks on the attention of transformers whose words and picture attend together: Stable Diffusion 3 and FLUX."""

from collections.abc import Callable
from dataclasses import replace

import torch
from diffusers.models.embeddings import apply_rotary_emb

from bench.models.flow_folder import PATCH
from bench.types import AttentionLayer


def find(transformer, words: tuple[int, int]) -> dict[AttentionLayer, torch.nn.Module]:
    """Every attention layer in call order, numbered within its kind: FLUX's `double` blocks, then its `single` ones;
    Stable Diffusion 3's `joint` blocks, and the `picture`'s attention to itself that some of them have beside.

    Args:
        words: first and one past the last token that is a word, in pictures of the model's own size.
    """
    found: dict[AttentionLayer, torch.nn.Module] = {}

    def add(place: str, module: torch.nn.Module, words: tuple[int, int] | None) -> None:
        index = sum(layer.place == place for layer in found)
        found[AttentionLayer(index, place, PATCH, False, words)] = module

    singles = getattr(transformer, "single_transformer_blocks", None)
    for block in transformer.transformer_blocks:
        add("joint" if singles is None else "double", block.attn, words)
        if getattr(block, "attn2", None) is not None:
            add("picture", block.attn2, None)
    for block in singles or ():
        add("single", block.attn, words)
    return found


class Processor:
    """Computes query, key and value as diffusers' own processors do, normalised and turned, and leaves the attention to
    a function.

    FLUX's words come before the picture, Stable Diffusion 3's behind it, where the hook is told their place in pictures
    of the size at hand.
    """

    def __init__(self, layer: AttentionLayer, attend: Callable):
        self.layer, self.attend = layer, attend

    def __call__(
        self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, image_rotary_emb=None
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        is_flux = image_rotary_emb is not None

        def heads(x: torch.Tensor, norm) -> torch.Tensor:
            x = x.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            return x if norm is None else norm(x)

        made = [(attn.to_q, attn.norm_q), (attn.to_k, attn.norm_k), (attn.to_v, None)]
        parts = [heads(project(hidden_states), norm) for project, norm in made]
        picture, layer = hidden_states.shape[1], self.layer
        if encoder_hidden_states is not None:
            count = encoder_hidden_states.shape[1]
            added = [(attn.add_q_proj, attn.norm_added_q), (attn.add_k_proj, attn.norm_added_k)]
            words = [heads(project(encoder_hidden_states), norm) for project, norm in [*added, (attn.add_v_proj, None)]]
            order = (lambda w, p: [w, p]) if is_flux else (lambda w, p: [p, w])
            parts = [torch.cat(order(w, p), 2) for w, p in zip(words, parts, strict=True)]
            layer = replace(layer, words=(0, count) if is_flux else (picture, picture + count))
        if is_flux:
            parts[:2] = [apply_rotary_emb(x, image_rotary_emb) for x in parts[:2]]
        out = self.attend(layer, *parts).transpose(1, 2).flatten(2)
        if encoder_hidden_states is None:
            return out if getattr(attn, "pre_only", False) else attn.to_out[1](attn.to_out[0](out))
        first, last = layer.words
        words = out[:, first:last]
        rest = out[:, last:] if is_flux else out[:, :first]
        if not attn.context_pre_only:
            words = attn.to_add_out(words)
        return attn.to_out[1](attn.to_out[0](rest)), words
