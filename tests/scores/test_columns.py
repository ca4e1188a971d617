"""Some of a profile's columns, scored alone: what is stored of the others stays."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from bench import run, score
from bench.models import checkpoint as checkpoints
from bench.report import __main__ as report
from bench.scores import seal

COLUMNS = ["psnr_background", "psnr", "ssim", "mse", "mask_iou"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    assert run.main(["method=copy", "limit=6", "metrics=pixel", f"out={out}"]) == 0
    return out


@pytest.fixture
def folder(made, tmp_path):
    shutil.copytree(made, tmp_path / "out")
    return next((tmp_path / "out/shapes/copy").iterdir())


def summary(folder, profile="pixel-v1"):
    return json.loads((folder / f"summary.{profile}.json").read_text())


def unscored(folder):
    for file in [*folder.glob("summary.*"), *folder.glob("per_image.*")]:
        file.unlink()
    shutil.rmtree(folder / "scores")
    return folder


def rescore(folder, *words):
    return score.main([f"run={folder}", *words])


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (["metrics.columns=[psnr,ssim]"], ["psnr", "ssim"]),
        (["metrics.columns=ssim"], ["ssim"]),
        (["metrics.columns=[ssim_random]"], ["ssim"]),  # as tables would print it
        (["~metrics.ssim", "~metrics.mse"], ["psnr_background", "psnr", "mask_iou"]),
        (["~metrics.ssim", "metrics.columns=[psnr]"], ["psnr"]),
    ],
)
def test_only_some_columns(folder, words, left):
    assert rescore(unscored(folder), *words) == 0
    assert list(summary(folder)["metrics"]) == left
    assert set(COLUMNS) & set(pd.read_csv(folder / "per_image.pixel-v1.csv")) == set(left)
    assert not seal.altered(folder, "pixel-v1")


@pytest.mark.parametrize("word", ["metrics.columns=[psnr,sim]", "~metrics.sim"])
def test_an_unknown_column_is_told_with_those_there_are(folder, word, capsys):
    before = (folder / "summary.pixel-v1.json").read_bytes()
    assert rescore(folder, word) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "ssim" in line
    assert "sim" in line.replace("ssim", "")
    assert (folder / "summary.pixel-v1.json").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["metrics.columns=[]"], "metrics.columns is an empty list"),
        ([f"~metrics.{name}" for name in COLUMNS], "no column of pixel-v1 is left"),
        (["~metrics.plot"], "metrics.plot is no column"),
        (["metrics.batch_size=0"], "metrics.batch_size=0, expected a number from 1"),
        (["metrics.batch_size=2.5"], "metrics.batch_size=2.5, expected a whole number"),
        (["metrics.batch_size=null"], "metrics.batch_size=null, expected a whole number"),
        (["metrics.batch_size=many"], "metrics.batch_size=many, expected a number"),
        (["metrics.size=-4"], "metrics.size=-4, expected a number from 1"),
    ],
)
def test_knobs_of_the_profile_are_checked(folder, words, sentence, capsys):
    assert rescore(folder, *words) == 2
    assert sentence in capsys.readouterr().err


def test_weights_of_columns_that_are_left_out_are_not_sought(folder, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert rescore(folder, "metrics=pie") == 2
    assert len(capsys.readouterr().err.splitlines()) == 3
    assert rescore(folder, "metrics=pie", "metrics.columns=[psnr,mse_e4,ssim_e2]") == 0
    found = summary(folder, "pie-v2")
    assert list(found["metrics"]) == ["psnr", "mse_e4", "ssim_e2"]
    assert found["weights"] == {}
    without = [f"~metrics.{name}" for name in ("clip_whole", "clip_edited", "lpips_e3")]
    assert rescore(folder, "metrics=pie", *without) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: dino is missing")


def test_a_run_says_which_columns_need_no_weights(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    words = ["method=copy", "limit=1", "metrics=pie", f"out={tmp_path / 'out'}"]
    assert run.main(words) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line == "error: or choose metrics.columns=[psnr,mse_e4,ssim_e2], which needs no weights"
    assert run.main([*words, "metrics.columns=[psnr,mse_e4,ssim_e2]"]) == 0


def test_a_subset_deletes_nothing_and_costs_nothing(folder):
    before, table = summary(folder), (folder / "per_image.pixel-v1.csv").read_bytes()
    stamp = (folder / "summary.pixel-v1.json").stat().st_mtime_ns
    for words in (["metrics.columns=[psnr]"], ["~metrics.psnr"], ["metrics.batch_size=3"], []):
        assert rescore(folder, *words) == 0
        assert summary(folder) == before
        assert (folder / "per_image.pixel-v1.csv").read_bytes() == table
    assert (folder / "summary.pixel-v1.json").stat().st_mtime_ns == stamp


def test_what_a_subset_lacks_is_added_in_the_order_of_the_profile(folder):
    before, table = summary(folder), pd.read_csv(folder / "per_image.pixel-v1.csv")
    assert rescore(unscored(folder), "metrics.columns=[ssim,mask_iou]") == 0
    kept = folder / "scores/pixel-v1/ssim@1.csv"
    kept.write_text(kept.read_text().replace("100.0", "77.0"))  # a number that no metric gives
    record = json.loads((kept.parent / seal.RECORD).read_text())
    record["files"][kept.name] = seal.sha256(kept)
    (kept.parent / seal.RECORD).write_text(json.dumps(record))
    assert rescore(folder, "metrics.columns=[psnr]") == 0
    assert list(summary(folder)["metrics"]) == ["ssim", "mask_iou", "psnr"]
    assert rescore(folder) == 0
    assert list(summary(folder)["metrics"]) == list(before["metrics"])
    again = pd.read_csv(folder / "per_image.pixel-v1.csv")
    assert (again.ssim == 77).all()  # not computed again
    pd.testing.assert_frame_equal(again.drop(columns="ssim"), table.drop(columns="ssim"))


def test_columns_that_fewer_samples_have_say_so(folder):
    assert rescore(unscored(folder), "metrics=shapes", "limit=4") == 0
    assert rescore(folder, "metrics=shapes", "limit=6", "metrics.columns=[mse]") == 0
    facts = summary(folder, "shapes-v1")["metrics"]
    assert (facts["mse"]["n"], facts["mse"].get("note")) == (6, None)
    assert (facts["structure"]["n"], facts["structure"]["n_nan"]) == (4, 2)
    assert facts["structure"]["note"].startswith("not computed for 2 of 6 samples")
    assert facts["fid"]["value"] is None  # of another set
    assert facts["fid"]["reason"].startswith("not computed for these samples")
    assert rescore(folder, "metrics=shapes", "limit=4") == 0
    assert summary(folder, "shapes-v1")["metrics"]["fid"]["value"] is not None
    assert rescore(folder, "metrics=shapes", "limit=6") == 0
    assert {fact.get("note") for fact in summary(folder, "shapes-v1")["metrics"].values()} == {None}


def test_columns_of_another_preparation_say_so(folder):
    assert rescore(folder, "metrics.size=32", "metrics.columns=[mse]") == 0
    facts = summary(folder)["metrics"]
    assert list(facts) == COLUMNS
    assert facts["mse"].get("note") is None
    assert facts["ssim"]["note"] == "scored with metrics.size=null, unlike other columns"
    assert facts["mse"]["made_with"] != facts["ssim"]["made_with"]
    assert rescore(folder, "metrics.size=32") == 0
    assert summary(folder)["metrics"]["ssim"].get("note") is None


def test_a_report_shows_the_columns_of_all_runs(folder, capsys):
    out = folder.parents[2]
    words = ["method=sdedit", "steps=1", "r=0.5", "limit=6", "metrics=pixel", "~metrics.mask_iou", f"out={out}"]
    assert run.main(words) == 0
    assert rescore(unscored(folder), "metrics.columns=[mse]") == 0  # of the run that comes first
    capsys.readouterr()
    assert report.main([f"out={out}"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in ("psnr_background", "ssim", "mse"))
    assert "mask_iou" not in said


class Needs:
    """Stands for a backbone that fits so many pictures and no more."""

    version, higher_is_better, unit = 1, True, ""

    def __init__(self, fits: int, kind: str = "torch"):
        self.fits, self.kind, self.seen = fits, kind, []

    def score(self, batch) -> np.ndarray:
        if len(batch.samples) > self.fits:
            raise {
                "torch": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
                "numpy": MemoryError("Unable to allocate 9 GiB"),
                "cpu": RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9"),
                "system": OSError(12, "Cannot allocate memory"),
            }[self.kind]
        return np.array([float(sample.id) for sample in batch.samples])


class Sums(Needs):
    """The same of a set."""

    def __init__(self, fits: int, kind: str = "torch"):
        super().__init__(fits, kind)
        self.ids = []

    def update(self, batch) -> None:
        self.ids += [sample.id for sample in batch.samples]

    def compute(self) -> float:
        assert len(set(self.ids)) == len(self.ids)
        return float(len(self.ids))

    score = property()  # hidden: it is a metric of sets


@pytest.mark.parametrize("kind", ["torch", "numpy", "cpu", "system"])
def test_memory_too_small_for_a_batch_halves_it(folder, kind, capsys):
    words = [f"+metrics.needs._target_={__name__}.Needs", "+metrics.needs.fits=1", f"+metrics.needs.kind={kind}"]
    words += [f"+metrics.sums._target_={__name__}.Sums", "+metrics.sums.fits=0"]
    assert rescore(folder, *words) == 0
    said = capsys.readouterr().err
    assert "out of memory on cpu with 6 images at once; going on with 3" in said
    assert "with 3 images at once; going on with 1" in said
    table = pd.read_csv(folder / "per_image.pixel-v1.csv")
    assert table.needs.tolist() == table.id.astype(float).tolist()
    assert summary(folder)["metrics"]["sums"]["value"] == 6


def test_memory_too_small_for_one_picture_is_one_sentence_and_loses_nothing(folder, capsys):
    unscored(folder)
    words = [f"+metrics.needs._target_={__name__}.Needs", "+metrics.needs.fits=0"]
    assert rescore(folder, *words) == 2
    assert "error: out of memory on cpu with a single picture in metrics.needs" in capsys.readouterr().err
    assert (folder / "scores/pixel-v1/ssim@1.csv").read_text().count("\n") > 1  # what came before it is kept
    assert rescore(folder) == 0


class Crowded(Needs):
    """Fits two pictures once the diffusion model has gone."""

    def score(self, batch) -> np.ndarray:
        self.fits = 0 if checkpoints._loaded else 2
        return super().score(batch)


def test_the_diffusion_model_is_kept_for_the_next_run_unless_scoring_needs_its_memory(tmp_path, capsys):
    words = ["method=sdedit", "steps=1", "r=0.5", "limit=2", "metrics=pixel"]
    assert run.main([*words, f"out={tmp_path / 'roomy'}"]) == 0
    assert checkpoints._loaded
    words += [f"+metrics.needs._target_={__name__}.Crowded", "+metrics.needs.fits=2"]
    assert run.main([*words, f"out={tmp_path / 'crowded'}"]) == 0
    assert not checkpoints._loaded
    assert "out of memory" not in capsys.readouterr().err


def test_the_batch_size_decides_no_value(folder):
    assert rescore(unscored(folder), "metrics=shapes") == 0
    before = pd.read_csv(folder / "per_image.shapes-v1.csv").set_index("id")
    assert rescore(unscored(folder), "metrics=shapes", "metrics.batch_size=1") == 0
    after = pd.read_csv(folder / "per_image.shapes-v1.csv").set_index("id")
    names = before.columns.drop(["seconds"])
    pd.testing.assert_frame_equal(before[names], after[names], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("+metrics.x.region=frame", "expected a metric, metrics.x._target_=<module>.<class>"),
        ("+metrics.x=3", "metrics.x=3, expected a metric"),
        ("+metrics.x._target_=metrics.pixel.Nope", "there is no metrics.pixel.Nope; "),
        ("+metrics.x._target_=torchmetrics.image.Nope", "torchmetrics.image.Nope"),
        ("+metrics.x={_target_: metrics.pixel.Psnr, regoin: frame}", "Psnr has no knob 'regoin'; did you mean region?"),
        ("+metrics.x={_target_: torchmetrics.image.TotalVariation, region: masked}", "expected frame or edited"),
    ],
)
def test_a_column_that_cannot_be_made_is_one_sentence(folder, word, said, capsys):
    assert rescore(folder, word) != 0
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
