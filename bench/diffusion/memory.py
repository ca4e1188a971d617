"""How many pictures memory allows at once. No torch at run time."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    import torch

_SAID = (
    "DefaultCPUAllocator: can't allocate",
    "DefaultCPUAllocator: not enough memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
"""What errors say for which torch has no type."""
AUTO = "auto"
ON_CPU = 16
"""Pictures at once on a CPU, where nothing is measured: larger batches are no faster there."""
LARGEST = 64
"""Pictures at once on a GPU, where `auto` looks for a power of two."""
SHARE = 0.8
"""Of the memory that is free, what a batch may take: the rest is for pictures on their way to the disk, and for what
allocators lose."""
_GROWTH = 4  # times as many pictures as were measured are tried at once: memory bends where another network needs most
_FLAT = 1.05  # of two numbers of pictures, the larger takes less than so many times what the other does
T = TypeVar("T")


def exhausted(error: BaseException) -> bool:
    """Whether it says that memory is too small, of whatever device."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    kinds = {kind.__name__ for kind in type(error).__mro__}
    return not kinds.isdisjoint(("OutOfMemoryError", "MemoryError")) or any(said in str(error) for said in _SAID)


def largest(batch_size: int | str, device: "torch.device") -> int:
    """Pictures at once at most, by which others read ahead and write behind."""
    if batch_size != AUTO:
        return batch_size
    return ON_CPU if device.type == "cpu" else LARGEST


class Meter(Protocol):
    """Reads the memory of a device, in bytes."""

    def start(self) -> int:
        """Begins to watch; what is free for a batch."""

    def peak(self) -> int:
        """The most that was taken since, above what was taken then."""


class CudaMeter:
    """Of a GPU, as torch's allocator knows it."""

    def __init__(self, device: "torch.device"):
        import torch

        self._cuda, self._device, self._before = torch.cuda, device, 0

    def start(self) -> int:
        self._cuda.reset_peak_memory_stats(self._device)
        self._before = self._cuda.memory_allocated(self._device)
        free, _ = self._cuda.mem_get_info(self._device)
        return free + self._cuda.memory_reserved(self._device) - self._before

    def peak(self) -> int:
        return self._cuda.max_memory_allocated(self._device) - self._before


class Portion:
    """Pictures that go through the networks at once.

    Args:
        most: so many, or `auto`: on a GPU, batches of 1 and of 2 are measured, and then as many taken, a power of two,
            as a line through what was measured says will fit; these are measured in turn.
        meter: of the device; for `auto` on a GPU, torch's.

    Attributes:
        most: so many; halved when memory runs out.
    """

    def __init__(self, most: int | str, device: "torch.device", meter: Meter | None = None):
        self.most, self.device = largest(most, device), device
        self._meter, self._peaks = None, dict[int, int]()
        if most == AUTO and device.type != "cpu":
            self.most, self._meter = 1, meter or CudaMeter(device)

    @property
    def settled(self) -> bool:
        """Whether the number is no longer looked for."""
        return self._meter is None

    @contextmanager
    def measured(self, count: int) -> Iterator[None]:
        """While the context lasts, a batch of `count` is worked on."""
        if self._meter is None or count < self.most:
            yield
            return
        free = self._meter.start()
        yield
        if self._meter is not None:
            self._peaks[count] = self._meter.peak()
            self._choose(SHARE * free)

    def _choose(self, budget: float) -> None:
        """The next number, of at most `budget` bytes."""
        (few, least), (count, peak) = ([(0, 0), *self._peaks.items()])[-2:]
        room, rise = min(LARGEST, _GROWTH * count) if few else 2, (peak - least) / (count - few)
        if peak < _FLAT * least:  # what needs most does so one by one, and something else will need more
            rise = peak / count
        self.most = max(1, count // 2) if peak > budget else count
        while self.most < room and peak + rise * (2 * self.most - count) <= budget:
            self.most *= 2
        if self.most <= count or self.most == LARGEST:
            self._meter = None

    def batches(self, items: list[T]) -> Iterator[list[T]]:
        """All of them, so many at once."""
        while items:
            batch, items = items[: self.most], items[self.most :]
            with self.measured(len(batch)):
                yield batch

    def halved(self, error: Exception, count: int) -> bool:
        """Whether memory was too small for `count` pictures and fewer can be tried, of which the user is told."""
        if count < 2 or not exhausted(error):
            return False
        self.most, self._meter = count // 2, None
        print(f"out of memory on {self.device} with {count} images at once; going on with {self.most}", file=sys.stderr)
        return True
