"""Tiny pixel-space diffusion models, by diffusers' names, by the original's, and as folders."""

import json
from pathlib import Path

import torch
from diffusers import UNet2DModel
from safetensors.torch import save_file

from bench.convert.adm256 import convert
from bench.convert.parts import Part
from tests.helpers.originals import RESIDUAL

HEAD = 16
_TINY = {
    "sample_size": 32,
    "in_channels": 3,
    "out_channels": 6,
    "block_out_channels": [32, 64],
    "layers_per_block": 1,
    "down_block_types": ["ResnetDownsampleBlock2D", "AttnDownBlock2D"],
    "up_block_types": ["AttnUpBlock2D", "ResnetUpsampleBlock2D"],
    "downsample_type": "resnet",
    "upsample_type": "resnet",
    "resnet_time_scale_shift": "scale_shift",
    "attention_head_dim": HEAD,
    "attn_norm_num_groups": 32,
    "num_class_embeds": 11,
}
OFFICIAL = _TINY | {
    "sample_size": 256,
    "block_out_channels": [256, 256, 512, 512, 1024, 1024],
    "layers_per_block": 2,
    "down_block_types": ["ResnetDownsampleBlock2D"] * 3 + ["AttnDownBlock2D"] * 3,
    "up_block_types": ["AttnUpBlock2D"] * 3 + ["ResnetUpsampleBlock2D"] * 3,
    "attention_head_dim": 64,
    "num_class_embeds": 1000,
}
_NAMES = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "class_embedding": "label_emb",
}


def network(**changes) -> UNet2DModel:
    """A UNet like the official one, of 11 classes unless it is told otherwise, with seeded random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = UNet2DModel(**(_TINY | changes))
        for tensor in made.parameters():  # torch leaves normalisations, which have no direction, at 1 and 0
            tensor.data += 0.05 * torch.randn_like(tensor)
    return made.eval().requires_grad_(False)


def folder(to: Path, state: dict[str, torch.Tensor] | None = None, **conversion) -> Path:
    """What the converter makes of such a network, or of others of its size; and what it is told of the conversion."""
    parts = convert(state or original(network()), 32, HEAD)
    for name, part in parts.items():
        _write(to / name, part)
    about = {"format_version": 1, "kind": "adm256", "sha256": "0" * 64} | conversion
    (to / "conversion.json").write_text(json.dumps(about))
    return to


def _write(to: Path, part: Part) -> None:
    """One part of a folder."""
    to.mkdir(parents=True)
    if part.tensors:
        (to / "config.json").write_text(json.dumps(part.config))
        tensors = {name: tensor.contiguous() for name, tensor in part.tensors.items()}
        save_file(tensors, to / "diffusion_pytorch_model.safetensors")
    else:
        (to / "scheduler_config.json").write_text(json.dumps(part.config))


def original(unet: UNet2DModel) -> dict[str, torch.Tensor]:
    """Its tensors by the original's names and in its shapes."""
    levels, repeats = len(unet.down_blocks), unet.config.layers_per_block
    places = {
        f"mid_block.{name}": f"middle_block.{i}" for i, name in enumerate(("resnets.0", "attentions.0", "resnets.1"))
    }
    for i, block in enumerate([*unet.down_blocks, *unet.up_blocks]):
        down = i < levels
        place = f"down_blocks.{i}" if down else f"up_blocks.{i - levels}"
        first = 1 + i * (repeats + 1) if down else (i - levels) * (repeats + 1)
        side = "input_blocks" if down else "output_blocks"
        attends = hasattr(block, "attentions")
        for j in range(repeats + (not down)):
            places[f"{place}.resnets.{j}"] = f"{side}.{first + j}.0"
            places[f"{place}.attentions.{j}"] = f"{side}.{first + j}.1"
        places[f"{place}.downsamplers.0"] = f"{side}.{first + repeats}.0"
        places[f"{place}.upsamplers.0"] = f"{side}.{first + repeats}.{1 + attends}"
    made, joint = {}, {}
    for name, tensor in unet.state_dict().items():
        module, kind = name.rsplit(".", 1)
        if module in _NAMES:
            made[f"{_NAMES[module]}.{kind}"] = tensor
            continue
        place = next(place for place in places if module.startswith(f"{place}."))
        inner = module.removeprefix(f"{place}.")
        if "attentions" not in place:
            made[f"{places[place]}.{RESIDUAL[inner]}.{kind}"] = tensor
        elif inner == "group_norm":
            made[f"{places[place]}.norm.{kind}"] = tensor
        elif inner == "to_out.0":
            made[f"{places[place]}.proj_out.{kind}"] = tensor[..., None] if kind == "weight" else tensor
        else:
            joint.setdefault((places[place], kind), {})[inner] = tensor
    for (place, kind), letters in joint.items():
        width = unet.config.attention_head_dim
        heads = torch.stack([letters[f"to_{letter}"].unflatten(0, (-1, width)) for letter in "qkv"], 1)
        made[f"{place}.qkv.{kind}"] = heads.flatten(0, 2)[..., None] if kind == "weight" else heads.flatten()
    return made
