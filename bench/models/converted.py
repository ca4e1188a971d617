"""Folders that `python -m bench.convert` makes of official files. No torch."""

from pathlib import Path
from typing import Any, ClassVar

from bench.errors import UserError
from bench.files.paths import find
from bench.files.tensors import configuration
from bench.models.folder import DiffusersFolder

FORMAT_VERSION = 1
"""Raised when the same official file would become another folder."""
CONVERSION = "conversion.json"


class ConvertedFolder(DiffusersFolder):
    """A folder with `conversion.json` and a subfolder for each part."""

    kind: ClassVar[str]
    """What the converter is told, and the model's name."""

    def locate(self, path: str) -> Path:
        folder, command = find(path), f"python -m bench.convert kind={self.kind} <file> <folder>"
        if folder is None:
            raise UserError(
                f"model={self.kind} is not here: {path} does not exist; make it of {self.takes} with `{command}`, or "
                "give its folder with model.path="
            )
        if not (folder / CONVERSION).is_file():
            raise UserError(f"{folder} has no {CONVERSION}; expected a folder made of {self.takes} with `{command}`")
        self.conversion = configuration(folder / CONVERSION, ("format_version", "kind"))
        found = self.conversion["kind"]
        if found != self.kind:
            raise UserError(
                f"model folder {folder} is of kind={found}; expected one made of {self.takes} with `{command}`"
            )
        if self.conversion["format_version"] != FORMAT_VERSION:
            raise UserError(
                f"{folder} was converted by version {self.conversion['format_version']} of the converter; expected "
                f"{FORMAT_VERSION}: make it again with `{command}`"
            )
        return folder

    def identity(self) -> dict[str, Any]:
        """Its files', and the hash of the official file that they were made of."""
        return super().identity() | {"conversion": self.conversion}
