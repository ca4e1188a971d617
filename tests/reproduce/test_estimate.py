"""The dry run: evaluations counted without making anything, seconds from a calibration, totals."""

import json
from dataclasses import replace

import pytest
import torch

from bench import run
from bench.config import cli
from bench.edits.folder import Store
from bench.edits.plan import points
from bench.reproduce import items
from bench.reproduce.cost import calibration, counting, estimate
from bench.reproduce.cost.estimate import Wanted
from tests.helpers.models import shipped


def wanted(*words, item="paper/table", label="ours", samples=10):
    (cfg,) = cli.jobs(list(words))
    return [Wanted(item, label, cfg_, samples) for cfg_ in points(cfg)]


@pytest.fixture
def paced(monkeypatch):
    """A machine of known speed."""
    monkeypatch.setattr(calibration, "pace", lambda *_: calibration.Pace(2.0, 0.25, 0.75, "by decree"))
    monkeypatch.setattr(calibration, "overhead", lambda *_: (1.5, 3.0))


SPREAD = [
    ["method=sdedit", "r=0.6"],
    ["method=encode_decode", "r=[0.3,1]"],
    ["method=diffedit", "r=[0.2,0.8]", "method.n=3"],
    ["method=diffedit", "r=0.5", "method.encode=noise", "guidance=1"],
    ["method=siminversion", "w_s=[0,0.5,1,auto]"],
    ["method=siminversion", "w_s=0.5", "control=masactrl", "method.start_layer=4"],
    ["method=negative_prompt", "control=none"],
    ["method=direct", "control=[p2p,none]"],
    ["method=edict"],
    ["method=null_text", "method.inner_steps=2", "method.epsilon=0"],
    ["method=retrieve"],
]


@pytest.mark.parametrize("words", SPREAD, ids=" ".join)
def test_counted_evaluations_are_those_of_the_run(words, tmp_path, paced):
    words = [*words, "steps=5", f"out={tmp_path}", "limit=1", "cache=none"]
    table = estimate.estimate(wanted(*words))
    assert set(table.counted) <= ({"most"} if "null_text" in words[0] else {"exact"})
    assert run.main([*words, "metrics=pixel"]) == 0
    found = [next(iter(Store(f.parent).journal().values())) for f in tmp_path.glob("*/*/*/identity.json")]
    assert sorted(table.nfe) == sorted(entry["nfe"] for entry in found)
    if "siminversion" not in words[0]:  # where the branches are kept as long as a sample has words to blend
        assert sorted(table.nfe_spent) == sorted(entry["nfe_spent"] for entry in found)


@pytest.mark.parametrize(
    ("words", "nfe"),
    [  # docstrings of the methods, at Stable Diffusion's 16 blocks
        (["method=ddim"], 250),
        (["method=ddim", "control=masactrl"], 200),
        (["method=siminversion", "w_s=auto"], 500),
        (["method=null_text"], 850),
        (["method=cross_attention_control"], 3 * 50 + 2 * 50 + 2 * 3 * 14),
        (["method=instruct_pix2pix", "model=instruct_pix2pix"], 150),
    ],
)
def test_neither_the_data_nor_the_model_need_be_here(words, nfe, paced):
    table = estimate.estimate(wanted("data=pie", "data.root=/nowhere", "steps=50", *words))
    assert table.nfe.tolist() == [nfe]
    assert table.counted.tolist() == ["most" if "null" in words[0] or "attention" in words[0] else "exact"]


def test_hours_are_rows_times_seconds_after_sharing(paced):
    table = estimate.estimate(wanted("method=diffedit", "data=pie", "r=[0.5,0.7]", samples=700))
    assert table.nfe.tolist() == [95, 125]
    assert table.nfe_spent.tolist() == [95, 80]  # the mask and the first half are there
    assert table.seconds.tolist() == [95 * 2 * 1.5 + 1, 125 * 2 * 1.5 + 1]
    assert table.hours.tolist() == [700 * (95 * 3 + 1) / 3600, 700 * (80 * 3 + 1) / 3600]
    table = estimate.estimate(wanted("method=null_text", "data=pie", "steps=2", samples=1))
    assert table.nfe.tolist() == [2 + 12 * 2 + 4 * 2]
    assert table.seconds.tolist() == [((34 - 20) + 3 * 20) * 2 * 1.5 + 1]  # ten updates a step have gradients


def test_a_run_that_several_items_want_is_counted_once(paced):
    first = wanted("method=sdedit", "data=pie", "r=[0.5,0.7]", samples=700)
    few = wanted("method=sdedit", "data=pie", "r=0.7", "seed=0", item="paper/figure", samples=7)
    other = wanted("method=sdedit", "data=pie", "r=0.7", "seed=1", item="paper/figure", label="theirs", samples=7)
    table = estimate.estimate([*first, *few, *other])
    assert table["items"].tolist() == ["paper/table", "paper/table, paper/figure", "paper/figure"]
    assert table.n.tolist() == [700, 700, 7]
    alone = table.attrs["alone"]
    assert alone["paper/table"] == (2, pytest.approx(table.hours[:2].sum()))
    assert alone["paper/figure"] == (2, pytest.approx(table.hours[1] / 100 + table.hours[2]))
    text = estimate.readable(table)
    assert f"in all 3 runs, 1,407 images, {700 * 120 + 7 * 70:,} evaluations" in text
    assert f"{table.hours.sum():.3g} h ({table.hours.sum() / 24:.3g} days)" in text
    assert "| paper/figure | 2 " in text


def test_who_wants_most_samples_has_a_run_made(paced):
    few = wanted("method=sdedit", "data=pie", item="paper/figure", samples=7)
    most = wanted("method=sdedit", "data=pie", "r=[0.5,0.7]", samples=700)
    table = estimate.estimate([*few, *most])
    assert table.item.tolist() == ["paper/table"] * 2
    assert table.n.tolist() == [700, 700]


def test_what_cannot_be_told_is_said(paced):
    own = wanted("method=custom", "method._target_=tests.reproduce.test_estimate.Broken", "data=pie", label="own")
    unknown = wanted("method=sdedit", "data=pie", label="unknown", samples=None)
    table = estimate.estimate([*own, *unknown, Wanted("paper/figure", "theory", None, None)])
    assert table.hours.isna().all()
    text = estimate.readable(table)
    assert "not in it: 1 runs: cannot be counted: RuntimeError: no" in text
    assert "how many samples there are is not known" in text
    assert "left out, no runs: paper/figure (theory)" in text


class Broken:
    """A method of a user's own that fails."""

    def __call__(self, model, batch, noise):
        raise RuntimeError("no")


def test_what_is_done_is_not_counted_again(tmp_path, paced):
    words = ["method=sdedit", "steps=2", f"out={tmp_path}"]
    assert run.main([*words, "limit=3", "metrics=pixel"]) == 0
    table = estimate.estimate(wanted(*words, "metrics=pixel", samples=10))
    assert table.done.tolist() == [3]
    assert table.hours.tolist() == [7 * table.seconds[0] / 3600]


def test_an_item_on_data_that_is_not_here(paced, tmp_path):
    chosen = [items.load("siminversion/table1"), items.load("siminversion/fig2")]
    few = [{name: words for name, words in item.runs.items() if name in ("DDIM", "Instruct-P2P")} for item in chosen]
    chosen = [replace(item, runs=runs) for item, runs in zip(chosen, few, strict=True)]
    text = estimate.of_items(chosen, ["steps=5", "data.root=/nowhere", f"out={tmp_path}"])
    (line,) = [line for line in text.splitlines() if "| DDIM" in line]
    assert [cell.strip() for cell in line.split("|")][2:-1] == [
        "DDIM", "1", "pie", "sd14", "700", "?", "25", "25", "76", "14.8 h",
    ]  # fmt: skip
    (line,) = [line for line in text.splitlines() if "| Instruct-P2P" in line]  # in the figure alone
    assert "instruct_pix2pix | 2 " in line
    assert "| siminversion/fig2   | 2 " in text


def test_real_calibration_on_the_embedded_model_is_remembered(monkeypatch):
    (one,) = wanted("method=ddim", "control=none", samples=1)
    first = calibration.pace(one.cfg["model"], 64, "cpu", 4), calibration.overhead(one.cfg["method"], "cpu")
    assert min(first[0].row, first[0].encode, first[0].decode) > 0
    assert 0.5 < first[1][0] < 3  # the method beside the rows it asks for
    assert 1.2 < first[1][1] < 5  # a gradient costs about as much again
    monkeypatch.setattr(calibration, "seconds", None)  # measured no more
    assert (calibration.pace(one.cfg["model"], 64, "cpu", 4), calibration.overhead(one.cfg["method"], "cpu")) == first
    known = json.loads((calibration.cache_folder() / "calibration.json").read_text())
    assert len(known) == 3


def test_the_made_up_denoiser_passes_gradients_and_counts_them():
    layers = tuple(shipped().attention())
    model = counting._Denoiser(shipped(), counting.Geometry(16, layers, 0), agreeing=False)
    states = torch.zeros(2, 3, 4, requires_grad=True)
    z = torch.zeros(2, 4, 16, 16)
    model.eps(z, 1, states).sum().backward()
    with torch.no_grad():
        assert model.eps(z, 1, states).std() > 0.9
    assert (model.rows, model.backward) == (4, 2)
    assert states.grad is not None
