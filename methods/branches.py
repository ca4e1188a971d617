"""Source and target branches of an edit, generated step by step together: all rows of a step are one call of the
denoiser."""

from collections.abc import Callable, Hashable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from bench.diffusion import ddim
from bench.diffusion.grid import Grid
from bench.types import AttentionLayer, DiffusionModel
from bench.types.bill import Part
from methods.controls import Call, Steering

Scale = float | torch.Tensor
"""A guidance scale, or one a sample, `[B, 1, 1, 1]`."""


@dataclass
class Source:
    """An inverted source, and how its branch is generated again. Steps count from the noisiest.

    Attributes:
        trajectory: latents at levels 0 (clean) to S, `[B, C, h, w]` each.
        words: states of its prompt, `[B, L, D]`; the very tensor `null` where the empty prompt stands for it.
        null: states of the empty prompt.
        w: guidance of its branch at each step.
        nulls: states that take the place of `null` in its branch at each step.
        target_nulls: the same for the target branch.
        held: its latents are set to the inversion's after each step, so that it need not predict its own.
        values: `(step, "source" or "target", words) -> states` that cross-attention with words takes its values from
            instead of the words; None: from the words.
        notes: facts for the journal, one dict a sample.
    """

    trajectory: list[torch.Tensor]
    words: torch.Tensor
    null: torch.Tensor
    w: list[Scale]
    nulls: list[torch.Tensor] | None = None
    target_nulls: list[torch.Tensor] | None = None
    held: bool = False
    values: Callable[[int, str, torch.Tensor], torch.Tensor | None] = lambda step, branch, words: None
    notes: list[dict[str, Any]] | None = None


@dataclass
class Target:
    """A target branch.

    Attributes:
        name: tells it from others.
        w: its guidance.
        words, null: states of its prompt and of the empty one, `[B, L, D]`.
        steering: its control at work.
        donors: rows of the source branch that the control reads; none: it needs no source branch.
        donor: `active`: where the source's words are not evaluated for their own sake, what is stands in for them.
        keeps_source: has the source branch go on when its control no longer looks at it.
        rows, worked: what it costs alone, see `bench.types.Part`.
    """

    name: Hashable
    w: float
    words: torch.Tensor
    null: torch.Tensor
    steering: Steering
    donors: tuple[str, ...]
    donor: str = "cs"
    keeps_source: bool = False
    rows: int = 0
    worked: int = 0

    def keeps(self, step: int) -> bool:
        """Whether it has the source branch go on at a step."""
        return bool(self.donors) and (self.keeps_source or step < self.steering.until)


def _roles(w: Scale) -> list[str]:
    """Predictions that guidance at w combines: one at 0 and 1, else both."""
    if isinstance(w, torch.Tensor):
        return ["null", "words"]
    return [role for role, idle in (("null", 1), ("words", 0)) if w != idle]


def _guided(eps: dict[str, torch.Tensor], w: Scale) -> torch.Tensor:
    """w * eps(words) + (1 - w) * eps(null), of the predictions there are (SimInversion, Eq. 6)."""
    roles = _roles(w)
    if len(roles) == 1:
        return eps[roles[0]]
    return eps["null"] + w * (eps["words"] - eps["null"])


def generate(
    model: DiffusionModel,
    levels: Grid,
    source: Source,
    targets: list[Target],
    trace: list[tuple[torch.Tensor | None, list[torch.Tensor]]] | None = None,
) -> dict[Hashable, Part]:
    """Source and target branches from the noisiest level to the clean one, step by step together.

    Args:
        trace: collects, after each step, the source's latents (None once it is dropped) and the targets'.

    Returns:
        for each target, by its name, `(clean latents, steering)`.
    """
    steps, count = len(levels.timesteps), len(source.words)
    z_source, z = source.trajectory[steps], [source.trajectory[steps]] * len(targets)
    for i in range(steps):
        level = steps - i
        for target in targets:
            beside = count * len(_unique(_source_states(source, i, [target])))
            target.rows += count * len(_roles(target.w)) + beside
            target.worked += count * len(_roles(target.w)) + (beside if target.keeps(i) else 0)
        keen = [target for target in targets if target.keeps(i)]
        states = _source_states(source, i, keen)
        eps_source, eps = _predict(model, levels.timesteps[level - 1], source, i, states, z_source, targets, z)
        a_from, a_to = levels.levels[level], levels.levels[level - 1]
        z = [ddim.step(x, _guided(e, t.w), a_from, a_to) for x, e, t in zip(z, eps, targets, strict=True)]
        if source.held:
            z_source = source.trajectory[level - 1]
        elif keen:
            z_source = ddim.step(z_source, _guided(eps_source, source.w[i]), a_from, a_to)
        z = [t.steering.after(i, z_source, x) if i < t.steering.until else x for x, t in zip(z, targets, strict=True)]
        if trace is not None:
            trace.append((z_source if keen or source.held else None, z))
    return {
        target.name: Part((x, target.steering), target.rows, target.worked)
        for target, x in zip(targets, z, strict=True)
    }


def _source_states(source: Source, step: int, keen: list[Target]) -> dict[str, torch.Tensor]:
    """States that the source branch is evaluated with, by role: those its own prediction needs and those that the
    controls of `keen` read. Roles with the same tensor are one row."""
    w, donors = source.w[step], {role for target in keen for role in target.donors}
    if not donors:
        return {}
    states = {"null": source.nulls[step] if source.nulls else source.null, "words": source.words}
    if keen[0].donor == "active" and not isinstance(w, torch.Tensor) and w == 0:
        states["words"] = states["null"]
    wanted = donors if source.held else donors.union(_roles(w))
    return {role: tensor for role, tensor in states.items() if role in wanted}


def _unique(states: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    return list({id(tensor): tensor for tensor in states.values()}.values())


def _predict(
    model: DiffusionModel,
    t: int,
    source: Source,
    step: int,
    states: dict[str, torch.Tensor],
    z_source: torch.Tensor,
    targets: list[Target],
    z: list[torch.Tensor],
) -> tuple[dict[str, torch.Tensor], list[dict[str, torch.Tensor]]]:
    """One call of the denoiser for all rows of a step: the source's, then the targets' without words, then those with,
    so that what the controls replace lies together. Returns predictions by role, of the source and of each target."""
    blocks: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]] = []
    count = len(z_source)

    def place(latents_: torch.Tensor, condition: torch.Tensor, values: torch.Tensor | None = None) -> slice:
        blocks.append((latents_, condition, values))
        return slice((len(blocks) - 1) * count, len(blocks) * count)

    at = {
        id(s): place(z_source, s, source.values(step, "source", s) if s is source.words else None)
        for s in _unique(states)
    }
    source_rows = {role: at[id(tensor)] for role, tensor in states.items()}
    target_rows: list[dict[str, slice]] = [{} for _ in targets]
    for role in ("null", "words"):
        for rows, target, x in zip(target_rows, targets, z, strict=True):
            if role in _roles(target.w):
                null = source.target_nulls[step] if source.target_nulls else target.null
                words = target.words
                rows[role] = place(x, null) if role == "null" else place(x, words, source.values(step, "target", words))
    live = [(t.steering, rows) for t, rows in zip(targets, target_rows, strict=True) if step < t.steering.until]

    def hook(layer: AttentionLayer, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        steered = {}
        for steering, rows in live:
            call = Call(step, query, key, value, source_rows, rows)
            steered |= {rows[role].start: out for role, out in steering.attend(layer, call).items()}
        return attend(query, key, value, steered, count)

    inputs, conditions = (torch.cat(column) for column in list(zip(*blocks, strict=True))[:2])
    values = None
    if any(v is not None for *_, v in blocks):
        values = torch.cat([condition if v is None else v for _, condition, v in blocks])
    with model.attend(hook) if live or values is not None else nullcontext():
        eps = model.eps(inputs, t, conditions, values=values)
    return {r: eps[at] for r, at in source_rows.items()}, [
        {r: eps[at] for r, at in rows.items()} for rows in target_rows
    ]


def attend(query, key, value, steered: dict[int, torch.Tensor], count: int) -> torch.Tensor:
    """Attention of all rows; blocks of `count` rows that begin at a key of `steered` have their output already."""
    outputs, start = [], 0
    for at in [*sorted(steered), len(query)]:
        if at > start:
            outputs.append(scaled_dot_product_attention(query[start:at], key[start:at], value[start:at]))
        if at in steered:
            outputs.append(steered[at])
        start = at + count
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs)
