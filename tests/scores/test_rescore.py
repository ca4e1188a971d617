"""python -m bench.score, on finished runs and on pictures made elsewhere."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from PIL import Image

from bench import run, score
from bench.edits.plan import make_data
from bench.files.hashing import sha256
from bench.scores import rescore, seal
from bench.scores import stored as stored_scores
from bench.scores.score import score as scores_of
from tests.helpers import clip

IDS = [f"{i:05d}" for i in range(10)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A copy of ten scenes, scored by the pixel profile."""
    out = tmp_path_factory.mktemp("out")
    assert run.main(["method=copy", "metrics=pixel", "limit=10", f"out={out}"]) == 0
    (folder,) = out.glob("shapes/copy/*")
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """The run, moved to a place of another name."""
    return shutil.copytree(made, tmp_path / "moved")


def summary(folder, profile="pixel-v1"):
    return json.loads((folder / f"summary.{profile}.json").read_text())


def test_a_moved_run_is_scored_by_another_profile(folder, capsys):
    before = sorted(file.name for file in (folder / "edits").iterdir())
    assert score.main([f"run={folder}", "metrics=shapes", "device=cpu"]) == 0
    assert "10 of 10 scored. shapes-v1: edit_success" in capsys.readouterr().out
    assert (folder / "per_image.shapes-v1.csv").exists()
    assert (folder / "per_image.pixel-v1.csv").exists()
    assert sorted(file.name for file in (folder / "edits").iterdir()) == before
    scores = pd.read_csv(folder / "per_image.shapes-v1.csv", dtype={"id": str})
    assert scores.columns[:3].tolist() == ["id", "type", "group"]
    assert scores.type[0] == "random"
    assert summary(folder, "shapes-v1")["n_expected"] == 10


def test_without_a_profile_it_is_the_runs_own_and_costs_nothing(folder):
    stamp = (folder / "summary.pixel-v1.json").stat().st_mtime_ns
    assert score.main([f"run={folder}"]) == 0
    assert (folder / "summary.pixel-v1.json").stat().st_mtime_ns == stamp


def test_only_the_column_that_changed_is_computed_again(folder):
    columns = folder / "scores/pixel-v1"
    for name in ("psnr", "ssim"):  # numbers that no metric gives
        file = columns / f"{name}@1.csv"
        file.write_text("id,value\n" + "".join(f"{i:05d},-7.0\n" for i in range(10)))
        made_with = json.loads((columns / seal.RECORD).read_text())
        made_with["files"][file.name] = sha256(file)  # else they would be told and computed again
        (columns / seal.RECORD).write_text(json.dumps(made_with))
    assert score.main([f"run={folder}", "+metrics.ssim.region=background"]) == 0
    scores = pd.read_csv(folder / "per_image.pixel-v1.csv")
    assert (scores.psnr == -7).all()
    assert not (scores.ssim == -7).any()


def test_random_weights_are_in_the_name_of_every_column_and_in_the_table(folder):
    pytest.importorskip("lpips")
    words = ["+metrics.weights.net={path: random, random: true}", "+metrics.lpips._target_=metrics.perceptual.Lpips"]
    words += ["+metrics.lpips.net=squeeze", "+metrics.lpips.weights=net", "metrics.plot.x=lpips"]
    assert score.main([f"run={folder}", "metrics=pixel", *words]) == 0
    facts = summary(folder)
    assert "lpips_random" in facts["metrics"]
    assert "lpips" not in facts["metrics"]
    assert facts["plot"]["x"] == "lpips_random"
    assert facts["doubts"] == {"net": "random"}
    assert facts["metrics"]["lpips_random"]["value"] == 0  # a copy


def test_a_limit_and_the_counts_beside_a_mean(folder):
    (folder / "summary.pixel-v1.json").unlink()
    assert score.main([f"run={folder}", "limit=4"]) == 0
    fact = summary(folder)["metrics"]["psnr"]
    assert (fact["n"], fact["n_nan"], fact["n_identical"]) == (0, 0, 4)  # every PSNR of a copy is infinite
    assert fact["value"] is None
    assert summary(folder)["metrics"]["mask_iou"]["n_nan"] == 4
    assert summary(folder)["metrics"]["mse"]["types"]["random"] == {"value": 0.0, "n": 1}


def test_a_smaller_limit_later_leaves_what_is_stored(folder, capsys):
    """The command speaks of its own samples, and what it computed of their sets is computed once."""
    assert score.main([f"run={folder}", "metrics=shapes"]) == 0
    stored_files = [folder / "summary.shapes-v1.json", folder / "per_image.shapes-v1.csv"]
    before, whole = [file.read_bytes() for file in stored_files], summary(folder, "shapes-v1")
    for _ in range(2):
        capsys.readouterr()
        assert score.main([f"run={folder}", "metrics=shapes", "limit=4"]) == 0
        assert "4 of 4 scored" in capsys.readouterr().out
        assert [file.read_bytes() for file in stored_files] == before
    part = scores_of(rescore.finished(folder, ["metrics=shapes", "limit=4"]))
    assert (part.summary.n, part.summary.n_expected, list(part.table.index)) == (4, 4, IDS[:4])
    assert part.summary.metrics["fid"].n == 4
    assert part.summary.metrics["text_agreement"].value != whole["metrics"]["text_agreement"]["value"]
    assert part.summary.metrics["text_agreement"].value == pytest.approx(part.table.text_agreement.mean())
    kept = json.loads((folder / "scores/shapes-v1/fid@1.json").read_text())
    assert sorted(result["n"] for result in kept.values()) == [4, 10]


def test_a_larger_limit_later_goes_on(folder):
    (folder / "summary.pixel-v1.json").unlink()
    for limit, n in ((4, 4), (7, 7), (2, 7), (10, 10)):
        assert score.main([f"run={folder}", f"limit={limit}"]) == 0
        assert (summary(folder)["n"], summary(folder)["n_expected"]) == (n, n)


def test_what_a_smaller_limit_leaves_is_brought_up_to_date(folder):
    """Another picture, beyond the limit: its score is not that of a picture which is gone."""
    picture, journal = folder / "edits/00007.png", next(folder.glob("edits-0of1.*.jsonl"))
    before = sha256(picture)
    Image.new("RGB", (64, 64)).save(picture)
    journal.write_text(journal.read_text().replace(before, sha256(picture)))
    assert score.main([f"run={folder}", "limit=4"]) == 0
    assert (summary(folder)["n"], summary(folder)["metrics"]["psnr"]["n"]) == (10, 1)  # those of copies are infinite
    picture.unlink()
    assert score.main([f"run={folder}", "limit=4"]) == 0
    assert (summary(folder)["n"], summary(folder)["n_expected"]) == (9, 10)


def test_a_choice_of_the_samples_leaves_what_is_stored_and_others_replace_it(made, tmp_path):
    folder = shutil.copytree(made, tmp_path / "out/shapes/copy" / made.name)
    words = ["method=copy", "metrics=pixel", f"out={tmp_path / 'out'}"]
    assert run.main([*words, "data.count=3"]) == 0
    assert summary(folder)["n"] == 10
    assert run.main([*words, "data.count=20", "data.types=[colour]"]) == 0  # two, of which one is new
    assert summary(folder)["n"] == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "expected run=<folder or pattern>"),
        (["run=/nowhere"], "run=/nowhere (there is no such folder)"),
        (["run={folder}", "r=0.5"], "r=0.5: a finished run is fixed"),
        (["run={folder}", "metrics=pixle"], "unknown metrics 'pixle'; did you mean pixel"),
        (["run={folder}/edits"], "is no run (it has no identity.json)"),
        (["run={folder}", "metrics=flexit"], "inception_stats_256.pt was sought in"),
        (["run={folder}", "metrics=pie", "metrics.weights.dino.path={folder}"], "is a folder; expected a file such as"),
        (["run={folder}", "metrics=pie", "metrics.weights.clip.path=random"], "clip cannot be random"),
        (["run={folder}", "+metrics.mine={{_target_: x.Y, weights: net}}"], "metrics.mine names weights=net"),
    ],
)
def test_wrong_words(folder, words, sentence, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert score.main([word.format(folder=folder) for word in words]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error


def test_run_without_an_edit(folder, capsys):
    shutil.rmtree(folder / "edits")
    assert score.main([f"run={folder}"]) == 2
    assert "holds no edit; finish the run first" in capsys.readouterr().err


def test_edit_of_another_size_is_refused(folder, capsys):
    picture, journal = folder / "edits/00003.png", next(folder.glob("edits-0of1.*.jsonl"))
    before = sha256(picture)
    Image.new("RGB", (32, 32)).save(picture)
    journal.write_text(journal.read_text().replace(before, sha256(picture)))
    assert score.main([f"run={folder}"]) == 2
    assert "the edit of sample '00003' is 32x32 and its source 64x64" in capsys.readouterr().err


def pictures(root, data, change):
    """Pictures named by id, as another program would leave them."""
    for i, id_ in enumerate(data.ids):
        image = Image.fromarray(change(data[i].image.transpose(1, 2, 0)))
        image.save(root / f"{id_}.png")


def test_pictures_made_elsewhere(tmp_path, capsys):
    data = make_data({"_target_": "bench.data.shapes.Shapes", "size": 64, "seed": 0, "count": 4, "types": None})
    (tmp_path / "theirs").mkdir()
    pictures(tmp_path / "theirs", data, lambda x: (x // 2).astype(np.uint8))
    words = [f"run={tmp_path / 'theirs'}", "data=shapes", "data.count=4", "metrics=pixel", f"out={tmp_path / 'out'}"]
    assert score.main(words) == 0
    assert "4 of 4 scored" in capsys.readouterr().out
    (file,) = (tmp_path / "out").glob("shapes/precomputed/*/per_image.pixel-v1.csv")
    assert (pd.read_csv(file).psnr < 20).all()
    (tmp_path / "theirs/00002.png").unlink()
    shutil.rmtree(tmp_path / "out")
    assert score.main(words) == 2
    assert "1 of 4 samples failed" in capsys.readouterr().err


def test_run_of_another_version_says_so(folder, capsys):
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("  count: 256\n", "  quantity: 256\n"))
    assert score.main([f"run={folder}", "metrics=shapes"]) == 2
    assert "such options are of another version of this program" in capsys.readouterr().err


def test_a_run_of_an_earlier_version_of_a_profile_is_scored_by_that(folder, tmp_path):
    """Where it is kept; `metrics=recommended` is the later one."""
    words = ["metrics.weights.alexnet.path=random", "metrics.columns=[lpips,psnr]"]
    assert score.main([f"run={folder}", "metrics=recommended_v1", *words]) == 0
    config = folder / "config.yaml"
    stored = OmegaConf.load(config)
    stored.metrics = {"name": "recommended-v1"}
    OmegaConf.save(stored, config)
    assert score.main([f"run={folder}", *words]) == 0
    assert not list(folder.glob("summary.recommended-v2.json"))
    known = stored_scores.read(folder, "recommended-v1").summary
    assert (known.own, seal.stale(known)) == ([], {})
    assert score.main([f"run={folder}", "metrics=recommended", *words]) == 0
    assert summary(folder, "recommended-v2")["metrics"].keys() == {"lpips_random", "psnr"}


def test_recommended_has_direction_and_dists_and_preference_has_pickscore(folder, tmp_path):
    """On a CLIP of one's own, a random VGG16, and captions that the world has."""
    tower = clip.folder(tmp_path / "clip")
    words = [f"metrics.weights.clip.path={tower}", "metrics.weights.vgg16.path=random", "limit=3"]
    columns = "metrics.columns=[clip_direction,dists]"
    assert score.main([f"run={folder}", "metrics=recommended", columns, *words]) == 0
    known = summary(folder, "recommended-v2")["metrics"]
    assert (known["clip_direction"]["value"], known["clip_direction"]["n_nan"]) == (None, 3)
    assert "the picture did not change: undefined" in known["clip_direction"]["note"]
    assert abs(known["dists_random"]["value"]) < 1e-4  # of a copy
    assert score.main([f"run={folder}", "metrics=preference", f"metrics.weights.pickscore.path={tower}"]) == 0
    pickscore = summary(folder, "preference-v1")["metrics"]["pickscore"]
    assert pickscore["unit"] == "x 10^2"
    assert np.isfinite(pickscore["value"])
