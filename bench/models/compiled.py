"""Denoisers that torch compiles.

Shapes are static, so that a kernel is made once for each number of rows that a method asks of a full batch; a batch
that is not full is filled up to such a number. Where attention is steered, a network has hooks, or gradients are asked
for, the network is evaluated as it is.
"""

import gc
from functools import update_wrapper
from typing import Any

import torch
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten

from bench.diffusion.memory import Portion
from bench.errors import UserError
from bench.models.compiler import GRAPHS

BACKEND = "inductor"
FULL, SHORT, MEASURED = "full", "short", "measured"
"""What a batch may be: of the usual number of samples; of fewer; one whose memory is measured, not worth kernels."""
_SHAPES = 64  # compiled at most for a piece of code: torch stops at 8


def compiled(model: Any, part: str, how: bool | str) -> None:
    """Has torch compile a model's denoiser, each shape when it is first asked for.

    Args:
        part: the model's attribute that is its denoiser.
        how: see `bench.models.compiler`.

    Raises:
        UserError: torch cannot compile here, or the part is no network.
    """
    asked = f"model.compile={str(how).lower()}"
    if not isinstance(network := getattr(model, part, None), torch.nn.Module):
        raise UserError(f"{asked}: {type(model).__name__}.{part} is no torch.nn.Module; mend denoiser()")
    try:
        model.compiled = Compiled(network, how)
    except RuntimeError as error:
        raise UserError(f"{asked}: {str(error).splitlines()[0]}") from error


def expect(model: Any, portion: Portion, count: int) -> None:
    """Tells a model that its next batch is of `count` samples of a portion; nothing, where it is not compiled."""
    if (denoiser := getattr(model, "compiled", None)) is not None:
        denoiser.batch = MEASURED if not portion.settled else SHORT if count < portion.most else FULL


def forget() -> None:
    """Lets go of all that was compiled, and of networks that nothing else holds: one and its `forward` hold each
    other."""
    torch._dynamo.reset()
    gc.collect()


class Compiled:
    """Stands for `forward` of a denoiser: rows in, as many rows out.

    Args:
        network: its first argument, and its other tensors that have rows, are `[B, ...]`.
        how: see `bench.models.compiler`.

    Attributes:
        batch: what the next rows are of: `FULL`, `SHORT` or `MEASURED`.
    """

    def __init__(self, network: torch.nn.Module, how: bool | str):
        self.batch, self._graphs = FULL, how == GRAPHS
        self._modules = list(network.modules())
        self._processors = [(module, module.processor) for module in self._modules if hasattr(module, "processor")]
        self._shapes: list[list[Any]] = []
        forward = network.forward
        torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, _SHAPES)
        options = {"backend": BACKEND, "dynamic": False, "fullgraph": True}
        repeated = [] if self._graphs else _blocks(network)
        for block in repeated:
            block.compile(**options)
        if self._graphs:
            options["mode"] = "reduce-overhead"
        self._forward = forward if repeated else torch.compile(forward, **options)
        update_wrapper(self, forward)
        network.forward = self

    def __call__(self, *args, **kwargs):
        if self.batch == MEASURED or torch.is_grad_enabled() or self._steered():
            with torch.compiler.set_stance("force_eager"):
                return self._forward(*args, **kwargs)
        leaves, spec = tree_flatten((args, kwargs))
        count = len(leaves[0])
        args, kwargs = tree_unflatten(self._filled(leaves, count), spec)
        if self._graphs:
            torch.compiler.cudagraph_mark_step_begin()

        def own(rows: torch.Tensor) -> torch.Tensor:
            return rows[:count].clone() if self._graphs else rows[:count]  # the next replay writes where these are

        return tree_map_only(torch.Tensor, own, self._forward(*args, **kwargs))

    def _steered(self) -> bool:
        """Whether something acts inside the network, which compiled code would pass by."""
        hooked = any(module._forward_hooks or module._forward_pre_hooks for module in self._modules)
        return hooked or any(module.processor is not own for module, own in self._processors)

    def _filled(self, leaves: list[Any], count: int) -> list[Any]:
        """Arguments of a number of rows that is compiled, the least that can be: rows of a short batch are repeated."""
        shapes = [(leaf.shape, leaf.dtype) if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
        if self.batch == SHORT and (known := [one for one in self._shapes if _holds(one, shapes, count)]):
            least = min(known, key=lambda one: one[0][0][0])
            pairs = zip(leaves, shapes, least, strict=True)
            leaves = [leaf if own == full else _repeated(leaf, full[0][0]) for leaf, own, full in pairs]
        elif shapes not in self._shapes:
            self._shapes.append(shapes)
        return [_alike(leaf) if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]


def _blocks(network: torch.nn.Module) -> list[torch.nn.Module]:
    """The blocks that a network is made of many of; none, where it is not known to be."""
    names = getattr(network, "_repeated_blocks", None) or ()
    named = [module for module in network.modules() if type(module).__name__ in names]
    return named or list(getattr(network, "transformer_blocks", ()))


def _holds(known: list[Any], shapes: list[Any], count: int) -> bool:
    """Whether `count` rows of these shapes are among so many rows of known ones."""
    (full, *_), _ = known[0]

    def fits(one: Any, own: Any) -> bool:
        if one == own or not (isinstance(one, tuple) and isinstance(own, tuple)):
            return one == own
        rows = own[0][:1] == (count,) and one[0][:1] == (full,)
        return rows and own[0][1:] == one[0][1:] and own[1] == one[1]

    return count <= full and len(known) == len(shapes) and all(map(fits, known, shapes))


def _alike(x: torch.Tensor) -> torch.Tensor:
    """As every tensor is given: kernels are made anew for other strides, and for what inference mode did not make."""
    x = x.contiguous()
    return x if x.is_inference() == torch.is_inference_mode_enabled() else x.clone()


def _repeated(x: torch.Tensor, count: int) -> torch.Tensor:
    """`count` rows of `x` `[B, ...]`, over and over."""
    return x.repeat(-(-count // len(x)), *[1] * (x.dim() - 1))[:count]
