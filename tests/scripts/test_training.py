"""Training: exact resumption, the tokenizer, and that export writes what plain diffusers loads."""

import pytest
import torch
from torch import nn

from bench.data.world import scenes
from scripts import shapes_model
from scripts.scenes import SEED, Scenes, stream
from scripts.training import fit, generator, load_average


def toy(folder, steps, **options):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))

    def loss(step):
        x = torch.randn(16, 4, generator=generator(SEED, step))
        return (module(x) - x.sum(1, keepdim=True)).square().mean()

    return fit(module, loss, folder, steps, 1e-2, every=3, **options), module


def test_a_killed_training_goes_on_bit_exactly(tmp_path):
    _, straight = toy(tmp_path / "straight", 9)

    class Killed(Exception):
        pass

    def kill(step):
        if step == 6:
            raise Killed

    with pytest.raises(Killed):
        toy(tmp_path / "broken", 9, sample=kill)
    done, resumed = toy(tmp_path / "broken", 9)
    assert done
    for a, b in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
    assert len((tmp_path / "broken/loss.csv").read_text().splitlines()) == 3


def test_minutes_end_a_call_with_a_checkpoint(tmp_path):
    done, _ = toy(tmp_path / "short", 1000, minutes=0)
    assert not done
    assert torch.load(tmp_path / "short/checkpoint.pt", weights_only=True)["step"] == 1


def test_averaged_parameters_come_back_from_a_checkpoint(tmp_path):
    _, module = toy(tmp_path / "run", 6)
    other = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    assert load_average(other, tmp_path / "run/checkpoint.pt") == 6
    for a, b in zip(module.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


def test_stream_goes_on_at_any_scene():
    device = torch.device("cpu")
    whole, later = stream(0, 4, device), stream(4, 4, device)
    next(whole)
    assert torch.equal(next(whole)[0], next(later)[0])
    assert not torch.equal(Scenes()[0][0], Scenes(seed=2)[0][0])


def test_every_word_of_the_world_is_one_token_and_other_words_are_some():
    tokenizer = shapes_model.tokenizer(scenes.vocabulary())
    for word in scenes.vocabulary():
        assert len(tokenizer.tokenize(word)) == 1
    assert tokenizer.unk_token_id not in tokenizer("a wooden statue, ünï 7").input_ids[1:-1]
    assert tokenizer.model_max_length == shapes_model.CONTEXT


def test_a_training_keeps_the_tokenizer_it_began_with(tmp_path, monkeypatch):
    first = shapes_model.stored_tokenizer(tmp_path / "tokenizer", scenes.vocabulary())
    monkeypatch.setattr(shapes_model, "tokenizer", None)  # calling it would fail
    again = shapes_model.stored_tokenizer(tmp_path / "tokenizer", scenes.vocabulary())
    assert again.get_vocab() == first.get_vocab()
    assert again.model_max_length == shapes_model.CONTEXT


def test_untrained_parts_fit_together():
    tokenizer = shapes_model.tokenizer(scenes.vocabulary())
    vae, unet, text = shapes_model.vae(), shapes_model.unet(), shapes_model.text_encoder(tokenizer)
    z = vae.encode(torch.rand(1, 3, 64, 64)).latent_dist.mode()
    assert z.shape == (1, 4, 16, 16)
    words = text(shapes_model.ids(tokenizer, ["a red star"])).last_hidden_state
    assert unet(z, 5, words).sample.abs().max() == 0  # starts as "no noise"
