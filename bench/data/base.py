"""What data sets have in common: where their files come from, and what their owners say should be there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import BadSample, UserError
from bench.files.paths import find


@dataclass(frozen=True)
class Source:
    """One file or folder that a data set is made of, and where its users get it.

    Attributes:
        what: its name, as a user would look for it.
        place: where it belongs and is sought.
        knob: what to set when it lies elsewhere.
        origin: who gives it, in words that fit "get it from ...".
        url: open, stable official address; None where there is none, or where a form or an account is asked for.
        size, sha256: of the file at `url`; None where its owners publish neither and nobody else does.
        unpack: prefix of the members to take out of the zip archive at `url`, None for a plain file. They land in the
            folder above `place` that makes `<folder>/<prefix>` meet it.
        hub: data set of the Hugging Face hub that holds it.
        include: the files of that data set to fetch, a pattern; None for all.
    """

    what: str
    place: Path
    knob: str
    origin: str
    url: str | None = None
    size: int | None = None
    sha256: str | None = None
    unpack: str | None = None
    hub: str | None = None
    include: str | None = None

    @property
    def open(self) -> bool:
        """Whether `bench.prepare download=true` can fetch it."""
        return bool(self.url or self.hub)

    @property
    def sentence(self) -> str:
        """That it is missing, and what to do."""
        fetch = " (`python -m bench.prepare` with download=true does)" if self.open else ""
        where = f"missing: {self.what}, sought at {self.place}"
        return f"{where}; get it from {self.origin}{fetch}, or set {self.knob}= to where it is"

    @property
    def found(self) -> Path | None:
        """Where it lies: as given (from the working directory), else from the project's root."""
        return find(self.place)


@dataclass(frozen=True)
class Count:
    """One line of what `bench.prepare` prints; `expected` is None where the owners state nothing."""

    what: str
    found: int | str
    expected: int | str | None = None


class Benchmark:
    """Defaults of `bench.types.EditData`. A data set sets `ids` and `size`, and gives samples by index.

    Attributes:
        licence: what its owners allow, in a line.
        annotations: the annotation files it was read from; their hashes go into every run's `env/`.
    """

    licence = ""
    annotations: list[Path] = []  # noqa: RUF012 (replaced, never changed)
    ids: list[str]
    size: int | str

    @classmethod
    def sources(cls, **options: Any) -> list[Source]:
        """The files that these options need."""
        return []

    @classmethod
    def listed(cls, **options: Any) -> list[Count]:
        """What `bench.prepare` reports of annotation files where something else is missing."""
        return []

    @classmethod
    def require(cls, **options: Any) -> list[Path]:
        """Where each of `sources` lies.

        Raises:
            UserError: one sentence for each that is missing.
        """
        if unset := [name for name, value in options.items() if value is None]:
            raise UserError("\n".join(f"data.{name} is not set; expected a file or folder" for name in unset))
        sources = cls.sources(**options)
        missing = [source for source in sources if source.found is None]
        if missing:
            raise UserError("\n".join(source.sentence for source in missing))
        return [source.found for source in sources]

    def counts(self) -> list[Count]:
        """What `bench.prepare` reports beside the checks that it makes of every data set."""
        return []

    def result_names(self, index: int) -> dict[str, str]:
        """Under which names others may have saved their edit of a sample: convention -> path without its ending."""
        return {"sample id": self.ids[index]}

    def pool(self) -> Any:
        """`real_image` draws from nothing beyond what `identity` covers."""

    def real_image(self, class_id: int, rng: np.random.Generator) -> np.ndarray:
        """Raises BadSample: most data sets have no classes."""
        raise BadSample("this data set has no classes to retrieve pictures of; choose another method")
