"""The vector-quantising autoencoder of taming-transformers and latent-diffusion, as diffusers' VQModel."""

import torch

from bench.convert.names import count, layers, widens
from bench.convert.parts import Part

_RESNET = {"norm1": "norm1", "conv1": "conv1", "norm2": "norm2", "conv2": "conv2"}
_SHORTCUT = {"nin_shortcut": "conv_shortcut"}
_ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}


def names(state: dict[str, torch.Tensor], root: str) -> dict[str, str]:
    """Original -> new name of each of its tensors; `root` is what it is in the file, such as "first_stage_model."."""
    table = {f"{root}quantize.embedding.weight": "quantize.embedding.weight"}
    table |= layers(root.removesuffix("."), "", {"quant_conv": "quant_conv", "post_quant_conv": "post_quant_conv"})
    for side, blocks, resized in (("encoder", "down", "downsample"), ("decoder", "up", "upsample")):
        old, levels = f"{root}{side}", count(state, f"{root}{side}.{blocks}")
        table |= layers(old, side, {"conv_in": "conv_in", "norm_out": "conv_norm_out", "conv_out": "conv_out"})
        table |= _resnet(state, f"{old}.mid.block_1", f"{side}.mid_block.resnets.0")
        table |= _resnet(state, f"{old}.mid.block_2", f"{side}.mid_block.resnets.1")
        table |= layers(f"{old}.mid.attn_1", f"{side}.mid_block.attentions.0", _ATTENTION)
        for i in range(levels):  # the original counts the decoder's levels from the finest, diffusers in order of use
            level = f"{old}.{blocks}.{i if side == 'encoder' else levels - 1 - i}"
            new = f"{side}.{blocks}_blocks.{i}"
            for j in range(count(state, f"{level}.block")):
                table |= _resnet(state, f"{level}.block.{j}", f"{new}.resnets.{j}")
            for j in range(count(state, f"{level}.attn")):
                table |= layers(f"{level}.attn.{j}", f"{new}.attentions.{j}", _ATTENTION)
            if i < levels - 1:
                table |= layers(level, f"{new}.{resized}rs.0", {f"{resized}.conv": "conv"})
    return table


def part(tensors: dict[str, torch.Tensor], size: int) -> Part:
    """The autoencoder of tensors under their new names.

    Args:
        size: pixels a side it was trained at.
    """

    def types(side: str, blocks: str, kind: str) -> list[str]:
        attends = [f"{side}.{blocks}.{i}.attentions.0.to_q.weight" in tensors for i in range(len(widths))]
        return [f"{'Attn' * attending}{kind}Block2D" for attending in attends]

    widths = [
        len(tensors[f"encoder.down_blocks.{i}.resnets.0.conv1.bias"])
        for i in range(count(tensors, "encoder.down_blocks"))
    ]
    config = {
        "_class_name": "VQModel",
        "in_channels": tensors["encoder.conv_in.weight"].shape[1],
        "out_channels": len(tensors["decoder.conv_out.bias"]),
        "down_block_types": types("encoder", "down_blocks", "DownEncoder"),
        "up_block_types": types("decoder", "up_blocks", "UpDecoder"),
        "block_out_channels": widths,
        "layers_per_block": count(tensors, "encoder.down_blocks.0.resnets"),
        "latent_channels": len(tensors["encoder.conv_out.bias"]),
        "num_vq_embeddings": len(tensors["quantize.embedding.weight"]),
        "vq_embed_dim": tensors["quantize.embedding.weight"].shape[1],
        "sample_size": size,
        "scaling_factor": 1.0,  # diffusers' default is Stable Diffusion's
    }
    flat = {n: t.flatten(1) if ".attentions." in n and t.ndim == 4 else t for n, t in tensors.items()}  # 1x1 filters
    return Part(config, flat)


def _resnet(state: dict[str, torch.Tensor], old: str, new: str) -> dict[str, str]:
    shortcut = _SHORTCUT if widens(state, f"{old}.conv1") else {}
    return layers(old, new, _RESNET | shortcut)
