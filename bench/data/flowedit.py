"""FlowEdit's own benchmark: photographs of 1024 px with several edits each, in words."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.data.base import Benchmark, Count, Source
from bench.data.files.annotations import field, inside, read_yaml
from bench.data.preprocess import read_rgb, stored_size
from bench.errors import UserError
from bench.files.hashing import sha256, sha256_of_files
from bench.files.paths import find, listed
from bench.types import EditSample

NAME, SIDE = "flowedit.yaml", 1024
LISTED, STORED = "flowedit_data", "Images"
"""The folder that the list names, and what the repository calls it."""


@dataclass(frozen=True)
class _Edit:
    """One target prompt of an entry; `picture` is the path as the list has it."""

    picture: str
    source: str
    target: str


class FlowEditBenchmark(Benchmark):
    """`flowedit.yaml`, a list of pictures with a source prompt and target prompts each, and the pictures beside it.

    Args:
        root: folder of the list, or a clone of the authors' repository.
        size: pixels a side; stored are 1024.
        resample: one of `bench.data.preprocess.FILTERS`.

    An edit's id is its picture's name and its place among the picture's edits, counted from 0 as the authors' code
    does: `bear_0`. Statistics are clustered by picture. Prompts that go over several lines are one line here.

    Raises:
        UserError: what is missing, or the entry and field that is wrong.
    """

    licence = "academic use only; the pictures are under their own licences"

    def __init__(self, root: str, size: int, resample: str = "bicubic"):
        self.size, self.resample = size, resample
        (file,) = self.require(root=root)
        self.annotations, edits = [file], _read(file)
        self.ids, self.edits = list(edits), list(edits.values())
        self._files = {edit.picture: _stored(file.parent, edit.picture) for edit in self.edits}
        missing = [picture for picture, place in self._files.items() if not listed(place)]
        if missing:
            raise UserError(
                f"{len(missing)} of {len(self._files)} pictures of {file} are missing, the first is "
                f"{file.parent / missing[0]}, sought in {STORED}/ too; {_HOW}"
            )

    @classmethod
    def sources(cls, root: str, **_: Any) -> list[Source]:
        """The list; the pictures lie beside it."""
        return [Source("FlowEdit's flowedit.yaml and pictures", _list(root), "data.root", _HOW)]

    @classmethod
    def listed(cls, root: str, **_: Any) -> list[Count]:
        """Edits and pictures of the list, and how many of the pictures are there."""
        if not (file := find(_list(root))):
            return []
        edits = list(_read(file).values())
        pictures = {edit.picture for edit in edits}
        there = sum(listed(_stored(file.parent, picture)) for picture in pictures)
        return [*_counted(edits), Count("pictures that are there", there, len(pictures))]

    def __getitem__(self, index: int) -> EditSample:
        edit = self.edits[index]
        return EditSample(
            id=self.ids[index],
            image=read_rgb(self._files[edit.picture], self.size, self.resample, edit.picture),
            source=edit.source,
            target=edit.target,
            group=edit.picture,
        )

    def identity(self) -> dict[str, Any]:
        """Size, and the hashes of the list and of the pictures."""
        return {
            "size": self.size,
            "resample": self.resample,
            "annotations": sha256(self.annotations[0]),
            "files": sha256_of_files(self._files),
        }

    def counts(self) -> list[Count]:
        """Edits and pictures, and pictures of another size than the authors'."""
        other = sum(stored_size(file) != (SIDE, SIDE) for file in self._files.values())
        return [*_counted(self.edits), Count(f"pictures not {SIDE}x{SIDE}", other, 0)]


_CLONE = "`git clone https://github.com/fallenshock/FlowEdit data/flowedit`"
_HOW = f"the authors' repository: {_CLONE}, its folder Data"


def _list(root: str) -> Path:
    """Where the list lies, or belongs."""
    places = [Path(root) / NAME, Path(root) / "Data" / NAME]
    return next(filter(find, places), places[0])


def _stored(folder: Path, picture: str) -> Path:
    """The picture that the list names; its folder has another name in the repository."""
    named = folder / picture
    if not listed(named) and Path(picture).parent == Path(LISTED):
        return folder / STORED / named.name
    return named


def _read(file: Path) -> dict[str, _Edit]:
    """The edits of a list, by id; whether their pictures are there is not asked."""
    edits, seen = {}, {}
    for number, entry in enumerate(read_yaml(file, list, _HOW), 1):
        where = f"{file}, entry {number}"
        picture = field(entry, "init_img", str, where)
        inside(file.parent, picture, where)
        where = f"{where} ({picture})"
        stem, source = Path(picture).stem, _line(field(entry, "source_prompt", str, where))
        if stem in seen:
            raise UserError(
                f"{where}: entry {seen[stem]} has a picture {stem!r} too; ids are made of it and must differ"
            )
        seen[stem] = number
        for place, target in enumerate(field(entry, "target_prompts", list, where)):
            if not isinstance(target, str):
                raise UserError(f"{where}: target prompt {place} is {target!r:.80}; expected str")
            edits[f"{stem}_{place}"] = _Edit(picture, source, _line(target))
    if not edits:
        raise UserError(f"{file} lists no edit; get it again from {_HOW}")
    return edits


def _line(prompt: str) -> str:
    return " ".join(prompt.split())


def _counted(edits: list[_Edit]) -> list[Count]:
    return [Count("samples", len(edits), 281), Count("pictures", len({edit.picture for edit in edits}), 77)]
