"""A CUDA device that computes nothing, on a machine without one: tensors on it have a shape and a dtype and no numbers,
those on the CPU are real.

An operation on tensors of two devices fails as it would there. What makes the processor wait for the device is counted,
with its place in our code: asking for a number, and copies from one to the other that do not say `non_blocking`, for
which torch waits until all that is queued is done.
"""

import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from bench.files.paths import ROOT

_OURS = tuple(str(ROOT / name) for name in ("bench", "methods", "metrics"))
_aten = torch.ops.aten
_NUMBER = (_aten._local_scalar_dense.default, _aten.item.default, _aten.is_nonzero.default)


class Waits(Counter):
    """Place in our code -> how often the processor waited there."""

    def add(self) -> None:
        frames = [frame for frame in traceback.extract_stack() if frame.filename.startswith(_OURS)]
        place = frames[-1] if frames else None
        self[f"{Path(place.filename).relative_to(ROOT)}, {place.name}: {place.line}" if place else "elsewhere"] += 1


class _Device(TorchDispatchMode):
    """Decides what is computed. A number that is not there is True, or one; two tensors without numbers differ."""

    def __init__(self, mode: FakeTensorMode, waits: Waits):
        super().__init__()
        self.mode, self.waits = mode, waits

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func.namespace == "aten" and torch.is_inference_mode_enabled():
            with self:  # inference mode dispatches what is made of other operations as a whole
                if (made := func.decompose(*args, **kwargs)) is not NotImplemented:
                    return made
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        fake = [tensor for tensor in tensors if isinstance(tensor, FakeTensor)]
        target = torch.device(kwargs.get("device") or "cpu").type
        if not fake and target != "cuda":
            with unset_fake_temporarily():
                return func(*args, **kwargs)
        if _waits(func, tensors, target, args, kwargs):
            self.waits.add()
        if func in _NUMBER:
            return 1.0 if fake[0].dtype.is_floating_point else True
        if func is _aten.equal.default:
            return False
        if func is _aten.nonzero.default:  # all of them
            return fake[0].new_zeros((fake[0].numel(), fake[0].dim()), dtype=torch.int64)
        if func is _aten.index.Tensor and args[1][0] is not None and args[1][0].dtype == torch.bool:  # the same
            assert args[1][0].dim() == 1
            return args[0].clone()
        args, kwargs = tree_map_only(torch.Tensor, self._without_numbers, (args, kwargs))
        return func(*args, **kwargs)

    def _without_numbers(self, tensor: torch.Tensor) -> FakeTensor:
        return tensor if isinstance(tensor, FakeTensor) else self.mode.from_tensor(tensor, static_shapes=True)


def _waits(func: Any, tensors: list[torch.Tensor], target: str, args: tuple, kwargs: dict[str, Any]) -> bool:
    devices = {tensor.device.type for tensor in tensors}
    if func in (*_NUMBER, _aten.equal.default, _aten.nonzero.default):
        return "cuda" in devices
    if func is _aten._to_copy.default:
        return bool(kwargs.get("device")) and {target} != devices and not kwargs.get("non_blocking")
    if func is _aten.copy_.default:
        return len(devices) == 2 and not (args[2:] and args[2])
    if func in (_aten.index.Tensor, _aten.index_put_.default, _aten.index_put.default):
        given = [one for one in args[1] if one is not None]  # indices are copied to the device, masks are counted there
        there = args[0].device.type == "cuda"
        return there and any(one.device.type == "cpu" or one.dtype == torch.bool for one in given)
    return False


class _Calls(TorchFunctionMode):
    """What would look for a real device or for numbers before anything is dispatched."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in (torch.tensor, torch.as_tensor) and torch.device(kwargs.get("device") or "cpu").type == "cuda":
            device = kwargs.pop("device")
            return func(*args, **kwargs).to(device)
        if func is torch.Tensor.backward:  # autograd's engine asks for the device itself
            return None
        if func is torch.autograd.grad:
            return tuple(torch.zeros_like(one) for one in tree_leaves(args[1]))
        if func is torch.Tensor.numpy and isinstance(args[0], FakeTensor):
            assert args[0].device.type == "cpu", "numpy() of a tensor on the device"
            return np.ones(args[0].shape, torch.empty(0, dtype=args[0].dtype).numpy().dtype)
        return func(*args, **kwargs)


@contextmanager
def cuda() -> Iterator[Waits]:
    """While it lasts, `cuda` is such a device; yields the waits for it. Networks that metrics keep are loaded anew, and
    forgotten at the end."""
    waits, mode, read = Waits(), FakeTensorMode(), torch.load

    def load(*args: Any, **kwargs: Any) -> Any:
        with unset_fake_temporarily():  # else it reads no numbers
            return read(*args, **kwargs)

    _forget()
    try:
        changed = patch.object(torch.nn.Module, "_apply", _replace), patch.object(torch, "load", load)
        drawn = patch.object(torch.random, "fork_rng", lambda *_: nullcontext())  # it has no generator
        with mode, _Device(mode, waits), _Calls(), changed[0], changed[1], drawn:
            yield waits
    finally:
        _forget()


def _replace(module: torch.nn.Module, change: Callable[[torch.Tensor], torch.Tensor], *_: Any) -> torch.nn.Module:
    """`Module._apply` for tensors that cannot be changed in place."""
    for part in module.modules():
        for name, tensor in part._parameters.items():
            if tensor is not None:
                part._parameters[name] = torch.nn.Parameter(change(tensor.detach()), tensor.requires_grad)
        part._buffers |= {name: change(tensor) for name, tensor in part._buffers.items() if tensor is not None}
    return module


def _forget() -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("metrics."):
            for kept in vars(module).values():
                if hasattr(kept, "cache_clear"):
                    kept.cache_clear()
