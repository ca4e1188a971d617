"""The comparison of flow editors on PIE-Bench: what it says of each row is what is run, and counted."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from bench import run
from bench.edits import transfer
from bench.models import checkpoint as checkpoints
from bench.reproduce import __main__ as reproduce
from bench.reproduce import items, outcomes
from bench.reproduce.cost import counting
from tests.helpers.flow_folders import flux_folder, sd3_folder
from tests.helpers.pie_trees import pie

NAME = "flows/pie_flow"
EQUAL = {"FLUX": 52, "SD3": 132}
METHODS = {
    "FLUX": {"flowedit", "rf_inversion", "rf_solver", "fireflow", "uni_edit", "sdedit", "siminversion"},
    "SD3": {"flowedit", "uni_edit", "sdedit", "ddim", "siminversion"},
}
SMALL = ["device=cpu", "metrics.columns=[psnr,mse_e4,ssim_e2]", "limit=1", "page=false"]


def _with(*parts):
    """The item with the rows alone whose labels have one of these."""
    item = items.load(NAME)
    return replace(item, runs={label: item.runs[label] for label in item.runs if any(part in label for part in parts)})


@pytest.fixture(scope="module")
def points():
    return [point for one in outcomes.compose(items.load(NAME), []) for point in one.points]


def test_every_row_is_allowed_and_says_where_it_is_approximate(points):
    item = items.load(NAME)
    approximate = {"FLUX at equal evaluations, embedded guidance 1/2 both ways"}
    for point in points:
        kind, said = transfer.verdict(point.cfg["method"], point.cfg["model"])
        assert kind == (transfer.APPROXIMATE if point.row.rsplit(",", 2)[0] in approximate else transfer.SAME), (
            point.row
        )
        assert bool(said) == bool(point.cfg["model"]["notice"])
        assert point.cfg["metrics"]["name"] == "pie-v2"
    of_model = {name: {p.cfg["method"]["name"] for p in points if p.row.startswith(name)} for name in METHODS}
    assert of_model == METHODS
    assert all(point.cfg["model"]["name"] == point.row.split(" ")[0].strip(",").lower() for point in points)
    assert {row.split(",")[0] for row in item.absent} == set(METHODS)


def test_rows_at_equal_evaluations_are(points):
    for point in {point.row.split(", seed")[0]: point for point in points}.values():
        (cost,) = counting.count([point.cfg["method"]], checkpoints.geometry(point.cfg["model"], 64))
        if "at equal evaluations" in point.row:
            apart = 1 if point.row.startswith("SD3 at equal evaluations, Uni-Edit") else 0  # 3e + 1
            assert cost.nfe == EQUAL[point.row.split(" ")[0]] + apart, point.row
        elif "autoencoder" in point.row:
            assert cost.nfe == 0


def test_three_seeds_where_noise_is_drawn_and_one_elsewhere(points):
    rows = pd.Series([re.sub(", seed .*", "", point.row) for point in points])
    counts = rows.value_counts()
    for point, row in zip(points, rows, strict=True):
        drawn = "noise" in point.cfg["method"]["uses"] and "autoencoder" not in row
        assert counts[row] == (3 if drawn else 1), row


def test_a_list_of_seeds_is_a_run_each():
    assert outcomes._each_seed(["a=1", "seed=[0, 7]", "b=2"]) == [["a=1", "seed=0", "b=2"], ["a=1", "seed=7", "b=2"]]
    assert outcomes._each_seed(["seed=3"]) == [["seed=3"]]
    assert outcomes._each_seed(["method=copy"]) == [["method=copy"]]


def test_the_dry_run_prints_its_cost(monkeypatch, capsys):
    item = _with("SD3, FlowEdit", "FLUX, the autoencoder")
    monkeypatch.setattr(items, "load", lambda name: item if name == NAME else None)
    assert reproduce.main(["experiment=pie_flow", "--dry-run", "data.root=/nowhere", "seconds_per_nfe=0.1"]) == 0
    text = capsys.readouterr().out
    assert f"in all 4 runs, {700 * 4:,} images to make, {700 * 3 * 132:,} evaluations of a denoiser" in text


def test_bench_run_says_where_it_is_made(capsys):
    assert run.main(["experiment=pie_flow"]) == 2
    assert (
        "experiment=pie_flow is many runs, not one: python -m bench.reproduce flows/pie_flow" in capsys.readouterr().err
    )
    assert run.main(["experiment=table1"]) == 2  # several papers have one
    assert "unknown experiment 'table1'" in capsys.readouterr().err
    assert reproduce.main(["experiment=pi_flow"]) == 2
    assert "unknown experiment 'pi_flow'; did you mean pie_flow or flow or flow_pose?" in capsys.readouterr().err


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Some rows of its table, over one picture at 64 px with tiny networks."""
    place = tmp_path_factory.mktemp("flows")
    item = _with("at 1024 px", "FLUX at equal evaluations, RF-Solver", "embedded guidance", "DDIM", "the autoencoder")
    more = {"data.size=512": [], "model.size=1024": ["model.size=128"], "seed=[0,1,2]": ["seed=[0,1]"]}
    for model, make in (("flux", flux_folder), ("sd3", sd3_folder)):
        more[f"model={model}"] = [f"model={model}", f"model.path={make(place / model)}", "model.dtype=float32"]
    more["method=rf_solver"] = ["method=rf_solver", "method.first_block=0"]
    runs = {label: [new for word in words for new in more.get(word, [word])] for label, words in item.runs.items()}
    small = replace(item, runs=runs, words=["data=pie", "data.size=64"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(items, "load", lambda _: small)
        root = pie(place / "pie")
        assert reproduce.main([NAME, *SMALL, f"data.root={root}", f"out={place / 'out'}"]) == 0
    tables = place / "out/tables/flows"
    return pd.read_csv(tables / "pie_flow.csv", keep_default_na=False), (tables / "pie_flow.md").read_text()


def test_it_runs_and_counts_what_it_promises(made):
    table, _ = made
    ours = table[(table.metric == "nfe") & (table.run != "")].set_index("row").ours.astype(float)
    assert ours.tolist() == [48, 48, 52, 52, 0, 132, 0]
    psnr = table[(table.metric == "psnr") & (table.run != "")]
    assert (psnr.ours.astype(float) > 0).all()


def test_what_papers_print_stands_below_with_its_protocol_and_no_verdict(made):
    table, text = made
    printed = table[table.verdict == "as printed"].set_index(["row", "metric"])
    assert printed.published["fireflow: FireFlow FLUX steps=8 nfe=18", "psnr"] == "23.03"
    assert printed.published["splitflow: FlowEdit SD3", "clip_edited"] == "23.67"
    assert printed.published["splitflow: FlowEdit SD3", "mse_e4"] == ""
    why = printed.why["directedit: RF-Solver FLUX", "psnr"]
    assert "at second hand" in why
    assert "guidance, inject, size, brackets" in why
    assert why.split(";")[0] in text
    line = next(line for line in text.splitlines() if "fireflow: FireFlow FLUX steps=8" in line)
    assert "23.03" in line
    assert "**" not in line
    assert "published values:" not in text
    assert "not run (SD3, RF-Solver and FireFlow): what they hand over are values of single blocks" in text
    assert "transferred: w_s is the embedded guidance of inversion and source branch" in text
