"""Prompt-to-prompt (Hertz et al. 2022) as the inversion papers run it: Refine or Replace, reweighting, LocalBlend.

The maps are never built. Replacing them is attention with other queries and keys, since what the original does to a
map A_s of the source and A_t of the target, row by row A = A_s M + A_t diag(r), is linear: A V = A_s (M V) + A_t (r V).
Only LocalBlend needs numbers of the maps, and of those one column of the small ones: attention whose "values" are the
word's indicator.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch.nn.functional import interpolate, max_pool2d, scaled_dot_product_attention

from bench.diffusion.device import marked
from bench.errors import BadSample, UnfitSize, UserError
from bench.types import AttentionLayer, Condition, DiffusionModel, EditSample
from methods.controls import Call, Steering, align

_SELF_CELLS = 32**2  # larger self-attention maps are left alone


class Control:
    """Edits the target's text-conditioned prediction with the maps of the source's.

    Args:
        cross_replace: share of the steps, from the noisiest, during which cross-attention is steered.
        self_replace: the same for self-attention over at most 32 x 32 cells.
        edit: `refine` maps by aligning the tokens, `replace` word by word.
        words: how a word's tokens are found, `offsets` or `published`, see `methods.controls.align`.
        reweight: factor on the map of the blend word of the target, while cross-attention is steered.
        local_blend: keep the source's latents where neither blend word attends; for samples that have blend words.
        blend_size: cells a side of the cross-attention maps that LocalBlend reads (Stable Diffusion: 16).
        blend_threshold: of the map's largest value.
        blend_start: share of the steps before it acts.
    """

    version = 1
    donors = ("words",)
    empty_source = False

    def __init__(
        self,
        cross_replace: float = 0.4,
        self_replace: float = 0.6,
        edit: str = "refine",
        words: str = "offsets",
        reweight: float = 2.0,
        local_blend: bool = True,
        blend_size: int = 16,
        blend_threshold: float = 0.3,
        blend_start: float = 0.2,
    ):
        self.cross_replace, self.self_replace, self.edit, self.words = cross_replace, self_replace, edit, words
        self.reweight, self.local_blend, self.blend_size = reweight, local_blend, blend_size
        self.blend_threshold, self.blend_start = blend_threshold, blend_start

    def prepare(
        self, model: DiffusionModel, samples: list[EditSample], null: Condition | None, steps: int, side: int
    ) -> Steering:
        places = [layer for layer in model.attention() if layer.cross and layer.place != "mid"]
        if not places or null is None:
            raise UserError(
                "control=p2p steers maps of cross-attention to words, and this model has none; use control=none"
            )
        model.tokens(None)  # a model that reads no words says so, before samples are blamed
        context, device, pairs, bad = null.states.shape[1], null.states.device, [], {}
        for sample in samples:
            try:
                pairs.append(self._pair(model, sample, context))
            except BadSample as error:
                bad[sample.id] = str(error)
        if bad:
            raise BadSample(next(iter(bad.values())), bad)
        names = ("take", "keep", "columns")
        blends = any(pair.blended for pair in pairs)
        take, keep, columns = (torch.stack([getattr(p, n) for p in pairs]).to(device) for n in names)
        blended = torch.tensor([pair.blended for pair in pairs], device=device)
        sides = sorted({layer.cells(side) for layer in places})
        if blends and self.blend_size not in sides:
            raise UnfitSize(
                f"LocalBlend reads cross-attention maps of {self.blend_size} x {self.blend_size} cells, and those of "
                f"this model have {sides} a side: set method.blend_size, or method.local_blend=false"
            )
        # the original's rounding: the words' window counts one step more
        cross, self_ = int(self.cross_replace * (steps + 1)), int(steps * self.self_replace)
        return Maps(
            notes=[pair.note for pair in pairs],
            until=steps if blends else max(cross, self_),
            cross_steps=range(cross),
            self_steps=range(self_),
            take=take,
            keep=keep,
            columns=columns,
            blended=blended,
            blends=blends,
            size=self.blend_size,
            threshold=self.blend_threshold,
            blend_from=int(self.blend_start * steps),
        )

    def _pair(self, model: DiffusionModel, sample: EditSample, context: int) -> "_Pair":
        for side, query in (("source", sample.source), ("target", sample.target)):
            if not isinstance(query, str | None):
                raise BadSample(f"{side} is {query!r}; prompt-to-prompt takes text")
        prompts = sample.source or "", sample.target or ""
        old, new = map(model.tokens, prompts)
        blend = sample.blend or (None, None)

        def told(rule: str) -> tuple[list[list[int]], list | None]:
            """Positions of the blend words, and Replace's map."""
            found = [align.positions(*args, rule) for args in zip(prompts, (old, new), blend, strict=True)]
            replaced = self.edit == "replace"
            return found, align.replacement(*prompts, old, new, context, rule).tolist() if replaced else None

        (found, take), note = told(self.words), {}
        if self.words == "published" and _differs((found, take), told):
            note["words"] = "method.words=offsets finds other tokens"
        if take is None:
            mapper, kept = (torch.from_numpy(a) for a in align.refinement(old, new, context))
            take = torch.nn.functional.one_hot(mapper, context).T * kept
        else:
            take, kept = torch.tensor(take, dtype=torch.float64), torch.ones(context)
        columns = torch.zeros(2, context, dtype=torch.float64)
        for row, where in enumerate(found):
            columns[row, where] = 1
        missing = [
            f"{side} word {word!r} is not in {prompt!r}"
            for side, word, prompt, where in zip(("source", "target"), blend, prompts, found, strict=True)
            if word and not where
        ]
        if sample.blend and (self.local_blend or self.reweight != 1) and (missing or not all(blend)):
            missing = missing or [f"{'source' if not blend[0] else 'target'} word is absent"]
            rest = "the other word's mask alone" if any(found) else "no LocalBlend"
            note["blend"] = f"{' and '.join(missing)}: {rest}"
        weight = torch.ones(context, dtype=torch.float64)
        weight[found[1]] = self.reweight
        return _Pair(take * weight, (1 - kept) * weight, columns, self.local_blend and any(found), note)


def _differs(found: tuple, told: Callable[[str], tuple]) -> bool:
    try:
        return told("offsets") != found
    except BadSample:
        return True


@dataclass
class _Pair:
    """What steers one sample; see `Maps`."""

    take: torch.Tensor
    keep: torch.Tensor
    columns: torch.Tensor
    blended: bool
    note: dict[str, str]


@dataclass
class Maps(Steering):
    """Steers a batch.

    Attributes:
        cross_steps, self_steps: steps during which each kind of map is the source's.
        self_cells: largest self-attention map that is replaced.
        take: M float64 `[B, L, L]`, source token (row) to target token (column), weights included.
        keep: r `[B, L]`, what remains of the target's own map.
        columns: indicator of the blend word's tokens, of source and target, `[B, 2, L]`.
        blended, blends: whether LocalBlend acts, bool `[B]`, and whether it acts on any: known without asking a device.
        size: cells a side of the maps it reads.
        totals: sums of both words' maps over layers, heads and steps so far, `[B, 2, size, size]`.
        asked: whether the words of both branches have been evaluated.
        masks: for each step at which it acted, what it kept of the target, bool `[B, 1, h, w]`.
    """

    cross_steps: range = range(0)
    self_steps: range = range(0)
    self_cells: float = _SELF_CELLS
    take: torch.Tensor = None
    keep: torch.Tensor = None
    columns: torch.Tensor = None
    blended: torch.Tensor = None
    blends: bool = True
    size: int = 16
    threshold: float = 0.3
    blend_from: int = 0
    totals: torch.Tensor | None = None
    asked: bool = False
    masks: list[torch.Tensor] = field(default_factory=list)

    def attend(self, layer: AttentionLayer, call: Call) -> dict[str, torch.Tensor]:
        if "words" not in call.target or "words" not in call.source:
            return {}
        self.asked = True
        donor, rows = call.source["words"], call.target["words"]
        query, key, value = call.query, call.key, call.value[rows]
        if not layer.cross:
            if call.step not in self.self_steps or query.shape[-2] > self.self_cells:
                return {}
            return {"words": scaled_dot_product_attention(query[donor], key[donor], value)}
        steered = call.step in self.cross_steps
        if self.blends and layer.place != "mid" and query.shape[-2] == self.size**2:
            self._collect(call, steered)
        if not steered:
            return {}
        taken = self.take[:, None].to(value.dtype) @ value
        kept = self.keep[:, None, :, None].to(value.dtype) * value
        out = scaled_dot_product_attention(query[donor], key[donor], taken)
        return {"words": out + scaled_dot_product_attention(query[rows], key[rows], kept)}

    def _collect(self, call: Call, steered: bool) -> None:
        """Adds one layer's word maps to the totals: the edited ones, since the original edits maps in place."""
        donor, rows = call.source["words"], call.target["words"]
        source, target = self.columns.unbind(1)
        from_source = source[..., None]
        if steered:
            through = self.take @ target[..., None]
            maps = _columns(call, donor, torch.cat([from_source, through], -1))
            own = maps[..., 1:] + _columns(call, rows, (self.keep * target)[..., None])
            maps = torch.cat([maps[..., :1], own], -1)
        else:
            maps = torch.cat([_columns(call, donor, from_source), _columns(call, rows, target[..., None])], -1)
        maps = maps.sum(1).transpose(1, 2).unflatten(-1, (self.size, self.size))
        self.totals = maps if self.totals is None else self.totals + maps

    def after(self, step: int, z_source: torch.Tensor, z_target: torch.Tensor) -> torch.Tensor:
        height, width = z_target.shape[-2:]
        if self.blends and height != width:
            raise UnfitSize(
                f"LocalBlend reads square maps, and latents of {width}x{height} cells have none: set "
                "method.local_blend=false, or data.size to pixels a side"
            )
        if self.asked and self.totals is None and self.blends:
            raise UserError(
                f"LocalBlend found no cross-attention map of {self.size} x {self.size} cells: set method.blend_size, "
                "or method.local_blend=false"
            )
        if step < self.blend_from or self.totals is None:  # none: no blend words, or guidance without the target's
            return z_target
        mask = blend_mask(self.totals, z_target.shape[-2:], self.threshold)
        self.masks.append(mask)
        kept = torch.where(mask | ~self.blended[:, None, None, None], z_target, z_source)
        return marked(kept, z_target, self.totals)  # else the source's latents take the place of what is not finite


def _columns(call: Call, rows: slice, columns: torch.Tensor) -> torch.Tensor:
    """Weighted sums of map columns, at least float32, `[B, heads, cells, n]`, for weights `[B, L, n]`."""
    dtype = torch.promote_types(call.query.dtype, torch.float32)
    weights = columns[:, None].expand(-1, call.query.shape[1], -1, -1)
    return scaled_dot_product_attention(call.query[rows].to(dtype), call.key[rows].to(dtype), weights.to(dtype))


def blend_mask(totals: torch.Tensor, size: tuple[int, int], threshold: float) -> torch.Tensor:
    """LocalBlend: where either word's map exceeds `threshold` of its largest value, after a 3 x 3 maximum.

    Args:
        totals: maps of both words, `[B, 2, n, n]`, at any scale. A word without tokens has an empty map and no area.
        size: of the latents.

    Returns:
        bool `[B, 1, *size]`.
    """
    maps = interpolate(max_pool2d(totals, 3, 1, 1), size)
    return (maps / maps.amax((-2, -1), keepdim=True) > threshold).any(1, keepdim=True)
