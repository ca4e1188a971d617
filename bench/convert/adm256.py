"""ADM (Dhariwal and Nichol 2021): the official 256x256_diffusion.pt, and others of its architecture, to diffusers."""

from typing import Any

import torch

from bench.convert.parts import Part
from bench.errors import UserError

DROPPED: tuple[str, ...] = ()
"""The official files hold the network and nothing else."""

_State = dict[str, torch.Tensor]
_RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
}
_ENDS = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}
_SCHEDULE = {
    "_class_name": "DDPMScheduler",
    "num_train_timesteps": 1000,
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "prediction_type": "epsilon",
    "variance_type": "learned_range",
}


def convert(state: _State, size: int = 256, head_width: int = 64) -> dict[str, Part]:
    """The parts `unet` and `scheduler`; takes every tensor that it uses out of `state`.

    The tensors tell all of the architecture but two numbers.

    Args:
        state: by the original's names, `input_blocks.0.0.weight` and so on.
        size: pixels a side that the network was trained on.
        head_width: channels of one attention head.

    Raises:
        KeyError: a tensor is missing.
        UserError: heads of that width do not fit.
    """
    taken = _Taken(state, head_width)
    for old, new in _ENDS.items():
        taken.layer(old, new)
    classes = {}
    if "label_emb.weight" in state:  # the unconditional models have none
        taken.tensors["class_embedding.weight"] = state.pop("label_emb.weight")
        classes = {"num_class_embeds": len(taken.tensors["class_embedding.weight"])}
    levels, repeats = _depth(state)
    widths, down, up, block = [], [], [], 1
    for level in range(levels):
        place = f"down_blocks.{level}"
        attends = [taken.pair(f"input_blocks.{block + j}", place, j) for j in range(repeats)]
        block += repeats
        if level < levels - 1:
            taken.resnet(f"input_blocks.{block}.0", f"{place}.downsamplers.0")
            block += 1
        widths.append(len(taken.tensors[f"{place}.resnets.0.conv1.weight"]))
        down.append("AttnDownBlock2D" if any(attends) else "ResnetDownsampleBlock2D")
    taken.resnet("middle_block.0", "mid_block.resnets.0")
    taken.attention("middle_block.1", "mid_block.attentions.0")
    taken.resnet("middle_block.2", "mid_block.resnets.1")
    for level in range(levels):
        place, first = f"up_blocks.{level}", level * (repeats + 1)
        attends = [taken.pair(f"output_blocks.{first + j}", place, j) for j in range(repeats + 1)]
        if level < levels - 1:
            taken.resnet(f"output_blocks.{first + repeats}.{1 + attends[-1]}", f"{place}.upsamplers.0")
        up.append("AttnUpBlock2D" if any(attends) else "ResnetUpsampleBlock2D")
    config: dict[str, Any] = {
        "_class_name": "UNet2DModel",
        "sample_size": size,
        "in_channels": taken.tensors["conv_in.weight"].shape[1],
        "out_channels": len(taken.tensors["conv_out.weight"]),
        "block_out_channels": widths,
        "layers_per_block": repeats,
        "down_block_types": down,
        "up_block_types": up,
        "downsample_type": "resnet",
        "upsample_type": "resnet",
        "resnet_time_scale_shift": "scale_shift",
        "attention_head_dim": head_width,
        "attn_norm_num_groups": 32,
        **classes,
    }
    return {"unet": Part(config, taken.tensors), "scheduler": Part(dict(_SCHEDULE), {})}


def _depth(state: _State) -> tuple[int, int]:
    """Levels, and residual blocks of each on the way down. On the way up each has one more, and every level but the
    last ends with a further one that enlarges the picture."""
    first = ".in_layers.0.weight"
    resnets = [name.removesuffix(first) for name in state if name.startswith("output_blocks.") and name.endswith(first)]
    ordinary = sum(name.endswith(".0") for name in resnets)
    levels = 1 + len(resnets) - ordinary
    if ordinary < 2 * levels:
        raise KeyError(f"output_blocks.{ordinary}.0{first}")
    return levels, ordinary // levels - 1


class _Taken:
    """Tensors by their new names, taken out of a state with the old ones."""

    def __init__(self, state: _State, head_width: int):
        self.state, self.head_width = state, head_width
        self.tensors: _State = {}

    def layer(self, old: str, new: str) -> None:
        for kind in ("weight", "bias"):
            self.tensors[f"{new}.{kind}"] = self.state.pop(f"{old}.{kind}")

    def resnet(self, old: str, new: str) -> None:
        for before, after in _RESNET.items():
            self.layer(f"{old}.{before}", f"{new}.{after}")
        if f"{old}.skip_connection.weight" in self.state:
            self.layer(f"{old}.skip_connection", f"{new}.conv_shortcut")

    def pair(self, old: str, place: str, number: int) -> bool:
        """A residual block and, if it has one, the attention after it; whether it has."""
        self.resnet(f"{old}.0", f"{place}.resnets.{number}")
        attends = f"{old}.1.qkv.weight" in self.state
        if attends:
            self.attention(f"{old}.1", f"{place}.attentions.{number}")
        return attends

    def attention(self, old: str, new: str) -> None:
        """Rows of the joint projection are [head][query, key, value][head_width]; convolutions of width 1 become
        matrices."""
        self.layer(f"{old}.norm", f"{new}.group_norm")
        for kind in ("weight", "bias"):
            joint = self.state.pop(f"{old}.qkv.{kind}").squeeze(-1)
            if len(joint) % (3 * self.head_width):
                raise UserError(f"attention of {len(joint) // 3} channels cannot have heads of {self.head_width}")
            heads = joint.unflatten(0, (-1, 3, self.head_width))
            for number, letter in enumerate("qkv"):
                self.tensors[f"{new}.to_{letter}.{kind}"] = heads[:, number].flatten(0, 1)
            self.tensors[f"{new}.to_out.0.{kind}"] = self.state.pop(f"{old}.proj_out.{kind}").squeeze(-1)
