"""What data sets, which may be the user's own, hand out: checked, since all others take it for granted. No torch."""

import threading
from collections import Counter
from contextlib import nullcontext
from typing import Any

import numpy as np

from bench.config.guard import BrokenSample, guard
from bench.config.instances import check_identity
from bench.data.preprocess import NATIVE
from bench.data.text import checked
from bench.diffusion.memory import exhausted
from bench.errors import BadSample, UserError, short
from bench.files.sources import is_foreign
from bench.types import EditData, EditSample

OFFERED = ("ids", "size", "annotations", "__getitem__", "identity", "pool", "result_names", "real_image", "counts")


def check_data(data: EditData, where: str) -> None:
    """Whether an object is a data set.

    Raises:
        UserError: it lacks something, or its ids, size or identity are not what they should be.
    """
    kind = type(data).__name__
    with guard(where, type(data)):
        if lacking := [name for name in OFFERED if not hasattr(data, name)]:
            raise UserError(f"{where}: {kind} has no {lacking[0]}; derive it from bench.data.base.Benchmark")
        ids, size = data.ids, data.size
        if not isinstance(ids, list) or not all(isinstance(id_, str) and id_ for id_ in ids):
            raise UserError(f"{where}: ids of {kind} is {short(ids)}; expected a list of texts, none of them empty")
        if twice := next((id_ for id_, count in Counter(ids).items() if count > 1), None):
            raise UserError(f"{where}: the id {twice!r} of {kind} is there {ids.count(twice)} times; expected once")
        if size != NATIVE and (type(size) is not int or size < 1):
            raise UserError(f"{where}: size of {kind} is {short(size)}; expected pixels a side, a whole number")
        check_identity(data.identity(), where)


_one_at_a_time = threading.Lock()


def sample(data: EditData, index: int) -> EditSample:
    """One sample of a data set. Several threads ask for some at the same time, and the user's own data sets get one
    question after the other: they may share a file, or what else it takes to answer.

    Raises:
        BadSample: it cannot be read, or is not what `EditSample` says.
    """
    try:
        with _one_at_a_time if is_foreign(type(data).__module__) else nullcontext():
            found = data[index]
    except (BadSample, UserError):
        raise
    except (Exception, SystemExit) as error:
        if exhausted(error):
            raise
        raise BrokenSample(error) from None
    if not isinstance(found, EditSample):
        raise BadSample(f"the data set gives {short(found)}; expected a bench.types.EditSample")
    if found.id != data.ids[index]:
        raise BadSample(f"the data set gives the sample {found.id!r}; its ids say {data.ids[index]!r}")
    _check_array("image", found.image, (3, None, None), np.uint8)
    if found.truth is not None:
        _check_array("truth", found.truth, found.image.shape, np.uint8)
    if found.mask is not None:
        _check_array("mask", found.mask, found.image.shape[1:], np.bool_)
    return checked(found)


def _check_array(name: str, found: Any, shape: tuple[int | None, ...], kind: type) -> None:
    expected = f"{np.dtype(kind)} [{', '.join('any' if side is None else str(side) for side in shape)}]"
    if not isinstance(found, np.ndarray):
        raise BadSample(f"{name} is {short(found)}; expected a numpy array, {expected}")
    fits = len(found.shape) == len(shape) and all(b in (None, a) for a, b in zip(found.shape, shape, strict=True))
    if not fits or found.dtype != kind:
        raise BadSample(f"{name} is {found.dtype} {list(found.shape)}; expected {expected}")
