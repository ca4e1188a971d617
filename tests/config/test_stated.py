"""What the methods' files state beside their knobs."""

import pytest

from bench.config import cli, stated, validate
from bench.errors import UserError

P2P = {"control": "p2p", "steps": 50, "inner_steps": 10}


@pytest.mark.parametrize(
    ("method", "knobs", "count"),
    [
        ("ddim", {}, 250),
        ("negative_prompt", {}, 250),
        ("direct", {"w_s": 1.0}, 450),
        ("siminversion", {"w_s": 0}, 200),
        ("siminversion", {"w_s": 1.0}, 200),
        ("siminversion", {"w_s": 0.5}, 300),
        ("siminversion", {"w_s": 2}, 300),
        ("siminversion", {"w_s": "auto"}, None),
        ("siminversion", {"w_s": 0.5, "steps": 100}, 600),
        ("siminversion", {"w_s": 0.5, "control": "masactrl"}, None),
        ("null_text", {}, 900),
        ("style_diffusion", {"inner_steps": 100}, 1471),
        ("style_diffusion", {"inner_steps": 100, "steps": 30}, None),
        ("sdedit", {}, None),
        ("MyOwnEditor", {}, None),
    ],
)
def test_published_counts(method, knobs, count):
    """Those that SimInversion's Table 3 is in proportion to: 25, 21, 29 and 43 seconds for 250, 200, 300 and 450."""
    assert stated.published_nfe(method, P2P | knobs) == count


def test_what_is_stated_is_no_knob():
    (cfg,) = cli.jobs(["method=siminversion", "w_s=[0,0.5]"])
    assert "published_nfe" in cfg.method
    assert "published_nfe" not in validate.knobs(cfg.method)


@pytest.mark.parametrize("formula", ["steps * 5", "five", "5 * stps", "5*steps"])
def test_a_formula_that_is_none(monkeypatch, formula):
    monkeypatch.setattr(stated, "_stated", lambda method: {"published_nfe": [{"is": formula}]})
    with pytest.raises(UserError, match=r"conf/method/ddim.yaml: published_nfe .*, expected a formula such as 5 \* st"):
        stated.published_nfe("ddim", P2P)
