"""Pictures of their own size: `data.size=native`."""

import json
from itertools import chain
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from bench import prepare, run, score
from bench.config import cli
from bench.data.reading import alike
from bench.edits import sizes
from bench.edits.folder import Store
from bench.edits.plan import plan, points
from bench.errors import UnfitSize, UserError
from bench.report.__main__ import main as report
from bench.reproduce.cost import counting
from bench.types import EditSample
from tests.helpers import class_models
from tests.helpers.flow_folders import flux_folder

SIZES = [(64, 48), (48, 64), (64, 48), (75, 61), (64, 64), (64, 48)]
"""Width and height of each picture."""


def pictures(root, sizes=SIZES, masked=True, **more):
    """A folder of smooth pictures with a manifest; the mask of each is its left half."""
    root.mkdir(parents=True)
    lines = []
    for number, (width, height) in enumerate(sizes):
        xs, ys = np.meshgrid(np.linspace(0, 6, width), np.linspace(0, 4, height))
        levels = [127 + 100 * np.sin(xs + number), 127 + 100 * np.cos(ys), 20 * number + 10 * ys]
        Image.fromarray(np.stack(levels, -1).astype(np.uint8)).save(root / f"{number}.png")
        line = {
            "id": f"p{number}",
            "image": f"{number}.png",
            "source": "a red circle",
            "target": "a blue circle",
            **more,
        }
        if masked:
            mask = np.zeros((height, width), np.uint8)
            mask[:, : width // 2] = 255
            Image.fromarray(mask).save(root / f"{number}m.png")
            line["mask"] = f"{number}m.png"
        lines.append(json.dumps(line))
    (root / "manifest.jsonl").write_text("\n".join(lines))
    return root


def words(root, out, *more):
    given = ["data=manifest", "data.size=native", f"data.root={root}", "model=shapes", "metrics=pixel", "device=cpu"]
    return [*given, f"out={out}", *(more or ["method=diffedit", "steps=4"])]


def edits(out):
    return {file.stem: np.asarray(Image.open(file)).astype(int) for file in out.glob("*/*/*/edits/*.png")}


def journal(out):
    (folder,) = (file.parent for file in out.glob("*/*/*/identity.json"))
    return Store(folder).journal()


def per_image(out):
    (file,) = out.glob("*/*/*/per_image.pixel-v1.csv")
    return pd.read_csv(file, index_col="id")


def test_each_picture_keeps_its_size_and_a_batch_is_its_singles(tmp_path):
    root = pictures(tmp_path / "data")
    assert run.main([*words(root, tmp_path / "four"), "batch_size=4"]) == 0
    assert run.main([*words(root, tmp_path / "one"), "batch_size=1", "limit=2"]) == 0
    assert run.main([*words(root, tmp_path / "one"), "batch_size=1"]) == 0  # goes on
    four, one = edits(tmp_path / "four"), edits(tmp_path / "one")
    assert {name: picture.shape[1::-1] for name, picture in four.items()} == {f"p{n}": s for n, s in enumerate(SIZES)}
    assert four.keys() == one.keys()
    assert all(np.abs(four[name] - one[name]).max() <= 1 for name in four)
    for file in tmp_path.glob("four/*/*/*/masks/*.png"):
        assert Image.open(file).size == SIZES[int(file.stem[1:])]
    returned = {id_: entry.get("returned") for id_, entry in journal(tmp_path / "four").items()}
    assert returned == {f"p{n}": "72x60" if n == 3 else None for n in range(6)}
    (summary,) = tmp_path.glob("four/*/*/*/summary.*.json")
    facts = json.loads(summary.read_text())
    assert "pictures of their own sizes, edited down to multiples of 4 px" in facts["notice"]
    assert facts["protocol"]["size"] == "native"


def test_scores_are_those_of_each_picture_alone(tmp_path):
    assert (
        run.main([*words(pictures(tmp_path / "data"), tmp_path / "all"), "batch_size=4", "metrics.batch_size=4"]) == 0
    )
    together = per_image(tmp_path / "all")
    assert list(together.index) == [f"p{n}" for n in range(6)]
    made = edits(tmp_path / "all")
    for number, size in enumerate(SIZES):
        alone = pictures(tmp_path / f"data{number}", [size])
        source = Image.open(tmp_path / f"data/{number}.png")
        source.save(alone / "0.png")
        theirs = tmp_path / f"theirs{number}"
        theirs.mkdir()
        Image.fromarray(made[f"p{number}"].astype(np.uint8)).save(theirs / "p0.png")
        given = words(alone, tmp_path / f"out{number}")[:-2]
        assert score.main([f"run={theirs}", *given]) == 0
        found = per_image(tmp_path / f"out{number}")
        for metric in ("psnr", "ssim", "mse", "psnr_background"):
            assert found[metric]["p0"] == pytest.approx(together[metric][f"p{number}"], rel=1e-6), (metric, size)


def test_a_picture_that_is_too_small_is_recorded_and_the_run_goes_on(tmp_path, capsys):
    root = pictures(tmp_path / "data", [(64, 48), (40, 3), (8, 4), (64, 48)])
    assert run.main(words(root, tmp_path / "out", "method=encode_decode", "steps=2")) == 1
    said = capsys.readouterr().err
    assert "1 of 4 samples failed" in said
    assert "'p1': the picture has 40x3 px, and this model takes multiples of 4: set model.size" in said
    scores = per_image(tmp_path / "out")
    assert list(scores.index) == ["p0", "p2", "p3"]
    assert np.isnan(scores.ssim["p2"])  # its window is larger
    assert np.isfinite(scores.ssim[["p0", "p3"]]).all()
    assert np.isfinite(scores.psnr).all()
    (summary,) = tmp_path.glob("out/*/*/*/summary.*.json")
    fact = json.loads(summary.read_text())["metrics"]["ssim"]
    assert (fact["n"], fact["n_nan"]) == (2, 1)
    assert fact["note"] == "1 samples, the first is 'p2': smaller than 6 px"


def test_at_the_area_of_the_models_size(tmp_path):
    root = pictures(tmp_path / "data", [(128, 32), (64, 64)])
    assert run.main([*words(root, tmp_path / "out", "method=encode_decode", "steps=2"), "model.size=32"]) == 0
    assert [entry["returned"] for entry in journal(tmp_path / "out").values()] == ["64x16", "32x32"]
    assert {picture.shape[1::-1] for picture in edits(tmp_path / "out").values()} == {(128, 32), (64, 64)}


@pytest.mark.parametrize("method", ["flowedit", "uni_edit"])
def test_a_flow_on_frames_that_are_no_squares(tmp_path, method):
    """Its grid follows the number of tokens."""
    root, folder = pictures(tmp_path / "data", [(64, 48), (64, 48), (48, 96)]), flux_folder(tmp_path / "flux")
    given = [f"method={method}", "steps=2", "model=flux", f"model.path={folder}", "model.dtype=float32"]
    assert run.main([*words(root, tmp_path / "two", *given), "batch_size=2"]) == 0
    assert run.main([*words(root, tmp_path / "one", *given), "batch_size=1"]) == 0
    two, one = edits(tmp_path / "two"), edits(tmp_path / "one")
    assert [picture.shape[1::-1] for _, picture in sorted(two.items())] == [(64, 48), (64, 48), (48, 96)]
    assert all(np.abs(two[name] - one[name]).max() <= 1 for name in two)
    assert all("returned" not in entry for entry in journal(tmp_path / "two").values())


def test_what_takes_squares_alone_says_so(tmp_path, capsys):
    root = pictures(tmp_path / "data", [(64, 48), (64, 64)], source=1, target=2)
    given = ["method=sdedit", "steps=2", "model=dit256", f"model.path={class_models.dit_folder(tmp_path / 'dit')}"]
    assert run.main(words(root, tmp_path / "out", *given)) == 1
    said = capsys.readouterr().err
    assert "1 of 2 samples failed" in said
    assert "the picture has 64x48 px, and this model takes squares alone: set data.size to pixels a side" in said
    assert list(edits(tmp_path / "out")) == ["p1"]


def test_a_method_that_reads_square_maps_says_so(tmp_path, capsys):
    root = pictures(tmp_path / "data", [(64, 48), (64, 64)], blend=["red", "blue"])
    given = ["method=ddim", "control=p2p", "steps=4", "method.blend_size=8"]
    assert run.main(words(root, tmp_path / "out", *given)) == 1
    said = capsys.readouterr().err
    assert "1 of 2 samples failed" in said
    assert "LocalBlend reads square maps, and latents of 16x12 cells have none" in said
    assert list(edits(tmp_path / "out")) == ["p1"]


def test_pictures_drawn_beside_a_sample_fill_its_frame(tmp_path):
    root = pictures(tmp_path / "data", [(64, 48), (48, 64)], classes=[3, 3])
    assert run.main(words(root, tmp_path / "out", "method=retrieve")) == 0
    assert {name: p.shape[1::-1] for name, p in edits(tmp_path / "out").items()} == {"p0": (64, 48), "p1": (48, 64)}


def test_report_and_page_show_them(tmp_path, capsys):
    assert run.main([*words(pictures(tmp_path / "data"), tmp_path / "out"), "limit=3"]) == 0
    assert report([f"out={tmp_path / 'out'}"]) == 0
    assert list((tmp_path / "out/report").glob("*contact-sheet.png"))
    thumbs = {Image.open(file).size for file in (tmp_path / "out/report").rglob("sources/p*")}
    assert thumbs == {(64, 48), (48, 64)}


def test_prepare_shows_the_sizes(tmp_path, capsys):
    root = pictures(tmp_path / "data")
    assert prepare.main(["data=manifest", f"data.root={root}", "data.size=native", "model=shapes"]) == 0
    printed = capsys.readouterr().out
    for line in ("pictures of 64x48 px", "pictures of 75x61 px", "shortest side", "longest side"):
        assert line in printed
    assert prepare.main(["data=manifest", f"data.root={root}", "data.size=32", "model=shapes"]) == 0
    assert "pictures of" not in capsys.readouterr().out


def test_a_drawn_world_has_no_size_of_its_own(tmp_path, capsys):
    assert run.main(["data.size=native", "limit=1", "metrics=pixel", f"out={tmp_path}"]) == 2
    assert "data.size=native, expected a number from 8 to 8192" in capsys.readouterr().err
    assert run.main(["data=manifest", "data.root=nowhere", "data.size=own", f"out={tmp_path}"]) == 2
    assert "data.size=own, expected a whole number from 1, or null, or native" in capsys.readouterr().err


def test_a_denoiser_is_not_compiled_for_each_size(tmp_path, capsys):
    assert run.main([*words(pictures(tmp_path / "data"), tmp_path / "out"), "model.compile=true"]) == 2
    assert "model.compile compiles anew for each size of pictures" in capsys.readouterr().err


def test_evaluations_are_counted_at_the_size_that_the_model_was_made_for(tmp_path):
    given = ["data=manifest", "data.root=nowhere", "data.size=native", "model=flux", "model.path=nowhere"]
    (cfg,) = cli.jobs([*given, "method=sdedit"])
    assert counting.geometry_of(points(cfg)[0]).side == 128


def test_the_size_that_a_picture_is_edited_at(tmp_path):
    def size(width, height, native=True, side=None, **checkpoint):
        run_ = SimpleNamespace(
            cfg={"model": {"size": side}},
            data=SimpleNamespace(size="native" if native else height),
            checkpoint=SimpleNamespace(**checkpoint) if checkpoint else None,
        )
        sample = EditSample("a", np.zeros((3, height, width), np.uint8), None, None)
        return sizes.editing_size(run_, sample)[::-1]

    assert size(75, 61) == (75, 61)  # no model
    assert size(75, 61, multiple=16) == (64, 48)
    assert size(75, 61, native=False, multiple=16) == (75, 61)
    assert size(512, 512, native=False, side=1024, multiple=16) == (1024, 1024)
    assert size(1024, 256, side=512, multiple=16) == (1024, 256)
    assert size(1000, 500, side=512, multiple=16) == (720, 352)

    def refuse(side):
        if side > 64:
            raise UserError("64 at most")

    assert size(64, 48, multiple=16, check_size=refuse) == (64, 48)
    with pytest.raises(UnfitSize, match="takes no side of 80: 64 at most"):
        size(80, 48, multiple=16, check_size=refuse)
    with pytest.raises(UnfitSize, match=r"multiples of 16: set a larger model\.size"):
        size(1024, 1, side=64, multiple=16)


def test_batches_of_one_size_each():
    found = [(["a1", "b1", "a2"], {}), (["a3"], {"x": {"error": "?"}}), (["b2", "c1"], {})]
    made = list(alike(found, 2, lambda one: one[0]))
    assert made == [(["a1", "a2"], {}), ([], {"x": {"error": "?"}}), (["b1", "b2"], {}), (["a3"], {}), (["c1"], {})]
    many = [([f"{size}{n}" for size in "abcdefghi"], {}) for n in range(3)]
    kept = [batch for batch, _ in alike(many, 4, lambda one: one[0])]
    assert all(len({one[0] for one in batch}) == 1 for batch in kept)
    assert sorted(chain(*kept)) == sorted(chain(*(batch for batch, _ in many)))
    assert max(map(len, kept)) <= 4


def test_a_precomputed_edit_of_another_size_is_said(tmp_path, capsys):
    root, theirs = pictures(tmp_path / "data", [(64, 48), (48, 64)]), tmp_path / "theirs"
    theirs.mkdir()
    Image.new("RGB", (128, 48)).save(theirs / "p0.png")  # source beside edit
    Image.new("RGB", (64, 48)).save(theirs / "p1.png")
    given = words(root, tmp_path / "out", "method=precomputed", f"method.root={theirs}")
    assert run.main(given) == 1
    said = capsys.readouterr().err
    assert "p1.png is 64x48 px and is not resampled; expected 48x64, as its source is" in said
    assert journal(tmp_path / "out")["p0"]["taken"] == "last 64x48 of 128x48"
    assert edits(tmp_path / "out")["p0"].shape == (48, 64, 3)


def test_the_key_says_native_and_not_the_sizes(tmp_path):
    root = pictures(tmp_path / "data")
    (first,) = plan(cli.jobs(words(root, tmp_path))[0])
    assert first.identity["data"]["size"] == "native"
    assert "edited at" not in first.identity["model"]
    (second,) = plan(cli.jobs([*words(root, tmp_path), "model.size=64"])[0])
    assert second.identity["model"]["edited at"] == 64
    assert first.key != second.key


def test_masks_follow_their_pictures(tmp_path):
    (made,) = plan(cli.jobs(words(pictures(tmp_path / "data"), tmp_path))[0])
    sample = made.data[3]
    assert sample.image.shape == (3, 61, 75)
    assert sample.mask.shape == (61, 75)
    (given,) = sizes.given([sample], sizes.editing_size(made, sample))
    assert (given.image.shape, given.mask.shape) == ((3, 60, 72), (60, 72))
    assert torch.equal(torch.from_numpy(given.mask[0]), torch.arange(72) < 36)
