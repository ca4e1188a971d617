"""A tiny network of open_clip in its own formats: a JSON configuration and a file of weights."""

import json
from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file

_TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16, "head_width": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


def tiny(folder: Path, ending: str = "safetensors", seed: int = 0) -> tuple[Path, Path]:
    """Its configuration and its weights; seeded."""
    config, file = folder / "tiny.json", folder / f"tiny.{ending}"
    config.write_text(json.dumps(_TINY))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        state = open_clip.CLIP(**_TINY).state_dict()
    save_file(state, file) if ending == "safetensors" else torch.save(state, file)
    return config, file
