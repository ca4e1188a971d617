import numpy as np
import pytest
import torch

from bench.errors import UserError
from bench.types import Undefined
from metrics.features import JudgePool
from metrics.judge import Judge
from metrics.sets import Csfid, Fid, Sfid
from metrics.shapes import EditSuccess, Kept, Perceptual, StructureDistance, TextAgreement, self_similarity
from tests.helpers.scores import disturbed, noisy, score_batch

ATTRIBUTES = {"shape": ["circle", "star"], "colour": ["red", "green", "blue"], "side": ["left", "right"]}
WORDS = ["a", "red", "green", "star", "circle"]
STAR = {"shape": "star", "colour": "red", "side": "left"}
CIRCLE = {"shape": "circle", "colour": "red", "side": "left"}
GREEN_CIRCLE = {"shape": "circle", "colour": "green", "side": "left"}
OTHER = {"shape": "circle", "colour": "green", "side": "right"}


@pytest.fixture(scope="module")
def judge():
    torch.manual_seed(0)
    return Judge(ATTRIBUTES, WORDS, widths=(8, 16, 16, 24), embedding=12).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def folder(judge, tmp_path_factory):
    judge.save(folder := tmp_path_factory.mktemp("weights") / "judge")
    return folder


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    sources = noisy(rng, 2, 64)
    return disturbed(rng, sources, 40), sources


@pytest.fixture
def says(monkeypatch):
    """Makes the judge see the given values in the edits, one dictionary a picture."""

    def set_answers(*scenes: dict[str, str]):
        def logits(self, top):
            index = {name: [values.index(scene[name]) for scene in scenes] for name, values in self.attributes.items()}
            return {k: torch.eye(len(self.attributes[k]))[torch.tensor(v)] for k, v in index.items()}

        monkeypatch.setattr(Judge, "logits", logits)

    return set_answers


def two(attributes) -> object:
    return score_batch(np.zeros((2, 3, 64, 64), np.uint8), attributes=[attributes] * 2)


def test_saved_judge_comes_back(judge, folder):
    """Weights are stored in fp16: outputs agree to 1 %."""
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    again = Judge.load(folder)
    assert (again.attributes, again.vocabulary, again.widths) == (ATTRIBUTES, WORDS, (8, 16, 16, 24))
    assert not again.training
    assert {p.dtype for p in again.parameters()} == {torch.float32}
    assert not any(p.requires_grad for p in again.parameters())
    top, expected = again.maps(images)[-1], judge.maps(images)[-1]
    torch.testing.assert_close(top, expected, rtol=0, atol=0.01 * float(expected.abs().max()))
    for name, logits in judge.logits(expected).items():
        torch.testing.assert_close(again.logits(top)[name], logits, rtol=0, atol=0.01 * float(logits.abs().max()))
    texts = ["a red star", "a green circle"]
    torch.testing.assert_close(again.embed_texts(texts), judge.embed_texts(texts), rtol=0, atol=0.01)


def test_judge_without_a_file_or_a_tensor_is_refused(judge, tmp_path):
    with pytest.raises(UserError, match=r"no folder of a shapes judge.*config\.json"):
        Judge.load(tmp_path)
    Judge(ATTRIBUTES | {"fill": ["plain", "dotted"]}, WORDS, widths=judge.widths, embedding=12).save(tmp_path / "more")
    judge.save(tmp_path / "less")
    (tmp_path / "less/config.json").write_bytes((tmp_path / "more/config.json").read_bytes())
    with pytest.raises(UserError, match=r"heads\.fill"):
        Judge.load(tmp_path / "less")


def test_embeddings_are_unit_vectors_and_unknown_words_are_ignored(judge):
    texts = judge.embed_texts(["a red star", "a red zzz star", "", "A Red, star"])
    torch.testing.assert_close(texts.norm(dim=-1), torch.ones(4))
    torch.testing.assert_close(texts[1], texts[0])
    torch.testing.assert_close(texts[3], texts[0])
    images = judge.embed_images(judge.maps(torch.rand(2, 3, 64, 64))[-1])
    torch.testing.assert_close(images.norm(dim=-1), torch.ones(2))


@pytest.mark.parametrize("metric", [Perceptual, StructureDistance])
def test_distance_to_itself_is_zero_and_grows(metric, folder):
    rng = np.random.default_rng(2)
    sources = np.repeat(noisy(rng, 1, 64), 3, 0)
    edits = np.stack([disturbed(rng, x, spread) for x, spread in zip(sources, (0, 15, 60), strict=True)])
    values = metric(folder).score(score_batch(edits, sources))
    assert not metric.higher_is_better
    assert values[0] == pytest.approx(0, abs=1e-6)
    assert values[0] < values[1] < values[2]


def test_perceptual_against_the_truth(folder, pictures):
    edits, sources = pictures
    metric = Perceptual(folder, against="truths")
    assert metric.score(score_batch(edits, sources, truth=edits)) == pytest.approx([0, 0], abs=1e-6)
    with pytest.raises(Undefined, match="true edited images"):
        metric.score(score_batch(edits, sources))


def test_perceptual_by_hand(judge, folder, pictures):
    """Squared difference of the unit vectors of each cell, averaged over cells and summed over stages."""
    again, expected = Judge.load(folder), np.zeros(2)
    maps = [again.maps(torch.from_numpy(x).float() / 255) for x in pictures]
    for a, b in zip(*maps, strict=True):
        a, b = a.numpy(), b.numpy()
        a, b = (x / np.sqrt(np.square(x).sum(1, keepdims=True)) for x in (a, b))
        expected += np.square(a - b).sum(1).mean((1, 2))
    np.testing.assert_allclose(Perceptual(folder).score(score_batch(*pictures)), 100 * expected, rtol=1e-4)


def test_self_similarity_by_hand():
    cells = torch.tensor([[[1.0, 0], [2, 3]], [[0, 2], [2, 4]]])[None]  # (1, 0), (0, 2), (2, 2), (3, 4)
    half = 0.5**0.5
    expected = [[1, 0, half, 0.6], [0, 1, half, 0.8], [half, half, 1, 1.4 * half], [0.6, 0.8, 1.4 * half, 1]]
    torch.testing.assert_close(self_similarity(cells)[0], torch.tensor(expected))


def test_text_agreement_is_a_cosine(folder, pictures):
    values = TextAgreement(folder).score(score_batch(*pictures, target=["a red star", "a green circle"]))
    again = Judge.load(folder)
    image = again.embed_images(again.maps(torch.from_numpy(pictures[0]).float() / 255)[-1])
    text = again.embed_texts(["a red star", "a green circle"])
    np.testing.assert_allclose(values, 100 * (image * text).sum(-1).numpy(), rtol=1e-4, atol=1e-4)
    assert (np.abs(values) <= 100).all()


def test_success_looks_at_what_changes(folder, says):
    says(CIRCLE, STAR)
    assert EditSuccess(folder).score(two((STAR, CIRCLE))).tolist() == [100, 0]


def test_success_needs_every_change(folder, says):
    says(GREEN_CIRCLE, CIRCLE)
    assert EditSuccess(folder).score(two((STAR, GREEN_CIRCLE))).tolist() == [100, 0]


def test_success_ignores_what_should_stay(folder, says):
    says(GREEN_CIRCLE, CIRCLE | {"side": "right"})
    assert EditSuccess(folder).score(two((STAR, CIRCLE))).tolist() == [100, 100]


def test_kept_looks_at_what_should_stay(folder, says):
    says(CIRCLE, GREEN_CIRCLE)
    assert Kept(folder).score(two((STAR, CIRCLE))).tolist() == [100, 0]


def test_kept_ignores_what_changes(folder, says):
    says(STAR, CIRCLE)  # the first was not edited at all
    assert Kept(folder).score(two((STAR, CIRCLE))).tolist() == [100, 100]


@pytest.mark.parametrize(("metric", "target"), [(EditSuccess, STAR), (Kept, OTHER)])
def test_nothing_to_look_at_is_no_verdict(metric, target, folder, says):
    says(target, target)
    assert np.isnan(metric(folder).score(two((STAR, target)))).all()


@pytest.mark.parametrize("metric", [EditSuccess, Kept])
def test_attributes_are_needed(metric, folder, pictures):
    with pytest.raises(Undefined, match="attributes"):
        metric(folder).score(score_batch(*pictures))


def test_one_forward_pass_a_batch(folder, pictures, monkeypatch):
    seen, forward = [], Judge.maps
    monkeypatch.setattr(Judge, "maps", lambda self, images: seen.append(images) or forward(self, images))
    fields = {"truth": pictures[1], "attributes": [(STAR, CIRCLE)] * 2, "classes": [(0, 1)] * 2}
    batch = score_batch(*pictures, **fields)
    for metric in (EditSuccess, Kept, TextAgreement, Perceptual, StructureDistance):
        metric(folder).score(batch)
    Perceptual(folder, "truths").score(batch)
    assert len(seen) == 3  # edits, sources, truths
    for metric in (Fid, Csfid, Sfid):
        metric(JudgePool(folder), "truths").update(batch)
    assert len(seen) == 3  # distances of sets pool the very same maps
    EditSuccess(folder).score(score_batch(*pictures, **fields))
    assert len(seen) == 4  # another batch
