"""The numbers that methods have where nothing is said: those of the papers or of the code that their tables were made
with (methods.md, sections 1 to 3), in the configurations and in the classes alike."""

import inspect

import pytest
from hydra.utils import get_class
from omegaconf import OmegaConf

from bench.config import cli
from methods.controls import masactrl, p2p

P2P = {"control": "p2p", "cross_replace": 0.4, "self_replace": 0.6, "edit": "refine", "reweight": 2}
P2P |= {"local_blend": True, "blend_size": 16, "blend_threshold": 0.3, "blend_start": 0.2, "start_step": 4}
EXPECTED = {
    "sdedit": {},
    "encode_decode": {},
    "diffedit": {"mask_noise": 0.5, "n": 10, "clip": "mean_ratio", "clip_at": 3, "threshold": 0.5, "encode": "ddim"}
    | {"clip_before": "each", "rescale": "minmax"},
    "flexit": {"updates": 160, "views": 1, "image_weight": 0.2, "source_weight": 0.4, "target_weight": 1}
    | {"perceptual": 0.15, "latent": 0.05, "rate": 0.05, "antialias": False},
    "ilvr": {"down": 32, "range_t": 20, "respacing": 100, "pairing": "code", "clip": True},
    "cross_attention_control": {"tokens_start": 0, "tokens_end": 1, "spatial_start": 0, "spatial_end": 1}
    | {"start": "inversion", "inversion_guidance": 3, "refine_iterations": 3, "refine_strength": 0.9}
    | {"refine_from": 0.7},
    "ddim": P2P,
    "negative_prompt": P2P,
    "direct": P2P | {"w_s": 1},
    "null_text": P2P | {"inner_steps": 10, "epsilon": 1e-5},
    "siminversion": P2P | {"w_s": 0.5, "donor": "cs"},
    "style_diffusion": P2P
    | {"cross_replace": 0.6, "reweight": 1, "local_blend": False}
    | {"inner_steps": 100, "epsilon": 1e-5, "value_steps": 0.5},
    "edict": {"w_t": 3, "strength": 0.8, "mixing": 0.93},
    "instruct_pix2pix": {"picture_guidance": 1.5},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_method_starts_from_its_published_numbers(name):
    node = OmegaConf.to_container(cli.jobs([f"method={name}", "model=sd14"])[0], resolve=True)["method"]
    assert node.get("steps", 50) == 50
    assert {knob: node[knob] for knob in EXPECTED[name]} == EXPECTED[name]


@pytest.mark.parametrize("name", [n for n in EXPECTED if n != "style_diffusion"])  # its P2P is of the file alone
def test_so_does_its_class(name):
    node = OmegaConf.to_container(cli.jobs([f"method={name}"])[0], resolve=True)["method"]
    given = inspect.signature(get_class(node["_target_"])).parameters
    defaults = {knob: one.default for knob, one in given.items() if one.default is not inspect.Parameter.empty}
    known = {knob: value for knob, value in EXPECTED[name].items() if knob in defaults}
    assert {knob: defaults[knob] for knob in known} == known


def test_so_do_the_controls_by_themselves():
    for kind in (p2p.Control, masactrl.Control):
        defaults = {name: one.default for name, one in inspect.signature(kind).parameters.items()}
        assert {name: value for name, value in P2P.items() if name in defaults}.items() <= defaults.items()
