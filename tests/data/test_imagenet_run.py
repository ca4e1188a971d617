"""The main line with all it needs: a validation set, a converted model and backbones, all generated."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench import run
from bench.reproduce import items
from tests.helpers import seeded, trees
from tests.helpers.class_models import cin_folder, dit_folder
from tests.helpers.models import SHIPPED

SHARES = ("accuracy", "unedited", "misedited")
LINE = ["method=diffedit", "data=imagenet", "-m", "r=0.3,0.5,0.7,0.9"]


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """Words that name everything: images in class folders, queries, model, metric backbones and statistics."""
    root = tmp_path_factory.mktemp("machine")
    images = trees.class_folders(root / "val")
    # two queries a target class, since a class with one has no CSFID
    queries = [(i, n, t, True) for i, (n, t) in enumerate([(39524, 149), (31, 149), (1234, 148), (42240, 148)])]
    annotations = trees.queries_csv(root / "queries.csv", queries)
    rng = np.random.default_rng(0)
    means = {c: {"mean": torch.from_numpy(rng.random(2048, np.float32))} for c in (148, 149)}
    torch.save({"mean": means[148]["mean"], "std": None, "classwise": means}, root / "inception_stats_256.pt")
    return [
        f"data.root={images}",
        f"data.annotations={annotations}",
        "data.size=64",
        f"model.path={cin_folder(root / 'cin256')}",
        f"metrics.weights.alexnet.path={seeded.alexnet(root)}",
        f"metrics.weights.inception.path={seeded.inception(root)}",
        f"metrics.weights.statistics.path={root / 'inception_stats_256.pt'}",
        "metrics.weights.deit.path=random",
        *(f"+metrics.{name}_percent.architecture=deit_tiny_distilled_patch16_224" for name in SHARES),
        "method.n=2",
        "steps=5",
    ]


def test_main_line_end_to_end(machine, tmp_path, capsys):
    assert run.main([*LINE, *machine, f"out={tmp_path}"]) == 0
    assert f"python -m bench.report out={tmp_path}" in capsys.readouterr().out
    folders = sorted((tmp_path / "imagenet/diffedit").iterdir())
    assert [folder.name[:4] for folder in folders] == ["r0.3", "r0.5", "r0.7", "r0.9"]
    distances = []
    for folder in folders:
        assert sorted(file.name for file in (folder / "edits").iterdir()) == [f"{i:04d}.png" for i in range(4)]
        with Image.open(folder / "edits/0000.png") as edit:
            assert edit.size == (64, 64)
        summary = json.loads((folder / "summary.flexit-v1.json").read_text())
        assert {name for name, fact in summary["metrics"].items() if fact["value"] is not None} == {
            "lpips_e2",
            "csfid",
            "sfid",
            "accuracy_percent_random",
            "unedited_percent_random",
            "misedited_percent_random",
        }
        assert summary["knobs"]["reference"] == "none"  # section 4.2
        distances.append(summary["metrics"]["lpips_e2"]["value"])
    assert len(set(distances)) == 4


def test_copy_is_at_distance_zero_and_retrieve_is_not(machine, tmp_path):
    """Up to resizing: the edit is stored at the model's size, the source is read at 256 px from the original."""
    words = [word for word in machine if not word.startswith("method.")]
    assert run.main(["-m", "method=copy,retrieve", "data=imagenet", *words, "data.size=256", f"out={tmp_path}"]) == 0
    lpips = {}
    for file in Path(tmp_path).glob("imagenet/*/*/summary.flexit-v1.json"):
        summary = json.loads(file.read_text())
        lpips[summary["method"]] = summary["metrics"]["lpips_e2"]["value"]
    assert lpips["copy"] < 0.1 * lpips["retrieve"]


def test_scores_against_the_autoencoded_source(machine, tmp_path):
    """An item's words, on pictures that are not resized on the way: what the autoencoder alone loses is all that is
    between the two columns."""
    words = [word for word in machine if not word.startswith(("method.", "data.size"))]
    line = ["data=imagenet", "data.resample=bilinear", *items.load("diffedit/fig4_autoencoded").words, *words]
    values = {}
    for method in (["method=copy"], ["method=sdedit", "r=0"]):
        assert run.main([*line, *method, "data.size=256", f"out={tmp_path}"]) == 0
        (file,) = tmp_path.glob(f"imagenet/{method[0].removeprefix('method=')}/*/summary.flexit-v1.json")
        metrics = json.loads(file.read_text())["metrics"]
        values[method[0]] = metrics["lpips_e2"]["value"], metrics["lpips_autoencoded_e2"]["value"]
    (copy, floor), (lost, again) = values["method=copy"], values["method=sdedit"]
    assert copy == 0
    assert floor > 1
    assert lost == pytest.approx(floor, rel=1e-3)
    assert abs(again) < 0.01 * floor


def without_metrics(machine, **changed):
    """Words for runs whose scores do not matter; `model_path=` is `model.path`."""
    words = [word for word in machine if not word.startswith(("metrics", "+metrics", "model.path", "method."))]
    return [*words, "metrics=pixel", *(f"{name.replace('_', '.')}={value}" for name, value in changed.items())]


@pytest.mark.parametrize(
    ("words", "nfe"),
    [
        (["method=sdedit"], 6),
        (["method=encode_decode"], 9),
        (["method=diffedit", "method.n=2", "method.mask_size=8"], 13),
        (["method=ddim", "control=none"], 15),
        (["method=siminversion", "control=none"], 20),
    ],
)
def test_methods_that_the_class_model_runs(machine, words, nfe, tmp_path):
    (path,) = (word for word in machine if word.startswith("model.path="))
    assert run.main([*words, "data=imagenet", *without_metrics(machine), path, f"out={tmp_path}"]) == 0
    (file,) = tmp_path.glob("imagenet/*/*/edits-0of1.*.jsonl")
    journal = [json.loads(line) for line in file.read_text().splitlines()]
    assert [entry["nfe"] for entry in journal] == [nfe] * 4
    assert json.loads((file.parent / "identity.json").read_text())["data"]["queries"] == "ids"


def test_other_models_set_their_queries_themselves(machine, tmp_path):
    dit = dit_folder(tmp_path / "dit")
    for model, path, queries in (("dit256", dit, "ids"), ("sd14", SHIPPED, "names")):
        words = without_metrics(machine, model=model, model_path=path, data_size=128, limit=1)
        assert run.main(["method=sdedit", "data=imagenet", *words, f"out={tmp_path / model}"]) == 0
        (file,) = (tmp_path / model).glob("imagenet/sdedit/*/identity.json")
        assert json.loads(file.read_text())["data"]["queries"] == queries


def test_what_the_class_model_cannot_do_is_said(machine, tmp_path, capsys):
    (path,) = (word for word in machine if word.startswith("model.path="))
    words = ["data=imagenet", *without_metrics(machine), f"out={tmp_path}"]
    assert run.main(["method=siminversion", *words, path]) != 0
    assert "this model reads no words, so its attention to them cannot be steered" in capsys.readouterr().err
    assert run.main(["method=diffedit", *words, path, "method.mask_size=7"]) != 0
    assert "error: method.mask_size=7 does not divide the latents' 16 cells a side" in capsys.readouterr().err
    assert run.main(["method=diffedit", *words, f"model.path={SHIPPED}"]) == 2
    assert "is a Stable Diffusion 1 or 2 model (model=sd14)" in (said := capsys.readouterr().err)
    assert said.count("\n") == 1
    assert run.main(["method=diffedit", *words, "data.queries=names", path]) != 0
    assert "set data.queries=ids" in capsys.readouterr().err
