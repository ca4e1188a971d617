"""Numbers that are not finite never become a picture: their sample fails, and its neighbours are edited."""

import json

import pandas as pd
import pytest
import torch

from bench import prepare, run
from bench.diffusion.device import finite, to_uint8
from bench.edits import generate
from bench.errors import NotFinite
from bench.theory.__main__ import main as theory
from methods.controls import p2p
from tests.helpers.trees import manifest

TARGETS = {"a": 5, "b": 6, "c": 7}
BROKEN = ["model=custom", "model._target_=tests.helpers.toy.Broken", "model.guidance=2", "device=cpu"]


def classes(root, ids):
    rows = [{"id": id_, "image": "pictures/cake.png", "source": 1, "target": TARGETS[id_]} for id_ in ids]
    return ["data=manifest", f"data.root={manifest(root, rows)}", "data.size=32"]


def edited(out):
    """Bytes of the pictures of a run, and its journal."""
    (folder,) = (path.parent for path in out.glob("*/*/*/identity.json"))
    lines = [json.loads(line) for file in folder.glob("edits-*.jsonl") for line in file.read_text().splitlines()]
    pictures = {file.name: file.read_bytes() for kind in ("edits", "masks") for file in folder.glob(f"{kind}/*.png")}
    return pictures, {line["id"]: line for line in lines}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["method=sdedit"], "its latents are not finite: NaN;"),
        (["method=encode_decode"], "its latents are not finite: NaN;"),
        (["method=sdedit", "+model.value=inf"], "its latents are not finite: "),
        (["method=diffedit", "method.n=2"], "its predictions for the mask are not finite: NaN;"),
        # at the mask's timestep alone, so that nothing else would tell
        (["method=diffedit", "r=0.25", "+model.first=251", "+model.last=251"], "its predictions for the mask are"),
        (["method=siminversion", "control=none"], "its latents are not finite: NaN;"),
        (["method=edict"], "its latents are not finite: NaN;"),
    ],
)
def test_the_sample_fails_and_its_neighbours_are_as_if_it_had_never_been_there(tmp_path, capsys, words, why):
    words = [*BROKEN, *words, "steps=4", "metrics=pixel", "batch_size=3"]
    assert run.main([*words, *classes(tmp_path / "three", "abc"), f"out={tmp_path / 'with'}"]) == 1
    assert f"1 of 3 samples failed, recorded in {tmp_path}" in (said := capsys.readouterr().err)
    assert f"the first is 'b': {why}" in said
    assert run.main([*words, *classes(tmp_path / "two", "ac"), f"out={tmp_path / 'without'}"]) == 0
    pictures, journal = edited(tmp_path / "with")
    assert journal["b"]["error"].startswith(why)
    assert "model.dtype=" in journal["b"]["error"]
    assert "traceback" not in journal["b"]
    assert pictures == edited(tmp_path / "without")[0]
    assert "a.png" in pictures
    (summary,) = tmp_path.glob("with/*/*/*/summary.*.json")
    assert json.loads(summary.read_text())["n_failed"] == 1


def test_every_sample_of_a_batch_may_fail(tmp_path):
    assert (
        run.main(
            [*BROKEN, "method=sdedit", "metrics=pixel", "steps=4", *classes(tmp_path / "one", "b"), f"out={tmp_path}"]
        )
        == 1
    )
    pictures, journal = edited(tmp_path)
    assert not pictures
    assert "are not finite" in journal["b"]["error"]


class Masked:
    """A method whose mask is not finite in its second sample."""

    version = 1

    def __call__(self, model, batch, noise):
        from bench.types import EditResult

        mask = torch.ones(len(batch.samples), 1, 8, 8)
        mask[[sample.id == "b" for sample in batch.samples], 0, 2] = float("nan")
        return EditResult(batch.images, mask)


def test_a_mask_that_is_not_finite_is_not_saved(tmp_path):
    words = [*BROKEN, "method=custom", "method._target_=tests.edits.test_not_finite.Masked", "metrics=pixel"]
    assert run.main([*words, *classes(tmp_path / "three", "abc"), f"out={tmp_path}"]) == 1
    pictures, journal = edited(tmp_path)
    assert journal["b"]["error"] == "line 2: the mask of the method is not finite (NaN or infinity)"
    assert sorted(pictures) == ["a.png", "c.png"]


def test_huge_numbers_are_pixels_and_infinite_ones_are_not():
    extreme = torch.tensor([0.0, 1e30, float("inf"), float("-inf"), float("nan")])[:, None, None, None]
    assert to_uint8(extreme[:2]).flatten().tolist() == [128, 255]
    with pytest.raises(
        NotFinite, match=r"^its pixels are not finite: NaN after decoding; try model\.dtype=float32"
    ) as bad:
        to_uint8(extreme)
    assert (bad.value.rows, bad.value.count) == ([2, 3, 4], 5)
    with pytest.raises(NotFinite, match="its latents are not finite: infinity;"):
        finite(extreme[:3].half(), "latents")


@pytest.mark.parametrize("broken", ["latents", "attention maps"])
def test_local_blend_does_not_put_the_source_where_the_target_is_lost(broken):
    maps = p2p.Maps([{}, {}], 4, blended=torch.tensor([True, True]), totals=torch.rand(2, 2, 4, 4), size=4)
    z = torch.zeros(2, 3, 8, 8)
    (z if broken == "latents" else maps.totals)[1, 0, 1, 1] = float("nan")
    found = maps.after(2, torch.zeros(2, 3, 8, 8), z)
    with pytest.raises(NotFinite, match="its latents are not finite: NaN") as error:
        finite(found, "latents")
    assert error.value.rows == [1]
    assert found[1].isnan().all()
    assert found[0].equal(z[0])


def test_of_generated_sources_the_others_are_made(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(generate, "CHOICES", generate.CHOICES[:3])
    pictures, words = generate._pictures, ["data=imagen", "model=shapes", "generate=true", "steps=2", "batch_size=3"]
    decode = []

    def broken(model, cfg, numbers, device):
        decode.append(numbers)
        if 1 in numbers:
            to_uint8(torch.tensor([float("nan") if n == 1 else 0.0 for n in numbers])[:, None, None, None])
        return pictures(model, cfg, numbers, device)

    monkeypatch.setattr(generate, "_pictures", broken)
    assert prepare.main([*words, f"data.root={tmp_path}"]) == 2
    assert "1 of 3 pictures were not made, the first is 001.png: its pixels are not" in capsys.readouterr().err
    assert (decode, sorted(file.name for file in tmp_path.glob("*.png"))) == (
        [[0, 1, 2], [0, 2]],
        ["000.png", "002.png"],
    )


def test_theory_leaves_out_what_is_no_number(tmp_path, capsys):
    words = [*BROKEN, "steps=4", "w_s=[0,1]", "parts=[reconstruction,bounds]", *classes(tmp_path / "data", "abc")]
    assert theory([*words, f"out={tmp_path}"]) == 1
    assert "left out b: its numbers of bounds are not finite" in capsys.readouterr().err
    tables = [pd.read_csv(file) for file in (tmp_path / "theory").glob("*/*.csv")]
    assert len(tables) > 2
    assert all(set(table.id) == {"a", "c"} for table in tables if "id" in table)
