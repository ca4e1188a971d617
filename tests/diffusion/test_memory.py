"""How many pictures go through the networks at once, where memory decides."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from bench import run
from bench.diffusion import memory
from bench.diffusion.memory import Portion, largest
from bench.edits import edit
from bench.models import autoencoded
from bench.scores import measure
from methods.copy import Copy
from tests.helpers.models import shipped

CPU, CUDA = torch.device("cpu"), SimpleNamespace(type="cuda")


class Card:
    """A GPU with so much free memory, of which n pictures take `need(n)`."""

    def __init__(self, free, need):
        self.free, self.need, self.sizes = free, need, []

    def start(self):
        return self.free

    def peak(self):
        return self.need(self.sizes[-1])


def sizes(free, need, count=301):
    """Batches of so many pictures."""
    card = Card(free, need)
    for batch in Portion("auto", CUDA, card).batches(list(range(count))):
        card.sizes.append(len(batch))
    assert sum(card.sizes) == count
    return card.sizes


@pytest.mark.parametrize(
    ("free", "need", "expected"),
    [
        (80, lambda n: 1 + n / 2, [1, 2, 8, 32, 64, 64]),
        (80, lambda n: 2 + n, [1, 2, 8, 32, 32]),  # 64 would take 66 of 64
        (10, lambda n: n, [1, 2, 8, 8]),
        (3, lambda n: 1 + n, [1, 1]),  # 2 would take 3 of 2.4
        (1, lambda n: 2, [1, 1]),  # even one is more than the share
        (20, lambda n: max(8, n), [1, 2, 4, 8, 16, 16]),  # another network needs most of few pictures
        (20, lambda n: 1 + n * n, [1, 2, 4, 2, 2]),  # 4 are more than the line said, and more than the share
    ],
)
def test_a_line_through_what_was_measured_says_what_fits(free, need, expected):
    made = sizes(free, need)
    assert made[: len(expected)] == expected
    assert set(made[len(expected) : -1]) == {expected[-1]}


def test_what_bends_after_it_was_measured_is_halved(capsys):
    """A line through 1 and 2 says 8, which take more than there is: these are made again by halves."""
    card = Card(30, lambda n: max(8 + n, 5 * n - 8))
    portion, tried = Portion("auto", CUDA, card), []
    left = 30
    while left:
        count = min(portion.most, left)
        tried.append(count)
        card.sizes.append(count)
        with portion.measured(count):
            if card.need(count) > card.free and portion.halved(torch.OutOfMemoryError("CUDA out of memory"), count):
                continue
        left -= count
    assert tried == [1, 2, 8, 4, 4, 4, 4, 4, 4, 3]
    assert "out of memory" in capsys.readouterr().err


def test_a_batch_of_fewer_says_nothing_of_the_number():
    card = Card(80, lambda n: n)
    portion = Portion("auto", CUDA, card)
    card.sizes = [1]
    with portion.measured(1):
        pass
    assert portion.most == 2
    with portion.measured(1):
        pass
    assert portion.most == 2
    assert not portion.settled


def test_a_failure_is_no_measurement():
    card = Card(80, lambda n: n)
    portion = Portion("auto", CUDA, card)
    with pytest.raises(ValueError, match="broken"), portion.measured(1):
        raise ValueError("broken")
    assert (portion.most, portion.settled) == (1, False)


def test_a_number_is_a_number_and_a_cpu_is_not_measured():
    assert [largest(one, CUDA) for one in (5, "auto")] == [5, memory.LARGEST]
    assert [largest(one, CPU) for one in (5, "auto")] == [5, memory.ON_CPU]
    for most, device in ((5, CUDA), (5, CPU), ("auto", CPU)):
        portion = Portion(most, device)
        assert portion.settled
        assert portion.most == largest(most, device)


def test_what_torch_says_of_a_gpu(monkeypatch):
    said = {"memory_allocated": 3, "memory_reserved": 5, "mem_get_info": (10, 80), "max_memory_allocated": 9}
    calls = []
    for name, value in said.items():
        monkeypatch.setattr(torch.cuda, name, lambda device, value=value: value)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", calls.append)
    meter = memory.CudaMeter(CPU)
    assert meter.start() == 12
    assert calls == [CPU]
    assert meter.peak() == 6


# --- a run ---

WORDS = ["method=copy", "metrics=pixel", "limit=13", "device=cpu"]


def test_a_run_edits_and_scores_what_memory_holds(monkeypatch, tmp_path, capsys):
    edited, call = [], Copy.__call__

    def counted(method, model, batch, noise):
        edited.append(len(batch.samples))
        return call(method, model, batch, noise)

    cards = []

    def portion(most, device):
        assert most == "auto"
        cards.append(Card(10, lambda n: n))
        made = Portion(most, CUDA, cards[-1])
        measured = made.measured
        made.measured = lambda count: cards[-1].sizes.append(count) or measured(count)
        return made

    monkeypatch.setattr(Copy, "__call__", counted)
    assert run.main([*WORDS, f"out={tmp_path / 'sixteen'}", "batch_size=auto", "metrics.batch_size=auto"]) == 0
    assert edited == [13]
    edited.clear()
    for module in (edit, measure):
        monkeypatch.setattr(module, "Portion", portion)
    assert run.main([*WORDS, f"out={tmp_path / 'few'}", "batch_size=auto", "metrics.batch_size=auto"]) == 0
    assert edited == [1, 2, 8, 2]
    assert [card.sizes for card in cards] == [edited, edited]
    pictures = [sorted((tmp_path / name).glob("*/*/*/edits/*.png")) for name in ("sixteen", "few")]
    assert len(pictures[0]) == 13
    for one, other in zip(*pictures, strict=True):
        assert one.relative_to(tmp_path / "sixteen") == other.relative_to(tmp_path / "few")
        assert np.array_equal(np.asarray(Image.open(one)), np.asarray(Image.open(other)))


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("batch_size=automatic", "batch_size=automatic, expected a number from 1 to 100000 or auto"),
        ("batch_size=2.5", "batch_size=2.5, expected a whole number"),
        ("metrics.batch_size=many", "metrics.batch_size=many, expected a number from 1 to 1000000 or auto"),
    ],
)
def test_what_is_neither_a_number_nor_auto(word, sentence, tmp_path, capsys):
    assert run.main([*WORDS, word, f"out={tmp_path}"]) == 2
    assert sentence in capsys.readouterr().err


@torch.inference_mode()
def test_the_autoencoder_takes_few_pictures_at_once_whatever_the_batch(monkeypatch):
    model, taken = shipped(), []
    images = torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    whole = model.encode(images), model.decode(model.encode(images))
    for name in ("encode", "decode"):
        call = getattr(model.vae, name)
        monkeypatch.setattr(model.vae, name, lambda x, call=call: taken.append(len(x)) or call(x))
    monkeypatch.setattr(autoencoded, "_PIXELS", 2 * 64**2)
    sliced = model.encode(images), model.decode(model.encode(images))
    torch.testing.assert_close(sliced, whole)
    assert taken == [2, 2, 1] * 3
    taken.clear()
    monkeypatch.setattr(autoencoded, "_PIXELS", 1)  # a picture is larger
    model.decode(sliced[0])
    assert taken == [1] * 5
