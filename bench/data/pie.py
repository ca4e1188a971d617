"""PIE-Bench: 700 edits of ten types with masks, as its owners hand it out and as the hub's rewritten version has it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.data.base import Benchmark, Count, Source
from bench.data.files import rle
from bench.data.files.annotations import field, inside, read_json
from bench.data.preprocess import fit, read_rgb, stored_size
from bench.errors import BadSample, UserError, nearest
from bench.files.hashing import sha256, sha256_of_files
from bench.files.paths import find, listed
from bench.types import EditSample

FOLDERS = {
    "random": "0_random_140",
    "object": "1_change_object_80",
    "add": "2_add_object_80",
    "delete": "3_delete_object_80",
    "content": "4_change_attribute_content_40",
    "pose": "5_change_attribute_pose_40",
    "colour": "6_change_attribute_color_40",
    "material": "7_change_attribute_material_40",
    "background": "8_change_background_80",
    "style": "9_change_style_80",
}
"""Edit type -> folder; the order is that of the type ids 0 to 9, the last number the count of the type."""
TYPES = list(FOLDERS)
STRIP = "strip"


@dataclass(frozen=True)
class Record:
    """One annotated edit; prompts are as written, `mask` is its run-length list."""

    id: str
    path: str
    source: str
    target: str
    instruction: str | None
    type: str
    blend: tuple[str, str] | None
    mask: np.ndarray


class PieTypes(Benchmark):
    """What the two versions share. Pictures and masks are 512x512; another `size` resizes both, once, here.

    Attributes:
        brackets: `strip` takes the brackets that mark changed words out of the prompts, as the owners' runners do;
            `keep` leaves the prompts as they are written.
    """

    records: list[Record]

    def __init__(
        self,
        records: list[Record],
        types: list | str | int | None,
        size: int,
        resample: str,
        brackets: str,
        where: Path,
    ):
        kept = chosen(types)
        self.records = [record for record in records if record.type in kept]
        self.size, self.resample, self.brackets = size, resample, brackets
        self.ids = [record.id for record in self.records]
        self.options = {"size": size, "resample": resample, "types": sorted(kept)}
        if brackets != STRIP:  # runs from before there was a choice keep their key
            self.options["brackets"] = brackets
        if not records:
            raise UserError(f"{where} holds no record; get it again")
        if not self.ids:
            raise UserError(f"{where} lists no record of data.types={types}; name other types")

    def __getitem__(self, index: int) -> EditSample:
        record = self.records[index]
        image = read_rgb(self._open(record), self.size, self.resample, record.path, expected=(rle.SIDE, rle.SIDE))
        mask = Image.fromarray(rle.decode(record.mask))
        source, target = (plain(text) if self.brackets == STRIP else text for text in (record.source, record.target))
        return EditSample(
            id=record.id,
            image=image,
            source=source,
            target=target,
            mask=np.asarray(fit(mask, self.size, Image.Resampling.NEAREST)),
            type=record.type,
            group=record.path,
            blend=record.blend,
            instruction=record.instruction,
        )

    def counts(self) -> list[Count]:
        """Samples in all and of each type, and pictures of another size than their masks."""
        return [*counted(self.records), Count("pictures not 512x512", sum(map(self._differs, self.records)), 0)]

    def result_names(self, index: int) -> dict[str, str]:
        """By id, or in the benchmark's own folder tree, as PnPInversion's runners save them."""
        path = str(Path(self.records[index].path).with_suffix(""))
        return {
            "sample id": self.ids[index],
            "PIE-Bench's folder tree": f"annotation_images/{path}",
            "PIE-Bench's folder tree, without annotation_images": path,
        }

    def _differs(self, record: Record) -> bool:
        try:
            return stored_size(self._open(record)) != (rle.SIDE, rle.SIDE)
        except BadSample:
            return True

    def _open(self, record: Record):
        raise NotImplementedError


class Pie(PieTypes):
    """PIE-Bench as its authors send it: `mapping_file.json` beside `annotation_images/`.

    Args:
        root: the folder.
        size: pixels a side; 512 takes the stored pixels as they are.
        types: edit types to keep, by number (0 to 9) or name; None keeps all.
        resample: one of `bench.data.preprocess.FILTERS`, for another size.
        brackets: `strip` or `keep`, see `PieTypes`.

    Raises:
        UserError: what is missing, or the record and field that is wrong.
    """

    licence = "none stated by its authors, who give it out by form: do not pass it on"

    def __init__(
        self,
        root: str,
        size: int,
        types: list | str | int | None = None,
        resample: str = "bicubic",
        brackets: str = STRIP,
    ):
        file, self.folder = self.require(root=root)
        self.annotations, records = [file], _records(file)
        self._file = {r.id: inside(self.folder, r.path, f"{file}, record {r.id!r}") for r in records}
        super().__init__(records, types, size, resample, brackets, file)
        missing = [record for record in self.records if not listed(self._file[record.id])]
        if missing:
            raise UserError(
                f"{len(missing)} of {len(self.records)} pictures of {file} are missing, the first is "
                f"{self._file[missing[0].id]} (record {missing[0].id!r}); get it from {_ORIGIN}"
            )

    @classmethod
    def sources(cls, root: str, **_: Any) -> list[Source]:
        """Mapping file and picture folder."""
        return [
            Source("PIE-Bench's mapping_file.json", Path(root) / "mapping_file.json", "data.root", _ORIGIN),
            Source("PIE-Bench's annotation_images", Path(root) / "annotation_images", "data.root", _ORIGIN),
        ]

    @classmethod
    def listed(cls, root: str, types: list | str | int | None = None, **_: Any) -> list[Count]:
        """Records of the mapping file, in all and of each type."""
        file, kept = find(Path(root) / "mapping_file.json"), chosen(types)
        return counted([record for record in _records(file) if record.type in kept]) if file else []

    def identity(self) -> dict[str, Any]:
        """Size, and the hashes of the mapping file and of the pictures."""
        return {
            **self.options,
            "annotations": sha256(self.annotations[0]),
            "files": sha256_of_files({id_: self._file[id_] for id_ in self.ids}),
        }

    def _open(self, record: Record) -> Path:
        return self._file[record.id]


_ORIGIN = "the form linked in the README of github.com/cure-lab/PnPInversion (its authors send a link)"


def chosen(types: list | str | int | None) -> set[str]:
    """Names of edit types; None means all. Raises: UserError: there is no such type."""
    try:
        return set(TYPES if types is None else map(_type, [types] if isinstance(types, str | int) else types))
    except ValueError as error:
        raise UserError(f"data.types: {error}") from None


def counted(records: list[Record]) -> list[Count]:
    """Samples in all and of each type."""
    of_type = {name: sum(record.type == name for record in records) for name in TYPES}
    rows = [Count(f"type {i} ({name})", of_type[name], _expected(name)) for i, name in enumerate(TYPES)]
    return [Count("samples", len(records), sum(map(_expected, TYPES))), *rows]


def _records(file: Path) -> list[Record]:
    mapping = read_json(file, dict, _ORIGIN)
    return [_record(id_, entry, f"{file}, record {id_!r}") for id_, entry in mapping.items()]


def _record(id_: str, entry: Any, where: str) -> Record:
    words = field(entry, "blended_word", str, where).split(" ")
    try:
        type_ = _type(field(entry, "editing_type_id", (str, int), where))
    except ValueError as error:
        raise UserError(f"{where}: {error}") from None
    return Record(
        id=id_,
        path=field(entry, "image_path", str, where),
        source=field(entry, "original_prompt", str, where),
        target=field(entry, "editing_prompt", str, where),
        instruction=field(entry, "editing_instruction", str, where) or None,
        type=type_,
        # The reference takes the first two words; a lone one is the source's.
        blend=(words[0], words[1] if len(words) > 1 else "") if words != [""] else None,
        mask=mask_of(field(entry, "mask", list, where), where),
    )


def mask_of(runs: list, where: str) -> np.ndarray:
    try:
        rle.decode(runs)
        return np.array(runs, np.int32)
    except ValueError as error:
        raise UserError(f"{where}: mask {error}") from None


def plain(prompt: str) -> str:
    """Without the brackets that mark changed words, and nothing else changed (the owners' rule)."""
    return prompt.replace("[", "").replace("]", "")


def _type(value: Any) -> str:
    if str(value) in TYPES:
        return str(value)
    if str(value).isdecimal() and int(value) < len(TYPES):
        return TYPES[int(value)]
    raise ValueError(f"edit type {value!r}; expected 0 to 9, or {nearest(str(value), TYPES)}")


def _expected(type_: str) -> int:
    return int(FOLDERS[type_].rsplit("_", 1)[1])
