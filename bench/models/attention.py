"""Hooks on a UNet's attention: what methods that steer attention see instead of the network itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from diffusers.models.attention import BasicTransformerBlock
from torch.nn.functional import scaled_dot_product_attention

from bench.errors import UserError
from bench.types import AttentionHook, AttentionLayer


def find(unet) -> dict[AttentionLayer, torch.nn.Module]:
    """Every attention layer of the transformer blocks, in the order in which they are called.

    Raises:
        UserError: there is none, or one that does more than project, attend and project back.
    """
    depth, found = len(unet.config.block_out_channels), {}
    blocks = [("down", 2**i, block) for i, block in enumerate(unet.down_blocks)]
    blocks += [("mid", 2 ** (depth - 1), unet.mid_block)]
    blocks += [("up", 2 ** (depth - 1 - i), block) for i, block in enumerate(unet.up_blocks)]
    index = 0
    for place, factor, block in blocks:
        for transformer in block.modules() if block is not None else ():
            if isinstance(transformer, BasicTransformerBlock):
                for cross, module in ((False, transformer.attn1), (True, transformer.attn2)):
                    if module is not None:
                        _check(module)
                        found[AttentionLayer(index, place, factor, cross)] = module
                index += 1
    if not any(layer.cross for layer in found):
        raise UserError(
            f"{type(unet).__name__} has no transformer block with cross-attention, so its attention cannot be steered; "
            "use control=none or another model"
        )
    return found


@contextmanager
def hooked(
    layers: dict[AttentionLayer, torch.nn.Module], hook: AttentionHook, processor: Callable | None = None
) -> Iterator[None]:
    """Lets `hook` attend in every layer, and puts the layers' own processors back, whatever happens.

    Args:
        processor: `(layer, attend) -> what projects and calls attend`; None: that of a UNet's layers.

    Raises:
        RuntimeError: the block ended without error, but its calls of the network did not pass through every layer.
    """
    before = {module: module.processor for module in layers.values()}
    calls = dict.fromkeys(layers, 0)

    def counted(layer: AttentionLayer) -> AttentionHook:
        def attend(seen: AttentionLayer, query, key, value):
            calls[layer] += 1
            return hook(seen, query, key, value)

        return attend

    try:
        for layer, module in layers.items():
            module.processor = (processor or _Processor)(layer, counted(layer))
        yield
    finally:
        for module, own in before.items():
            module.processor = own
    if len(set(calls.values())) != 1 or 0 in calls.values():
        touched = sum(count > 0 for count in calls.values())
        raise RuntimeError(f"the hook saw {touched} of {len(layers)} attention layers; the network skipped the others")


class _Processor:
    """Computes query, key and value as diffusers' own processor does and leaves the attention to a function.

    `values` are states that cross-attention takes its values from, while its keys stay those of the condition.
    """

    def __init__(self, layer: AttentionLayer, attend: Callable):
        self.layer, self.attend = layer, attend

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, temb=None, values=None):
        states = hidden_states if encoder_hidden_states is None else encoder_hidden_states

        def heads(x: torch.Tensor) -> torch.Tensor:
            return x.unflatten(-1, (attn.heads, -1)).transpose(1, 2)

        value_states = values if values is not None and self.layer.cross else states
        query, key, value = attn.to_q(hidden_states), attn.to_k(states), attn.to_v(value_states)
        out = self.attend(self.layer, heads(query), heads(key), heads(value))
        return attn.to_out[1](attn.to_out[0](out.transpose(1, 2).flatten(2)))


def plain(layer: AttentionLayer, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """The hook that changes nothing."""
    return scaled_dot_product_attention(query, key, value)


def _check(module: torch.nn.Module) -> None:
    names = ("group_norm", "spatial_norm", "norm_q", "norm_k", "add_k_proj", "norm_cross")
    extras = [name for name in names if getattr(module, name, None)]
    if extras or module.residual_connection or module.rescale_output_factor != 1:
        raise UserError(
            f"attention layers of this model have {extras[0] if extras else 'a residual or a scale'}, which steering "
            "does not reproduce; expected those of Stable Diffusion 1 and 2; use control=none or another model"
        )
