"""ADM (Dhariwal and Nichol 2021): the official 256x256_diffusion.pt, and others of its architecture."""

from typing import Any

import torch

from bench.convert.names import count, layers, residual, take
from bench.convert.parts import Part
from bench.errors import UserError

KNOBS = {"size": 256, "head_width": 64}
"""What no tensor tells -> the official file's."""
DROPPED: tuple[str, ...] = ()
"""The official files hold the network and nothing else."""
_SCHEDULE = {
    "_class_name": "DDPMScheduler",
    "num_train_timesteps": 1000,
    "beta_schedule": "linear",
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "prediction_type": "epsilon",
    "variance_type": "learned_range",
}
_ENDS = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}
_ATTENTION = {"norm": "group_norm", "qkv": "qkv", "proj_out": "to_out.0"}

_State = dict[str, torch.Tensor]


def convert(state: _State, size: int = KNOBS["size"], head_width: int = KNOBS["head_width"]) -> dict[str, Part]:
    """unet (UNet2DModel) and scheduler; what they use is taken out of `state`.

    Args:
        size: pixels a side that the network was trained on; no tensor depends on it.
        head_width: channels of one attention head, which no shape tells.

    Raises:
        KeyError: with the names that are missing.
        UserError: heads of that width do not fit.
    """
    tensors = take(state, {"unet": _names(state)})["unet"]
    for name in [name for name in tensors if ".qkv." in name]:
        block, kind = name.split(".qkv.")
        tensors |= {f"{block}.to_{x}.{kind}": rows for x, rows in _split(tensors.pop(name), head_width).items()}
    tensors |= {name: x.squeeze(-1) for name, x in tensors.items() if ".to_out." in name}
    return {"unet": Part(_config(tensors, size, head_width), tensors), "scheduler": Part(_SCHEDULE, {})}


def _names(state: _State) -> dict[str, str]:
    """Original -> new name of each tensor. The original numbers the blocks of all levels in a row; on the way up a
    level has one more. All but the last end with a residual block that resizes the picture."""
    ups = count(state, "output_blocks")
    resized = sum(f"output_blocks.{n}.{i}.in_layers.0.weight" in state for n in range(ups) for i in (1, 2))
    depth = max(1, ups // (resized + 1) - 1)  # blocks of a level on the way down
    table = layers("", "", _ENDS)
    if "label_emb.weight" in state:  # those that were trained without classes have none
        table["label_emb.weight"] = "class_embedding.weight"
    table |= _block(state, "middle_block", "mid_block", 0) | residual(state, "middle_block.2", "mid_block.resnets.1")
    for level in range(resized + 1):
        down, up = f"down_blocks.{level}", f"up_blocks.{level}"
        for i in range(depth):
            table |= _block(state, f"input_blocks.{1 + level * (depth + 1) + i}", down, i)
        for i in range(depth + 1):
            table |= _block(state, last := f"output_blocks.{level * (depth + 1) + i}", up, i)
        if level < resized:
            table |= residual(state, f"input_blocks.{(level + 1) * (depth + 1)}.0", f"{down}.downsamplers.0")
            table |= residual(state, f"{last}.{2 if _attends(state, last) else 1}", f"{up}.upsamplers.0")
    return table


def _block(state: _State, old: str, new: str, number: int) -> dict[str, str]:
    """A residual block and, where there is one, the attention after it."""
    attention = layers(f"{old}.1", f"{new}.attentions.{number}", _ATTENTION) if _attends(state, old) else {}
    return residual(state, f"{old}.0", f"{new}.resnets.{number}") | attention


def _attends(state: _State, old: str) -> bool:
    return f"{old}.1.qkv.weight" in state


def _split(joint: torch.Tensor, head_width: int) -> _State:
    """Query, key and value of a joint projection, whose rows are [head][q, k, v][head_width]; a convolution of width 1
    becomes a matrix."""
    if len(joint) % (3 * head_width):
        raise UserError(f"attention of {len(joint) // 3} channels cannot have heads of {head_width}")
    heads = joint.squeeze(-1).unflatten(0, (-1, 3, head_width))
    return {letter: heads[:, i].flatten(0, 1) for i, letter in enumerate("qkv")}


def _config(tensors: _State, size: int, head_width: int) -> dict[str, Any]:
    levels = count(tensors, "down_blocks")
    attends = [f"down_blocks.{i}.attentions.0.to_q.weight" in tensors for i in range(levels)]
    config = {
        "_class_name": "UNet2DModel",
        "sample_size": size,
        "in_channels": tensors["conv_in.weight"].shape[1],
        "out_channels": len(tensors["conv_out.weight"]),
        "block_out_channels": [len(tensors[f"down_blocks.{i}.resnets.0.conv1.weight"]) for i in range(levels)],
        "layers_per_block": count(tensors, "down_blocks.0.resnets"),
        "down_block_types": ["AttnDownBlock2D" if x else "ResnetDownsampleBlock2D" for x in attends],
        "up_block_types": ["AttnUpBlock2D" if x else "ResnetUpsampleBlock2D" for x in attends[::-1]],
        "downsample_type": "resnet",
        "upsample_type": "resnet",
        "resnet_time_scale_shift": "scale_shift",
        "attention_head_dim": head_width,  # a width, in this class
        "attn_norm_num_groups": 32,
    }
    classes = tensors.get("class_embedding.weight")
    return config if classes is None else config | {"num_class_embeds": len(classes)}
