"""Attention layers of a UNet that is not loaded. No torch until it is asked."""

import json
from functools import lru_cache
from typing import Any

from bench.errors import UserError
from bench.types import AttentionLayer


def attention_layers(config: dict[str, Any]) -> tuple[AttentionLayer, ...]:
    """Those of a UNet2DConditionModel from its configuration; none where they cannot be steered."""
    return _layers(json.dumps(config))


@lru_cache
def _layers(config: str) -> tuple[AttentionLayer, ...]:
    """Of a network that is made without weights, which needs torch."""
    import torch
    from diffusers import UNet2DConditionModel

    from bench.models import attention

    with torch.device("meta"):
        made = UNet2DConditionModel.from_config(json.loads(config))
    try:
        return tuple(attention.find(made))
    except UserError:
        return ()
