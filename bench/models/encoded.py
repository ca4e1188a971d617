"""What text encoders have said of prompts, kept for all of a run."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from bench.files.write import aside
from bench.types import Condition

IN_MEMORY = 2 * 2**30
"""Bytes that are kept in memory; prompts that do not fit any more are read into a file."""
PARTS = ("states", "pooled")
"""Of a condition that text encoders make; one row of each."""
_TYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
"""A dtype -> what safetensors calls it."""


class Encoded:
    """Rows of conditions on the host, by text, in the dtype that the network takes.

    A file of them is mapped into memory and deleted at once, so that it goes with the process, however that ends.
    """

    def __init__(self):
        self._rows: dict[str, Condition] = {}
        self._stored: dict[str, tuple[Any, int]] = {}

    def __contains__(self, text: str) -> bool:
        return text in self._rows or text in self._stored

    def __getitem__(self, text: str) -> Condition:
        """One row. Raises: KeyError: it has not been added."""
        if text in self._rows:
            return self._rows[text]
        file, number = self._stored[text]
        return Condition(**{part: file.get_slice(part)[number : number + 1] for part in PARTS})

    def add(self, texts: list[str], rows: Iterable[Condition], folder: Path | None = None) -> None:
        """Takes in one row a text, as they are made.

        Args:
            folder: where a file may lie; None: all stay in memory.

        Raises:
            NotWritten: it cannot be written there.
        """
        rows = iter(rows)
        first = next(rows)
        size = sum(len(part) for part in _bytes(first).values())
        if folder is None or (len(self._rows) + len(texts)) * size <= IN_MEMORY:
            self._rows |= zip(texts, chain([first], rows), strict=True)
            return
        with aside(folder / "encoded") as place:
            file = place / "prompts.safetensors"
            _write(file, len(texts), first, rows)
            stored = safe_open(file, "pt")
        self._stored |= {text: (stored, number) for number, text in enumerate(texts)}


def _write(file: Path, count: int, first: Condition, rows: Iterator[Condition]) -> None:
    """Row after row, which the library could do only with all of them in memory."""
    places, end = {}, 0
    for part, content in _bytes(first).items():
        shape, dtype = getattr(first, part).shape[1:], _TYPES[getattr(first, part).dtype]
        start, end = end, end + count * len(content)
        places[part] = {"dtype": dtype, "shape": [count, *shape], "data_offsets": [start, end]}
    header = json.dumps(places).encode()
    with open(file, "wb") as stream:
        stream.write(len(header).to_bytes(8, "little") + header)
        for number, row in enumerate(chain([first], rows)):
            for part, content in _bytes(row).items():
                stream.seek(8 + len(header) + places[part]["data_offsets"][0] + number * len(content))
                stream.write(content)


def _bytes(row: Condition) -> dict[str, memoryview]:
    return {part: memoryview(getattr(row, part).contiguous().view(torch.uint8).flatten().numpy()) for part in PARTS}
