"""Device and dtype from their configuration."""

import numpy as np
import torch

from bench.errors import NotFinite, UserError


def pick(device: str) -> torch.device:
    """`auto` is CUDA where there is one, `cuda:1` its second card. float32 is float32 there, too: torch would leave its
    convolutions to TF32, with which inversions end elsewhere in each batch size.

    Raises:
        UserError: CUDA was asked for and there is none, or not so many.
    """
    torch.backends.cudnn.allow_tf32 = False
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"device={device}, but torch {torch.__version__} sees no CUDA device; use device=cpu or auto")
    picked = torch.device(device)
    if picked.index and picked.index >= (count := torch.cuda.device_count()):
        raise UserError(f"device={device}, but torch sees {count} CUDA devices, cuda:0 to cuda:{count - 1}")
    return picked


def name(device: torch.device) -> str:
    """What the hardware calls itself."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def finite(x: torch.Tensor, what: str, when: str = "") -> torch.Tensor:
    """`x` itself, rows first.

    Args:
        what: its numbers are, such as `latents`.
        when: they came about, such as `after decoding`.

    Raises:
        NotFinite: a number of some rows is NaN or infinite.
    """
    sound = x.isfinite().flatten(1).all(1)
    if not sound.all():
        values = "NaN" if x.isnan().any() else "infinity"
        raise NotFinite(what, (~sound).nonzero()[:, 0].tolist(), len(x), f"{values} {when}".strip())
    return x


def marked(x: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
    """`x` `[B, ...]` with nothing but NaN in the rows in which a number of it, or of others `[B, ...]`, is not finite.

    Where a step would cover such numbers up, this keeps them for `finite` at the end, without waiting for the device.
    """
    sound = torch.stack([part.isfinite().flatten(1).all(1) for part in (x, *others)]).all(0)
    return torch.where(sound.view(-1, *[1] * (x.dim() - 1)), x, float("nan"))


def to_uint8(images: torch.Tensor) -> torch.Tensor:
    """float images in [-1, 1] to uint8, rounding to the nearest grey level. Raises: NotFinite: some are none."""
    return ((finite(images, "pixels", "after decoding") / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)


def to_float(images: torch.Tensor) -> torch.Tensor:
    """uint8 images to float32 in [-1, 1]."""
    return images.float() / 127.5 - 1


class Rows:
    """What a method has made, `[B, ...]`, for threads that bring it to the host while the device goes on: they wait for
    what made it and for nothing that the device was given since.

    Args:
        x: copied on its device, whose memory the method may use again.
    """

    def __init__(self, x: torch.Tensor):
        self._x, self._made = x.clone(memory_format=torch.contiguous_format), None
        if x.is_cuda:
            self._made = torch.cuda.current_stream(x.device).record_event()

    def on_host(self, number: int) -> np.ndarray:
        """One row."""
        if self._made is None:
            return self._x[number].numpy()
        with torch.cuda.stream(torch.cuda.Stream(self._x.device)):
            self._made.wait()
            return self._x[number].cpu().numpy()
