"""Classifier-free guidance, in one place: which predictions a scale needs, and what it makes of them.

w * eps(condition) + (1 - w) * eps(null) for any real w (DiffEdit A.2; SimInversion Eq. 6). Diffusers ignores guidance
at w <= 1, and so turns every w in [0, 1] into 1. It is linear in the network's output: it holds for noise and velocity.
"""

import torch

from bench.types.model import Condition, DiffusionModel

Scale = float | torch.Tensor
"""A guidance scale, or one a sample, `[B, 1, 1, 1]`."""
NULL, WORDS = "null", "words"


def roles(w: Scale, distilled: bool = False) -> list[str]:
    """Predictions that guidance at w combines: one at 0 and 1, else both; of a distilled model always the one with the
    condition, which is told w."""
    if distilled:
        return [WORDS]
    if isinstance(w, torch.Tensor):
        return [NULL, WORDS]
    return [role for role, idle in ((NULL, 1), (WORDS, 0)) if w != idle]


def combine(outputs: dict[str, torch.Tensor], w: Scale, distilled: bool = False) -> torch.Tensor:
    """The guided output, of the predictions that `roles` names (and perhaps others), by role."""
    wanted = roles(w, distilled)
    if len(wanted) == 1:
        return outputs[wanted[0]]
    return mixed(outputs[NULL], outputs[WORDS], w)


def mixed(free: torch.Tensor, given: torch.Tensor, w: Scale) -> torch.Tensor:
    """Both predictions combined, also at the scales that need only one."""
    return free + w * (given - free)


def told(condition: Condition, w: Scale, distilled: bool) -> Condition:
    """The condition that a row is evaluated with."""
    return condition.guided(w) if distilled else condition


def guided_eps(
    model: DiffusionModel, z: torch.Tensor, t: float, condition: Condition, null: Condition | None, w: Scale
) -> torch.Tensor:
    """The guided output for latents `[B, C, h, w]`. w = 1 and w = 0 cost one call, others one call of both halves.

    Args:
        null: the unconditional model's; not looked at where one prediction is enough.
    """
    wanted = roles(w, model.distilled)
    if len(wanted) == 1:
        return model.eps(z, t, told(condition, w, model.distilled) if wanted == [WORDS] else null)
    given, free = model.eps(torch.cat([z, z]), t, Condition.cat([condition, null])).chunk(2)
    return mixed(free, given, w)
