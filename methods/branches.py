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
from bench.diffusion.guidance import NULL, WORDS, Scale, combine, roles, told
from bench.types import AttentionLayer, Condition, DiffusionModel
from bench.types.bill import Part
from methods.controls import Call, Steering


@dataclass
class Source:
    """An inverted source, and how its branch is generated again. Steps count from the noisiest.

    Attributes:
        trajectory: latents at levels 0 (clean) to S, `[B, C, h, w]` each.
        words: its prompt; the very object `null` where the empty prompt stands for it.
        null: the unconditional model; None for a distilled one.
        w: guidance of its branch at each step.
        nulls: what takes the place of `null` in its branch at each step.
        target_nulls: the same for the target branch.
        held: its latents are set to the inversion's after each step, so that it need not predict its own.
        values: `(step, "source" or "target", words) -> states` that cross-attention with words takes its values from
            instead of the words; None: from the words.
        notes: facts for the journal, one dict a sample.
    """

    trajectory: list[torch.Tensor]
    words: Condition
    null: Condition | None
    w: list[Scale]
    nulls: list[Condition] | None = None
    target_nulls: list[Condition] | None = None
    held: bool = False
    values: Callable[[int, str, Condition], torch.Tensor | None] = lambda step, branch, words: None
    notes: list[dict[str, Any]] | None = None


@dataclass
class Target:
    """A target branch.

    Attributes:
        name: tells it from others.
        w: its guidance.
        words, null: its prompt, and the unconditional model (None for a distilled one).
        steering: its control at work.
        donors: rows of the source branch that the control reads; none: it needs no source branch.
        donor: `active`: where the source's words are not evaluated for their own sake, what is stands in for them.
        keeps_source: has the source branch go on when its control no longer looks at it.
        rows, worked: what it costs alone, see `bench.types.Part`.
    """

    name: Hashable
    w: float
    words: Condition
    null: Condition | None
    steering: Steering
    donors: tuple[str, ...]
    donor: str = "cs"
    keeps_source: bool = False
    rows: int = 0
    worked: int = 0

    def keeps(self, step: int) -> bool:
        """Whether it has the source branch go on at a step."""
        return bool(self.donors) and (self.keeps_source or step < self.steering.until)


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
    steps, count, distilled = len(levels.timesteps), len(source.words), model.distilled
    z_source, z = source.trajectory[steps], [source.trajectory[steps]] * len(targets)
    for i in range(steps):
        level = steps - i
        for target in targets:
            beside = count * len(_unique(_source_conditions(source, i, [target], distilled)))
            target.rows += count * len(roles(target.w, distilled)) + beside
            target.worked += count * len(roles(target.w, distilled)) + (beside if target.keeps(i) else 0)
        keepers = [target for target in targets if target.keeps(i)]
        conditions = _source_conditions(source, i, keepers, distilled)
        eps_source, eps = _predict(model, levels.timesteps[level - 1], source, i, conditions, z_source, targets, z)

        def down(x: torch.Tensor, outputs: dict[str, torch.Tensor], w: Scale, level: int = level) -> torch.Tensor:
            return ddim.step(x, combine(outputs, w, distilled), levels, level, level - 1)

        z = [down(x, outputs, target.w) for x, outputs, target in zip(z, eps, targets, strict=True)]
        if source.held:
            z_source = source.trajectory[level - 1]
        elif keepers:
            z_source = down(z_source, eps_source, source.w[i])
        z = [t.steering.after(i, z_source, x) if i < t.steering.until else x for x, t in zip(z, targets, strict=True)]
        if trace is not None:
            trace.append((z_source if keepers or source.held else None, z))
    return {
        target.name: Part((x, target.steering), target.rows, target.worked)
        for target, x in zip(targets, z, strict=True)
    }


def _source_conditions(source: Source, step: int, keepers: list[Target], distilled: bool) -> dict[str, Condition]:
    """What the source branch is evaluated with, by role: what its own prediction needs and what the controls of
    `keepers` read. Roles with the same condition are one row."""
    w, donors = source.w[step], {role for target in keepers for role in target.donors}
    if distilled:
        donors &= {WORDS}
    if not donors:
        return {}
    conditions = {NULL: source.nulls[step] if source.nulls else source.null, WORDS: source.words}
    if keepers[0].donor == "active" and not isinstance(w, torch.Tensor) and w == 0 and not distilled:
        conditions[WORDS] = conditions[NULL]
    wanted = donors if source.held else donors.union(roles(w, distilled))
    return {role: condition for role, condition in conditions.items() if role in wanted}


def _unique(conditions: dict[str, Condition]) -> list[Condition]:
    return list({id(condition): condition for condition in conditions.values()}.values())


def _predict(
    model: DiffusionModel,
    t: float,
    source: Source,
    step: int,
    conditions: dict[str, Condition],
    z_source: torch.Tensor,
    targets: list[Target],
    z: list[torch.Tensor],
) -> tuple[dict[str, torch.Tensor], list[dict[str, torch.Tensor]]]:
    """One call of the denoiser for all rows of a step: the source's, then the targets' without words, then those with,
    so that what the controls replace lies together. Returns predictions by role, of the source and of each target."""
    blocks: list[tuple[torch.Tensor, Condition, torch.Tensor | None]] = []
    count, distilled = len(z_source), model.distilled

    def place(latents_: torch.Tensor, condition: Condition, w: Scale, values: torch.Tensor | None = None) -> slice:
        blocks.append((latents_, told(condition, w, distilled), values))
        return slice((len(blocks) - 1) * count, len(blocks) * count)

    at = {
        id(c): place(z_source, c, source.w[step], source.values(step, "source", c) if c is source.words else None)
        for c in _unique(conditions)
    }
    source_rows = {role: at[id(condition)] for role, condition in conditions.items()}
    target_rows: list[dict[str, slice]] = [{} for _ in targets]
    for role in (NULL, WORDS):
        for rows, target, x in zip(target_rows, targets, z, strict=True):
            if role in roles(target.w, distilled):
                condition, values = target.words, None
                if role == NULL:
                    condition = source.target_nulls[step] if source.target_nulls else target.null
                else:
                    values = source.values(step, "target", condition)
                rows[role] = place(x, condition, target.w, values)
    live = [(t.steering, rows) for t, rows in zip(targets, target_rows, strict=True) if step < t.steering.until]

    def hook(layer: AttentionLayer, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        steered = {}
        for steering, rows in live:
            call = Call(step, query, key, value, source_rows, rows)
            steered |= {rows[role].start: out for role, out in steering.attend(layer, call).items()}
        return attend(query, key, value, steered, count)

    inputs, rows_told = torch.cat([x for x, *_ in blocks]), Condition.cat([condition for _, condition, _ in blocks])
    values = None
    if any(v is not None for *_, v in blocks):
        values = torch.cat([condition.states if v is None else v for _, condition, v in blocks])
    with model.attend(hook) if live or values is not None else nullcontext():
        eps = model.eps(inputs, t, rows_told, values=values)
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
