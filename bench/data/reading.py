"""Pictures read ahead of the model, in worker processes."""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator

from torch.utils.data import DataLoader, Dataset

from bench.data.text import checked
from bench.errors import BadSample
from bench.types import EditData, EditSample

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class _Reader(Dataset):
    """Index -> sample, or the message of what is wrong with it: exceptions do not cross processes well."""

    def __init__(self, data: EditData, indices: list[int]):
        self.data, self.indices = data, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> tuple[str, EditSample | str]:
        index = self.indices[position]
        try:
            found = self.data[index]
            return self.data.ids[index], checked(found) if isinstance(
                found, EditSample
            ) else found  # else with its edit
        except BadSample as error:
            return self.data.ids[index], str(error)


def _end_with_parent(_: int) -> None:
    """Has a worker killed as soon as its parent ends: one that is handing over a batch would wait for ever for a parent
    that was killed, since it holds the other end of the pipe too."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != multiprocessing.parent_process().pid:  # it has ended before that was asked for
        os._exit(1)


def read(data: EditData, indices: list[int], batch_size: int) -> Iterator[tuple[list[EditSample], dict[str, str]]]:
    """Batches of the samples at `indices`, in order, and the messages of those that could not be read, by id."""
    workers = 0 if len(indices) <= batch_size else min(4, os.cpu_count() or 1, -(-len(indices) // batch_size))
    end = _end_with_parent if sys.platform == "linux" else None
    loader = DataLoader(_Reader(data, indices), batch_size, num_workers=workers, collate_fn=list, worker_init_fn=end)
    for pairs in loader:
        samples = [sample for _, sample in pairs if not isinstance(sample, str)]
        yield samples, {id_: text for id_, text in pairs if isinstance(text, str)}
