"""Edits that are made, or come back, at another size than the data's."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from bench import run
from bench.data.shapes import Shapes
from bench.edits import sizes
from bench.report import tables
from bench.scores.stored import summary_file
from bench.types import EditResult
from tests.helpers.flow_folders import flux_folder


class Scaled:
    """Brings pictures back at another height and width, and a mask of cells: the left half."""

    version = 1

    def __init__(self, height, width):
        self.size = height, width

    def __call__(self, model, batch, noise):
        mask = torch.zeros(len(batch.samples), 1, 4, 4)
        mask[..., :2] = 1
        return EditResult(sizes.resized(batch.images, self.size), mask, [{"seen": s.id} for s in batch.samples])


def go(out, *words):
    return run.main([*words, "metrics=pixel", "limit=2", "device=cpu", f"out={out}"])


def scaled(height, width):
    return [
        "method=custom",
        "method._target_=tests.edits.test_sizes.Scaled",
        f"+method.height={height}",
        f"+method.width={width}",
    ]


def journal(folder):
    lines = [json.loads(line) for file in folder.glob("edits-*.jsonl") for line in file.read_text().splitlines()]
    return {line["id"]: line for line in lines}


@pytest.mark.parametrize(("height", "width", "returned"), [(128, 128, "128x128"), (64, 72, "72x64"), (64, 64, None)])
def test_an_edit_of_another_size_is_brought_back(tmp_path, height, width, returned):
    assert go(tmp_path, *scaled(height, width)) == 0
    (folder,) = tmp_path.glob("shapes/*/*")
    entries = journal(folder)
    assert [entry.get("returned") for entry in entries.values()] == [returned] * 2
    assert all(entry["seen"] == id_ for id_, entry in entries.items())
    for file in (folder / "edits").glob("*.png"):
        assert Image.open(file).size == (64, 64)
        mask = np.asarray(Image.open(folder / "masks" / file.name))
        assert mask.shape == (64, 64)
        assert (mask[:, :32] == 255).all()
        assert (mask[:, 32:] == 0).all()
    summary = json.loads(summary_file(folder, "pixel-v1").read_text())
    first = next(iter(entries))
    assert summary["notes"] == ([f"returned: 2 samples, the first is {first!r}: {returned}"] if returned else [])
    assert summary["metrics"]["psnr"]["value"] is None if returned is None else summary["metrics"]["psnr"]["value"] > 25


@pytest.mark.parametrize(("height", "width"), [(64, 32), (100, 64)])
def test_a_part_of_the_frame_is_no_edit(tmp_path, capsys, height, width):
    assert go(tmp_path, *scaled(height, width)) == 1
    said = capsys.readouterr().err
    assert f"returned images (2, 3, {height}, {width}) of torch.uint8; expected (2, 3, 64, 64) of torch.uint8" in said


def test_resizing_is_pillows_bicubic():
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    ours = sizes.resized(torch.from_numpy(picture).permute(2, 0, 1)[None], (20, 30))[0].permute(1, 2, 0).numpy()
    theirs = np.asarray(Image.fromarray(picture).resize((30, 20), Image.Resampling.BICUBIC))
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    assert sizes.resized(images := torch.zeros(1, 3, 4, 4, dtype=torch.uint8), (4, 4)) is images


class Seen:
    """Gives pictures back as they came, and notes what came."""

    version = 1

    def __call__(self, model, batch, noise):
        notes = []
        for one, image in zip(batch.samples, batch.images.cpu().numpy(), strict=True):
            assert np.array_equal(one.image, image)
            notes.append({"image": image.shape, "mask": one.mask.shape, "truth": one.truth.shape})
        latents = model.encode(batch.images.float() / 127.5 - 1)
        notes = [note | {"cells": latents.shape[-1]} for note in notes]
        return EditResult(batch.images, torch.ones(len(notes), 1, 4, 4), notes)


SEEN = ["method=custom", "method._target_=tests.edits.test_sizes.Seen"]


def test_the_model_edits_at_its_size_and_scores_are_taken_at_the_datas(tmp_path):
    assert go(tmp_path, *SEEN, "data.size=32", "model.size=64") == 0
    (folder,) = tmp_path.glob("shapes/*/*")
    for entry in journal(folder).values():
        assert [*entry["image"], *entry["mask"], *entry["truth"]] == [3, 64, 64, 64, 64, 3, 64, 64]
        assert (entry["cells"], entry["returned"]) == (16, "64x64")
    for file in [*(folder / "edits").glob("*.png"), *(folder / "masks").glob("*.png")]:
        assert Image.open(file).size == (32, 32)
    summary = json.loads(summary_file(folder, "pixel-v1").read_text())
    assert "edited at 64 px, scored at 32 px" in summary["notice"]
    assert summary["protocol"]["size"] == "32, edited at 64"
    assert summary["metrics"]["psnr"]["value"] > 35


def test_a_run_whose_sizes_are_one_is_what_it_was(tmp_path):
    for words in (["data.size=32"], ["data.size=32", "model.size=32"], ["model.size=32"]):
        assert go(tmp_path, *SEEN, *words) == 0
    (folder,) = tmp_path.glob("shapes/*/*")
    identity = json.loads((folder / "identity.json").read_text())
    assert identity["data"]["size"] == 32
    assert "edited at" not in identity["model"]
    assert all("returned" not in entry for entry in journal(folder).values())


def test_rows_say_the_size_that_is_not_the_datas(tmp_path):
    for words in ([], ["model.size=64"], ["model.size=48"]):
        assert go(tmp_path, *SEEN, "data.size=32", *words) == 0
    keys = {json.loads(file.read_text())["model"].get("edited at") for file in tmp_path.glob("*/*/*/identity.json")}
    assert keys == {None, 64, 48}
    table = tables.readable(tables.collect(tmp_path))
    assert sorted(table.cells.method) == ["Seen", "Seen model.size=48", "Seen model.size=64"]
    assert any("edited at 64 px, scored at 32 px" in line for line in table.lead)
    for folder in {file.parent for file in tmp_path.glob("*/*/*/identity.json")} - {_at(tmp_path, 64)}:
        shutil.rmtree(folder)
    assert list(tables.readable(tables.collect(tmp_path)).cells.method) == ["Seen model.size=64"]


def _at(out, size):
    (folder,) = (file.parent for file in out.glob("*/*/*/identity.json") if f'"edited at": {size}' in file.read_text())
    return folder


def test_an_edit_is_the_methods_on_the_picture_brought_to_its_size(tmp_path):
    words = ["method=sdedit", "steps=4", "limit=3", "metrics=pixel", "device=cpu", "data.size=32", "model.size=64"]
    assert run.main([*words, "batch_size=2", f"out={tmp_path / 'two'}"]) == 0
    assert run.main([*words, "batch_size=1", f"out={tmp_path / 'one'}"]) == 0
    for file in tmp_path.glob("two/shapes/*/*/edits/*.png"):
        (other,) = tmp_path.glob(f"one/shapes/*/*/edits/{file.name}")
        assert np.abs(np.asarray(Image.open(file)).astype(int) - np.asarray(Image.open(other))).max() <= 1
    assert len(list(tmp_path.glob("two/shapes/*/*/edits/*.png"))) == 3


def test_samples_of_their_own_size_stay_as_they_are():
    sample = Shapes(32)[0]
    assert sizes.given([sample], (32, 32))[0] is sample
    bare = replace(sample, mask=None, truth=None)
    (made,) = sizes.given([bare], (24, 40))
    assert (made.image.shape, made.mask, made.truth) == ((3, 24, 40), None, None)
    (made,) = sizes.given([sample], (64, 64))
    assert np.array_equal(made.mask[::2, ::2], sample.mask)
    assert made.mask.dtype == bool


def test_a_size_that_the_model_cannot_take_is_said_before_anything_is_loaded(tmp_path, capsys):
    words = ["model=flux", f"model.path={flux_folder(tmp_path / 'flux')}", "method=sdedit", "data.size=64"]
    assert go(tmp_path / "out", *words, "model.size=72") == 2
    assert "pictures of 72x72 px; this model takes multiples of 16: set data.size or" in capsys.readouterr().err
    assert go(tmp_path / "out", *words, "model.size=many") == 2
    assert "model.size=many, expected a whole number from 1, or null" in capsys.readouterr().err
