"""Tensors of an official file. A pickle may run code when it is loaded: only tensors, and the few plain things that
Lightning puts beside them, are ever made."""

import pickle
import re
import zipfile
from pathlib import Path

import numpy as np
import torch
from numpy._core.multiarray import scalar
from safetensors.torch import load_file

from bench.errors import UserError
from bench.files.tensors import check_text, header


class _Ignored:
    """Stands for Lightning's callback class, by which its checkpoints file the callback's state."""


_LIGHTNING = [
    (_Ignored, "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint"),
    scalar,
    (scalar, "numpy.core.multiarray.scalar"),  # its name before numpy 2
    np.dtype,
    np.dtypes.Float64DType,
]
_FOREIGN = re.compile(r"GLOBAL ([\w.]+)")


def read(file: Path) -> dict[str, torch.Tensor]:
    """Name -> tensor of a checkpoint of PyTorch or Lightning, or of a safetensors file, on the CPU.

    Raises:
        UserError: it is not whole, is something else, or holds more than tensors.
    """
    if file.suffix == ".safetensors":
        header(file)
        return load_file(file)
    with open(file, "rb") as stream:
        check_text(file, stream.read(64))
    try:
        with torch.serialization.safe_globals(_LIGHTNING):
            found = torch.load(file, "cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    except pickle.UnpicklingError as error:
        if foreign := _FOREIGN.search(str(error)):
            raise UserError(
                f"{file} holds {foreign[1]}, which is no tensor and may run code when it is loaded; expected the "
                "official file"
            ) from None
        raise _broken(file) from None
    except (RuntimeError, EOFError, ValueError, KeyError, AttributeError, TypeError, IndexError, OSError):
        raise _broken(file) from None
    state = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(state, dict) or not state or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UserError(f"{file} is no table of names and tensors; expected the official checkpoint")
    return dict(state)


def _broken(file: Path) -> UserError:
    return UserError(f"{file} ({file.stat().st_size:,} bytes) is no checkpoint, or not all of one; download it again")
