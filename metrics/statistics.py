"""Files of mean features that edits are compared with, such as FlexIT's inception_stats_256.pt."""

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.errors import UserError
from metrics import states

_NUMPY = [
    np.ndarray,
    np.dtype,
    np.dtypes.Float32DType,
    np.dtypes.Float64DType,
    (np._core.multiarray._reconstruct, "numpy.core.multiarray._reconstruct"),
    (np._core.multiarray._reconstruct, "numpy._core.multiarray._reconstruct"),
]


@dataclass(frozen=True)
class Means:
    """Mean features of a set of pictures, float64 `[D]`: of all, and by class."""

    all: torch.Tensor
    classes: dict[int, torch.Tensor]


@lru_cache(4)
def load(file: Path) -> Means:
    """What a torch file `{mean, classwise: {id: {mean}}}` holds; numpy arrays may be in it, but no code.

    Raises:
        UserError: it is no such file, or means are missing, not finite or not of one width.
    """
    with torch.serialization.safe_globals(_NUMPY):
        held = states.load(file)
    for name in ("mean", "classwise"):
        if name not in held:
            raise UserError(f"{file} has no {name!r}; {_EXPECTED}")
    if not isinstance(held["classwise"], dict):
        raise UserError(f"{file}: classwise is a {type(held['classwise']).__name__}; {_EXPECTED}")
    whole, classes = _mean(held["mean"], f"{file}: mean"), {}
    for id_, of_class in held["classwise"].items():
        where = f"{file}: class {id_!r}"
        if not isinstance(of_class, dict) or "mean" not in of_class:
            raise UserError(f"{where} has no 'mean'; {_EXPECTED}")
        classes[id_] = _mean(of_class["mean"], where)
        if len(classes[id_]) != len(whole):
            raise UserError(f"{where} has {len(classes[id_])} numbers, the mean of all {len(whole)}; {_EXPECTED}")
    return Means(whole, classes)


def _mean(value: Any, where: str) -> torch.Tensor:
    try:
        found = torch.as_tensor(value).double()
    except (TypeError, ValueError, RuntimeError):
        raise UserError(f"{where} is no list of numbers; {_EXPECTED}") from None
    if found.ndim != 1 or not math.prod(found.shape):
        raise UserError(f"{where} has the shape {tuple(found.shape)}; {_EXPECTED}")
    if not found.isfinite().all():
        raise UserError(f"{where} holds numbers that are not finite; {_EXPECTED}")
    return found


_EXPECTED = (
    "expected {mean, classwise: {class id: {mean}}} of finite numbers, as FlexIT's inception_stats_256.pt or "
    "`python -m bench.inception_stats` has them"
)
