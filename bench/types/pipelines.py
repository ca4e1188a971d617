"""What a whole pipeline of another library offers to methods that call it. No torch at run time."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from bench.types.records import EditSample

if TYPE_CHECKING:
    import torch


Calls = dict[str, dict[str, Any]]
"""Function of a pipeline -> its arguments, in the order in which they are called."""


class PipelineModel(Protocol):
    """An editor that is asked for one picture at a time, since it may keep something of a picture between its calls.

    Attributes:
        rows: evaluations of its denoisers so far, counted per batch row.
    """

    rows: int

    def fill(self, call: Mapping[str, Any], before: Mapping[str, Mapping[str, Any]], sample: EditSample) -> Calls:
        """The calls that edit a sample, the edit's own the last.

        Args:
            call: arguments of the edit; texts that start with `sample.` stand for what the sample holds.
            before: function that is called before -> its arguments.

        Raises:
            BadSample: the sample lacks something, or its picture is of a size that cannot be taken.
        """

    def edit(self, calls: Calls, generator: "torch.Generator") -> tuple["torch.Tensor", dict[str, Any]]:
        """The picture that `calls` of `fill` make, uint8 `[3, H, W]` of any size, and what to note of it.

        Raises:
            NotFinite: its denoiser gave no numbers.
        """
