"""What metrics, which may be the user's own, are and return: checked before anything is stored."""

from typing import Any

import numpy as np
import torch

from bench.config.guard import guard
from bench.errors import UserError, short
from bench.types import PairMetric, ScoreBatch, SetMetric


def checked(name: str, metric: Any) -> PairMetric | SetMetric:
    """The metric itself.

    Raises:
        UserError: it is none.
    """
    kind, where = type(metric).__name__, f"metrics.{name}"
    if not hasattr(metric, "score") and not (hasattr(metric, "update") and hasattr(metric, "compute")):
        raise UserError(f"{where}: {kind} has neither score(batch), a number an edit, nor update(batch) and compute()")
    for fact, is_right, expected in (
        ("version", lambda value: type(value) is int, "a whole number, raised with its values: version = 1"),
        ("higher_is_better", lambda value: isinstance(value, bool), "True or False"),
        ("unit", lambda value: isinstance(value, str), 'text, such as "dB" or ""'),
    ):
        if not hasattr(metric, fact):
            raise UserError(f"{where}: {kind} has no {fact}; expected {expected}")
        if not is_right(value := getattr(metric, fact)):
            raise UserError(f"{where}: {fact} of {kind} is {value!r}; expected {expected}")
    return metric


def values_of(name: str, metric: PairMetric, batch: ScoreBatch) -> np.ndarray:
    """What a metric gives for a batch, float64 `[B]`.

    Raises:
        UserError: it fails, or gives something else than a number for each edit.
        Undefined: it has no value for any of them.
    """
    kind, count = type(metric).__name__, len(batch.samples)
    with guard(f"metrics.{name}", type(metric)):
        found = metric.score(batch)
    expected = f"metrics.{name}: {kind}.score returned {{}}; expected {count} numbers, NaN where one is undefined"
    if isinstance(found, torch.Tensor):
        found = found.detach().cpu().numpy()
    try:
        values = np.asarray(found)
    except ValueError:  # rows of several lengths
        raise UserError(expected.format(f"a {type(found).__name__} of several lengths")) from None
    if values.dtype.kind not in "biuf":
        raise UserError(expected.format("None" if found is None else short(found)))
    if values.shape != (count,):
        shape = f"{len(values)} numbers" if values.ndim == 1 else f"an array of shape {values.shape}"
        raise UserError(expected.format(shape))
    return values.astype(np.float64)
