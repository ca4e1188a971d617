"""Device and dtype from their configuration."""

import torch

from bench.errors import UserError


def pick(device: str) -> torch.device:
    """`auto` is CUDA where there is one.

    Raises:
        UserError: CUDA was asked for and there is none.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"device={device}, but torch {torch.__version__} sees no CUDA device; use device=cpu or auto")
    return torch.device(device)


def name(device: torch.device) -> str:
    """What the hardware calls itself."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def to_uint8(images: torch.Tensor) -> torch.Tensor:
    """float images in [-1, 1] to uint8, rounding to the nearest grey level."""
    return ((images / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)


def to_float(images: torch.Tensor) -> torch.Tensor:
    """uint8 images to float32 in [-1, 1]."""
    return images.float() / 127.5 - 1
