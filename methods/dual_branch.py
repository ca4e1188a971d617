"""The dual-branch framework of inversion-based editing (SimInversion, Algorithm 1), with two independent choices: how
the source is inverted and what the source branch does, and how its attention steers the target (`methods.controls`).

A method of this family is a subclass that says how to invert; an operating point of it is an instance.
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass, fields

import torch

from bench.diffusion.grid import Grid
from bench.errors import BadSample
from bench.types import Condition, DiffusionModel, EditBatch, EditResult, Noise, Query
from methods import controls, latents
from methods.branches import Source, Target, generate
from methods.controls import Control


@dataclass
class DualBranch(ABC):
    """What the family shares.

    Args:
        w_t: guidance scale of the target branch.
        steps: DDIM steps S.
        control: a module of `methods.controls`, or a class by its dotted name.
        source_text: `caption` or `empty`, what the source is inverted and generated again with; None: the caption,
            except with a control whose authors leave it empty.
        keep_source: go on with the source branch when nothing looks at it any more; changes the cost alone.
        cross_replace, self_replace, edit, words, reweight, local_blend, blend_size, blend_threshold, blend_start: of
            `control=p2p`, see there.
        start_layer, start_step: of `control=masactrl`, see there.
    """

    version = 1  # raised with what the subclasses share, and so are theirs
    keeps = True  # inversions, which other methods find

    w_t: float
    steps: int
    control: str = "p2p"
    source_text: str | None = None
    keep_source: bool = False
    cross_replace: float | None = 0.4
    self_replace: float | None = 0.6
    edit: str | None = "refine"
    words: str | None = "offsets"
    reweight: float | None = 2.0
    local_blend: bool | None = True
    blend_size: int | None = 16
    blend_threshold: float | None = 0.3
    blend_start: float | None = 0.2
    start_layer: int | None = None
    start_step: int | None = 4

    inverts_with_words = False  # True: the caption is the default even with a control that would leave it empty
    donor = "cs"

    @abstractmethod
    def invert(self, model: DiffusionModel, batch: EditBatch, levels: Grid) -> Source:
        """The source, inverted."""

    def lineage(self) -> tuple[Hashable, ...]:
        """What `invert` depends on, apart from steps and source text: points that agree in it share the source."""
        return ()

    def __call__(self, model: DiffusionModel, batch: EditBatch, noise: Noise) -> EditResult:
        levels, mine = latents.grid(model, batch, self.steps), self._lineage()
        family = [p for p in batch.points if isinstance(p, DualBranch) and p._lineage() == mine]
        family = list({point.knobs(): point for point in [self, *family]}.values())

        def targets() -> dict[Hashable, Target]:
            found = {}
            for point in family:
                with suppress(BadSample):  # its own call will say so
                    found[point.knobs()] = point.target(model, batch)
            return found

        prepared = batch.shared(("targets", mine), targets)
        if self.knobs() not in prepared:
            self.target(model, batch)  # refuses samples, before any work is done
        source = batch.shared(("source", mine), lambda: self.invert(model, batch, levels))
        z, steering = batch.shared.part(
            ("edit", mine), self.knobs(), lambda: generate(model, levels, source, list(prepared.values()))
        )
        notes = [a | b for a, b in zip(steering.notes, source.notes or [{}] * len(batch.samples), strict=True)]
        return EditResult(
            latents.images(model, z), notes=[a | b for a, b in zip(notes, latents.cut(model, batch), strict=True)]
        )

    def target(self, model: DiffusionModel, batch: EditBatch) -> Target:
        """Its target branch, ready to go. Raises: BadSample, UserError: see `methods.controls.Control.prepare`."""
        control, null = self.steering(), latents.null(model, batch)
        steering = control.prepare(model, batch.samples, null, self.steps, latents.clean(model, batch).shape[-1])
        words = latents.condition(model, batch, batch.targets)
        return Target(self.knobs(), self.w_t, words, null, steering, control.donors, self.donor, self.keep_source)

    def _lineage(self) -> tuple[Hashable, ...]:
        return type(self), self.steps, self._text(), self.keep_source, *self.lineage()

    def _text(self) -> str:
        empty = self.steering().empty_source and not self.inverts_with_words
        return self.source_text or ("empty" if empty else "caption")

    def knobs(self) -> tuple[Hashable, ...]:
        """All its knobs: what tells points of one method apart."""
        return tuple(getattr(self, field.name) for field in fields(self))

    def source_queries(self, batch: EditBatch) -> list[Query]:
        """What the source branch is told, one query a sample."""
        return batch.sources if self._text() == "caption" else [None] * len(batch.samples)

    def steering(self) -> Control:
        """The control with its knobs."""
        return controls.make(self.control, {f.name: getattr(self, f.name) for f in fields(self)})

    def conditions(self, model: DiffusionModel, batch: EditBatch) -> tuple[Condition, Condition | None]:
        """What the source's branch is told, and the unconditional model; the same where the words are empty."""
        null = latents.null(model, batch)
        if self._text() == "caption" or null is None:
            return latents.condition(model, batch, self.source_queries(batch)), null
        return null, null

    def trajectory(self, model: DiffusionModel, batch: EditBatch, levels: Grid, w: float) -> list[torch.Tensor]:
        """The source inverted at guidance w; shared with other methods and other runs."""
        queries = self.source_queries(batch)

        def levels_1_to_s() -> torch.Tensor:
            return torch.stack(latents.inverted(model, batch, levels, self.steps, queries, w)[1:], 1)

        empty = latents.wordless(model, queries, w)
        kept = batch.kept(("inverted", levels, 0.0 if empty else float(w), empty or self._text()), levels_1_to_s)
        return [latents.clean(model, batch), *kept.unbind(1)]
