"""One run from words to files: what is stored, what is not done twice, what survives a bad sample or a kill."""

import json
import os
import shutil
import socket
import sys
from concurrent.futures import ThreadPoolExecutor, TimeoutError

import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from bench import run
from bench.edits.folder import Store
from bench.edits.plan import plan
from bench.files.hashing import sha256
from bench.files.paths import ROOT
from bench.scores.complete import complete
from metrics.judge import Judge
from tests.helpers.trees import manifest

FEW = ["steps=4", "method.n=2"]


def go(out, *words, few=FEW):
    return run.main([f"out={out}", *few, *words])


def folders(out):
    return sorted(path.parent for path in out.glob("*/*/*/identity.json"))


def edits(folder):
    return {file.name: np.asarray(Image.open(file)).astype(int) for file in sorted((folder / "edits").iterdir())}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """DiffEdit at two ratios, five samples each, in list form."""
    out = tmp_path_factory.mktemp("swept")
    assert go(out, "r=[0.5,0.8]", "limit=5") == 0
    return out


def test_a_run_leaves_all_that_the_design_promises(swept):
    first, second = folders(swept)
    assert first.parent == swept / "shapes/diffedit"
    assert (first.name[:4], second.name[:4]) == ("r0.5", "r0.8")
    for folder in (first, second):
        names = {path.name for path in folder.iterdir()}
        assert names >= {"config.yaml", "identity.json", "env", "edits", "masks", "scores"}
        assert len(list(folder.glob("edits-0of1.*.jsonl"))) == 1
        assert names >= {"per_image.shapes-v1.csv", "summary.shapes-v1.json"}
        assert len(edits(folder)) == 5
        with Image.open(folder / "masks/00000.png") as mask:
            assert mask.size == (64, 64)
            assert set(np.unique(np.asarray(mask))) <= {0, 255}
    summary = json.loads((first / "summary.shapes-v1.json").read_text())
    assert (summary["n"], summary["n_expected"], summary["n_failed"]) == (5, 5, 0)
    assert summary["notice"].startswith("embedded model")
    assert summary["metrics"]["csfid"]["value"] is None
    assert "at least 2 edits" in summary["metrics"]["csfid"]["reason"]
    assert summary["nfe"] == 2 * 2 + 3 * 2


def test_list_form_gives_the_files_of_the_scalar_form(swept, tmp_path):
    assert go(tmp_path, "r=0.8", "limit=5") == 0
    (alone,) = folders(tmp_path)
    together = folders(swept)[1]
    assert alone.name == together.name
    assert (alone / "identity.json").read_text() == (together / "identity.json").read_text()
    configs = [OmegaConf.to_container(OmegaConf.load(folder / "config.yaml")) for folder in (alone, together)]
    assert configs[0] | {"out": None} == configs[1] | {"out": None}
    for name, pixels in edits(alone).items():
        assert np.abs(pixels - edits(together)[name]).max() <= 1
    paid, scalar = (sum(e["nfe_spent"] for e in Store(f).journal().values()) for f in (together, alone))
    assert paid < scalar  # the mask and the first levels had been paid for by r = 0.5


def test_a_complete_run_costs_nothing(swept, monkeypatch):
    stamps = {file: file.stat().st_mtime_ns for file in swept.rglob("*") if file.is_file()}
    monkeypatch.setitem(sys.modules, "bench.edits.edit", None)  # importing it would fail
    monkeypatch.setitem(sys.modules, "bench.scores.measure", None)
    assert go(swept, "r=[0.5,0.8]", "limit=5") == 0
    assert stamps == {file: file.stat().st_mtime_ns for file in swept.rglob("*") if file.is_file()}


def test_larger_limit_continues_and_smaller_one_leaves_what_is_stored(swept, tmp_path):
    shutil.copytree(swept, tmp_path / "out")
    out = tmp_path / "out"
    folder = folders(out)[0]
    before = {file: file.stat().st_mtime_ns for file in (folder / "edits").iterdir()}
    assert go(out, "r=0.5", "limit=7") == 0
    assert len(edits(folder)) == 7
    assert before.items() <= {file: file.stat().st_mtime_ns for file in (folder / "edits").iterdir()}.items()
    assert go(out, "r=0.5", "limit=3") == 0
    assert json.loads((folder / "summary.shapes-v1.json").read_text())["n"] == 7


def test_other_metrics_rescore_without_editing(swept, tmp_path, monkeypatch):
    shutil.copytree(swept, tmp_path / "out")
    monkeypatch.setitem(sys.modules, "bench.edits.edit", None)
    assert go(tmp_path / "out", "r=0.5", "limit=5", "metrics=pixel") == 0
    folder = folders(tmp_path / "out")[0]
    assert (folder / "summary.pixel-v1.json").exists()
    assert (folder / "summary.shapes-v1.json").exists()
    rows = (folder / "per_image.pixel-v1.csv").read_text().splitlines()
    assert rows[0] == "id,type,group,class,psnr_background,psnr,ssim,mse,mask_iou,nfe,seconds,nfe_spent"
    assert len(rows) == 6


def test_another_judge_is_noticed_and_scores_anew(swept, tmp_path):
    shutil.copytree(swept, tmp_path / "out")
    folder = folders(tmp_path / "out")[0]
    before = json.loads((folder / "summary.shapes-v1.json").read_text())
    judge = Judge.load(ROOT / "metrics/shapes_judge")
    with torch.no_grad():
        for parameter in judge.heads.parameters():
            parameter.neg_()
    judge.save(tmp_path / "judge")
    assert go(tmp_path / "out", "r=0.5", "limit=5", f"metrics.weights.judge.path={tmp_path / 'judge'}") == 0
    after = json.loads((folder / "summary.shapes-v1.json").read_text())
    assert before["weights"] != after["weights"]
    assert before["metrics"]["kept"]["value"] != after["metrics"]["kept"]["value"]


def test_another_configuration_of_a_metric_scores_that_one_anew(swept, tmp_path):
    shutil.copytree(swept, tmp_path / "out")
    folder = folders(tmp_path / "out")[0]
    before = pd.read_csv(folder / "per_image.shapes-v1.csv")
    assert go(tmp_path / "out", "r=0.5", "limit=5", "metrics.perceptual.against=truths") == 0
    after = pd.read_csv(folder / "per_image.shapes-v1.csv")
    assert after.perceptual.tolist() == before.perceptual_truth.tolist()
    assert after.kept.tolist() == before.kept.tolist()


def test_metric_of_ones_own(swept, tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text(
        "class Redness:\n"
        "    version, higher_is_better, unit = 3, True, ''\n"
        "    def score(self, batch):\n"
        "        return batch.edits[:, 0].double().mean((1, 2)).cpu().numpy()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    shutil.copytree(swept, tmp_path / "out")
    assert go(tmp_path / "out", "r=0.5", "limit=5", "+metrics.redness._target_=own.Redness") == 0
    folder = folders(tmp_path / "out")[0]
    assert (folder / "scores/shapes-v1/redness@3.csv").exists()
    red = [pixels[..., 0].mean() for pixels in edits(folder).values()]
    assert pd.read_csv(folder / "per_image.shapes-v1.csv").redness.tolist() == pytest.approx(red)


def test_killed_run_goes_on_where_it_stopped(swept, tmp_path):
    """A lost picture, a torn journal line and a stray temporary file are what a kill can leave."""
    shutil.copytree(swept, tmp_path / "out")
    folder = folders(tmp_path / "out")[0]
    (folder / "edits/00003.png").unlink()
    (folder / "edits/.00004.png.tmp123").write_bytes(b"half a pic")
    journal = next(folder.glob("edits-0of1.*.jsonl"))
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:4]) + lines[4][:20])
    kept = (folder / "edits/00000.png").stat().st_mtime_ns
    assert go(tmp_path / "out", "r=0.5", "limit=5") == 0
    assert (folder / "edits/00000.png").stat().st_mtime_ns == kept
    for name, pixels in edits(folders(swept)[0]).items():
        assert np.abs(pixels - np.asarray(Image.open(folder / "edits" / name)).astype(int)).max() <= 1


def test_shards_make_the_same_pictures_and_the_last_one_scores(swept, tmp_path):
    for index in (0, 1, 2):
        assert go(tmp_path, "r=0.5", "limit=5", "shard.count=3", f"shard.index={index}") == 0
        (folder,) = folders(tmp_path)
        assert (folder / "summary.shapes-v1.json").exists() == (index == 2)
    whole = folders(swept)[0]
    assert folder.name == whole.name
    for name, pixels in edits(whole).items():
        assert np.abs(pixels - edits(folder)[name]).max() <= 1


def test_sweeping_r_over_copy_is_one_run(tmp_path):
    assert go(tmp_path, "-m", "method=copy", "r=0.3,0.5", "limit=2", few=[]) == 0
    assert len(folders(tmp_path)) == 1


def test_range_and_list_name_the_same_run(tmp_path):
    from bench.config import cli

    keys = {plan(job)[-1].key for job in cli.jobs(["-m", f"out={tmp_path}", "r=range(0.3,0.9,0.2)"])}
    assert plan(cli.jobs([f"out={tmp_path}", "r=0.7"])[0])[0].key in keys


def test_run_key_is_pinned(tmp_path):
    """Changes only with IDENTITY_VERSION, the world's version or the shipped weights; `copy` depends on no weights."""
    from bench.config import cli

    (made,) = plan(cli.jobs([f"out={tmp_path}", "method=copy", "batch_size=3", "device=cpu", "limit=4"])[0])
    assert made.identity == {
        "identity_version": 2,
        "data": {"name": "shapes", "world": 1, "seed": 0, "size": 64},
        "model": None,
        "pictures": None,
        "method": {},
        "code": {"method": {"name": "copy", "version": 1}},
        "seed": None,
    }
    assert made.folder.name == f"all-{made.key[:10]}"
    assert made.key == "9003c2585654a786e68cd994194c05510d69596cbfde02372ab9fb22a06c4752"


PICTURES = ["pictures/cake.png", "dog.jpg", "cake mask.png"]


def test_bad_picture_is_recorded_and_the_rest_is_done(tmp_path, capsys):
    rows = [{"id": i, "image": name, "source": "a cake", "target": "a dog"} for i, name in enumerate(PICTURES)]
    root = manifest(tmp_path / "data", rows)
    broken = root / PICTURES[1]
    broken.write_bytes(broken.read_bytes()[:200])
    words = ["data=manifest", f"data.root={root}", "model=shapes", "metrics=pixel", "method=copy"]
    assert go(tmp_path / "out", *words, few=[]) == 1
    err = capsys.readouterr().err
    assert "1 of 3 samples failed" in err
    assert "is not a readable picture" in err
    assert "Traceback" not in err
    (folder,) = folders(tmp_path / "out")
    assert len(edits(folder)) == 2
    assert json.loads((folder / "summary.pixel-v1.json").read_text())["n_failed"] == 1


def test_two_processes_on_one_run(swept, tmp_path, capsys):
    from bench.config import cli

    (made,) = plan(cli.jobs([f"out={tmp_path}", "method=copy", "limit=2"])[0])
    with made.store.lock():
        assert go(tmp_path, "method=copy", "limit=2", few=[]) == 1
    assert f"another process (process {os.getpid()} on {socket.gethostname()}) is working on" in capsys.readouterr().err


def test_jobs_of_another_launcher_that_are_one_run_wait_for_each_other(tmp_path):
    from bench.config import cli

    words = [f"out={tmp_path}", "method=copy", "limit=2", "metrics=pixel"]
    (made,) = plan(cli.jobs(words)[0])
    with ThreadPoolExecutor() as pool:
        with made.store.lock():
            waiting = pool.submit(lambda: list(complete([made], patient=True)))
            with pytest.raises(TimeoutError):
                waiting.result(timeout=3)
        (done,) = waiting.result(timeout=60)
    assert done.failures == []
    assert done.scores.summary.n == 2


def test_two_processes_that_score_one_run(swept, tmp_path):
    store = Store(folders(shutil.copytree(swept, tmp_path / "out"))[0])
    with ThreadPoolExecutor() as pool:
        with store.scoring():
            scored = pool.submit(go, tmp_path / "out", "r=0.5", "limit=5", "metrics=pixel")
            with pytest.raises(TimeoutError):
                scored.result(timeout=3)
            assert not (store.folder / "summary.pixel-v1.json").exists()
        assert scored.result() == 0


def test_folder_of_another_run_is_refused(tmp_path, capsys):
    assert go(tmp_path, "method=copy", "limit=1", few=[]) == 0
    (folder,) = folders(tmp_path)
    (folder / "identity.json").write_text("{}\n")
    assert go(tmp_path, "method=copy", "limit=2", few=[]) == 1
    assert "belongs to another run" in capsys.readouterr().err


def test_method_in_one_file_of_ones_own(tmp_path, monkeypatch):
    """README's example: a class in an importable module, no line of the project touched."""
    (tmp_path / "mine.py").write_text(
        "from bench.types import EditResult\n"
        "class Darken:\n"
        "    def __init__(self, by):\n"
        "        self.by = by\n"
        "    def __call__(self, model, batch, noise):\n"
        "        return EditResult((batch.images * (1 - self.by)).to(batch.images.dtype))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    words = ["method=custom", "method._target_=mine.Darken", "+method.by=[0.25,0.5]", "limit=2"]
    assert go(tmp_path / "out", *words, few=[]) == 0
    assert len(folders(tmp_path / "out")) == 2


def test_broken_method_is_reported_kept_and_tried_again(tmp_path, monkeypatch, capsys):
    (tmp_path / "faulty.py").write_text(
        "import os\n"
        "from bench.types import EditResult\n"
        "class Faulty:\n"
        "    def __call__(self, model, batch, noise):\n"
        "        if os.environ.get('BREAK') and any(s.id == '00001' for s in batch.samples):\n"
        "            raise RuntimeError('no such luck')\n"
        "        return EditResult(batch.images, notes=[{'seen': s.target} for s in batch.samples])\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("BREAK", "1")
    words = ["method=custom", "method._target_=faulty.Faulty", "limit=3"]
    assert go(tmp_path / "out", *words, few=[]) == 1
    assert "1 of 3 samples failed" in (err := capsys.readouterr().err)
    assert "RuntimeError: no such luck" in err
    (folder,) = folders(tmp_path / "out")
    assert len(edits(folder)) == 2
    assert "traceback" in (journal := Store(folder).journal())["00001"]
    assert "seen" in journal["00002"]  # the method's own note
    monkeypatch.delenv("BREAK")
    assert go(tmp_path / "out", *words, few=[]) == 0
    assert len(edits(folder)) == 3


def test_method_that_always_fails_stops_at_its_first_batch(tmp_path, monkeypatch, capsys):
    (tmp_path / "hopeless.py").write_text(
        "class Hopeless:\n    def __call__(self, model, batch, noise):\n        raise RuntimeError('never works')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    words = ["method=custom", "method._target_=hopeless.Hopeless", "limit=6", "batch_size=2"]
    assert go(tmp_path / "out", *words, few=[]) == 1
    assert "failed on every sample of its first batch (RuntimeError: never works)" in capsys.readouterr().err
    (folder,) = folders(tmp_path / "out")
    assert len(Store(folder).journal()) == 2


def test_method_that_does_not_exist(tmp_path, capsys):
    assert go(tmp_path, "method=custom", "method._target_=no_such.Thing", "limit=1", few=[]) == 2
    assert capsys.readouterr().err.startswith("error: no_such.Thing: Python finds no module 'no_such'")
    assert not folders(tmp_path)


RETURNS = {
    "images.float()": "returned images (1, 3, 64, 64) of torch.float32; expected (1, 3, 64, 64) of torch.uint8",
    "images[..., :8]": "returned images (1, 3, 64, 8) of torch.uint8; expected (1, 3, 64, 64) of torch.uint8",
    "images, notes=[{}, {}]": "1 of 1 samples failed",
}


@pytest.mark.parametrize("wrong", RETURNS)
def test_method_that_returns_the_wrong_thing(tmp_path, monkeypatch, capsys, wrong):
    (tmp_path / "wrong.py").write_text(
        "from bench.types import EditResult\n"
        "class Wrong:\n"
        "    def __call__(self, model, batch, noise):\n"
        f"        return EditResult(batch.{wrong})\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "wrong", raising=False)
    assert go(tmp_path / "out", "method=custom", "method._target_=wrong.Wrong", "limit=1", few=[]) == 1
    assert RETURNS[wrong] in capsys.readouterr().err


STOPS = {
    "raise RuntimeError('never works')": "failed on every sample of its first batch (RuntimeError: never works)",
    "raise MemoryError": "out of memory on cpu with a single image; use a smaller data.size",
    "return EditResult(batch.images.float())": "expected (2, 3, 64, 64) of torch.uint8",
    "raise UserError('by=0 is nothing')": "error: by=0 is nothing",
}


@pytest.mark.parametrize("fault", STOPS)
def test_what_stops_one_operating_point_does_not_stop_the_others(tmp_path, monkeypatch, capsys, fault):
    (tmp_path / "partly.py").write_text(
        "from bench.errors import UserError\n"
        "from bench.types import EditResult\n"
        "class Partly:\n"
        "    def __init__(self, by):\n"
        "        self.by = by\n"
        "    def __call__(self, model, batch, noise):\n"
        "        if self.by == 0:\n"
        f"            {fault}\n"
        "        return EditResult(batch.images // self.by)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "partly", raising=False)
    words = ["method=custom", "method._target_=partly.Partly", "+method.by=[1,0,2]", "batch_size=2", "limit=4"]
    assert go(tmp_path / "out", *words, few=[]) == 1
    said = capsys.readouterr()
    assert STOPS[fault] in said.err
    assert said.err.count("error: ") == 1
    assert said.out.count("4 of 4 scored") == len(list(tmp_path.glob("out/*/*/*/summary.*"))) == 2


def test_scores_do_not_depend_on_the_order_of_commands(tmp_path):
    """A, then B, then A in one process: nothing of B lingers in the model."""
    first = tmp_path / "first"
    sdedit = ["method=sdedit", "r=0.5", "steps=4", "limit=2"]
    assert go(first, *sdedit, few=[]) == 0
    assert go(first, "r=0.8", "limit=2") == 0
    again = tmp_path / "again"
    assert go(again, *sdedit, few=[]) == 0
    a, b = (next(f for f in folders(out) if f.parent.name == "sdedit") for out in (first, again))
    assert all((pixels == edits(b)[name]).all() for name, pixels in edits(a).items())
    assert torch.is_inference_mode_enabled() is False


def test_the_journal_knows_the_hash_of_each_picture(swept):
    for folder in folders(swept):
        for id_, entry in Store(folder).journal().items():
            assert entry["edit_sha256"] == sha256(folder / f"edits/{id_}.png")
            assert entry["mask_sha256"] == sha256(folder / f"masks/{id_}.png")
