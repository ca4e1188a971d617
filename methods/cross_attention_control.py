"""Cross-Attention Control as DiffEdit measured it: bloc97's programme of 2022, not Hertz et al.'s prompt-to-prompt.

One latent, no source trajectory: at each step the source prompt's maps on the *same* latents steer the target's.
"""

from difflib import SequenceMatcher
from itertools import pairwise

import torch
from diffusers import LMSDiscreteScheduler

from bench.diffusion.guidance import guided_eps, mixed
from bench.diffusion.path import Diffusion
from bench.types import Condition, DiffusionModel, EditBatch, EditResult, Noise, Token
from methods import latents
from methods.branches import attend
from methods.controls import Call, Steering
from methods.controls.p2p import Maps

_FACTOR = 0.25  # the inverter asks the model a quarter step early when it corrects itself
_PATH = Diffusion()
_GOOD_ENOUGH = 5.0  # summed absolute error at which it stops


class CrossAttentionControl:
    """K-LMS sampling with maps of the source prompt. NFE 3 S, and for the inversion 2 S + at most 2 x 3 x 0.3 S.

    Args:
        guidance: w of the sampling.
        steps: S.
        tokens_start, tokens_end: cross-attention is steered while t / 1000 is between them.
        spatial_start, spatial_end: the same for self-attention, at all sizes; DiffEdit's curve varies the start.
        start: `inversion` (the programme's own) or `noise`. DiffEdit does not say how it starts from a real picture.
        inversion_guidance, refine_iterations, refine_strength, refine_from: of the inversion; it corrects itself in
            the steps after `refine_from` of them.
    """

    version = 1

    def __init__(
        self,
        guidance: float,
        steps: int,
        tokens_start: float = 0.0,
        tokens_end: float = 1.0,
        spatial_start: float = 0.0,
        spatial_end: float = 1.0,
        start: str = "inversion",
        inversion_guidance: float = 3.0,
        refine_iterations: int = 3,
        refine_strength: float = 0.9,
        refine_from: float = 0.7,
    ):
        self.guidance, self.steps, self.start = guidance, steps, start
        self.tokens, self.spatial = (tokens_start, tokens_end), (spatial_start, spatial_end)
        self.inversion_guidance, self.refine_iterations = inversion_guidance, refine_iterations
        self.refine_strength, self.refine_from = refine_strength, refine_from

    def __call__(self, model: DiffusionModel, batch: EditBatch, noise: Noise) -> EditResult:
        source, target = (latents.condition(model, batch, q) for q in (batch.sources, batch.targets))
        null, x0 = latents.null(model, batch), latents.clean(model, batch)
        if self.start == "noise":
            z = latents.start_noise(model, batch, noise)
        else:
            key = (self.steps, self.inversion_guidance, self.refine_iterations, self.refine_strength, self.refine_from)
            z = batch.shared(("cross_attention_control", key), lambda: self._inverted(model, x0, source, null))
        alphas = latents.trained_levels(model)
        scheduler = LMSDiscreteScheduler(trained_betas=[1 - alphas[0], *(1 - alphas[1:] / alphas[:-1])])
        scheduler.set_timesteps(self.steps)  # on the CPU: a number asked of a device is waited for
        steering = self._steering(model, batch, null, scheduler.timesteps.tolist())
        z, count = z * scheduler.init_noise_sigma, len(z)
        rows = {"null": slice(0, count), "source": slice(count, 2 * count), "target": slice(2 * count, 3 * count)}
        for i, t in enumerate(scheduler.timesteps):
            entry = scheduler.scale_model_input(z, t)

            def hook(layer, query, key, value, i=i):
                call = Call(i, query, key, value, {"words": rows["source"]}, {"words": rows["target"]})
                out = steering.attend(layer, call)
                return attend(query, key, value, {2 * count: out["words"]} if out else {}, count)

            with model.attend(hook):
                eps = model.eps(torch.cat([entry] * 3), float(t), Condition.cat([null, source, target]))
            eps = mixed(eps[rows["null"]], eps[rows["target"]], self.guidance)
            z = scheduler.step(eps, t, z).prev_sample.to(x0.dtype)
        return EditResult(latents.images(model, z), notes=latents.cut(model, batch))

    def _steering(self, model: DiffusionModel, batch: EditBatch, null: Condition, timesteps: list[float]) -> Steering:
        context, last = latents.states(null).shape[1], len(model.alphas_cumprod)
        pairs = [token_map(model.tokens(s.source), model.tokens(s.target), context) for s in batch.samples]
        take, keep = (torch.stack(parts).to(null.states.device) for parts in zip(*pairs, strict=True))

        def window(low: float, high: float) -> range:
            inside = [i for i, t in enumerate(timesteps) if low <= t / last <= high]
            return range(inside[0], inside[-1] + 1) if inside else range(0)

        return Maps(
            notes=[{} for _ in pairs],
            cross_steps=window(*self.tokens),
            self_steps=window(*self.spatial),
            self_cells=float("inf"),
            take=take,
            keep=keep,
            blends=False,
        )

    def _inverted(self, model: DiffusionModel, x0: torch.Tensor, words: Condition, null: Condition) -> torch.Tensor:
        """The programme's inversion: timesteps at both ends of each step differ from DDIM inversion's, and late steps
        are corrected by fixed-point iterations, each image until its own error is small."""
        count, w = len(model.alphas_cumprod), self.inversion_guidance
        timesteps = torch.linspace(0, count - 1, self.steps + 1, dtype=torch.float64).int().tolist()
        z = x0
        for i, (t, after) in enumerate(pairwise(timesteps)):
            a_from, a_to = float(model.alphas_cumprod[t]), float(model.alphas_cumprod[after])
            reached = _PATH.step(z, guided_eps(model, z, t, words, null, w), a_from, a_to)
            if i > self.steps * self.refine_from:
                reached = self._refined(model, z, reached, t, after, a_from, a_to, words, null)
            z = reached
        return z

    def _refined(self, model, z, reached, t, after, a_from, a_to, words, null) -> torch.Tensor:
        best, guess, rate = reached.clone(), reached.clone(), self.refine_strength
        least = z.new_full((len(z),), float("inf"))
        active = torch.arange(len(z), device=z.device)
        for _ in range(self.refine_iterations):
            free = model.eps(guess[active], t - _FACTOR * (after - t), null[active])
            given = model.eps(guess[active], t, words[active])
            guided = mixed(free, given, self.inversion_guidance)
            back = _PATH.step(guess[active], guided, a_to, a_from)
            error = (z[active] - back).abs().sum((1, 2, 3))
            better = error < least[active]
            least[active] = torch.where(better, error, least[active])
            best[active] = torch.where(better[:, None, None, None], guess[active], best[active])
            rate *= 0.9  # the programme means to do so where the error hardly falls; as written it always does
            guess[active] += (z[active] - back) * rate
            active = active[least[active] >= _GOOD_ENOUGH]
            if not len(active):
                break
        return best


def token_map(source: list[Token], target: list[Token], context: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Target tokens that take a source token's map: those of runs that are equal, or replaced by as many tokens.

    Returns:
        M float64 `[context, context]`, source token (row) to target token (column), and what remains of the target's
        own map, `[context]`.
    """
    old, new = ([id_ for id_, *_ in tokens] for tokens in (source, target))
    old, new = (ids + [ids[-1]] * (context - len(ids)) for ids in (old, new))  # padded with the end token
    take, keep = torch.zeros(context, context, dtype=torch.float64), torch.ones(context, dtype=torch.float64)
    for name, a, a_end, b, b_end in SequenceMatcher(None, old, new).get_opcodes():
        if name == "equal" or (name == "replace" and a_end - a == b_end - b):
            take[range(a, a_end), range(b, b_end)] = 1
            keep[b:b_end] = 0
    return take, keep
