"""PIE-Bench's masks: flat run-length lists `[start, length, start, length, ...]`, counted from 0, row by row."""

from collections.abc import Sequence

import numpy as np

SIDE = 512


def decode(runs: Sequence[int | str], shape: tuple[int, int] = (SIDE, SIDE)) -> np.ndarray:
    """A mask, True = edit, bool of `shape` (rows, columns).

    The outermost rows and columns are always True: the owners' evaluation sets them, so the published background
    metrics leave them out.

    Raises:
        ValueError: what is wrong with the list.
    """
    try:
        values = np.array(runs)
        if values.ndim != 1 or (len(values) and values.dtype.kind not in "iuU"):  # U: the digits as text
            raise ValueError
        values = values.astype(np.int64)
    except (ValueError, OverflowError):
        raise ValueError("is no flat list of whole numbers") from None
    if len(values) % 2:
        raise ValueError(f"has {len(values)} numbers; expected pairs of start and length")
    area = shape[0] * shape[1]
    starts, lengths = values[::2], values[1::2]
    wrong = (starts < 0) | (lengths < 0) | (lengths > area - starts)  # a sum could overflow
    if wrong.any():
        first = int(np.argmax(wrong))
        raise ValueError(
            f"has the run {int(starts[first])}+{int(lengths[first])}, which leaves the frame of {area} pixels"
        )
    steps = np.zeros(area + 1, np.int64)
    np.add.at(steps, starts, 1)
    np.add.at(steps, starts + lengths, -1)
    mask = (np.cumsum(steps[:-1]) > 0).reshape(shape)
    mask[[0, -1]] = True
    mask[:, [0, -1]] = True
    return mask
