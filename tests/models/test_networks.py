"""What the models hand their networks and make of the answers, against the networks asked directly."""

import pytest
import torch

from bench.models.class_ldm import ClassLDM
from bench.models.dit import DiT
from tests.helpers.class_models import CLASSES, cin_folder, dit_folder
from tests.helpers.models import shipped

CPU = torch.device("cpu")


def random(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module", autouse=True)
def no_gradients():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def stable():
    return shipped()


@pytest.fixture(scope="module")
def dit(tmp_path_factory):
    return DiT(str(dit_folder(tmp_path_factory.mktemp("dit") / "dit"))).load(CPU, torch.float32)


@pytest.fixture(scope="module")
def cin(tmp_path_factory):
    return ClassLDM(str(cin_folder(tmp_path_factory.mktemp("cin") / "cin"))).load(CPU, torch.float32)


def test_stable_diffusions_latents_are_the_posteriors_mean_scaled(stable):
    """By the autoencoder's own factor (0.18215 of Stable Diffusion's), which decoding divides by."""
    images, factor = random(2, 3, 64, 64).clamp(-1, 1), stable.vae.config.scaling_factor
    moments = stable.vae.quant_conv(stable.vae.encoder(images))
    expected = factor * moments[:, :4]  # the rest are logarithms of variances
    torch.testing.assert_close(stable.encode(images), expected, rtol=1e-4, atol=1e-5)
    decoded = stable.vae.decoder(stable.vae.post_quant_conv(expected / factor))
    torch.testing.assert_close(stable.decode(expected), decoded, rtol=1e-4, atol=1e-4)


def test_stable_diffusions_prediction_is_the_unets(stable):
    z, texts = random(2, 4, 16, 16), ["a red star", ""]
    ids = stable.tokenizer(texts, padding="max_length", max_length=stable.context, return_tensors="pt").input_ids
    states = stable.text_encoder(ids).last_hidden_state
    told = stable.condition(["a red star", None])
    torch.testing.assert_close(told.states, states)
    torch.testing.assert_close(stable.eps(z, 481, told), stable.unet(z, 481, states).sample)


def test_dits_prediction_is_the_first_half_of_its_networks(dit):
    """The second half is a variance. No class is the table's last row."""
    z = random(2, 4, 16, 16)
    both = dit.transformer(z, torch.tensor([481, 481]), torch.tensor([7, CLASSES])).sample
    assert both.shape[1] == 8
    torch.testing.assert_close(dit.eps(z, 481, dit.condition([7, None])), both[:, :4])


def test_dits_timestep_has_the_originals_frequencies(dit):
    """cos and sin of t / 10000^(i / 128), i = 0 to 127; diffusers divides by 127."""
    t = torch.tensor([481.0])
    angles = 481 * 10000 ** (-torch.arange(128, dtype=torch.float64) / 128)
    expected = torch.cat([angles.cos(), angles.sin()]).float()[None]
    for block in dit.transformer.transformer_blocks:
        torch.testing.assert_close(block.norm1.emb.time_proj(t), expected, rtol=0, atol=1e-4)


def test_a_class_is_one_word_to_the_unet(cin):
    z = random(2, 3, 16, 16)
    states = torch.stack([cin.table[5], cin.table[CLASSES]])[:, None]
    torch.testing.assert_close(cin.eps(z, 21, cin.condition([5, None])), cin.unet(z, 21, states).sample)


def test_latents_are_taken_before_they_are_quantised_and_quantised_by_decoding(cin):
    """Each cell's nearest entry of the codebook."""
    images = random(1, 3, 64, 64).clamp(-1, 1)
    latents = cin.vae.quant_conv(cin.vae.encoder(images))
    torch.testing.assert_close(cin.encode(images), latents)
    book = cin.vae.quantize.embedding.weight
    nearest = torch.cdist(latents.permute(0, 2, 3, 1).flatten(0, 2), book).argmin(1)
    quantised = book[nearest].unflatten(0, (1, 16, 16)).permute(0, 3, 1, 2)
    expected = cin.vae.decoder(cin.vae.post_quant_conv(quantised))
    torch.testing.assert_close(cin.decode(latents), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("t", [1, 981, 12.5])
def test_a_timestep_made_on_the_device_is_the_number(stable, t):
    """Of diffusers' own making from a number, which it copies to the device."""
    z, words = random(2, 4, 16, 16), stable.condition(["a red star", ""])
    assert torch.equal(stable.eps(z, t, words), stable.unet(z, t, words.states).sample)
