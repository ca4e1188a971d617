"""State dicts in torch files."""

import pickle
from pathlib import Path
from typing import Any

import torch

from bench.errors import UserError, one_line


def load(file: Path) -> dict[str, Any]:
    """What a torch file holds, on the CPU; tensors alone, no code.

    Raises:
        UserError: it is no torch file.
    """
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise UserError(f"{file} is no file of torch weights: {one_line(error)[:160]}") from None
