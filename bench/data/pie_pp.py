"""PIE-Bench++: the hub's version of PIE-Bench, with prompts rewritten for several edits at once."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.data.base import Count, Source
from bench.data.files.annotations import field
from bench.data.files.parquet import ImageTable
from bench.data.pie import FOLDERS, STRIP, TYPES, PieTypes, Record, chosen, counted, mask_of
from bench.errors import UserError
from bench.files.hashing import sha256_of_files
from bench.files.paths import find


class PiePlusPlus(PieTypes):
    """PIE-Bench++, the hub's version. Its prompts were rewritten for several edits at once, so that no number made
    with it compares with one made on PIE-Bench.

    Args:
        root: folder of the parquet files, `<root>/0_random_140/V1-00000-of-00001.parquet` and nine more.
        size, types, resample, brackets: as for `Pie`.

    Raises:
        UserError: what is missing, or the row and column that is wrong.
    """

    licence = "CC-BY-SA-4.0"

    def __init__(
        self,
        root: str,
        size: int,
        types: list | str | int | None = None,
        resample: str = "bicubic",
        brackets: str = STRIP,
    ):
        (folder,) = self.require(root=root)
        records, self._table = [], {}
        for type_ in TYPES:
            if not (files := _files(folder, type_)):
                continue
            self.annotations = [*self.annotations, *files]
            table = ImageTable(files, _COLUMNS)
            for row, record in enumerate(_records(table, type_, files[0].parent)):
                if record.id in self._table:
                    raise UserError(f"{files[0].parent}, row {row}: id {record.id!r} is there twice; ids must differ")
                self._table[record.id] = table, row
                records.append(record)
        if not records:
            raise UserError(f"no parquet file under {folder}/{FOLDERS['random']} or its nine siblings; {_HOW}")
        super().__init__(records, types, size, resample, brackets, folder)

    @classmethod
    def sources(cls, root: str, **_: Any) -> list[Source]:
        """The folder of parquet files."""
        return [Source("PIE-Bench++", Path(root), "data.root", _HOW, hub=_HUB)]

    @classmethod
    def listed(cls, root: str, types: list | str | int | None = None, **_: Any) -> list[Count]:
        """Rows of the folders that can be read, in all and of each type."""
        records, kept = [], chosen(types)
        for type_ in [name for name in TYPES if name in kept] if (folder := find(root)) else ():
            with suppress(UserError):  # said of the first such folder when the data set is made
                if files := _files(folder, type_):
                    records += _records(ImageTable(files, _COLUMNS), type_, files[0].parent)
        return counted(records) if records else []

    def identity(self) -> dict[str, Any]:
        """Size, and the hashes of the parquet files."""
        files = {f"{file.parent.name}/{file.name}": file for file in self.annotations}
        return {**self.options, "files": sha256_of_files(files)}

    def _open(self, record: Record):
        table, row = self._table[record.id]
        return table.open(row)


_HUB = "UB-CVML-Group/PIE_Bench_pp"
_HOW = f"`hf download --repo-type dataset {_HUB} --local-dir data/pie_pp`"
_COLUMNS = ("image", "id", "source_prompt", "target_prompt", "blended_words", "mask")


def _files(folder: Path, type_: str) -> list[Path]:
    return sorted((folder / FOLDERS[type_]).glob("*.parquet"))


def _records(table: ImageTable, type_: str, where: Path) -> list[Record]:
    return [_rewritten(entry, type_, f"{where}, row {row}") for row, entry in enumerate(table.rows())]


def _rewritten(entry: dict[str, Any], type_: str, where: str) -> Record:
    words = field(entry, "blended_words", str, where)
    try:
        pairs = json.loads(words or "[]")
        if not isinstance(pairs, list) or not all(isinstance(pair, str) for pair in pairs):
            raise ValueError
    except ValueError:  # of json as well
        raise UserError(f"{where}: blended_words is {words!r:.80}; expected a JSON list of 'source,target'") from None
    id_ = field(entry, "id", str, where)
    return Record(
        id=id_,
        path=f"{FOLDERS[type_]}/{id_}",
        source=field(entry, "source_prompt", str, where),
        target=field(entry, "target_prompt", str, where),
        instruction=None,
        type=type_,
        blend=_first_pair(pairs),
        mask=mask_of(field(entry, "mask", str, where).split(), where),
    )


def _first_pair(pairs: list[str]) -> tuple[str, str] | None:
    """Of several edits at once, the first: attention control knows one pair of words."""
    if not pairs:
        return None
    source, _, target = pairs[0].partition(",")
    return source.strip(), target.strip()
