"""Networks of a model folder in diffusers' format, read strictly."""

from pathlib import Path
from typing import Any, Protocol, TypeVar

import diffusers
import torch
import transformers
from diffusers import AutoencoderKL
from safetensors import SafetensorError

from bench.errors import UserError

diffusers.utils.logging.disable_progress_bar()
transformers.utils.logging.disable_progress_bar()
Network = TypeVar("Network", bound=torch.nn.Module)


class Folder(Protocol):
    """What is read of a model's folder here."""

    folder: Path
    again: str

    def variant(self, part: str) -> str | None:
        """Variant of a part's weights."""


def network(checkpoint: Folder, kind: type[Network], part: str, device: torch.device, dtype: torch.dtype) -> Network:
    """One part of a folder, frozen.

    Raises:
        UserError: it lacks parameters that its architecture has.
    """
    # At once in the dtype, or the host would hold all of it in float32; transformers reads what the file holds
    options = {"torch_dtype": dtype} if issubclass(kind, diffusers.ModelMixin) else {}
    module = strict(checkpoint, kind, part, **options)
    if module.dtype != dtype:
        module = module.to(dtype)
    return module.to(device)


def strict(checkpoint: Folder, kind: type[Network], part: str, **options: Any) -> Network:
    """The same where and in which dtype the library's loader puts it, which takes the options."""
    folder = checkpoint.folder / part
    try:
        module, info = kind.from_pretrained(
            folder, use_safetensors=True, variant=checkpoint.variant(part), output_loading_info=True, **options
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{folder} cannot be loaded ({reason}); {checkpoint.again}") from error
    if info["missing_keys"] or info.get("mismatched_keys"):
        lacking = sorted(map(str, info["missing_keys"])) or sorted(map(str, info["mismatched_keys"]))
        raise UserError(f"{folder} does not fit its config.json: {lacking[0]} and {len(lacking) - 1} more")
    return module.eval().requires_grad_(False)


def autoencoder(checkpoint: Folder, device: torch.device, dtype: torch.dtype) -> AutoencoderKL:
    """The `vae` of a folder, as `network` reads it."""
    return network(checkpoint, AutoencoderKL, "vae", device, dtype).to(memory_format=torch.channels_last)
