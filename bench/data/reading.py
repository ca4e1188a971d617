"""Pictures read ahead of the model, in worker processes."""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import DataLoader, Dataset

from bench.data.own import sample
from bench.errors import BadSample
from bench.types import EditData

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class _Reader(Dataset):
    """Index -> what `one` gives, or what a journal says of a sample that cannot be read: exceptions do not cross
    processes well."""

    def __init__(self, data: EditData, indices: list[int], one: Callable[[EditData, int], Any]):
        self.data, self.indices, self.one = data, indices, one

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> tuple[str, Any]:
        index = self.indices[position]
        try:
            return self.data.ids[index], self.one(self.data, index)
        except BadSample as error:
            return self.data.ids[index], entry(error)


def _end_with_parent(_: int) -> None:
    """Has a worker killed as soon as its parent ends: one that is handing over a batch would wait for ever for a parent
    that was killed, since it holds the other end of the pipe too."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != multiprocessing.parent_process().pid:  # it has ended before that was asked for
        os._exit(1)


def entry(error: BadSample) -> dict[str, str]:
    """What a journal says of a sample: `error`, and where code broke, its `traceback`."""
    broken = {"traceback": error.traceback} if hasattr(error, "traceback") else {}
    return {"error": str(error), **broken}


def read(
    data: EditData, indices: list[int], batch_size: int, one: Callable[[EditData, int], Any] = sample
) -> Iterator[tuple[list[Any], dict[str, dict[str, str]]]]:
    """Batches of what is read of the samples at `indices`, in order, and `entry` of those that could not be, by id."""
    workers = 0 if len(indices) <= batch_size else min(4, os.cpu_count() or 1, -(-len(indices) // batch_size))
    loader = DataLoader(
        _Reader(data, indices, one),
        batch_size,
        num_workers=workers,
        collate_fn=list,
        worker_init_fn=_end_with_parent if sys.platform == "linux" else None,
    )
    for pairs in loader:
        samples = [found for _, found in pairs if not isinstance(found, dict)]
        yield samples, {id_: found for id_, found in pairs if isinstance(found, dict)}
