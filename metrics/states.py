"""Weights of networks, read strictly."""

import pickle
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError

from bench.errors import UserError, one_line

Network = TypeVar("Network", bound=torch.nn.Module)


def load(file: Path) -> dict[str, Any]:
    """Names and values of a torch file, on the CPU; tensors alone, no code.

    Raises:
        UserError: it is no torch file, or holds something else.
    """
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError) as error:
        raise UserError(f"{file} is no file of torch weights: {one_line(error)[:160]}") from None
    if not isinstance(found, dict):
        raise UserError(f"{file} holds a {type(found).__name__}; expected a state dict, names and tensors")
    return found


def fill(network: torch.nn.Module, state: dict[str, Any], file: Path, what: str) -> None:
    """Puts a state dict into a network.

    Args:
        file: that the state is of.
        what: the network is, for the message.

    Raises:
        UserError: a tensor is missing, is left over, has another shape or values that are not finite.
    """
    try:
        network.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise UserError(f"{file} is no state dict of {what}: {one_line(error)[:300]}") from None
    check_finite(network, file)


def check_finite(network: torch.nn.Module, file: Path) -> None:
    """Raises UserError where a parameter is not finite."""
    for name, parameter in network.named_parameters():
        if not parameter.isfinite().all():
            raise UserError(f"{file} has values in {name} that are not finite; download it again")


def pretrained(kind: type[Network], folder: Path, **options: Any) -> Network:
    """A network of transformers from its folder, frozen.

    Args:
        kind: its class, with `from_pretrained`.

    Raises:
        UserError: a file is missing or cannot be read, or lacks a parameter.
    """
    try:
        network, info = kind.from_pretrained(folder, output_loading_info=True, local_files_only=True, **options)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, pickle.UnpicklingError, SafetensorError) as error:
        raise UserError(f"{folder} cannot be loaded as {kind.__name__}: {one_line(error)[:300]}") from None
    for what in ("missing_keys", "mismatched_keys"):
        if names := sorted(map(str, info.get(what) or ())):
            said = "lacks" if what == "missing_keys" else "has another shape of"
            raise UserError(f"{folder} {said} {names[0]} and {len(names) - 1} more; expected a {kind.__name__}")
    check_finite(network, folder)
    return network.eval().requires_grad_(False)
