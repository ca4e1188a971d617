"""Folders of models that read a prompt with several text encoders: what `model_index.json` says of their parts. No
torch."""

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bench.errors import UserError
from bench.files.hashing import sha256
from bench.files.tensors import configuration, header
from bench.models.folder import INDEX, DiffusersFolder

if TYPE_CHECKING:
    import torch

    from bench.models.prompts import Prompts
    from bench.models.text_encoders import Where

_LIBRARIES = ("diffusers", "transformers")
_SLOW = {"CLIPTokenizerFast": "CLIPTokenizer", "T5Tokenizer": "T5TokenizerFast"}
"""Names of tokenizers that are one class today."""


class PromptedFolder(DiffusersFolder):
    """What Stable Diffusion XL, Stable Diffusion 3 and FLUX share.

    Raises:
        UserError: besides what `DiffusersFolder` raises: a part is of another class or library, or two shards hold the
            same tensor.
    """

    classes: ClassVar[dict[str, str]]
    """Part -> its class."""
    optional: ClassVar[tuple[str, ...]] = ()
    """Parts that `model_index.json` may leave out."""
    gated: ClassVar[bool] = False
    """Whether the hub asks for a licence to be accepted."""

    def __init__(self, path: str):
        super().__init__(path)
        for part, files in self.weights.items():
            _check_once(files, self.again, part)

    def locate(self, path: str) -> Path:
        folder = super().locate(path)
        self.index = configuration(folder / INDEX)
        absent = [part for part in self.classes if self.index.get(part) in (None, [None, None])]
        for part in absent:
            if part not in self.optional:
                raise UserError(f"{folder / INDEX} has no {part}, which {self.takes} needs; {self.again}")
        for part, kind in self.classes.items():
            if part not in absent:
                self._check_class(folder, part, kind)
        self.networks = {part: keys for part, keys in self.networks.items() if part not in absent}
        self.tokenizers = tuple(part for part in self.tokenizers if part not in absent)
        return folder

    def _check_class(self, folder: Path, part: str, kind: str) -> None:
        found = self.index[part]
        library, name = found if isinstance(found, list) and len(found) == 2 else (None, found)
        if library not in _LIBRARIES or _SLOW.get(name, name) != kind:
            raise UserError(f"{folder / INDEX} names {library}.{name} as {part}; expected {kind}")

    @abstractmethod
    def encoders(self, where: "Where") -> "Prompts":
        """Its text encoders."""

    def prompt_reader(self, device: "torch.device", dtype: "torch.dtype", offload: str = "none") -> "Prompts":
        """The half of the model that reads words, which `load` takes: so that it can read, and be freed, before.

        Raises:
            UserError: a text encoder lacks parameters, or they tell no words apart.
        """
        from bench.models.text_encoders import Where

        made = self.encoders(Where(device, dtype, by_layer=offload == "sequential"))
        made.check(self.folder)
        return made

    @classmethod
    def fetch(cls, path: str) -> str:
        """How a model that is not here is got: its parts alone, without what else lies in its repository."""
        include = " ".join(f"'{name}'" for name in (INDEX, "scheduler/*", *(f"{part}/*" for part in cls.classes)))
        first = "accept the licence on the model's page, then `hf auth login`, then" if cls.gated else "get it with"
        return f"{first} `hf download {path} --include {include}`"

    def identity(self) -> dict[str, Any]:
        found = super().identity()
        return {**found, "files": {**found["files"], INDEX: sha256(self.folder / INDEX)}}

    def told(self, size: int | str) -> str:
        """What tables must say of pictures of `size` pixels a side, or of their own sizes (`native`)."""
        negative = getattr(self, "negative", None)
        return f"{self.family} at {size}{' px' * isinstance(size, int)}" + (
            f", negative prompt {negative!r}" if negative else ""
        )


def _check_once(files: list[Path], again: str, part: str) -> None:
    seen: dict[str, Path] = {}
    for file in files:
        for name in header(file, again)[0]:
            if name in seen:
                raise UserError(f"{part}: {name} is in {seen[name].name} and in {file.name}; {again}")
            seen[name] = file
