"""Small VQGANs and CLIPs as the files that the real ones come in: those that the reference outputs of FlexIT were made
with, rebuilt by their rule (golden README of the baselines, section 1), and others that need no reference."""

import json
from pathlib import Path

import torch
from diffusers import VQModel
from open_clip import CLIP, CLIPTextCfg, CLIPVisionCfg
from safetensors.torch import save_file

from bench.convert.vqgan import convert
from bench.models.converted import CONVERSION, FORMAT_VERSION
from tests.helpers import originals
from tests.helpers.shared import SHARED

GOLDEN = SHARED / "golden/baselines/flexit"
CLIPS = ("clip_vit_a", "clip_rn_a")


def state(tag: str) -> dict[str, torch.Tensor]:
    """A network of `weights_spec.json` by its original names; every tensor's digest is checked."""
    made = {}
    for name, entry in json.loads((GOLDEN / "weights_spec.json").read_text())[tag]["tensors"].items():
        value = torch.from_numpy(originals._tensor(tag, name, tuple(entry["shape"])))
        if tag.startswith("vqgan") and name == "decoder.conv_out.weight":
            value = (value * 0.3).half().float()
        made[name] = value.long() if name.endswith("num_batches_tracked") else value
        assert originals.digest(made[name]) == entry["sha256_16"], name
    return made


def folder(to: Path) -> Path:
    """The small VQGAN of the reference, as the converter leaves it."""
    (to / "vqgan").mkdir(parents=True)
    part = convert(state("vqgan_a"))["vqgan"]
    (to / "vqgan/config.json").write_text(json.dumps(part.config))
    save_file(part.tensors, to / "vqgan/diffusion_pytorch_model.safetensors")
    return _marked(to)


def _marked(folder: Path) -> Path:
    facts = {"format_version": FORMAT_VERSION, "kind": "vqgan", "sha256": "0" * 64}
    (folder / CONVERSION).write_text(json.dumps(facts))
    return folder


def files(to: Path) -> dict[str, Path]:
    """State dicts of the CLIPs and of VGG16."""
    to.mkdir(parents=True, exist_ok=True)
    found = {tag: to / f"{tag}.pt" for tag in (*CLIPS, "vgg16")}
    for tag, file in found.items():
        torch.save(state(tag), file)
    return found


def tiny(to: Path) -> list[str]:
    """Words for `bench.run` that name a small model of the same format with random weights, made without the reference
    outputs: f4, CLIPs at 32 and 64 px."""
    to.mkdir(parents=True, exist_ok=True)
    text = CLIPTextCfg(width=64, heads=1, layers=1)
    towers = {"ViT-B-32": (1, 8, 32, 64), "RN50": ((1, 1, 1, 1), None, 64, 8)}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vqgan = VQModel(
            down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D", "AttnDownEncoderBlock2D"),
            up_block_types=("AttnUpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"),
            block_out_channels=(32, 32, 32),
            latent_channels=4,
            num_vq_embeddings=8,
            scaling_factor=1.0,
        )
        vqgan.save_pretrained(to / "model/vqgan")
        _marked(to / "model")
        for name, (layers, patch, size, width) in towers.items():
            vision = CLIPVisionCfg(layers=layers, width=width, patch_size=patch, image_size=size)
            torch.save(CLIP(16, vision, text, quick_gelu=True).state_dict(), to / f"{name}.pt")
    words = [f"model.weights.{name}.path={to / name}.pt" for name in towers] + ["model.weights.vgg16.path=random"]
    return ["model=vqgan_clip", f"model.path={to / 'model'}", f"model.clips=[{','.join(towers)}]", *words]
