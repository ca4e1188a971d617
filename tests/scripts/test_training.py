"""Training: exact resumption, the tokenizer, and that export writes what plain diffusers loads."""

import pytest
import torch
from torch import nn
from transformers import CLIPTokenizer

from bench.data.world import scenes
from bench.models import checkpoint
from bench.models.sd3 import StableDiffusion3
from scripts import shapes_flow_model, shapes_model, train_shapes_flow
from scripts.latents import Latents
from scripts.scenes import SEED, Scenes, stream
from scripts.training import fit, generator, load_average
from tests.helpers.models import SHIPPED


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


@pytest.fixture
def make():
    vae = shapes_model.load_vae(SHIPPED / "vae")
    tokenizer = CLIPTokenizer.from_pretrained(SHIPPED / "tokenizer")
    return lambda: Latents(vae, tokenizer, first=0, batch=32, pool=64, passes=2)


def test_each_scene_of_a_pool_is_seen_as_often_as_asked_and_then_others_are(make):
    latents = make()
    steps = [latents(step) for step in range(5)]
    seen, times = torch.cat([z for z, _ in steps[:4]]).flatten(1).unique(dim=0, return_counts=True)
    assert (len(seen), set(times.tolist())) == (64, {2})
    assert not (steps[4][0].flatten(1)[:, None] == seen[None]).all(-1).any()
    assert torch.equal(make()(3)[0], steps[3][0])
    assert torch.equal(make()(3)[1], steps[3][1])


def test_a_flow_starts_at_no_velocity_and_every_matrix_has_one_optimizer():
    flow = shapes_flow_model.Flow(shapes_model.tokenizer(scenes.vocabulary()))
    ids = torch.zeros(2, shapes_model.CONTEXT, dtype=torch.long)
    assert flow(torch.randn(2, 4, 16, 16), torch.tensor([0.2, 0.9]), ids).abs().max() == 0
    stepped = [
        id(p) for one in shapes_flow_model.optimizers(flow, 1e-3) for group in one.param_groups for p in group["params"]
    ]
    assert sorted(stepped) == sorted(id(p) for p in flow.parameters())


@torch.inference_mode()
def test_what_was_trained_is_what_the_harness_loads(tmp_path):
    """Velocities of a flow with weights that do something, before export and after."""
    tokenizer = CLIPTokenizer.from_pretrained(SHIPPED / "tokenizer")
    torch.manual_seed(0)
    flow = shapes_flow_model.Flow(tokenizer)
    for parameter in flow.transformer.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.05)
    averaged = {name: p.clone() for name, p in flow.named_parameters()}
    torch.save({"module": flow.state_dict(), "ema": averaged, "step": 7}, tmp_path / "checkpoint.pt")
    train_shapes_flow.main(["export", "--work", str(tmp_path), "--to", str(tmp_path / "model")])
    model = checkpoint.load(StableDiffusion3(str(tmp_path / "model"), t5_tokens=1), torch.device("cpu"), torch.float32)
    texts, z = ["a flat drawing of a red plain circle on the left over night", ""], torch.randn(2, 4, 16, 16)
    wanted = flow(z, torch.full((2,), 0.6), shapes_model.ids(tokenizer, texts))
    found = model.eps(z, 600, model.condition(texts))
    assert wanted.std() > 0.1
    assert (found - wanted).abs().max() < 0.02 * wanted.std()  # stored in fp16
