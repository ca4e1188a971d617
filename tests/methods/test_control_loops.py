"""The dual-branch methods with prompt-to-prompt and MasaCtrl against their steps written out, maps and all, one picture
at a time (methods.md, sections 2 and 3)."""

import pytest
import torch
from torch.nn.functional import max_pool2d

from bench.diffusion.device import to_float
from bench.types import EditBatch, EditSample
from methods.ddim import DDIM
from methods.direct import Direct
from methods.negative_prompt import NegativePrompt
from methods.siminversion import SimInversion
from tests.helpers.attentive import Attentive, batch, ddim, levels

STEPS, W, WEIGHT = 10, 3.0, 2.0
CASES = [  # prompts; blend words; source token of each target token (Refine); positions of the blend words
    ("a red star", "a very blue star", ("red", "blue"), [0, 1, None, None, 3, 4], ([2], [3])),
    ("one big cat", "one big dog", ("cat", "dog"), [0, 1, 2, None, 4, 5], ([3], [3])),
    ("the sea", "the moon", None, [0, 1, None, 3, 4, 5], ([], [])),
    ("a cat", "a cat", ("", "cat"), [0, 1, 2, 3, 4, 5], ([], [2])),
]
METHODS = {  # guidance of the inversion and of the source branch; whether C_s stands in for the empty prompt
    "ddim": (DDIM, {}, 1, W, False),
    "negative_prompt": (NegativePrompt, {}, 1, 1, True),
    "direct": (Direct, {}, 1, None, False),
    "siminversion 0.5": (SimInversion, {"w_s": 0.5}, 0.5, 0.5, False),
    "siminversion 0": (SimInversion, {"w_s": 0}, 0, 0, False),
    "siminversion 2": (SimInversion, {"w_s": 2}, 2, 2, False),
}


def maps_of(query, key):
    return (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1)


def edited(model, image, case, inversion, source_w, negative):
    """The target's latents: maps of cross-attention are the source's for int(0.4 (S + 1)) steps, those of the blend
    word twice as strong meanwhile, and of self-attention for int(0.6 S). From step int(0.2 S) on the source's latents
    stand where neither blend word's maps of 8 x 8 cells, summed over the steps, exceed 0.3 of their largest."""
    old, new, _, mapper, words = case
    source, target, null = (model.condition([q]) for q in (old, new, None))
    times, alphas = levels(model, STEPS)
    trajectory = [model.encode(to_float(image))]
    for j in range(STEPS):
        z = trajectory[j]
        eps = inversion * model.eps(z, times[j], source) + (1 - inversion) * model.eps(z, times[j], null)
        trajectory.append(ddim(z, eps, alphas[j], alphas[j + 1]))
    z_s = z_t = trajectory[-1]
    donors, sums = {}, [0, 0]
    for i in range(STEPS):
        t, here, below = times[-1 - i], alphas[-1 - i], alphas[-2 - i]

        def note(layer, query, key, value):
            donors[layer] = maps_of(query, key)
            return donors[layer] @ value

        def steer(layer, query, key, value, i=i):
            maps, own = donors[layer], maps_of(query, key)
            if not layer.cross:
                return (maps if i < int(0.6 * STEPS) else own) @ value
            if i < int(0.4 * (STEPS + 1)):
                columns = [own[..., n] if m is None else maps[..., m] for n, m in enumerate(mapper)]
                own = torch.stack([c * (WEIGHT if n in words[1] else 1) for n, c in enumerate(columns)], -1)
            if layer.place != "mid" and own.shape[-2] == 64:
                for n, one in enumerate((maps, own)):
                    sums[n] = sums[n] + one[..., words[n]].sum((1, 3)).unflatten(-1, (8, 8))
            return own @ value

        with model.attend(note):
            told = model.eps(z_s, t, source)
        with model.attend(steer):
            steered = model.eps(z_t, t, target)
        free_s, free_t = model.eps(z_s, t, null), model.eps(z_t, t, source if negative else null)
        z_t = ddim(z_t, free_t + W * (steered - free_t), here, below)
        z_s = trajectory[-2 - i] if source_w is None else ddim(z_s, free_s + source_w * (told - free_s), here, below)
        if i >= int(0.2 * STEPS) and any(words):
            kept = torch.zeros_like(z_t[:, :1], dtype=torch.bool)
            for total, where in zip(sums, words, strict=True):
                if where:
                    pooled = max_pool2d(total[:, None], 3, 1, 1)
                    kept |= pooled > 0.3 * pooled.max()
            z_t = torch.where(kept, z_t, z_s)
    return z_t


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_the_loop_written_out(name):
    kind, knobs, inversion, source_w, negative = METHODS[name]
    model, made = Attentive(side=8, sharp=3), batch([case[:2] for case in CASES])
    samples = [
        EditSample(sample.id, sample.image, *case[:2], blend=case[2])
        for sample, case in zip(made.samples, CASES, strict=True)
    ]
    with torch.inference_mode():
        kind(W, STEPS, blend_size=8, reweight=WEIGHT, **knobs)(model, EditBatch(samples, made.images), None)
        found = model.decoded
        for n, case in enumerate(CASES):
            image = made.images[n : n + 1]
            torch.testing.assert_close(found[n : n + 1], edited(model, image, case, inversion, source_w, negative))


@pytest.mark.parametrize(
    ("kind", "knobs", "inversion", "source_w"), [METHODS[n][:4] for n in ("ddim", "siminversion 0.5")]
)
def test_masactrl_is_the_loop_written_out(kind, knobs, inversion, source_w):
    """From transformer block 3 and step 2 on, self-attention of the target asks the source's keys and values, with
    words and without each its own. DDIM has the empty prompt for the source; SimInversion its caption."""
    steps, model, made = 5, Attentive(), batch([case[:2] for case in CASES])
    method = kind(W, steps, control="masactrl", start_layer=3, start_step=2, **knobs)
    with torch.inference_mode():
        method(model, made, None)
    found, (times, alphas), kept = model.decoded, levels(model, steps), {}
    for n, (old, new, *_) in enumerate(CASES):
        source, target, null = (model.condition([q]) for q in (old if knobs else None, new, None))
        trajectory = [model.encode(to_float(made.images[n : n + 1]))]
        for j in range(steps):
            z = trajectory[j]
            eps = inversion * model.eps(z, times[j], source) + (1 - inversion) * model.eps(z, times[j], null)
            trajectory.append(ddim(z, eps, alphas[j], alphas[j + 1]))
        z_s = z_t = trajectory[-1]
        for i in range(steps):
            t, here, below = times[-1 - i], alphas[-1 - i], alphas[-2 - i]

            def note(layer, query, key, value):
                kept[layer] = key, value
                return maps_of(query, key) @ value

            def steer(layer, query, key, value, i=i):
                if not layer.cross and layer.index >= 3 and i >= 2:
                    key, value = kept[layer]
                return maps_of(query, key) @ value

            eps_s, eps_t = {}, {}
            for role, old_words, new_words in (("null", null, null), ("words", source, target)):
                with model.attend(note):
                    eps_s[role] = model.eps(z_s, t, old_words)
                with model.attend(steer):
                    eps_t[role] = model.eps(z_t, t, new_words)
            z_s = ddim(z_s, eps_s["null"] + source_w * (eps_s["words"] - eps_s["null"]), here, below)
            z_t = ddim(z_t, eps_t["null"] + W * (eps_t["words"] - eps_t["null"]), here, below)
        torch.testing.assert_close(found[n : n + 1], z_t)
