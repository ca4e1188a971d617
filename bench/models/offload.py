"""Networks that wait in host memory until they are asked, by accelerate's hooks. What they compute does not change."""

from collections.abc import Callable

import torch
from accelerate import cpu_offload
from accelerate.hooks import CpuOffload, UserCpuOffloadHook, add_hook_to_module
from accelerate.utils.memory import clear_device_cache

HOST = torch.device("cpu")
_AT_ONCE = ["VectorQuantizer"]  # works with the weights of a layer that it does not call


class _Whole(CpuOffload):
    """accelerate's, which puts the network that was asked before it back first."""

    def pre_forward(self, module, *args, **kwargs):
        # weights that were moved in inference mode could not be optimised through afterwards
        with torch.inference_mode(False):
            return super().pre_forward(module, *args, **kwargs)


def in_turns(first: torch.nn.Module, second: torch.nn.Module, device: torch.device) -> Callable[[], None]:
    """Each of two networks is on the device from when it is asked until the other is. Returns what puts both back."""
    hooks = [_Whole(_numbered(device)) for _ in (first, second)]
    handles = [UserCpuOffloadHook(network, hook) for network, hook in zip((first, second), hooks, strict=True)]
    for hook, handle, other in zip(hooks, handles, reversed(handles), strict=True):
        add_hook_to_module(handle.model, hook)
        hook.prev_module_hook = other

    def back() -> None:
        for handle in handles:
            handle.offload()
        clear_device_cache()

    return back


def layer_by_layer(network: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """A network on the host whose layers are on the device one after the other, each while it is at work."""
    return cpu_offload(network, _numbered(device), offload_buffers=True, preload_module_classes=_AT_ONCE)


def _numbered(device: torch.device) -> torch.device:
    """As tensors there call it: accelerate compares the two."""
    return torch.empty(0, device=device).device
