"""What any text encoder must tell apart."""

from collections.abc import Callable
from pathlib import Path

import torch

from bench.errors import UserError

_PROMPTS = ("red", "blue", "the picture of seven things")  # the first two differ in their words alone


def check(embed: Callable[[list[str]], torch.Tensor], folder: Path) -> None:
    """Whether a text encoder and its tokenizer know words: a folder may load and still be a stub.

    Args:
        embed: prompts to whatever the encoder makes of each, `[B, ...]`.
        folder: for the message.

    Raises:
        UserError: it says the same of different prompts, or nothing finite.
    """
    with torch.inference_mode():
        found = embed(list(_PROMPTS))
    if not found.isfinite().all():
        raise UserError(f"{folder}: what the text encoder says of prompts is not finite; download the model again")
    if any(torch.equal(found[i], found[i - 1]) for i in range(len(found))):
        raise UserError(
            f"{folder}: the text encoder says the same of every prompt; its tokenizer or its weights are a stub, "
            "download the model again"
        )
