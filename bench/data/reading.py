"""Pictures read ahead of the model, by threads: they get no signal of a cluster's, which would end as a failed sample,
and share nothing with a process that is killed."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

from bench.data.own import sample
from bench.data.preprocess import NATIVE
from bench.errors import BadSample
from bench.files import threads
from bench.types import EditData, EditSample


def entry(error: BadSample) -> dict[str, str]:
    """What a journal says of a sample: `error`, and where code broke, its `traceback`."""
    broken = {"traceback": error.traceback} if hasattr(error, "traceback") else {}
    return {"error": str(error), **broken}


def read(
    data: EditData, indices: Sequence[int], batch_size: int, one: Callable[[EditData, int], Any] = sample
) -> Iterator[tuple[list[Any], dict[str, dict[str, str]]]]:
    """Batches of what is read of the samples at `indices`, in order, and `entry` of those that could not be, by id.

    While a batch is worked on, the next two are read, and no more.
    """
    pool = ThreadPoolExecutor(threads.count(), "read")

    def ahead() -> Iterator[tuple[str, Future]]:
        jobs = deque[tuple[str, Future]]()
        for index in indices:
            jobs.append((data.ids[index], pool.submit(one, data, index)))
            if len(jobs) > max(2 * batch_size, threads.count()):
                yield jobs.popleft()
        yield from jobs

    try:
        jobs = ahead()
        while batch := list(islice(jobs, batch_size)):
            found, bad = [], {}
            for id_, job in batch:
                try:
                    found.append(job.result())
                except BadSample as error:
                    bad[id_] = entry(error)
            yield found, bad
    finally:
        pool.shutdown(cancel_futures=True)


def of_one_size(
    data: EditData, indices: Sequence[int], batch_size: int
) -> Iterator[tuple[list[EditSample], dict[str, dict[str, str]]]]:
    """`read` of samples that can be edited together. Where pictures are not of their own sizes each, one that has not
    the first one's size is among those that could not be read."""
    batches = read(data, indices, batch_size)
    if data.size == NATIVE:
        yield from alike(batches, batch_size, lambda one: one.image.shape)
        return
    shape = None
    for found, bad in batches:
        shape = shape or (found[0].image.shape if found else None)
        odd = {one.id: {"error": _odd(one.image.shape, shape)} for one in found if one.image.shape != shape}
        yield [one for one in found if one.id not in odd], bad | odd


def _odd(shape: tuple[int, ...], others: tuple[int, ...]) -> str:
    sizes = " px, others ".join(f"{width}x{height}" for _, height, width in (shape, others))
    return f"the picture has {sizes}; expected one size"


_KEPT = 4  # batches' worth of pictures that wait for others of their size


def alike(
    batches: Iterable[tuple[list[Any], dict]], batch_size: int, size: Callable[[Any], Hashable]
) -> Iterator[tuple[list[Any], dict]]:
    """The same, in batches of one size each: what waits for others of its size comes later, in the order read, and the
    most numerous size comes before its batch is full where too much waits."""
    waiting: dict[Hashable, list[Any]] = {}
    for found, bad in batches:
        if bad:
            yield [], bad
        for one in found:
            waiting.setdefault(key := size(one), []).append(one)
            if len(waiting[key]) == batch_size:
                yield waiting.pop(key), {}
            elif sum(map(len, waiting.values())) > _KEPT * batch_size:
                yield waiting.pop(max(waiting, key=lambda key: len(waiting[key]))), {}
    for group in waiting.values():
        yield group, {}
