"""Preparation of pictures before any metric sees them, and what is kept between runs."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from bench.data.preprocess import fit
from bench.edits.folder import Store
from bench.scores.columns import notes, read_samples, read_sets, write_table
from bench.scores.features import Recall
from bench.scores.pictures import Pairs
from bench.scores.work import _compute, _describe
from bench.types import EditSample
from metrics.features import InceptionPool, vectors
from tests.helpers.scores import noisy, score_batch

EDIT = noisy(np.random.default_rng(0), 1, 64)[0].transpose(1, 2, 0)


class Data:
    """One sample of 64 px."""

    ids = ("a/b",)

    def __getitem__(self, index: int) -> EditSample:
        return EditSample("a/b", np.zeros((3, 64, 64), np.uint8), "", "")


def prepared(tmp_path, profile, **note) -> np.ndarray:
    store = Store(tmp_path / "run")
    store.save_picture(store.edit_file("a/b"), Image.fromarray(EDIT))
    _, saved, edit, mask = Pairs(Data(), store, {"a/b": note}, profile)[0]
    assert mask is None
    np.testing.assert_array_equal(saved, edit)
    return edit


def through_pil(pixels: np.ndarray, quality: int) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def test_edits_pass_through_jpeg_where_the_profile_says_so(tmp_path):
    np.testing.assert_array_equal(prepared(tmp_path, {}), EDIT)
    np.testing.assert_array_equal(prepared(tmp_path, {"jpeg": 75}), through_pil(EDIT, 75))
    assert np.abs(prepared(tmp_path, {"jpeg": 75}).astype(int) - EDIT).mean() > 2


def test_quality_75_is_what_pil_does_by_default(tmp_path):
    stream = io.BytesIO()
    Image.fromarray(EDIT).save(stream, "JPEG")
    np.testing.assert_array_equal(prepared(tmp_path, {"jpeg": 75}), np.asarray(Image.open(stream)))


def test_edits_that_were_jpeg_do_not_lose_twice(tmp_path):
    np.testing.assert_array_equal(prepared(tmp_path, {"jpeg": 75}, jpeg=True), EDIT)
    np.testing.assert_array_equal(prepared(tmp_path, {"jpeg": 75}, jpeg=False), through_pil(EDIT, 75))


def test_a_profile_with_a_size_resizes_and_keeps_what_was_saved(tmp_path):
    store = Store(tmp_path)
    large = noisy(np.random.default_rng(1), 1, 96)[0].transpose(1, 2, 0)
    store.save_picture(store.edit_file("a/b"), Image.fromarray(large))
    _, saved, edit, _ = Pairs(Data(), store, {"a/b": {}}, {"size": 64, "resample": "bilinear"})[0]
    np.testing.assert_array_equal(saved, large)
    np.testing.assert_array_equal(edit, fit(Image.fromarray(large), 64, Image.Resampling.BILINEAR))


class Counted(InceptionPool):
    """Mean colours, counted: a backbone with a file and a version."""

    def __init__(self, weights):
        super().__init__(weights)
        self.calls = []

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        self.calls.append(len(images))
        return images.float().mean((2, 3))


@pytest.fixture
def pictures():
    return noisy(np.random.default_rng(2), 3, 16)


def batch(pictures, recall, **fields):
    made = score_batch(pictures, pictures.copy(), **fields)
    made.recall = recall
    return made


def test_features_of_sources_are_computed_once_for_all_runs(pictures, tmp_path):
    (weights := tmp_path / "net.pth").write_bytes(b"1")
    extract, found = Counted(weights), []
    for _ in range(3):  # as three runs would
        recall = Recall(tmp_path / "features", {weights: "hash"})
        found.append(vectors(batch(pictures, recall), "sources", extract))
    assert extract.calls == [3]
    torch.testing.assert_close(found[2], found[0], rtol=0, atol=0)
    vectors(batch(pictures, recall), "edits", extract)
    assert extract.calls == [3, 3]  # edits differ from run to run and are not kept


def test_other_pictures_weights_or_versions_are_computed_anew(pictures, tmp_path):
    (weights := tmp_path / "net.pth").write_bytes(b"1")
    extract, recall = Counted(weights), Recall(tmp_path / "features", {weights: "hash"})
    vectors(batch(pictures, recall), "sources", extract)
    changed = pictures.copy()
    changed[0, 0, 0, 0] ^= 1
    vectors(batch(changed, recall), "sources", extract)
    vectors(batch(pictures, Recall(tmp_path / "features", {weights: "other"})), "sources", extract)
    extract.version = 2
    vectors(batch(pictures, recall), "sources", extract)
    assert extract.calls == [3, 3, 3, 3]


def test_a_torn_file_is_computed_again(pictures, tmp_path):
    (weights := tmp_path / "net.pth").write_bytes(b"1")
    extract, recall = Counted(weights), Recall(tmp_path / "features", {weights: "hash"})
    expected = vectors(batch(pictures, recall), "sources", extract)
    (file,) = (tmp_path / "features").glob("*/*.npy")
    file.write_bytes(file.read_bytes()[:90])
    torch.testing.assert_close(vectors(batch(pictures, recall), "sources", extract), expected, rtol=0, atol=0)
    assert extract.calls == [3, 3]


def test_truths_are_kept_apart_from_sources(pictures, tmp_path):
    (weights := tmp_path / "net.pth").write_bytes(b"1")
    extract, recall = Counted(weights), Recall(tmp_path / "features", {weights: "hash"})
    made = batch(pictures, recall, truth=list(255 - pictures))
    assert not torch.equal(vectors(made, "sources", extract), vectors(made, "truths", extract))


def test_notes_are_kept_beside_the_columns_and_counted(tmp_path):
    file, ids = tmp_path / "notes.json", ["a", "b", "c"]
    assert notes(file, {}, ["clip"], ids) == {}
    said = notes(file, {"clip": {"b": "cut", "c": "cut"}}, ["clip", "psnr"], ids)
    assert said == {"clip": "2 samples, the first is 'b': cut"}
    assert notes(file, {}, ["clip"], ["a", "c"]) == {"clip": "1 samples, the first is 'c': cut"}
    assert notes(file, {}, ["psnr"], ids) == {}


class OfSets:
    """A metric of sets with half-samples."""

    halves_of = "class"

    def compute(self):
        return 1.5

    def interval(self):
        return 1.0, 2.0

    def halves(self):
        return np.array([1.23456789012, 2])


def test_half_sample_values_are_kept_with_the_number(tmp_path):
    made = _compute(OfSets(), 4, None)
    assert made["halves"] == [1.2345679, 2.0]
    assert made["halves_of"] == "class"
    (file := tmp_path / "csfid@1.json").write_text(json.dumps(made | {"ids": "x"}))
    assert read_sets(file)["x"]["halves"] == made["halves"]
    assert read_sets(file).get("y") is None
    older = {key: value for key, value in made.items() if not key.startswith("halves")}
    file.write_text(json.dumps(older | {"ids": "x"}))
    assert read_sets(file).get("x") is None  # computed again


def test_samples_are_described_by_type_group_and_target_class(tmp_path):
    pixels = np.zeros((3, 8, 8), np.uint8)
    described = {
        "a": _describe(EditSample("a", pixels, "", "", type="object", group="g", classes=(3, 7))),
        "b": _describe(EditSample("b", pixels, "", "")),
    }
    assert described == {
        "a": {"type": "object", "group": "g", "class": "7"},
        "b": {"type": "", "group": "b", "class": ""},
    }
    write_table(tmp_path / "samples.csv", described)
    assert read_samples(tmp_path / "samples.csv") == described
    (tmp_path / "samples.csv").write_text("id,type,group\na,object,g\n")
    assert read_samples(tmp_path / "samples.csv") == {}  # of an older version, read again
