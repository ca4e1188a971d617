"""Controls: how the attention of the source branch steers the target branch. One module a control, which holds a class
`Control`; its constructor takes the method's knobs of the same names."""

import importlib
import inspect
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from bench.errors import UserError
from bench.types import AttentionLayer, Condition, DiffusionModel, EditSample


@dataclass
class Call:
    """One evaluation of the denoiser on the rows of several branches.

    Attributes:
        step: 0 is the noisiest.
        query, key, value: `[rows, heads, tokens, d]` of one layer.
        source, target: rows of the source branch and of one target branch: `null` and `words`, as far as they are
            evaluated. Both may name the same rows.
    """

    step: int
    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    source: dict[str, slice]
    target: dict[str, slice]


@dataclass
class Steering:
    """A control at work on one batch; this one does nothing.

    Attributes:
        notes: facts for the journal, one dict a sample.
        until: steps, counted from the noisiest, during which it looks at the source branch.
    """

    notes: list[dict[str, Any]]
    until: int = 0

    def attend(self, layer: AttentionLayer, call: Call) -> dict[str, torch.Tensor]:
        """Outputs `[B, heads, tokens, d]` of those of the target's rows that shall not attend as they always do."""
        return {}

    def after(self, step: int, z_source: torch.Tensor, z_target: torch.Tensor) -> torch.Tensor:
        """Target latents after a step, given the source's at the same level."""
        return z_target


class Control(Protocol):
    """What a module in `methods.controls` offers as `Control`.

    Attributes:
        donors: rows of the source branch that it reads, of `null` and `words`; none: it needs no source branch.
        empty_source: its authors invert with the empty prompt in place of the source's.
    """

    donors: tuple[str, ...]
    empty_source: bool

    def prepare(
        self, model: DiffusionModel, samples: list[EditSample], null: Condition | None, steps: int, side: int
    ) -> Steering:
        """Everything that depends on the prompts. `null` is the unconditional model's condition, None for a
        distilled one, `side` the latents' cells a side.

        Raises:
            UserError: the model cannot be steered this way.
            BadSample: some samples cannot; `BadSample.ids` names them.
        """


def make(name: str, knobs: dict[str, Any]) -> Control:
    """The control of a module in this package, or, with a dot, of any importable class.

    Raises:
        UserError: there is none.
    """
    module, _, kind = name.rpartition(".") if "." in name else (f"methods.controls.{name}", "", "Control")
    try:
        found = getattr(importlib.import_module(module), kind)
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"control={name} cannot be imported ({error}); expected a module of methods/controls or a class"
        ) from None
    return found(**{key: knobs[key] for key in inspect.signature(found).parameters if knobs.get(key) is not None})
