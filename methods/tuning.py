"""Optimising something of each image at one step of a source branch, as null-text inversion does and StyleDiffusion
after it."""

from collections.abc import Callable

import torch


def tuned(
    start: list[torch.Tensor],
    losses: Callable[[torch.Tensor, list[torch.Tensor]], torch.Tensor],
    step: int,
    updates: int,
    epsilon: float,
) -> tuple[list[torch.Tensor], list[int]]:
    """Adam at rate 1e-2 (1 - step / 100), each image by itself: one whose loss is below epsilon + 2e-5 step gets no
    gradient any more, so that its optimiser stands still.

    Args:
        start: `[B, ...]` each.
        losses: `(rows still at work, int64; their tensors) -> loss of each`.
        step: 0 is the noisiest. From 100 on the published rate is not positive, and nothing is updated.
        updates: at most.

    Returns:
        the tensors, and the number of updates of each image.
    """
    count = len(start[0])
    rate, done = 1e-2 * (1 - step / 100), [0] * count
    if rate <= 0:
        return start, done
    leaves = [[x[n : n + 1].clone().requires_grad_() for x in start] for n in range(count)]
    optimiser = torch.optim.Adam([leaf for own in leaves for leaf in own], lr=rate)
    active = list(range(count))
    with torch.enable_grad():
        for _ in range(updates):
            rows = torch.tensor(active).to(start[0].device, non_blocking=True)
            loss = losses(rows, [torch.cat(parts) for parts in zip(*(leaves[n] for n in active), strict=True)])
            optimiser.zero_grad(set_to_none=True)
            loss.sum().backward()
            optimiser.step()
            for n in active:
                done[n] += 1
            active = [n for n, one in zip(active, loss.tolist(), strict=True) if one >= epsilon + 2e-5 * step]
            if not active:
                break
    return [torch.cat(parts).detach() for parts in zip(*leaves, strict=True)], done
