"""Pictures and their annotations in parquet files, as the Hugging Face hub hands data sets out."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.errors import BadSample, UserError, one_line


class ImageTable:
    """Parquet files with a picture column; pictures stay on disk until asked for.

    Args:
        files: of one split, in order.
        columns: that have to be there; the first holds the pictures.

    Raises:
        UserError: unreadable, or a column is missing.
    """

    def __init__(self, files: list[Path], columns: tuple[str, ...]):
        from datasets import Image, load_dataset
        from datasets.exceptions import DatasetGenerationError

        self._column = columns[0]
        try:
            table = load_dataset("parquet", data_files=[str(file) for file in files], split="train")
        except (DatasetGenerationError, ValueError, OSError) as error:
            raise UserError(
                f"{files[0].parent} cannot be read as parquet ({one_line(error.__cause__ or error)}); get it again"
            ) from None
        missing = [name for name in columns if name not in table.column_names]
        if missing:
            raise UserError(f"{files[0].parent} has no column {missing[0]!r}; it has {', '.join(table.column_names)}")
        try:
            self._table = table.cast_column(self._column, Image(decode=False))
        except (TypeError, ValueError, NotImplementedError) as error:
            raise UserError(
                f"{files[0].parent}: column {self._column!r} holds no pictures ({one_line(error)}); get it again"
            ) from None

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every row without its picture."""
        yield from self._table.remove_columns(self._column)

    def paths(self) -> list[str]:
        """File names that the pictures had."""
        # Chunk by chunk: the pictures of all chunks together are too large for one array.
        chunks = self._table.data.column(self._column).chunks
        return [path for chunk in chunks for path in chunk.field("path").to_pylist()]

    def column(self, name: str) -> list[Any]:
        """The values of a column."""
        return self._table.data.column(name).to_pylist()

    def open(self, row: int) -> io.BytesIO:
        """The picture file of a row. Raises: BadSample: the table has none there."""
        picture = self._table[row][self._column]
        content = picture and picture["bytes"]
        if content is None:
            raise BadSample(f"row {row} of the table holds no picture")
        return io.BytesIO(content)
