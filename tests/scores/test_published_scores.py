"""`results/` holds what this program makes of the embedded world: the first 16 images of some runs, made anew."""

import json

import pandas as pd
import pytest

from bench import run
from bench.config import cli
from bench.edits.plan import plan
from bench.files.paths import ROOT
from scripts.publish import FIRST

SCORES = ROOT / "results/scores/shapes"
RUNS = [
    ["method=sdedit", "r=0.5"],
    ["method=encode_decode", "r=0.3"],
    ["method=diffedit", "r=0.7"],
    ["method=siminversion", "w_s=0.5", "words=published"],
]
# Other processors round differently: a grey level here and there moves a mean error of 1e-3 by some 1e-6.
NEAR, SETS_NEAR = 2e-3, 2e-2


@pytest.mark.parametrize("words", RUNS, ids=" ".join)
def test_the_published_scores_are_made_anew(words, tmp_path):
    words = [*words, f"limit={FIRST}", f"out={tmp_path}"]
    assert run.main(words) == 0
    (point,) = plan(cli.jobs(words)[0])
    name = f"{point.folder.parent.name}/{point.folder.name}"
    published = pd.read_csv(SCORES / f"{name}.csv", dtype={"id": str}).head(FIRST)
    ours = pd.read_csv(point.folder / "per_image.shapes-v1.csv", dtype={"id": str})
    assert ours.id.tolist() == published.id.tolist()
    for metric in published.columns.drop(["id", "type", "group", "nfe_spent"]):
        expected = pytest.approx(published[metric].tolist(), rel=NEAR, abs=NEAR, nan_ok=True)
        assert ours[metric].tolist() == expected, metric
    sets = pd.read_csv(SCORES / f"sets-of-first-{FIRST}.csv").query("run == @name").set_index("metric").value
    facts = json.loads((point.folder / "summary.shapes-v1.json").read_text())["metrics"]
    assert set(sets.index) == {metric for metric, fact in facts.items() if fact["kind"] == "set"}
    for metric, value in sets.items():
        if pd.isna(value):
            assert facts[metric]["value"] is None, metric
        else:
            assert facts[metric]["value"] == pytest.approx(value, rel=SETS_NEAR), metric


def test_tables_rest_on_published_scores():
    """The mean of each image's published score is the value in the table."""
    table = pd.read_csv(ROOT / "results/tables/shapes/tradeoff.csv")
    cells = table[(table.kind == "pair") & table.ours.notna()]
    assert len(cells) > 50
    for cell in cells.itertuples():
        folder = cell.run.removeprefix("shapes/")
        scores = pd.read_csv(SCORES / f"{folder}.csv")[cell.metric].replace([float("inf")], float("nan"))
        assert scores.mean() == pytest.approx(cell.ours, rel=1e-5, abs=1e-9), (cell.run, cell.metric)
