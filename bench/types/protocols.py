"""What a data set, a metric, noise and a method offer to the harness. No torch at run time."""

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from bench.types.model import DiffusionModel
from bench.types.records import EditBatch, EditResult, EditSample, ScoreBatch

if TYPE_CHECKING:
    from pathlib import Path

    import torch


class EditData(Protocol):
    """A data set: ids in a fixed order; a sample is read when asked for, in some thread. The defaults of
    `bench.data.base.Benchmark` are enough for most of it.

    Attributes:
        size: pixels a side of its pictures, or `native`: each has its own height and width.
    """

    ids: list[str]
    size: int | str
    annotations: list["Path"]

    def __getitem__(self, index: int) -> EditSample:
        """Raises: BadSample: this one cannot be read."""

    def identity(self) -> dict[str, Any]:
        """What its pixels and words depend on: options and hashes of its files, never a path."""

    def pool(self) -> Any:
        """What `real_image` depends on beyond `identity`."""

    def result_names(self, index: int) -> dict[str, str]:
        """Names that somebody else's edit of a sample may have: convention -> path without its ending."""

    def real_image(self, class_id: int, rng: np.random.Generator) -> np.ndarray:
        """A random real picture of a class, uint8 `[3, H, W]`. Raises: BadSample: it has none."""


class PairMetric(Protocol):
    """A number for each edit. Class attributes are part of the metric's identity: `version` is raised whenever the
    same picture would get another number.

    A metric may have `notes`, sample id -> what is to be said about its value, which tables count; `smallest`, pixels a
    side below which pictures have no value (else 1); and `load()`, which reads its network, so that a UserError about
    its files is raised before anything is edited.
    """

    version: int
    higher_is_better: bool
    unit: str

    def score(self, batch: ScoreBatch) -> np.ndarray:
        """float64 `[B]`; NaN where one is undefined. Raises: Undefined: all are, for the same reason."""


class SetMetric(Protocol):
    """One number for all edits of a run together.

    A metric may have `smallest` and `load()` as in `PairMetric`; `interval()`: lower and upper end of the number's 95 %
    interval, NaN where there is none; and `halves()`: its values on `half_samples` of what `halves_of` names ("group"
    or "class"), the same for every run of the same samples, so that runs can be compared.
    """

    version: int
    higher_is_better: bool
    unit: str

    def update(self, batch: ScoreBatch) -> None:
        """Takes in a batch."""

    def compute(self) -> float:
        """The number. Raises: Undefined."""


class Noise(Protocol):
    """Per-sample noise: independent of batch size, order and sharding."""

    def __call__(self, stream: str, shape: tuple[int, ...]) -> "torch.Tensor":
        """Standard normal float32 `[B, *shape]` of a named stream, on the device."""

    def generators(self, stream: str) -> "list[torch.Generator]":
        """One generator a sample, on the CPU, for libraries that draw by themselves."""

    def rng(self, stream: str) -> list[np.random.Generator]:
        """One numpy generator a sample, for choices that are not noise."""


class Method(Protocol):
    """An editing method at one operating point; its knobs are constructor arguments, named in its YAML.

    A method may have `keeps`, True: what it keeps of a batch (`EditBatch.kept`) is of use to other methods, so that its
    runs and theirs take turns on every batch; `queries(sample)`, a list of the prompts that it asks the model besides
    what the sample says; and `alone`, True: it works on one picture after the other, and is handed batches of one, so
    that each is stored when it is made.
    """

    def __call__(self, model: DiffusionModel | None, batch: EditBatch, noise: Noise) -> EditResult:
        """Edits a batch. `model` is None for methods whose YAML says they do not use one."""
