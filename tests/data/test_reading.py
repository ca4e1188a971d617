"""Pictures read ahead in worker processes."""

import os
import select
import signal
import time

import numpy as np

from bench.data.reading import read
from bench.types import EditSample


class Large:
    """Samples too large for a pipe."""

    def __init__(self):
        self.ids = [str(i) for i in range(8)]

    def __getitem__(self, index):
        return EditSample(self.ids[index], np.zeros((3, 256, 256), np.uint8), "a", "b")


def test_workers_end_with_a_parent_that_is_killed():
    """Also one that is handing over a batch: it would wait for ever, and hold memory and whatever else it inherited."""
    ready, told = os.pipe()  # ends for a reader when all that inherited it have ended
    if (parent := os.fork()) == 0:
        batches = read(Large(), list(range(8)), batch_size=1)
        next(batches)
        os.write(told, b"begun")
        time.sleep(60)
    os.close(told)
    assert os.read(ready, 5) == b"begun"
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    assert select.select([ready], [], [], 15)[0]
    assert os.read(ready, 1) == b""
