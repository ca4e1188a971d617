"""ADM's converter: names and tensors in both directions, at the digests of the goldens, and files that are no ADM."""

import json

import pytest
import torch
from diffusers import UNet2DModel

from bench.convert.__main__ import main
from bench.convert.adm256 import DROPPED, convert
from bench.errors import UserError
from bench.models.adm import ADM
from tests.helpers import adm, originals
from tests.helpers.shared import SHARED, needs_shared

GOLDEN = SHARED / "golden/baselines/adm_a"


@needs_shared
def test_digests_of_the_golden():
    state = originals.state("adm_a", GOLDEN / "original_spec.json")
    parts = convert(state, size=32, head_width=16)
    assert not state
    expected = json.loads((GOLDEN / "diffusers_spec.json").read_text())["unet"]
    assert parts["unet"].config == expected["config"] | {"_class_name": expected["class"]}
    found = {
        name: {"sha256_16": originals.digest(tensor), "shape": list(tensor.shape)}
        for name, tensor in parts["unet"].tensors.items()
    }
    assert found == expected["tensors"]
    assert not any(name.startswith(DROPPED) for name in expected["tensors"])


@needs_shared
def test_another_order_of_heads_has_other_digests():
    """Rows read as [query, key, value][head][width], as of the newer attention order."""
    state = originals.state("adm_a", GOLDEN / "original_spec.json")
    for name in [name for name in state if ".qkv." in name]:
        state[name] = state[name].unflatten(0, (3, -1, 16)).transpose(0, 1).flatten(0, 2)
    expected = json.loads((GOLDEN / "diffusers_spec.json").read_text())["unet"]["tensors"]
    tensors = convert(state, size=32, head_width=16)["unet"].tensors
    wrong = {name for name, tensor in tensors.items() if originals.digest(tensor) != expected[name]["sha256_16"]}
    assert wrong == {name for name in expected if ".to_q." in name or ".to_k." in name or ".to_v." in name}


NETWORKS = {
    "tiny": {},
    "unconditional": {"num_class_embeds": None},
    "deep": {
        "block_out_channels": [32, 32, 64],
        "layers_per_block": 2,
        "down_block_types": ["ResnetDownsampleBlock2D", "AttnDownBlock2D", "ResnetDownsampleBlock2D"],
        "up_block_types": ["ResnetUpsampleBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D"],
    },
}


@pytest.mark.parametrize("name", NETWORKS)
def test_there_and_back(name):
    unet = adm.network(**NETWORKS[name])
    state = adm.original(unet)
    part = convert(state, 32, adm.HEAD)["unet"]
    assert not state
    expected = unet.state_dict()
    assert part.tensors.keys() == expected.keys()
    assert all(torch.equal(part.tensors[name], expected[name]) for name in expected)
    again = dict(UNet2DModel.from_config(part.config).config)
    assert {name: again[name] for name in unet.config if name[0] != "_"} == {
        name: value for name, value in unet.config.items() if name[0] != "_"
    }


def test_the_official_architecture():
    """256 x (1, 1, 2, 2, 4, 4), attention at 32, 16 and 8 pixels; no numbers, only names and shapes."""
    with torch.device("meta"):
        unet = UNet2DModel(**adm.OFFICIAL)
    state = adm.original(unet)
    part = convert(state)["unet"]
    assert not state
    assert sum(tensor.numel() for tensor in part.tensors.values()) == pytest.approx(553.8e6, rel=1e-4)
    assert {name: tensor.shape for name, tensor in part.tensors.items()} == {
        name: tensor.shape for name, tensor in unet.state_dict().items()
    }
    assert part.config == adm.OFFICIAL | {"_class_name": "UNet2DModel"}


@pytest.mark.parametrize(
    ("lost", "missing"),
    [
        ("input_blocks.3.1.qkv.bias", ["input_blocks.3.1.qkv.bias"]),
        ("middle_block.2.in_layers", [f"middle_block.2.in_layers.{i}.{k}" for i in (0, 2) for k in ("weight", "bias")]),
        ("", ["time_embed.0.weight", "time_embed.0.bias"]),
    ],
)
def test_what_is_missing_is_named(lost, missing):
    state = {name: tensor for name, tensor in adm.original(adm.network()).items() if not name.startswith(lost)}
    with pytest.raises(KeyError) as error:
        convert(state, 32, adm.HEAD)
    assert list(error.value.args)[: len(missing)] == missing


def test_heads_that_do_not_fit():
    with pytest.raises(UserError, match="attention of 64 channels cannot have heads of 48"):
        convert(adm.original(adm.network()), 32, 48)


def test_the_command_is_told_what_no_tensor_tells(tmp_path, capsys):
    torch.save(adm.original(adm.network()), file := tmp_path / "adm.pt")
    assert main(["kind=adm256", str(file), str(tmp_path / "made"), "size=32", f"head_width={adm.HEAD}"]) == 0
    assert "a adm256 model of size=32, head_width=16" in capsys.readouterr().out
    config = json.loads((tmp_path / "made/unet/config.json").read_text())
    assert (config["sample_size"], config["attention_head_dim"]) == (32, adm.HEAD)
    model = ADM(str(tmp_path / "made"))
    assert (model.size, model.geometry(32, path=str(tmp_path / "made")).words) == (32, False)
    assert main(["kind=adm256", str(file), str(tmp_path / "official")]) == 0
    assert "size=256, head_width=64" in capsys.readouterr().out  # said, since it may be wrong
    for words, sentence in (
        (["kind=adm256", "head_width=half"], "head_width=half, expected a whole number"),
        (["kind=cin256", "head_width=16"], "head_width=16, but kind=cin256 has no such knob"),
    ):
        assert main([*words, str(file), str(tmp_path / "other")]) == 2
        assert sentence in capsys.readouterr().err


def test_a_damaged_folder_is_converted_again(tmp_path):
    folder = adm.folder(tmp_path / "made")
    weights = folder / "unet/diffusion_pytorch_model.safetensors"
    again = f"delete the folder and convert .*256x256_diffusion.pt .* again with `.* kind=adm256 <file> {folder}`"
    weights.write_bytes(weights.read_bytes()[:-9])
    with pytest.raises(UserError, match=f"is not whole .*; {again}"):
        ADM(str(folder))
    weights.unlink()
    with pytest.raises(UserError, match=f"has no diffusion_pytorch_model.safetensors; {again}"):
        ADM(str(folder))
    (folder / "unet/config.json").unlink()
    with pytest.raises(UserError, match=f"is missing; {again}"):
        ADM(str(folder))
