"""Classes of torchmetrics, handed our pictures."""

import json
import socket

import numpy as np
import pytest
import torch
import torchmetrics
import torchvision

from bench import run, score
from bench.errors import UserError
from bench.report import __main__ as report
from bench.types import Undefined
from metrics.perceptual import Lpips
from metrics.pixel import Psnr, Ssim
from metrics.torch_metrics import adapted
from tests.helpers import clip, seeded
from tests.helpers.scores import disturbed, noisy, score_batch

IMAGE = "torchmetrics.image."
MS_SSIM = "torchmetrics.image.MultiScaleStructuralSimilarityIndexMeasure"


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    sources = noisy(rng, 3, 192)
    return disturbed(rng, sources, 12), sources


def halves(pictures):
    mask = np.zeros(pictures[0].shape[-2:], bool)
    mask[:, :80] = True
    return [mask] * len(pictures[0])


def test_what_both_have_is_the_same_number(pictures):
    batch = score_batch(*pictures)
    psnr = adapted(IMAGE + "PeakSignalNoiseRatio").score(batch)
    np.testing.assert_allclose(psnr, Psnr().score(batch), atol=1e-4)
    ssim = adapted(IMAGE + "StructuralSimilarityIndexMeasure").score(batch)
    np.testing.assert_allclose(100 * ssim, Ssim().score(batch), atol=2e-3)


@pytest.mark.parametrize("region", ["masked", "background"])
def test_regions_are_ours(pictures, region):
    edits, sources = pictures
    mask = halves(pictures)
    batch = score_batch(edits, sources, mask=mask)
    black = score_batch(edits * ~mask[0], sources * ~mask[0])
    composed = score_batch(np.where(mask[0], sources, edits), sources)
    expected = adapted(MS_SSIM).score(black if region == "masked" else composed)
    np.testing.assert_array_equal(adapted(MS_SSIM, region=region).score(batch), expected)
    nowhere = score_batch(edits, sources, mask=[mask[0], None, np.ones_like(mask[0])])
    assert np.isfinite(adapted(MS_SSIM, region=region).score(nowhere)).tolist() == [True, False, False]


def test_against_the_truths(pictures):
    edits, sources = pictures
    batch = score_batch(edits, sources, truth=list(edits))
    np.testing.assert_allclose(adapted(MS_SSIM, against="truths").score(batch), 1, atol=1e-6)
    assert (adapted(MS_SSIM).score(batch) < 0.999).all()


def test_a_picture_is_scored_alone(pictures):
    edits, sources = pictures
    metric = adapted(MS_SSIM)
    alone = [metric.score(score_batch(edits[i : i + 1], sources[i : i + 1]))[0] for i in range(3)]
    np.testing.assert_array_equal(metric.score(score_batch(edits, sources)), alone)
    assert len(set(alone)) == 3


def test_the_range_is_what_the_class_is_meant_for(pictures):
    edits, sources = pictures
    values = adapted(IMAGE + "VisualInformationFidelity").score(score_batch(edits, sources))
    own = torchmetrics.image.VisualInformationFidelity()
    own.update(torch.from_numpy(edits[:1]).float(), torch.from_numpy(sources[:1]).float())
    assert values[0] == pytest.approx(float(own.compute()), rel=1e-6)
    small = adapted(IMAGE + "VisualInformationFidelity", range=1).score(score_batch(edits, sources))
    assert abs(small - values).min() > 0.01


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        (MS_SSIM, {"region": "edited"}, "region=edited, expected frame or masked or background"),
        (MS_SSIM, {"against": "truth"}, "against=truth, expected sources or truths"),
        (MS_SSIM, {"range": 2}, "range=2, expected 1 or 255"),
        (MS_SSIM, {"sigmas": 2}, "sigmas"),
        (IMAGE + "QualityWithNoReference", {}, "expected a metric of pictures"),
        (IMAGE + "PerceptualPathLength", {}, "expected a metric of pictures"),
        (IMAGE + "KernelInceptionDistance", {"region": "masked"}, "region=masked, expected frame"),
        (IMAGE + "KernelInceptionDistance", {"normalize": True}, "it is given uint8"),
    ],
)
def test_wrong_options_are_one_sentence(name, options, said):
    with pytest.raises(UserError, match=said):
        adapted(name, **options)


def test_a_picture_that_it_cannot_take_has_no_value_and_says_why():
    rng = np.random.default_rng(0)
    metric = adapted(MS_SSIM)
    assert np.isnan(metric.score(score_batch(noisy(rng, 2, 64), noisy(rng, 2, 64)))).all()
    assert "larger than" in metric.notes["0"]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """torch's hub folder, empty, and a network that nobody may use."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("the network was used"))
    folder = tmp_path / "torch/hub/checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    ("name", "file", "address"),
    [
        ("LearnedPerceptualImagePatchSimilarity", "alexnet-owt-7be5be79.pth", "https://download.pytorch.org/models/"),
        ("DeepImageStructureAndTextureSimilarity", "vgg16-397923af.pth", "https://download.pytorch.org/models/"),
        ("KernelInceptionDistance", "weights-inception-2015-12-05-6726825d.pth", "https://github.com/toshas/"),
    ],
)
def test_a_file_that_it_would_download_is_named_with_its_address(hub, name, file, address):
    with pytest.raises(UserError) as error:
        adapted(IMAGE + name).load()
    said = str(error.value)
    assert name in said
    assert f"{hub / file} {address}" in said


def test_a_hub_id_that_is_not_here_is_named_with_its_address(hub):
    with pytest.raises(UserError, match=r"hf download openai/clip-vit-base-patch16"):
        adapted("torchmetrics.multimodal.CLIPScore", model_name_or_path="openai/clip-vit-base-patch16").load()


def test_lpips_is_ours(hub, pictures, tmp_path):
    seeded.alexnet(tmp_path)
    state = torch.load(tmp_path / "alexnet.pth")
    with torch.device("meta"):
        rest = torchvision.models.alexnet().state_dict()
    torch.save({name: state.get(name, torch.zeros(value.shape)) for name, value in rest.items()}, tmp_path / "a.pth")
    (tmp_path / "a.pth").rename(hub / "alexnet-owt-7be5be79.pth")
    metric = adapted(IMAGE + "LearnedPerceptualImagePatchSimilarity")
    batch = score_batch(*pictures)
    expected = Lpips("alex", hub / "alexnet-owt-7be5be79.pth").score(batch)
    np.testing.assert_allclose(metric.score(batch), expected, rtol=1e-4)
    assert str(hub / "alexnet-owt-7be5be79.pth") in metric.files


def test_dists_builds_its_network_once_and_says_what_it_read(hub, pictures, monkeypatch):
    file = str(seeded.vgg16(hub).rename(hub / "vgg16-397923af.pth"))
    read, load = [], torch.load
    monkeypatch.setattr(torch, "load", lambda place, *a, **k: read.append(str(place)) or load(place, *a, **k))
    for _ in range(2):  # another run in the same process
        metric = adapted(IMAGE + "DeepImageStructureAndTextureSimilarity")
        metric.load()
        assert file in metric.files
        values = metric.score(score_batch(*pictures))
        assert np.isfinite(values).all()
    assert read.count(file) == 2


def test_clip_score_of_a_local_folder(tmp_path, pictures):
    from metrics.clip import ClipScore

    folder = clip.folder(tmp_path / "clip")
    batch = score_batch(*pictures, target=["a red circle", "two blue squares", ""])
    metric = adapted("torchmetrics.multimodal.CLIPScore", model_name_or_path=str(folder))
    values = metric.score(batch)
    np.testing.assert_allclose(values[:2], ClipScore(folder, floor=0).score(batch)[:2], atol=0.01)
    assert np.isnan(values[2])
    assert "undefined" in metric.notes["2"]
    assert str(folder) in metric.files


def test_kid_takes_all_pictures_together(hub, pictures, tmp_path):
    file = seeded.inception(tmp_path).rename(hub / "weights-inception-2015-12-05-6726825d.pth")
    metric = adapted(IMAGE + "KernelInceptionDistance", subset_size=4, subsets=3)
    metric.update(score_batch(*pictures))
    with pytest.raises(Undefined, match="subsets of 4, of 3 pictures"):
        metric.compute()
    metric.update(score_batch(*pictures))
    assert metric.compute() == metric.compute()
    assert np.isfinite(metric.compute())
    assert str(file) in metric.files


def test_a_run_shows_it_in_its_line_and_its_table(tmp_path, capsys):
    """The profile has a table of its own, and four columns before."""
    out, column = tmp_path / "out", "+metrics.uqi._target_=torchmetrics.image.UniversalImageQualityIndex"
    assert run.main(["method=copy", "limit=2", column, f"out={out}"]) == 0
    assert ", uqi 0." in capsys.readouterr().out
    (folder,) = (out / "shapes/copy").iterdir()
    summary = json.loads((folder / "summary.shapes-v1.json").read_text())
    assert summary["own"] == ["uqi"]
    assert any("UniversalImageQualityIndex" in key for key in summary["metrics"]["uqi"]["made"])
    assert report.main([f"out={out}"]) == 0
    assert "uqi ↑" in capsys.readouterr().out
    assert "uqi" in next(out.rglob("data.js")).read_text()


def test_files_of_its_own_choice_are_in_its_stamp(tmp_path, capsys):
    """Another content of the same place is scored anew; the same is not."""
    out, folder = tmp_path / "out", clip.folder(tmp_path / "clip")
    words = ["+metrics.text._target_=torchmetrics.multimodal.CLIPScore", f"+metrics.text.model_name_or_path={folder}"]
    assert run.main(["method=copy", "limit=2", "metrics=pixel", *words, f"out={out}"]) == 0
    (place,) = (out / "shapes/copy").iterdir()

    def fact():
        summary = json.loads((place / "summary.pixel-v1.json").read_text())
        return summary["metrics"]["text"], summary["weights"]

    before, hashes = fact()
    assert before["files"] == [str(folder)]
    assert hashes["clip"] == before["weights"]["clip"]
    file = next(place.glob("scores/pixel-v1/text@*.csv"))
    written = file.stat().st_mtime_ns
    assert score.main([f"run={place}", "metrics=pixel", *words]) == 0
    assert file.stat().st_mtime_ns == written
    clip.folder(folder, seed=1)
    assert score.main([f"run={place}", "metrics=pixel", *words]) == 0
    after, _ = fact()
    assert after["made_with"] != before["made_with"]
    assert after["weights"] != before["weights"]
    assert file.stat().st_mtime_ns > written
