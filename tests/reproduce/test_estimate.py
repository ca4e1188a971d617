"""The dry run: evaluations counted without making anything, hours from what an evaluation took, totals."""

import json
from dataclasses import replace
from statistics import median

import pytest
import torch

from bench import run
from bench.config import cli
from bench.edits import plan
from bench.edits.folder import Store
from bench.errors import UserError
from bench.models.class_ldm import ClassLDM
from bench.models.dit import DiT
from bench.reproduce import grids, items
from bench.reproduce.__main__ import main
from bench.reproduce.cost import counting, estimate, pace
from bench.reproduce.cost.amounts import _data
from bench.reproduce.items import Item
from bench.types import Condition, Geometry


def item(*words, name="paper/table", label="ours", **more):
    return Item(name, "title", "source", runs={label: list(words)}, **more)


def estimated(*words, seconds_per_nfe=2.0):
    return estimate.estimate([item(*words)], [], seconds_per_nfe)


@pytest.fixture(autouse=True)
def fresh():
    pace._runs.cache_clear()


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
def test_counted_evaluations_are_those_of_the_run(words, tmp_path):
    words = [*words, "steps=5", f"out={tmp_path}", "limit=1", "cache=none"]
    table = estimated(*words)
    assert set(table.most) == {"null_text" in words[0]}
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
        (["method=style_diffusion"], 1421),
        (["method=cross_attention_control"], 3 * 50 + 2 * 50 + 2 * 3 * 14),
        (["method=instruct_pix2pix", "model=instruct_pix2pix"], 150),
    ],
)
def test_neither_the_data_nor_the_model_need_be_here(words, nfe):
    table = estimated("data=pie", "data.root=/nowhere", "steps=50", *words)
    assert table.nfe.tolist() == [nfe]
    assert table.most.tolist() == [any(name in words[0] for name in ("null", "attention", "style"))]


def test_updates_are_no_evaluations_and_have_a_column_of_their_own(tmp_path):
    words = ["data=imagenet", "data.root=/nowhere", f"out={tmp_path}"]
    flexit = item("method=flexit", "model=vqgan_clip", "method.updates=[16,160]", *words, label="FlexIT")
    table = estimate.estimate([flexit, item("method=null_text", "model=sd14", "steps=50", *words)], [], 2)
    assert table.nfe.tolist() == [0, 0, 850]
    assert table.nfe_spent.tolist() == [0, 0, 850]
    assert table.updates.tolist() == [16, 160, 500]
    assert table.hours.isna().tolist() == [True, True, False]
    text = estimate.readable(table, [])
    cells = [[cell.strip() for cell in line.split("|")][1:-1] for line in text.splitlines()]
    assert cells[0][7:] == ["NFE", "shared", "evaluations", "updates", "hours"]
    assert cells[2][7:] == ["0", "0", "0", "16 to 160", "?"]
    assert cells[3][10] == "500"
    assert "not in it: 2 runs: updates are no evaluations of a denoiser" in text


def test_hours_are_evaluations_after_sharing_times_seconds(tmp_path):
    table = estimated("method=diffedit", "data=pie", "r=[0.5,0.7]", f"out={tmp_path}")
    assert table.nfe.tolist() == [95, 125]
    assert table.nfe_spent.tolist() == [95, 80]  # the mask and the first half are there
    assert table.hours.tolist() == [700 * 95 * 2 / 3600, 700 * 80 * 2 / 3600]


def test_what_an_item_makes_a_later_one_finds_done(tmp_path):
    words = ["method=sdedit", "data=pie", f"out={tmp_path}"]
    few = [item(*words, "r=[0.7,0.9]", name=f"paper/figure{i}", grid={"prompts": [f"a {i}", "b"]}) for i in (1, 2)]
    table = estimate.estimate([*few, item(*words, "r=[0.5,0.7]"), item(*words, "r=0.7", "seed=1")], [], 2)
    assert table.n.tolist() == [2, 2, 2, 2, 700, 700, 700]
    assert table.done.tolist() == [0, 0, 1, 1, 0, 3, 0]  # figures share one of their two
    assert table.nfe_spent.tolist() == [70, 90, 70, 90, 50, 70, 70]
    text = estimate.readable(table, [])
    evaluations = 3 * (70 + 90) + 700 * 50 + 697 * 70 + 700 * 70
    assert f"in all 4 runs, {6 + 697 + 1400:,} images to make, {evaluations:,} evaluations" in text
    assert f"{evaluations * 2 / 3600:.3g} h ({evaluations * 2 / 3600 / 24:.3g} days)" in text
    again = estimate.estimate([item(*words, "r=0.7"), few[0]], [], 2)
    assert again.left.tolist() == [700, 0, 2]
    (line,) = [line for line in estimate.readable(again[:2], []).splitlines() if "| paper/figure1 " in line]
    assert [cell.strip() for cell in line.split("|")][6:-1] == ["2", "2", "", "", "", ""]


def test_what_cannot_be_told_is_said():
    own = item("method=custom", "method._target_=tests.reproduce.test_estimate.Broken", "data=pie")
    unknown = item("method=sdedit", "data=manifest", "data.root=/nowhere")
    table = estimate.estimate([own, unknown], [], 2)
    assert table.hours.isna().all()
    text = estimate.readable(table, [])
    assert "not in it: 1 runs: cannot be counted: RuntimeError: no" in text
    assert "not in it: 1 runs: how many samples they have is not known" in text


class Broken:
    """A method of a user's own that fails."""

    def __call__(self, model, batch, noise):
        raise RuntimeError("no")


def test_what_is_done_is_not_counted_again(tmp_path):
    words = ["method=sdedit", "steps=2", f"out={tmp_path}", "metrics=pixel"]
    assert run.main([*words, "limit=3"]) == 0
    table = estimated(*words, "limit=10")
    assert (table.done.tolist(), table.left.tolist()) == ([3], [7])
    assert table.hours.tolist() == [7 * table.nfe[0] * 2 / 3600]
    assert estimated(*words, "limit=2").left.tolist() == [0]
    assert estimated(*words, "limit=2", "metrics=pie", "metrics.weights.clip.path=/nowhere").done.isna().all()


def test_of_pictures_that_are_named_those_done_are_looked_for(tmp_path):
    words = ["method=sdedit", "steps=2", f"out={tmp_path}", "metrics=pixel"]
    assert run.main([*words, "limit=3"]) == 0
    data = _data(json.dumps({"_target_": "bench.data.shapes.Shapes", "size": 64}))
    figure = item(*words, grid={"prompts": [data[1].target, data[40].target]})
    assert {"00001", "00040"} == set(grids.select(figure, None)(data))
    assert estimate.estimate([figure], []).left.tolist() == [1]


def test_hours_from_runs_on_this_machine(tmp_path):
    words = [f"out={tmp_path}", "metrics=pixel", "limit=2"]
    assert run.main(["method=sdedit", "r=[0.5,0.8]", "steps=4", *words]) == 0
    assert run.main(["method=ddim", "steps=2", *words]) == 0
    assert run.main(["method=sdedit", "steps=4", "data.size=32", *words]) == 0
    rates = {"sdedit": [], "ddim": []}
    for file in tmp_path.glob("shapes/*/*/edits-*.jsonl"):
        if "size: 64" in (file.parent / "config.yaml").read_text():
            entries = Store(file.parent).journal().values()
            rates[file.parts[-3]] += [entry["seconds"] / entry["nfe"] for entry in entries]
    assert [len(rates["sdedit"]), len(rates["ddim"])] == [4, 2]

    def hours(method, *more):
        (row,) = estimated(f"method={method}", "steps=50", f"out={tmp_path}", *more, seconds_per_nfe=None).itertuples()
        return (row.hours * 3600 / row.left / row.nfe_spent, row.how) if row.how else None

    own, others = median(rates["sdedit"]), median(rates["sdedit"] + rates["ddim"])
    assert hours("sdedit") == (pytest.approx(own), f"shapes, sdedit: from 2 runs here: {own:.2g} s an evaluation")
    seconds, how = hours("edict")
    assert seconds == pytest.approx(others)
    assert how.startswith("shapes, edict: from 3 runs of other methods here: ")
    assert hours("sdedit", "data.size=32")[0] != pytest.approx(own)
    assert hours("sdedit", "data.size=32", "model.size=64") == hours("sdedit", "model.size=64") == hours("sdedit")
    assert hours("sdedit", "data.size=128") is None
    assert hours("sdedit", "model.size=128", "data.size=64") is None
    assert hours("sdedit", "model.dtype=bfloat16") is None
    if not torch.cuda.is_available():
        assert hours("sdedit", "device=cuda") is None


@pytest.mark.parametrize("where", [{"machine": "another"}, {"device": "another"}])
def test_no_hours_from_runs_that_were_not_made_here_alone(where, tmp_path):
    words = ["method=sdedit", "steps=2", f"out={tmp_path}", "metrics=pixel"]
    assert run.main([*words, "limit=1"]) == 0
    (file,) = tmp_path.glob("shapes/*/*/env/*.json")
    here = json.loads(file.read_text())
    assert estimated(*words, seconds_per_nfe=None).hours.notna().all()
    for made_on in ([here | where], [here, here | where]):
        pace._runs.cache_clear()
        for number, one in enumerate(made_on):
            file.with_name(f"{number}.json").write_text(json.dumps(one))
        file.unlink(missing_ok=True)
        assert estimated(*words, seconds_per_nfe=None).hours.isna().all()


def test_no_hours_are_made_up(tmp_path, capsys):
    words = ["siminversion/table5", "steps=5", "limit=9", f"out={tmp_path}"]
    assert main([*words, "--dry-run"]) == 0
    said = capsys.readouterr().out
    (head, *_), text = said.splitlines(), " ".join(said.split())
    assert [cell.strip() for cell in head.split("|")][1:-1] == [
        "item", "runs of", "runs", "data", "model", "images", "done", "NFE", "shared", "evaluations",
    ]  # fmt: skip
    assert "hours are not known of sd14" in text
    assert f"first: python -m bench.reproduce siminversion/table5 steps=5 out={tmp_path} limit=4 " in text
    assert main([*words, "--dry-run", "seconds_per_nfe=0.5"]) == 0
    said = capsys.readouterr().out
    assert "| hours " in said.splitlines()[0]
    assert "as given: 0.5 s an evaluation" in said
    assert "not known" not in said


def test_hours_of_some_are_the_least_of_all(tmp_path):
    words = ["method=sdedit", "steps=2", f"out={tmp_path}", "metrics=pixel"]
    assert run.main([*words, "limit=1"]) == 0
    table = estimate.estimate([item(*words, "limit=3"), item(*words, "limit=3", "data.size=32")], [])
    assert table.hours.isna().tolist() == [False, True]
    assert f": at least {estimate._time(table.hours.sum())}" in estimate.readable(table, [])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["seconds_per_nfe=0.04"], "add --dry-run"),
        (["seconds_per_nfe=fast", "--dry-run"], "seconds_per_nfe=fast, expected a number above 0"),
        (["seconds_per_nfe=0", "--dry-run"], "seconds_per_nfe=0, expected a number above 0"),
    ],
)
def test_seconds_of_a_dry_run_alone_and_above_0(words, said, capsys):
    assert main(["shapes/tradeoff", *words]) == 2
    assert said in capsys.readouterr().err


def test_items_of_a_paper_on_data_that_is_not_here(tmp_path):
    chosen = [items.load(f"siminversion/{name}") for name in ("table1", "fig2", "fig3", "fig6")]
    few = [{name: words for name, words in item.runs.items() if name in ("DDIM", "Instruct-P2P")} for item in chosen]
    chosen = [replace(item, runs=runs) for item, runs in zip(chosen, few, strict=True)]
    text = estimate.of_items(chosen, ["steps=5", "data.root=/nowhere", f"out={tmp_path}"], 3.6)
    lines = [[cell.strip() for cell in line.split("|")][1:-1] for line in text.splitlines() if "| pie " in line]
    assert lines == [
        ["siminversion/table1", "DDIM", "1", "pie", "sd14", "700", "0", "25", "25", "17,500", "17.5 h"],
        ["siminversion/fig2", "DDIM", "1", "pie", "sd14", "2", "2", "", "", "", ""],
        ["siminversion/fig2", "Instruct-P2P", "1", "pie", "instruct_pix2pix", "2", "0", "15", "15", "30", "108 s"],
        ["siminversion/fig3", "DDIM", "1", "pie", "sd14", "2", "2", "", "", "", ""],
        ["siminversion/fig3", "Instruct-P2P", "1", "pie", "instruct_pix2pix", "2", "0", "15", "15", "30", "108 s"],
    ]
    assert "in all 2 runs, 704 images to make, 17,560 evaluations of a denoiser: 17.6 h" in text
    assert "left out, not edits: siminversion/fig6 (theory)" in text


@pytest.mark.parametrize(
    ("model", "control", "sentence"),
    [
        (ClassLDM, "p2p", "this model reads no words, so its attention to them cannot be steered; use control=none"),
        (DiT, "p2p", "this model's attention cannot be steered; use control=none or another model"),
        (DiT, "masactrl", "this model's attention cannot be steered; use control=none or another model"),
    ],
)
def test_controls_that_a_run_refuses_are_refused(model, control, sentence):
    (cfg,) = plan.points(cli.jobs(["method=siminversion", f"control={control}", "steps=2"])[0])
    geometry = model.geometry(256, path="gone")
    with pytest.raises(UserError, match=sentence):
        counting.count([cfg["method"]], geometry)


def test_the_made_up_denoiser_passes_gradients():
    model = counting._Denoiser(Geometry(16), agreeing=False)
    states = torch.zeros(2, 3, 4, requires_grad=True)
    z = torch.zeros(2, 4, 16, 16)
    model.eps(z, 1, Condition(states)).sum().backward()
    with torch.no_grad():
        assert model.eps(z, 1, Condition(states)).std() > 0.9
    assert model.rows == 4
    assert states.grad is not None
