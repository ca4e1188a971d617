"""The converter's part for VQGAN."""

import json

import pytest
import torch
from diffusers import VQModel
from omegaconf import OmegaConf

from bench.config import cli
from bench.convert.__main__ import main
from bench.convert.vqgan import DROPPED, convert
from bench.files.hashing import sha256
from bench.models import checkpoint as checkpoints
from tests.helpers import flexit
from tests.helpers.class_models import lightning, original_vq
from tests.helpers.originals import digest
from tests.helpers.shared import needs_shared


@needs_shared
def test_names_shapes_and_digests_are_the_reference_ones():
    state = flexit.state("vqgan_a") | {"loss.discriminator.main.0.weight": torch.zeros(1)}
    part = convert(state)["vqgan"]
    assert list(state) == ["loss.discriminator.main.0.weight"]
    assert next(iter(state)).startswith(DROPPED)
    expected = json.loads((flexit.GOLDEN / "diffusers_spec.json").read_text())["vqgan_a"]
    found = {name: {"sha256_16": digest(x), "shape": list(x.shape)} for name, x in part.tensors.items()}
    assert found == expected["tensors"]
    config = {"_class_name": expected["class"], **expected["config"], "sample_size": 256}  # of the official one
    assert part.config == config
    VQModel.from_config(part.config).load_state_dict(part.tensors)


@needs_shared
def test_a_whole_official_file_becomes_a_folder_that_the_model_reads(tmp_path, capsys):
    state = flexit.state("vqgan_a") | {"loss.discriminator.main.0.weight": torch.zeros(1)}
    file, folder = lightning(state, tmp_path / "last.ckpt"), tmp_path / "made"
    assert main(["kind=vqgan", str(file), str(folder)]) == 0
    (job,) = cli.jobs([*flexit.tiny(tmp_path / "tiny"), f"model.path={folder}"])
    checkpoint = checkpoints.make(OmegaConf.to_container(job.model, resolve=True))
    facts = {"format_version": 1, "kind": "vqgan", "sha256": sha256(file)}
    assert checkpoint.identity()["conversion"] == facts
    codes = checkpoint.load(torch.device("cpu"), torch.float32).encode(torch.zeros(1, 3, 32, 32))
    assert codes.shape == (1, 16, 8, 8)
    assert main(["kind=cin256", str(file), str(tmp_path / "other")]) == 2
    assert "is no cin256 model: it has no model.diffusion_model.time_embed.0.weight" in capsys.readouterr().err


@needs_shared
@pytest.mark.parametrize("name", ["quant_conv.bias", "encoder.mid.attn_1.q.weight", "quantize.embedding.weight"])
def test_what_is_missing_is_named(name):
    state = {key: x for key, x in flexit.state("vqgan_a").items() if key != name}
    with pytest.raises(KeyError) as caught:
        convert(state)
    assert caught.value.args == (name,)


def test_the_official_architecture_is_read_off_its_tensors():
    """Of f16-1024 without values, 72.1 M parameters."""
    with torch.device("meta"):
        made = VQModel(
            down_block_types=(*["DownEncoderBlock2D"] * 4, "AttnDownEncoderBlock2D"),
            up_block_types=("AttnUpDecoderBlock2D", *["UpDecoderBlock2D"] * 4),
            block_out_channels=(128, 128, 256, 256, 512),
            layers_per_block=2,
            latent_channels=256,
            num_vq_embeddings=1024,
            vq_embed_dim=256,
            scaling_factor=1.0,
            sample_size=256,
        )
    original = {original_vq(name, 5).removeprefix("first_stage_model."): x for name, x in made.state_dict().items()}
    assert sum(x.numel() for x in original.values()) == pytest.approx(72.1e6, rel=1e-3)
    part = convert(original)["vqgan"]
    assert not original
    assert {name: x.shape for name, x in part.tensors.items()} == {n: x.shape for n, x in made.state_dict().items()}
    for knob, value in part.config.items():
        assert knob == "_class_name" or made.config[knob] == value or made.config[knob] == tuple(value)
