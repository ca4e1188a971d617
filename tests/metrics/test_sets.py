from itertools import pairwise

import numpy as np
import pytest
import torch

from bench.errors import UserError
from bench.statistics.intervals import half_samples
from bench.types import Undefined
from metrics.sets import Csfid, Fid, Sfid
from tests.helpers.scores import score_batch


class Colour:
    """The mean colour of a picture, as features; counts its calls."""

    weights = "none"

    def __init__(self):
        self.calls = 0

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return images.float().mean((2, 3))


def flat(colours: list[tuple[int, int, int]]) -> np.ndarray:
    """Pictures of one colour each, uint8 `[B, 3, 2, 2]`."""
    return np.broadcast_to(np.array(colours, np.uint8)[:, :, None, None], (len(colours), 3, 2, 2)).copy()


EDITS = [(0, 0, 0), (4, 0, 0), (10, 10, 10), (20, 10, 10), (30, 10, 10)]
TRUTHS = [(0, 2, 0), (4, 2, 0), (10, 10, 13), (20, 10, 13), (30, 10, 13)]
CLASSES = [(5, 1), (6, 1), (7, 8), (7, 8), (9, 8)]
# Class 1: means (2, 0, 0) and (2, 2, 0), squared distance 4; class 8: (20, 10, 10) and (20, 10, 13), 9.
BY_CLASS = (4 + 9) / 2
# All: (12.8, 6, 6) and (12.8, 6.8, 7.8).
OVERALL = 0.8**2 + 1.8**2


def fed(metric, classes=CLASSES, cuts=(0, 5)):
    for start, stop in pairwise(cuts):
        fields = {"truth": flat(TRUTHS[start:stop]), "classes": (classes or [None] * 5)[start:stop]}
        metric.update(score_batch(flat(EDITS[start:stop]), **fields))
    return metric


@pytest.mark.parametrize("cuts", [(0, 5), (0, 1, 3, 5)])
@pytest.mark.parametrize(("metric", "expected"), [(Csfid, BY_CLASS), (Sfid, OVERALL)])
def test_mean_distances_by_hand(metric, expected, cuts):
    assert fed(metric(Colour(), "truths"), cuts=cuts).compute() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("array", [np.array, torch.tensor])
def test_reference_from_a_statistics_file(array, tmp_path):
    classes = {1: {"mean": array([2.0, 1, 0])}, 8: {"mean": array([10.0, 0, 0])}, 9: {"mean": array([0.0, 0, 0])}}
    torch.save({"mean": array([0.8, 6, 0]), "classwise": classes}, tmp_path / "statistics.pt")
    # Means of the edits: (2, 0, 0), (20, 10, 10), and of all (12.8, 6, 6). Class 9 was not edited.
    for metric, expected in ((Csfid, (1 + 300) / 2), (Sfid, 144 + 36)):
        assert fed(metric(Colour(), weights=tmp_path / "statistics.pt")).compute() == pytest.approx(expected, rel=1e-6)


def test_class_that_the_statistics_lack_is_undefined(tmp_path):
    torch.save({"mean": torch.zeros(3), "classwise": {1: {"mean": torch.zeros(3)}}}, tmp_path / "statistics.pt")
    with pytest.raises(Undefined, match="lacks 1 of 2 target classes, such as 8"):
        fed(Csfid(Colour(), weights=tmp_path / "statistics.pt")).compute()


def test_one_edit_of_a_class_is_undefined():
    with pytest.raises(Undefined, match="at least 2 edits of every target class; 1 of 3 lack them"):
        fed(Csfid(Colour(), "truths"), [*CLASSES[:4], (7, 9)]).compute()


def test_class_distance_needs_classes():
    with pytest.raises(Undefined, match="needs the target class"):
        fed(Csfid(Colour(), "truths"), None).compute()


def test_overall_distance_needs_none():
    assert fed(Sfid(Colour(), "truths"), None).compute() == pytest.approx(OVERALL, rel=1e-6)


@pytest.mark.parametrize("metric", [Fid, Csfid, Sfid])
def test_unknown_truths_are_undefined(metric):
    with pytest.raises(Undefined, match="true edited images"):
        metric(Colour(), "truths").update(score_batch(flat(EDITS), classes=CLASSES))


@pytest.mark.parametrize("metric", [Fid, Csfid, Sfid])
def test_no_edits_are_undefined(metric):
    with pytest.raises(Undefined):
        metric(Colour(), "truths").compute()


def test_fid_compares_with_what_it_was_told_to():
    truths, sources = Fid(Colour(), "truths"), Fid(Colour(), "sources")
    batch = score_batch(flat(EDITS), flat(TRUTHS), truth=flat(EDITS))
    for metric in (truths, sources):
        metric.update(batch)
    assert truths.compute() == pytest.approx(0, abs=1e-6)
    assert sources.compute() > 1


def test_metrics_of_a_batch_share_the_features():
    features, batch = [Colour() for _ in range(3)], score_batch(flat(EDITS), truth=flat(TRUTHS), classes=CLASSES)
    for metric, extract in zip((Fid, Csfid, Sfid), features, strict=True):
        metric(extract, "truths").update(batch)
    assert [extract.calls for extract in features] == [2, 0, 0]  # edits and truths, once


def many(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return tuple(flat([tuple(c) for c in rng.integers(0, 256, (count, 3))]) for _ in range(2))


def test_frechet_interval_holds_the_value_and_needs_four_groups(monkeypatch):
    edits, sources = many(40)
    metric = Fid(Colour(), "sources")
    metric.update(score_batch(edits[:3], sources[:3]))
    assert np.isnan(metric.interval()).all()
    metric.update(score_batch(edits[3:], sources[3:], id=[str(i) for i in range(3, 40)]))
    low, high = metric.interval()
    assert low < metric.compute() < high
    grouped = Fid(Colour(), "sources")
    grouped.update(score_batch(edits, sources, group=[f"g{i % 5}" for i in range(40)]))
    assert grouped.compute() == pytest.approx(metric.compute(), rel=1e-9)
    assert grouped.interval() != (low, high)
    monkeypatch.setattr("metrics.sets.KEPT", 30)
    large = Fid(Colour(), "sources")
    for part in (slice(0, 20), slice(20, 40)):
        large.update(score_batch(edits[part], sources[part]))
    assert large._kept == []
    assert np.isnan(large.interval()).all()
    assert large.compute() == pytest.approx(metric.compute(), rel=1e-9)


def test_class_distance_interval_is_over_classes():
    edits, truths = many(40)
    metric = Csfid(Colour(), "truths")
    metric.update(score_batch(edits, truth=truths, classes=[(0, i % 8) for i in range(40)]))
    low, high = metric.interval()
    assert low < metric.compute() < high
    distances = metric._distances()
    assert len(distances) == 8
    assert distances.min() <= low
    assert high <= distances.max()


def test_half_values_are_those_of_the_shared_half_samples():
    """So that two runs over the same samples, in whatever order, have halves of the same pictures."""
    edits, truths = many(24)
    groups, classes = [f"g{i % 7}" for i in range(24)], [(0, 10 - i % 5) for i in range(24)]
    order = np.random.default_rng(3).permutation(24)
    fields = {"truth": truths, "classes": classes, "group": groups}
    for make, of, units in ((Fid, "group", groups), (Csfid, "class", [str(c[1]) for c in classes])):
        metric, shuffled, part = (make(Colour(), "truths") for _ in range(3))
        metric.update(score_batch(edits, **fields))
        shuffled.update(score_batch(edits[order], **{k: [v[i] for i in order] for k, v in fields.items()}))
        assert metric.halves() == pytest.approx(shuffled.halves(), rel=1e-9)
        half = np.flatnonzero(half_samples(units)[17])
        part.update(score_batch(edits[half], **{k: [v[i] for i in half] for k, v in fields.items()}))
        assert metric.halves()[17] == pytest.approx(part.compute(), rel=1e-9)
        assert (len(metric.halves()), metric.halves_of) == (100, of)
        metric.update(score_batch(edits[:8], **{k: v[:8] for k, v in fields.items()}))
        assert metric.halves()[17] != pytest.approx(part.compute(), rel=1e-9)  # not remembered from before


WHOLE = {"mean": torch.zeros(3), "classwise": {1: {"mean": torch.zeros(3)}, 8: {"mean": torch.zeros(3)}}}


@pytest.mark.parametrize(
    ("held", "sentence"),
    [
        (b"", "is no file of torch weights"),
        (b"PK\x03\x04 and no more", "is no file of torch weights"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is no file of torch weights|Git LFS pointer"),
        (np.load, "is no file of torch weights"),  # code
        ([1, 2], "holds a list"),
        ({"mu": 1, "sigma": 2}, "has no 'mean'"),
        ({"mean": torch.zeros(3)}, "has no 'classwise'"),
        (WHOLE | {"classwise": [1]}, "classwise is a list"),
        (WHOLE | {"classwise": {1: torch.zeros(3)}}, "class 1 has no 'mean'"),
        (WHOLE | {"mean": "text"}, "mean is no list of numbers"),
        (WHOLE | {"mean": torch.zeros(3, 3)}, r"mean has the shape \(3, 3\)"),
        (WHOLE | {"mean": torch.tensor([0, float("nan"), 1])}, "mean holds numbers that are not finite"),
        (WHOLE | {"classwise": {8: {"mean": torch.zeros(1)}}}, "class 8 has 1 numbers, the mean of all 3"),
        ({"mean": torch.zeros(1), "classwise": {}}, "has means of 1 numbers, and the network gives 3"),
    ],
)
@pytest.mark.parametrize("metric", [Csfid, Sfid])
def test_statistics_that_are_none(held, sentence, metric, tmp_path):
    file = tmp_path / "statistics.pt"
    file.write_bytes(held) if isinstance(held, bytes) else torch.save(held, file)
    with pytest.raises(UserError, match=sentence) as error:
        fed(metric(Colour(), weights=file)).compute()
    assert str(error.value).startswith(str(file))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", [Fid, Csfid, Sfid])
def test_features_that_are_not_finite_are_told_and_averaged_by_none(kind):
    class Broken(Colour):
        def __call__(self, images):
            features = super().__call__(images)
            features[features[:, 0] == 30] = float("nan")
            return features

    with pytest.raises(Undefined, match=r"the features of sample '.*' \(edits\) are not finite"):
        fed(kind(Broken(), "truths"))
