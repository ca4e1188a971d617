"""Edits that are made, or come back, at another size than the data's."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from bench import run
from bench.edits import sizes
from bench.scores.stored import summary_file
from bench.types import EditResult


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
