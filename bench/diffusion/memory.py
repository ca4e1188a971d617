"""How many pictures memory allows at once. No torch at run time."""

import errno
import sys
from typing import TYPE_CHECKING

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


def exhausted(error: BaseException) -> bool:
    """Whether it says that memory is too small, of whatever device."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    kinds = {kind.__name__ for kind in type(error).__mro__}
    return not kinds.isdisjoint(("OutOfMemoryError", "MemoryError")) or any(said in str(error) for said in _SAID)


class Portion:
    """Pictures that go through the networks at once.

    Attributes:
        most: so many; halved when memory runs out.
    """

    def __init__(self, most: int, device: "torch.device"):
        self.most, self.device = most, device

    def halved(self, error: Exception, count: int) -> bool:
        """Whether memory was too small for `count` pictures and fewer can be tried, of which the user is told."""
        if count < 2 or not exhausted(error):
            return False
        self.most = count // 2
        print(f"out of memory on {self.device} with {count} images at once; going on with {self.most}", file=sys.stderr)
        return True
