"""A tiny CLIP with random weights as a Hugging Face folder, for tests that have no reference outputs beside them."""

import shutil
from pathlib import Path

import torch
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

from bench.files.paths import ROOT

SIDE, LONGEST = 32, 24


def folder(to: Path, seed: int = 0) -> Path:
    """Model, processor, and the embedded model's tokenizer, whose vocabulary it has."""
    shutil.copytree(ROOT / "bench/models/shapes/tokenizer", to, dirs_exist_ok=True)
    layers = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    words = layers | {"vocab_size": 2000, "max_position_embeddings": LONGEST, "eos_token_id": 2}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = CLIPConfig(text_config=words, vision_config=layers | {"image_size": SIDE, "patch_size": 8})
        network = CLIPModel(config)
        for tensor in network.parameters():
            tensor.data += 0.2 * torch.randn_like(tensor)
    network.eval().save_pretrained(to)
    CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}).save_pretrained(to)
    return to
