"""Tables of original and new names of tensors, and what they are made of."""

import torch


def layers(old: str, new: str, pairs: dict[str, str]) -> dict[str, str]:
    """Original -> new name of weight and bias of the layers `<old>.<first>`, which become `<new>.<second>`; either
    block may be the whole network, ""."""
    named = [(f"{old}.{a}".removeprefix("."), f"{new}.{b}".removeprefix(".")) for a, b in pairs.items()]
    return {f"{a}.{kind}": f"{b}.{kind}" for a, b in named for kind in ("weight", "bias")}


def count(state: dict[str, torch.Tensor], block: str) -> int:
    """Number of the numbered children of a block: one more than the highest."""
    start = f"{block}."
    numbers = [key[len(start) :].partition(".")[0] for key in state if key.startswith(start)]
    return max((int(number) + 1 for number in numbers if number.isdecimal()), default=0)


def widens(state: dict[str, torch.Tensor], layer: str) -> bool:
    """Whether a layer's output has another number of channels than its input, so that its block has a shortcut."""
    weight = state.get(f"{layer}.weight")
    return weight is not None and weight.shape[0] != weight.shape[1]


_RESIDUAL = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
}
_SHORTCUT = {"skip_connection": "conv_shortcut"}


def residual(state: dict[str, torch.Tensor], old: str, new: str) -> dict[str, str]:
    """A residual block of guided-diffusion's UNet, which latent diffusion has taken over."""
    return layers(old, new, _RESIDUAL | (_SHORTCUT if widens(state, f"{old}.in_layers.2") else {}))


def take(state: dict[str, torch.Tensor], tables: dict[str, dict[str, str]]) -> dict[str, dict[str, torch.Tensor]]:
    """The tensors of each part under their new names, taken out of `state`.

    Args:
        tables: for each part, original -> new name.

    Raises:
        KeyError: with all the names that `state` lacks.
    """
    if missing := [old for table in tables.values() for old in table if old not in state]:
        raise KeyError(*missing)
    return {part: {new: state.pop(old) for old, new in table.items()} for part, table in tables.items()}
