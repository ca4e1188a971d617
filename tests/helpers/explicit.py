"""Prompt-to-prompt and MasaCtrl with whole attention maps, one image at a time, as the papers describe them: the oracle
of the fused controls, and the reference's way of spending time and memory."""

import torch
from torch.nn.functional import interpolate, max_pool2d

from methods.controls import Call, Steering, align


def maps_of(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """Attention maps `[B, heads, cells, tokens]`."""
    return (query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5).softmax(-1)


class ExplicitP2P(Steering):
    """One image. Edits the target's maps token by token; keeps and sums the edited maps for LocalBlend."""

    def __init__(self, model, sample, context, steps, cross=0.4, self_=0.6, edit="refine", reweight=2.0, size=16):
        super().__init__([{}], steps)
        old, new = model.tokens(sample.source), model.tokens(sample.target)
        if edit == "replace":
            self.mapper = align.replacement(sample.source, sample.target, old, new, context)
        else:
            self.mapper, self.found = align.refinement(old, new, context)
        self.cross, self.self_, self.begin = int(cross * (steps + 1)), int(self_ * steps), int(0.2 * steps)
        self.edit, self.size = edit, size
        texts = zip((sample.source, sample.target), (old, new), sample.blend or (None, None), strict=True)
        self.words = [align.positions(*text) for text in texts]
        self.weights = [reweight if n in self.words[1] else 1.0 for n in range(context)]
        self.sums = [0.0, 0.0]
        self.masks = []

    def attend(self, layer, call: Call):
        donor, rows = call.source["words"], call.target["words"]
        source = maps_of(call.query[donor], call.key[donor])
        target = maps_of(call.query[rows], call.key[rows])
        if not layer.cross:
            if call.step < self.self_ and target.shape[-1] <= 1024:
                target = source
        elif call.step < self.cross:
            target = self._edited(source, target)
        if layer.cross and layer.place != "mid" and target.shape[-2] == self.size**2:
            for n, maps in enumerate((source, target)):
                word = maps[..., self.words[n]].sum(-1).sum(1)
                self.sums[n] = self.sums[n] + word.unflatten(-1, (self.size, self.size))
        return {"words": target @ call.value[rows]}

    def _edited(self, source, target):
        edited = torch.empty_like(target)
        for n in range(target.shape[-1]):
            if self.edit == "replace":
                column = sum(source[..., w] * self.mapper[w, n] for w in range(target.shape[-1]))
            else:
                column = source[..., self.mapper[n]] if self.found[n] else target[..., n]
            edited[..., n] = column * self.weights[n]
        return edited

    def after(self, step, z_source, z_target):
        if step < self.begin or not any(self.words):
            return z_target
        mask = torch.zeros_like(z_target[:, :1], dtype=torch.bool)
        for where, total in zip(self.words, self.sums, strict=True):
            if where:
                pooled = interpolate(max_pool2d(total[:, None], 3, 1, 1), z_target.shape[-2:])
                mask |= pooled / pooled.max() > 0.3
        self.masks.append(mask)
        return z_source + mask * (z_target - z_source)


class ExplicitMutual(Steering):
    """MasaCtrl: the target's queries on the source's keys and values, map and all."""

    def __init__(self, steps, start_layer, start_step):
        super().__init__([{}], steps)
        self.start_layer, self.start_step = start_layer, start_step

    def attend(self, layer, call: Call):
        if layer.cross or layer.index < self.start_layer or call.step < self.start_step:
            return {}
        pairs = {role: (rows, call.source[role]) for role, rows in call.target.items()}
        return {r: maps_of(call.query[rows], call.key[d]) @ call.value[d] for r, (rows, d) in pairs.items()}
