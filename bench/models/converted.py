"""Folders that `python -m bench.convert` makes of official files. No torch."""

from pathlib import Path
from typing import Any, ClassVar

from bench.errors import UserError
from bench.files.paths import find
from bench.files.tensors import configuration
from bench.models.folder import INDEX, DiffusersFolder, family

FORMAT_VERSION = 1
"""Raised when the same official file would become another folder."""
CONVERSION = "conversion.json"


class ConvertedFolder(DiffusersFolder):
    """A folder with `conversion.json` and a subfolder for each part; `takes` is the official file."""

    kind: ClassVar[str]
    """What the converter is told."""
    instead: ClassVar[str] = ""
    """Words that get models which need no conversion, where there are such."""

    def locate(self, path: str) -> Path:
        folder, convert = find(path), f"python -m bench.convert kind={self.kind} <file>"
        if folder is None:
            other = f"; {self.instead}" if self.instead else ""
            raise UserError(f"model folder {path} is not here: make it of {self.takes} with `{convert} {path}`{other}")
        made = f"made of {self.takes} with `{convert} <folder>`"
        if not folder.is_dir():
            raise UserError(f"model.path={path} is a file; expected a folder {made}")
        if (folder / INDEX).is_file():
            raise UserError(f"model folder {folder} is {family(folder)[1]}; expected one {made}")
        if not (folder / CONVERSION).is_file():
            raise UserError(f"{folder} has no {CONVERSION}; expected a folder {made}")
        self.conversion = configuration(
            folder / CONVERSION, ("format_version", "kind", "sha256"), f"make it again {made}"
        )
        if (kind := self.conversion["kind"]) != self.kind:
            raise UserError(f"model folder {folder} is a {kind} model; expected one {made}")
        if (version := self.conversion["format_version"]) != FORMAT_VERSION:
            raise UserError(
                f"{folder} was converted by version {version} of the converter; expected {FORMAT_VERSION}: convert "
                f"{self.takes} again with `{convert} <folder>`"
            )
        return folder

    @property
    def again(self) -> str:
        return (
            f"delete the folder and convert {self.takes} again with `python -m bench.convert kind={self.kind} <file> "
            f"{self.folder}`"
        )

    def identity(self) -> dict[str, Any]:
        """Its files', and the hash of the official file that they were made of."""
        return super().identity() | {"conversion": self.conversion}
