"""What editors of the flow years cost, as their authors count it, where neither model nor data are here."""

import pytest

from bench.config import cli
from bench.edits import plan
from bench.reproduce.cost import counting


@pytest.mark.parametrize(
    ("words", "nfe"),
    [
        ("model=sd3 method=flowedit", 132),
        ("model=flux method=flowedit steps=28", 48),
        ("model=flux method=rf_inversion steps=28", 56),
        ("model=flux method=rf_solver steps=15", 60),
        ("model=flux method=fireflow steps=8", 18),
        ("model=flux method=fireflow steps=15 method.inject=2", 32),
        ("model=flux method=uni_edit steps=15", 28),
        ("model=flux method=uni_edit steps=15 method.alpha=0.8", 37),
        ("model=sd14 method=edit_friendly steps=100", 328),
        ("model=sd14 method=plug_and_play", 1149),
        ("model=sd14 method=plug_and_play method.inversion_steps=50", 200),
        ("model=flux method=sdedit", 25),
        ("model=sdxl method=sdedit", 50),
        ("model=flux method=siminversion control=none transfer=approximate", 100),
        ("model=sdxl method=siminversion control=p2p method.blend_size=32", 300),
    ],
)
def test_evaluations_of_an_edit(words, nfe):
    (cfg,) = plan.points(cli.jobs([*words.split(), "model.path=nowhere"])[0])
    (cost,) = counting.count([cfg["method"]], counting.geometry_of(cfg))
    assert cost.nfe == nfe


@pytest.mark.parametrize(
    ("words", "side"),
    [("", 128), ("data.size=512", 64), ("data.size=512 model.size=1024", 128), ("model.size=768", 96)],
)
def test_the_model_is_counted_at_the_size_that_it_edits_at(words, side):
    (cfg,) = plan.points(cli.jobs(["model=flux", "method=flowedit", "model.path=nowhere", *words.split()])[0])
    assert counting.geometry_of(cfg).side == side
