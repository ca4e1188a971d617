"""TI2I (Plug-and-Play's benchmark): 223 prompts over 55 pictures, without masks and without source prompts."""

from pathlib import Path
from typing import Any

from bench.data.base import Benchmark, Count, Source
from bench.data.files.annotations import field, inside, read_json
from bench.data.preprocess import read_rgb
from bench.errors import UserError
from bench.files.hashing import sha256, sha256_of_files
from bench.files.paths import find, listed
from bench.types import EditSample

BASES = ("", "data/annotation_images/", "data/annotation_images/ti2i_benchmark/")
"""Leading folders of the mapping file's paths that a user's root may stand for."""


class Ti2i(Benchmark):
    """`mapping_file_ti2i_benchmark.json`, and pictures under the paths that it names.

    Args:
        root: folder above `wild-ti2i/` and `imagenetr-ti2i/`, or any folder above that in the paths.
        annotations: the mapping file.
        size: pixels a side.
        resample: one of `bench.data.preprocess.FILTERS`.

    Samples have no source prompt: their source query is None, the unconditional model. Several prompts share a
    picture; statistics are clustered by it.

    Raises:
        UserError: what is missing, or the record and field that is wrong.
    """

    licence = "none stated; the ImageNet-R pictures are under ImageNet's terms"

    def __init__(self, root: str, annotations: str, size: int, resample: str = "bicubic"):
        self.size, self.resample = size, resample
        file, folder = self.require(root=root, annotations=annotations)
        self.annotations, rows = [file], _read(file, folder)
        self.ids, self.rows = list(rows), list(rows.values())
        base = next((b for b in BASES if all(listed(folder / p.removeprefix(b)) for p, _, _ in self.rows)), None)
        if base is None:
            lost = [p for p, _, _ in self.rows if not any(listed(folder / p.removeprefix(b)) for b in BASES)]
            raise UserError(
                f"{len(set(lost))} of {len({p for p, _, _ in self.rows})} pictures of {file} are not under {folder}, "
                f"the first is {lost[0] if lost else self.rows[0][0]}; get them from {_PICTURES}"
            )
        self._files = [folder / path.removeprefix(base) for path, _, _ in self.rows]

    @classmethod
    def sources(cls, root: str, annotations: str, **_: Any) -> list[Source]:
        """Mapping file and picture folder."""
        return [
            Source("TI2I's mapping_file_ti2i_benchmark.json", Path(annotations), "data.annotations", _MAPPING),
            Source("TI2I's pictures", Path(root), "data.root", _PICTURES),
        ]

    @classmethod
    def listed(cls, root: str, annotations: str, **_: Any) -> list[Count]:
        """Prompts of the mapping file, and the pictures that it names."""
        file = find(annotations)
        return _counted(list(_read(file, Path(root)).values())) if file else []

    def __getitem__(self, index: int) -> EditSample:
        path, source, target = self.rows[index]
        return EditSample(
            id=self.ids[index],
            image=read_rgb(self._files[index], self.size, self.resample),
            source=source,
            target=target,
            type="wild" if "wild-ti2i" in path else "imagenet-r",
            group=path,
        )

    def identity(self) -> dict[str, Any]:
        """Size, and the hashes of the mapping file and of the pictures."""
        return {
            "size": self.size,
            "resample": self.resample,
            "annotations": sha256(self.annotations[0]),
            "files": sha256_of_files(dict(zip(self.ids, self._files, strict=True))),
        }

    def counts(self) -> list[Count]:
        """Prompts and pictures, in all and in each half."""
        return _counted(self.rows)


_Row = tuple[str, str | None, str]
"""Path, source prompt and target prompt."""


def _read(file: Path, folder: Path) -> dict[str, _Row]:
    """Rows of the mapping file, by id."""
    rows = {}
    for id_, entry in read_json(file, dict, _MAPPING).items():
        where = f"{file}, record {id_!r}"
        path, target = field(entry, "image_path", str, where), field(entry, "editing_prompt", str, where)
        for base in BASES:  # without it a path may lead elsewhere
            inside(folder, path.removeprefix(base), where)
        rows[id_] = path, field(entry, "original_prompt", str, where) or None, target
    return rows


def _counted(rows: list[_Row]) -> list[Count]:
    wild = [path for path, _, _ in rows if "wild-ti2i" in path]
    return [
        Count("samples", len(rows), 223),
        Count("pictures", len({path for path, _, _ in rows}), 55),
        Count("wild: prompts", len(wild), 78),
        Count("wild: pictures", len(set(wild)), 26),
    ]


_MAPPING = "the dataset_txt/ folder of github.com/xiaotianqing/InstDiffEdit"
_PICTURES = "the TI2I benchmark of pnp-diffusion.github.io (wild-ti2i and imagenetr-ti2i)"
