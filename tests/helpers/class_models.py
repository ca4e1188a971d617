"""Tiny class-conditional models as their owners' files have them: random weights under the original names."""

import json
import re
import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, DiTTransformer2DModel, UNet2DConditionModel, VQModel

from bench.convert.__main__ import convert
from tests.helpers.originals import RESIDUAL

CLASSES = 1000
_UNET = {
    "sample_size": 16,
    "in_channels": 3,
    "out_channels": 3,
    "block_out_channels": [32, 64],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
    "layers_per_block": 1,
    "cross_attention_dim": 24,
    "attention_head_dim": 1,
}
_LEVELS = 3
_VQ = {
    "block_out_channels": [32] * _LEVELS,
    "down_block_types": ["DownEncoderBlock2D"] * _LEVELS,
    "up_block_types": ["UpDecoderBlock2D"] * _LEVELS,
    "latent_channels": 3,
    "num_vq_embeddings": 64,
}
_ENDS = {
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
}
_VQ_NAMES = {
    "mid_block.attentions.0": "mid.attn_1",
    "mid_block.resnets.0": "mid.block_1",
    "mid_block.resnets.1": "mid.block_2",
    "down_blocks": "down",
    "resnets": "block",
    "attentions": "attn",
    "downsamplers.0": "downsample",
    "upsamplers.0": "upsample",
    "conv_norm_out": "norm_out",
    "conv_shortcut": "nin_shortcut",
    "group_norm": "norm",
    "to_out.0": "proj_out",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
}


def original_unet(name: str, names: set[str], layers: int) -> str:
    """Latent diffusion's name of a tensor of diffusers' UNet.

    Args:
        names: of all its tensors.
        layers: blocks of a level.
    """
    width = layers + 1
    if found := re.match(r"down_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.(.*)", name):
        number = 1 + int(found[1]) * width + int(found[3])
        place, rest = f"input_blocks.{number}.{int(found[2] == 'attentions')}", found[4]
    elif found := re.match(r"down_blocks\.(\d+)\.downsamplers\.0\.conv\.(.*)", name):
        place, rest = f"input_blocks.{(int(found[1]) + 1) * width}.0.op", found[2]
    elif found := re.match(r"up_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.(.*)", name):
        number = int(found[1]) * width + int(found[3])
        place, rest = f"output_blocks.{number}.{int(found[2] == 'attentions')}", found[4]
    elif found := re.match(r"up_blocks\.(\d+)\.upsamplers\.0\.(.*)", name):
        attends = any(n.startswith(f"up_blocks.{found[1]}.attentions.") for n in names)
        place, rest = f"output_blocks.{int(found[1]) * width + layers}.{1 + attends}", found[2]
    else:
        end = next(end for end in _ENDS if name.startswith(f"{end}."))
        place, rest = _ENDS[end], name.removeprefix(f"{end}.")
    layer, _, kind = rest.rpartition(".")
    return f"model.diffusion_model.{place}.{RESIDUAL[layer] if 'resnets' in name and layer else layer}.{kind}".replace(
        "..", "."
    )


def original_vq(name: str, levels: int) -> str:
    """The original name of a tensor of diffusers' VQModel."""
    name = re.sub(r"up_blocks\.(\d+)", lambda found: f"up.{levels - 1 - int(found[1])}", name)
    for ours, theirs in _VQ_NAMES.items():
        name = name.replace(ours, theirs)
    return f"first_stage_model.{name}"


def cin_state(seed: int = 0) -> dict[str, torch.Tensor]:
    """A class-conditional latent diffusion model of 1,000 classes, in the names of its official file; 64 px suit it."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(**_UNET).state_dict()
        vq = VQModel(**_VQ).state_dict()
        for name, tensor in unet.items():
            if "norm" in name:  # as training leaves them, so that the model is not taken for an untrained one
                tensor += 0.1 * torch.randn_like(tensor)
        table = torch.randn(CLASSES + 1, _UNET["cross_attention_dim"])
    state = {original_unet(name, set(unet), _UNET["layers_per_block"]): x for name, x in unet.items()}
    for name, x in vq.items():
        attends = "attentions" in name and x.ndim == 2
        state[original_vq(name, _LEVELS)] = x[:, :, None, None] if attends else x
    return state | {"cond_stage_model.embedding.weight": table, "betas": torch.zeros(1000)}


def lightning(state: dict[str, torch.Tensor], file: Path, **more) -> Path:
    """The state in a checkpoint as Lightning pickles it: filed by a callback's class, which is not installed here,
    with numpy scalars."""
    name = "pytorch_lightning.callbacks.model_checkpoint"
    modules = {n: ModuleType(n) for n in ("pytorch_lightning", "pytorch_lightning.callbacks", name)}
    modules[name].ModelCheckpoint = type("ModelCheckpoint", (), {"__module__": name})
    callbacks = {modules[name].ModelCheckpoint: {"monitor": "val/loss", "current_score": np.float64(0.5)}}
    with patch.dict(sys.modules, modules):
        torch.save({"epoch": 3, "state_dict": state, "callbacks": callbacks, "optimizer_states": [], **more}, file)
    return file


def cin_folder(folder: Path, seed: int = 0) -> Path:
    """A converted tiny model."""
    file = lightning(cin_state(seed), folder.with_suffix(".ckpt"))
    convert("cin256", file, folder)
    return folder


def dit_folder(folder: Path, transformer: dict[str, torch.Tensor] | None = None, classes: int = CLASSES) -> Path:
    """A tiny DiT in diffusers' format.

    Args:
        transformer: its tensors; random without.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = DiTTransformer2DModel(
            num_attention_heads=4,
            attention_head_dim=24,
            in_channels=4,
            out_channels=8,
            num_layers=2,
            sample_size=16,
            patch_size=2,
            num_embeds_ada_norm=classes,
        )
        vae = AutoencoderKL(
            block_out_channels=[32] * 4,
            down_block_types=["DownEncoderBlock2D"] * 4,
            up_block_types=["UpDecoderBlock2D"] * 4,
            latent_channels=4,
        )
    if transformer:
        network.load_state_dict(transformer)
    network.save_pretrained(folder / "transformer")
    vae.save_pretrained(folder / "vae")
    DDIMScheduler(beta_start=0.0001, beta_end=0.02, beta_schedule="linear").save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "DiTPipeline"}))
    return folder


def dit_tensors(state: dict[str, torch.Tensor], depth: int) -> dict[str, torch.Tensor]:
    """Tensors of DiT under diffusers' names, from its own."""

    def layer(old: str, new: str) -> dict[str, torch.Tensor]:
        return {f"{new}.{kind}": state[f"{old}.{kind}"] for kind in ("weight", "bias")}

    made = layer("x_embedder.proj", "pos_embed.proj")
    made |= layer("final_layer.adaLN_modulation.1", "proj_out_1") | layer("final_layer.linear", "proj_out_2")
    for i in range(depth):
        old, new = f"blocks.{i}", f"transformer_blocks.{i}"
        made |= layer(f"{old}.adaLN_modulation.1", f"{new}.norm1.linear")
        made |= layer("t_embedder.mlp.0", f"{new}.norm1.emb.timestep_embedder.linear_1")
        made |= layer("t_embedder.mlp.2", f"{new}.norm1.emb.timestep_embedder.linear_2")
        table = "embedding_table.weight"
        made[f"{new}.norm1.emb.class_embedder.{table}"] = state[f"y_embedder.{table}"]
        made |= layer(f"{old}.attn.proj", f"{new}.attn1.to_out.0")
        made |= layer(f"{old}.mlp.fc1", f"{new}.ff.net.0.proj") | layer(f"{old}.mlp.fc2", f"{new}.ff.net.2")
        for kind in ("weight", "bias"):
            rows = state[f"{old}.attn.qkv.{kind}"].chunk(3)
            made |= {f"{new}.attn1.to_{name}.{kind}": part for name, part in zip("qkv", rows, strict=True)}
    return made
