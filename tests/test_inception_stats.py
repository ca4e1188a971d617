import numpy as np
import pytest
import torch

from bench import inception_stats
from bench.data.preprocess import read_rgb
from metrics.sets import Csfid, Sfid
from tests.helpers import trees
from tests.helpers.scores import score_batch


class Colour:
    """The mean colour of a picture, as features."""

    weights = "none"

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return images.float().mean((2, 3))


@pytest.fixture
def train(tmp_path):
    """Three classes of one to three pictures, one of which is broken."""
    root = tmp_path / "train"
    for class_id, synset in enumerate(("n01440764", "n01443537", "n02091032")):
        for number in range(class_id + 1):
            trees.write(root / synset / f"{synset}_{number}.JPEG", trees.jpeg(10 * class_id + number))
    trees.write(root / "n02091032/n02091032_9.JPEG", b"not a picture")
    return root


def test_means_of_all_and_of_each_class(train, capsys):
    folders = sorted(train.iterdir())
    made = inception_stats.statistics(folders, Colour(), torch.device("cpu"))
    pictures = {
        i: [read_rgb(file, 256, "bilinear").mean((1, 2)) for file in sorted(folder.glob("*_[0-8].JPEG"))]
        for i, folder in enumerate(folders)
    }
    every = np.concatenate(list(pictures.values()))
    assert len(every) == 6
    for class_id, found in pictures.items():
        np.testing.assert_allclose(made["classwise"][class_id]["mean"], np.mean(found, 0), rtol=1e-6)
    np.testing.assert_allclose(made["mean"], every.mean(0), rtol=1e-6)
    np.testing.assert_allclose(made["std"], every.std(0, ddof=1), rtol=1e-5)
    assert "left out" in capsys.readouterr().err


def test_distances_read_the_file(train, tmp_path):
    """Of pictures to their own statistics: zero."""
    folders = sorted(train.iterdir())
    file = tmp_path / "stats.pt"
    torch.save(inception_stats.statistics(folders, Colour(), torch.device("cpu")), file)
    files = [(i, f) for i, folder in enumerate(folders) for f in sorted(folder.glob("*_[0-8].JPEG"))]
    pictures = np.stack([read_rgb(f, 256, "bilinear") for _, f in files])
    for kind in (Sfid, lambda *a, **k: Csfid(*a, **k, least=1)):
        metric = kind(Colour(), weights=file)
        metric.update(score_batch(pictures, classes=[(0, i) for i, _ in files]))
        assert metric.compute() == pytest.approx(0, abs=1e-6)


def test_command_writes_the_file_with_a_limit(train, tmp_path, monkeypatch):
    monkeypatch.setattr("metrics.features.InceptionPool", lambda weights: Colour())
    to = tmp_path / "out.pt"
    words = [f"images={train}", f"to={to}", "weights=random", "limit=1", "device=cpu"]
    assert inception_stats.main(words) == 0
    assert sorted(torch.load(to, weights_only=True)["classwise"]) == [0, 1, 2]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "expected images=<folder of class folders> and to=<file>"),
        (["images=/nowhere", "to=x"], "no class folder under images=/nowhere"),
        (["image=x"], "unknown option 'image'; did you mean images?"),
        (["images={train}", "to=x"], "or set weights=<local file>"),
    ],
)
def test_wrong_words(train, words, sentence, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert inception_stats.main([word.format(train=train) for word in words]) == 2
    assert sentence in capsys.readouterr().err
