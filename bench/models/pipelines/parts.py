"""What a folder holds of the parts that a pipeline is made of: which are there, of which class, and whether they are
whole. No torch."""

from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.files import parts
from bench.files.tensors import configuration, header
from bench.models.folder import INDEX, untrained
from bench.models.pipelines import classes
from bench.models.pipelines.classes import PipelineClass

_FILTERS = ("safety_checker", "watermarker")
"""Parts that change pictures after they are made, and are never loaded."""
_LIBRARIES = ("diffusers", "transformers")
_READ = (".json", ".txt", ".model", ".jinja")


class Parts:
    """The parts of one pipeline in a folder.

    Attributes:
        index: what `model_index.json` says.
        names: of the parts that are loaded.
        denoisers: those of them whose evaluations are counted.
        config: of networks and of the scheduler, by name.
        weights: files of the networks, by name.

    Raises:
        UserError: one that the pipeline needs is not there, is of another kind, or not whole.
    """

    again = "download the model again"

    def __init__(self, folder: Path, index: dict[str, Any], kind: PipelineClass):
        self.folder, self.index, self.kind = folder, index, kind
        self.names = [name for name in kind.parts.takes if self._is_there(name)]
        self.denoisers = [name for name in self.names if name.startswith(("unet", "transformer"))]
        if not self.denoisers:
            raise UserError(f"{kind.name} has neither a unet nor a transformer, whose evaluations can be counted")
        self.config: dict[str, dict[str, Any]] = {}
        found = {name: self._check(name) for name in self.names}
        self.weights = {name: files for name, files in found.items() if files}
        headers = {name: {file: header(file, self.again) for file in files} for name, files in self.weights.items()}
        self.untrained = untrained(headers[self.denoisers[0]])

    def _is_there(self, name: str) -> bool:
        """Whether a part is one of files, and used."""
        entry = self.index.get(name)
        needed = name in self.kind.parts.needs and name not in self.kind.optional
        for_filter = name == "feature_extractor" and "safety_checker" in self.kind.parts.takes and not needed
        if name in _FILTERS or for_filter:
            return False
        if entry in (None, [None, None]):
            if needed:
                raise UserError(f"{self.folder / INDEX} has no {name}, which {self.kind.name} needs; {self.again}")
            return False
        return isinstance(entry, list)  # others are options

    def entry(self, name: str) -> tuple[str, str]:
        """Library and class of a part. Raises: UserError: they are neither diffusers' nor transformers'."""
        entry = self.index[name]
        if len(entry) != 2 or not all(isinstance(one, str) for one in entry):
            raise UserError(f"{self.folder / INDEX} has {name} {entry}; expected a library and a class")
        library, kind = entry
        if library not in _LIBRARIES and not classes.has_module(library):
            raise UserError(
                f"{self.folder / INDEX} names {library}.{kind} as {name}, which is code of its own and is never run; "
                f"expected a class of {' or '.join(_LIBRARIES)}"
            )
        return library, kind

    def _check(self, name: str) -> list[Path]:
        """The weights of a part that has been looked at; none of what has none."""
        _, kind = self.entry(name)
        folder, takes = self.folder / name, self.kind.parts.takes[name]
        if name in self.denoisers and takes and kind not in takes:
            raise UserError(f"{self.folder / INDEX} names {kind} as {name}; {self.kind.name} takes {takes}")
        if not folder.is_dir():
            raise UserError(f"model folder {self.folder} has no {name}/, which {self.kind.name} needs; {self.again}")
        if kind.endswith("Scheduler"):
            self.config[name] = configuration(folder / "scheduler_config.json", (), self.again)
            return []
        if "Tokenizer" in kind or (folder / "tokenizer_config.json").exists():
            configuration(folder / "tokenizer_config.json", (), self.again)
            parts.check_vocabulary(folder)
            return []
        if "Processor" in kind or "FeatureExtractor" in kind:
            if not any(folder.glob("*.json")):
                raise UserError(f"{folder} has no preprocessor_config.json; {self.again}")
            return []
        self.config[name] = configuration(folder / "config.json", (), self.again)
        return parts.weights(folder, again=self.again)

    def files(self) -> list[Path]:
        """Every file that decides what the pipeline computes."""
        found = [self.folder / INDEX, *(file for shards in self.weights.values() for file in shards)]
        for name in self.names:
            if name in self.weights:
                found.append(self.folder / name / "config.json")
            else:
                found += sorted(file for file in (self.folder / name).iterdir() if file.suffix in _READ)
        return found

    def variant(self, part: str) -> str | None:
        """Variant of a network's weights, as diffusers' and transformers' loaders are told it."""
        return parts.variant(self.weights[part][0])
