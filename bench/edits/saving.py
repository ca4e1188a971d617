"""Finished edits on their way to the disk, while the device works on the next ones."""

import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.config.guard import told
from bench.diffusion.device import Rows
from bench.edits.run import Run
from bench.errors import BadSample, NotFinite, UserError
from bench.files import threads

Pictures = dict[str, tuple[Callable[[str], Path], Rows]]
"""What a journal calls the hash of a picture -> where that of a sample belongs, and uint8 `[B, 3, H, W]` or
`[B, H, W]`."""


class Saver:
    """Threads that bring pictures from the device, encode and write them, and one more that enters samples in journals,
    in the order in which they were made, once their pictures are on disk.

    Args:
        batch_size: two batches are under way at most, or two pictures a thread; who brings more waits.
        stopped: by the key of a run, why it cannot be written: added to.
        tell: is given a run, and the number of its samples that were entered.
    """

    def __init__(self, batch_size: int, stopped: dict[str, UserError], tell: Callable[[Run, int], Any]):
        self._most, self._stopped, self._tell = 2 * max(batch_size, threads.count()), stopped, tell
        self._writers = ThreadPoolExecutor(threads.count(), "write")
        self._clerk = ThreadPoolExecutor(1, "journal")
        self._under_way: deque[tuple[int, Future]] = deque()

    def __enter__(self) -> "Saver":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.wait()  # also when the run is interrupted: what is finished is kept
        finally:
            self._writers.shutdown()
            self._clerk.shutdown()

    def save(self, run: Run, entries: list[dict[str, Any]], pictures: Pictures) -> None:
        """Takes over the pictures of some samples and what the journal says of these, one each."""
        self.wait(max(0, self._most - len(entries)))

        def saved(number: int) -> dict[str, Any]:
            id_ = entries[number]["id"]
            try:
                digests = {
                    kind: run.store.save_picture(file(id_), _picture(rows.on_host(number)))
                    for kind, (file, rows) in pictures.items()
                }
            except UserError:
                raise
            except Exception as error:
                return {"id": id_, **failure(error)}
            return entries[number] | digests

        self._enter(run, [self._writers.submit(saved, number).result for number in range(len(entries))])

    def record(self, run: Run, entries: list[dict[str, Any]]) -> None:
        """Takes over what the journal says of samples without a picture."""
        self._enter(run, [partial(dict, entry) for entry in entries])

    def wait(self, for_less: int = 0) -> None:
        """Until at most so many pictures are under way."""
        while self._under_way and sum(count for count, _ in self._under_way) > for_less:
            self._under_way.popleft()[1].result()

    def _enter(self, run: Run, jobs: list[Callable[[], dict[str, Any]]]) -> None:
        def entered() -> None:
            done, refused = [], None
            for job in jobs:
                try:
                    done.append(job())
                except UserError as error:
                    refused = error
            try:
                if done:  # also those that were saved before the disk was full
                    run.store.record(done)
            except UserError as error:
                done, refused = [], error
            self._tell(run, len(done))
            if refused:
                self._stopped.setdefault(run.key, refused)

        self._under_way.append((len(jobs), self._clerk.submit(entered)))


def _picture(pixels: np.ndarray) -> Image.Image:
    """Of `[3, H, W]` or `[H, W]`. Pillow merges planes ten times as fast as numpy turns them."""
    if pixels.ndim == 2:
        return Image.fromarray(pixels)
    return Image.merge("RGB", [Image.fromarray(plane) for plane in pixels])


def failure(error: BaseException) -> dict[str, str]:
    """What the journal says of a sample that could not be edited."""
    if isinstance(error, BadSample | NotFinite):
        return {"error": str(error)}
    return {"error": told(error), "traceback": "".join(traceback.format_exception(error))}
