"""Pictures and their annotations in parquet files, as the Hugging Face hub hands data sets out."""

import io
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from bench.errors import BadSample, UserError, one_line
from bench.files.paths import files_under


def found_files(folder: Path, names: str, how: str) -> list[Path]:
    """The parquet files of these names below a folder, sorted.

    Args:
        how: to get them.

    Raises:
        UserError: there is none.
    """
    found = [file for file in files_under(folder) if fnmatch(file.name, names)]
    if not found:
        raise UserError(f"no {names} under {folder}; get them by {how}")
    return found


class ImageTable:
    """Parquet files with columns of pictures; pictures stay on disk until asked for.

    Args:
        files: of one split, in order.
        columns: that have to be there.
        pictures: how many of them hold pictures, from the first on.
        optional: columns that are read where they are there.

    Attributes:
        names: the columns that there are.

    Raises:
        UserError: unreadable, or a column is missing.
    """

    def __init__(self, files: list[Path], columns: tuple[str, ...], pictures: int = 1, optional: tuple[str, ...] = ()):
        from datasets import Image, load_dataset
        from datasets.exceptions import DatasetGenerationError

        self._pictures, self._others = columns[:pictures], columns[pictures:]
        try:
            table = load_dataset("parquet", data_files=[str(file) for file in files], split="train")
        except (DatasetGenerationError, ValueError, OSError) as error:
            raise UserError(
                f"{files[0].parent} cannot be read as parquet ({one_line(error.__cause__ or error)}); get it again"
            ) from None
        self.names = table.column_names
        missing = [name for name in columns if name not in self.names]
        if missing:
            raise UserError(f"{files[0].parent} has no column {missing[0]!r}; it has {', '.join(self.names)}")
        for name in self._pictures:
            try:
                table = table.cast_column(name, Image(decode=False))
            except (TypeError, ValueError, NotImplementedError) as error:
                raise UserError(
                    f"{files[0].parent}: column {name!r} holds no pictures ({one_line(error)}); get it again"
                ) from None
        self._table, self._others = table, [*self._others, *(name for name in optional if name in self.names)]

    def rows(self) -> Iterator[dict[str, Any]]:
        """The named columns of every row without its pictures."""
        yield from self._table.select_columns(self._others)

    def paths(self) -> list[str]:
        """File names that the first column's pictures had."""
        # Chunk by chunk: the pictures of all chunks together are too large for one array.
        chunks = self._table.data.column(self._pictures[0]).chunks
        return [path for chunk in chunks for path in chunk.field("path").to_pylist()]

    def column(self, name: str) -> list[Any]:
        """The values of a column."""
        return self._table.data.column(name).to_pylist()

    def open(self, row: int, column: str | None = None) -> io.BytesIO:
        """The picture file of a row, in the first column unless another is named.

        Raises:
            BadSample: the table has none there.
        """
        name = column or self._pictures[0]
        picture = self._table.select_columns([name])[row][name]
        content = picture and picture["bytes"]
        if content is None:
            what = f"row {row} of the table" + (f", column {column!r}," if column else "")
            raise BadSample(f"{what} holds no picture")
        return io.BytesIO(content)
