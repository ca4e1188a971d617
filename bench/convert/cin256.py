"""CompVis' class-conditional latent diffusion model of ImageNet at 256 px: `cin256-v2`'s model.ckpt."""

import torch

from bench.convert import vq
from bench.convert.names import count, layers, residual, take
from bench.convert.parts import Part

DROPPED = (
    *("betas", "alphas_cumprod", "sqrt_", "log_one_minus_alphas_cumprod", "posterior_"),  # the schedule, stated below
    *("first_stage_model.loss.", "loss.", "model_ema."),
)
SIZE, LATENTS = 256, 64  # no tensor depends on them
_ROOT = "model.diffusion_model"
_SCHEDULE = {
    "_class_name": "DDIMScheduler",
    "num_train_timesteps": 1000,
    "beta_schedule": "scaled_linear",  # the original calls it "linear"
    "beta_start": 0.0015,
    "beta_end": 0.0195,
    "prediction_type": "epsilon",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}


def convert(state: dict[str, torch.Tensor]) -> dict[str, Part]:
    """unet (UNet2DConditionModel), vqvae (VQModel), class_embedding and scheduler; what they use leaves `state`.

    Raises:
        KeyError: with the names that are missing.
    """
    table = {"cond_stage_model.embedding.weight": "embedding.weight"}
    tables = {"unet": _unet_names(state), "vqvae": vq.names(state, "first_stage_model."), "class_embedding": table}
    parts = take(state, tables)
    classes, width = parts["class_embedding"]["embedding.weight"].shape
    embedding = {"_class_name": "Embedding", "num_embeddings": classes, "embedding_dim": width}
    return {
        "unet": Part(_unet_config(parts["unet"]), parts["unet"]),
        "vqvae": vq.part(parts["vqvae"], SIZE),
        "class_embedding": Part(embedding, parts["class_embedding"]),
        "scheduler": Part(_SCHEDULE, {}),
    }


def _unet_names(state: dict[str, torch.Tensor]) -> dict[str, str]:
    """Original -> new name of each tensor. The original numbers the blocks of all levels in a row: on the way down a
    level's blocks and what shrinks them, on the way up one block more a level, the last with what enlarges it."""
    table = layers(f"{_ROOT}.time_embed", "time_embedding", {"0": "linear_1", "2": "linear_2"})
    table |= layers(_ROOT, "", {"input_blocks.0.0": "conv_in", "out.0": "conv_norm_out", "out.2": "conv_out"})
    level = place = 0
    for n in range(1, count(state, f"{_ROOT}.input_blocks")):
        block, new = f"{_ROOT}.input_blocks.{n}", f"down_blocks.{level}"
        if f"{block}.0.op.weight" in state:
            table |= layers(f"{block}.0", f"{new}.downsamplers.0", {"op": "conv"})
            level, place = level + 1, 0
            continue
        table |= residual(state, f"{block}.0", f"{new}.resnets.{place}")
        table |= _transformer(state, f"{block}.1", f"{new}.attentions.{place}")
        place += 1
    table |= residual(state, f"{_ROOT}.middle_block.0", "mid_block.resnets.0")
    table |= _transformer(state, f"{_ROOT}.middle_block.1", "mid_block.attentions.0")
    table |= residual(state, f"{_ROOT}.middle_block.2", "mid_block.resnets.1")
    for n in range(count(state, f"{_ROOT}.output_blocks")):
        level, at = divmod(n, place + 1)
        block, new = f"{_ROOT}.output_blocks.{n}", f"up_blocks.{level}"
        table |= residual(state, f"{block}.0", f"{new}.resnets.{at}")
        table |= _transformer(state, f"{block}.1", f"{new}.attentions.{at}")
        for last in (f"{block}.1", f"{block}.2"):
            if f"{last}.conv.weight" in state:
                table |= layers(last, f"{new}.upsamplers.0", {"conv": "conv"})
    return table


def _transformer(state: dict[str, torch.Tensor], old: str, new: str) -> dict[str, str]:
    """Its names are the same in both, where there is one."""
    depth, table = count(state, f"{old}.transformer_blocks"), {}
    for i in range(depth):
        inner = f"transformer_blocks.{i}."
        named = [f"{inner}{n}" for n in ("norm1", "norm2", "norm3", "ff.net.0.proj", "ff.net.2")]
        named += [f"{inner}attn{i}.to_out.0" for i in (1, 2)]
        table |= layers(old, new, {name: name for name in named})
        bare = [f"{inner}attn{i}.to_{kind}.weight" for i in (1, 2) for kind in "qkv"]
        table |= {f"{old}.{name}": f"{new}.{name}" for name in bare}
    return table | (layers(old, new, {n: n for n in ("norm", "proj_in", "proj_out")}) if depth else {})


def _unet_config(tensors: dict[str, torch.Tensor]) -> dict:
    levels = count(tensors, "down_blocks")
    attends = [f"down_blocks.{i}.attentions.0.norm.weight" in tensors for i in range(levels)]
    inner = "mid_block.attentions.0.transformer_blocks"
    return {
        "_class_name": "UNet2DConditionModel",
        "sample_size": LATENTS,
        "in_channels": tensors["conv_in.weight"].shape[1],
        "out_channels": len(tensors["conv_out.bias"]),
        "down_block_types": ["CrossAttnDownBlock2D" if attending else "DownBlock2D" for attending in attends],
        "up_block_types": ["CrossAttnUpBlock2D" if attending else "UpBlock2D" for attending in attends[::-1]],
        "block_out_channels": [len(tensors[f"down_blocks.{i}.resnets.0.conv1.bias"]) for i in range(levels)],
        "layers_per_block": count(tensors, "down_blocks.0.resnets"),
        "cross_attention_dim": tensors[f"{inner}.0.attn2.to_k.weight"].shape[1],
        "attention_head_dim": 1,  # a number of heads, in this class
        "transformer_layers_per_block": count(tensors, inner),
    }
