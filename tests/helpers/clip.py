"""A tiny CLIP folder of one's own, with the embedded model's tokenizer."""

import json
import shutil
from pathlib import Path

import torch

from bench.files.paths import ROOT

TOKENIZER = ROOT / "bench/models/shapes/tokenizer"


def folder(to: Path, seed: int = 0) -> Path:
    """Model, tokenizer and image processor; seeded."""
    from transformers import CLIPConfig, CLIPModel

    tower = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"bos_token_id": 650, "eos_token_id": 651, "pad_token_id": 651}
    text = tower | ends | {"vocab_size": 652, "projection_dim": 8}
    vision = tower | {"image_size": 32, "patch_size": 16, "projection_dim": 8}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8))
    model.save_pretrained(to)
    for file in TOKENIZER.iterdir():
        shutil.copy(file, to)
    side = {"height": 32, "width": 32}
    processor = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 32}, "crop_size": side}
    (to / "preprocessor_config.json").write_text(json.dumps(processor))
    return to
