"""What a converter makes of a file: one part of a model folder."""

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Part:
    """`config` of the part's config.json (with `_class_name`), and `tensors` by the names of diffusers."""

    config: dict[str, Any]
    tensors: dict[str, torch.Tensor]
