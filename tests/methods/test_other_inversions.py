"""EDICT, InstructPix2Pix, Cross-Attention Control and the automatic w_s, on the embedded model."""

import math
import shutil

import numpy as np
import pytest
import torch
from diffusers import EulerAncestralDiscreteScheduler, StableDiffusionInstructPix2PixPipeline
from diffusers.utils import logging

from bench import run
from bench.config import cli
from bench.data.shapes import Shapes
from bench.diffusion import ddim
from bench.diffusion.device import to_float
from bench.diffusion.grid import leading
from bench.diffusion.noise import SampleNoise
from bench.edits.plan import plan
from bench.errors import BadSample, UserError
from bench.files.paths import ROOT
from bench.models.attention import plain
from bench.models.stable_diffusion import StableDiffusion
from bench.types import Condition
from methods.branches import generate
from methods.cross_attention_control import CrossAttentionControl, token_map
from methods.edict import Edict
from methods.instruct_pix2pix import InstructPix2Pix, ancestral, noise_levels
from methods.siminversion import SimInversion
from methods.style_diffusion import StyleDiffusion
from metrics.tokens import ClipTokens, JudgeTokens
from tests.helpers.models import SHIPPED, Gaussian, batch, with_picture_input

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model():
    return StableDiffusion(str(SHIPPED)).load(CPU, torch.float32)


@pytest.fixture(scope="module")
def follower(tmp_path_factory):
    folder = with_picture_input(SHIPPED, tmp_path_factory.mktemp("pix2pix") / "model")
    return folder, StableDiffusion(str(folder)).load(CPU, torch.float32)


@pytest.fixture(scope="module")
def samples():
    data = Shapes(64)
    return [data[i] for i in range(3)]


def edit(method, model, samples):
    made = batch(samples, model)
    with torch.inference_mode():
        return method(model, made, SampleNoise(0, [s.id for s in samples])), made.shared.rows / len(samples)


def test_edict_undoes_itself_exactly(model, samples):
    method = Edict(3.0, 10)
    with torch.inference_mode():
        x0 = model.encode(to_float(batch(samples).images))
        words, null = model.condition([s.source for s in samples]), model.condition([None] * 3)
        levels = leading(10, model.alphas_cumprod, offset=0)
        pair = method.invert(model, x0, levels, 8, words, null)
        back = method.generate(model, pair, levels, 8, words, null)
    assert pair[0].dtype == torch.float64
    for one in back:
        assert (one - x0).abs().max() < 1e-9


def test_edict_at_strength_0_is_the_autoencoder_and_counts_its_evaluations(model, samples):
    (none, free), (_, nfe) = edit(Edict(3.0, 10, strength=0), model, samples), edit(Edict(3.0, 10), model, samples)
    with torch.inference_mode():
        expected = model.decode(model.encode(to_float(batch(samples).images)))
    assert (none.images.float() - ((expected / 2 + 0.5).clamp(0, 1) * 255)).abs().max() <= 1
    assert free == 0
    assert nfe == 8 * 8


def test_best_scale_is_the_minimum_of_the_step_error(model, samples):
    """Proposition 3, by brute force over w."""
    with torch.inference_mode():
        x0, levels = model.encode(to_float(batch(samples).images)), model.grid(6)
        words, null = model.condition([s.source for s in samples]), model.condition([None] * 3)
        trajectory, best = ddim.invert_with_best_scale(model, x0, levels, words, null, 0.5, bounded=False)
        for j in (1, 4):
            both = [model.eps(trajectory[n], levels.timesteps[j], c) for c in (words, null) for n in (j + 1, j)]
            x_c, x_null = both[0] - both[1], both[2] - both[3]

            def error(w, x_c=x_c, x_null=x_null):
                return (w * x_c + (1 - w) * x_null).flatten(1).norm(dim=1)

            least = error(best[j])
            for w in best[j].flatten().mean() + torch.linspace(-2, 2, 9):
                assert (error(w) >= least * (1 - 1e-5)).all()


def test_best_scale_without_any_effect_of_the_words_is_one_half():
    gaussian = Gaussian()
    x0 = torch.randn(2, 4, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    empty = Condition(torch.zeros(2, 1, 1))
    _, best = ddim.invert_with_best_scale(gaussian, x0, gaussian.grid(5), empty, empty, None)
    assert (best == 0.5).all()


@pytest.mark.parametrize(("w_s", "nfe"), [("auto_step", 8), ("auto", 10)])
def test_automatic_w_s_costs_two_more_evaluations_a_step(model, samples, w_s, nfe):
    result, cost = edit(SimInversion(4, 6, w_s=w_s), model, samples)
    assert cost == nfe * 6
    assert all(0 <= note["w_s"] <= 1 for note in result.notes)


def test_token_map_copies_equal_runs_and_replacements_of_equal_length():
    source, target = [(1, ""), (5, "a"), (6, "b"), (9, "")], [(1, ""), (5, "a"), (7, "c"), (9, "")]
    take, keep = token_map(source, target, 6)
    assert torch.equal(take, torch.eye(6, dtype=torch.float64))
    assert keep.sum() == 0
    take, keep = token_map(source, [(1, ""), (5, "a"), (7, "c"), (8, "d"), (9, "")], 6)
    assert keep.tolist() == [0, 0, 1, 1, 0, 0]
    assert [take[:, n].argmax().item() for n in (0, 1, 4, 5)] == [0, 1, 3, 4]


def test_cross_attention_control_costs_and_windows(model, samples):
    plain, nfe = edit(CrossAttentionControl(4, 6, start="noise", tokens_end=0, spatial_end=0), model, samples)
    assert nfe == 3 * 6
    steered, nfe = edit(CrossAttentionControl(4, 6, start="noise"), model, samples)
    assert nfe == 3 * 6
    assert (steered.images != plain.images).any()
    _, nfe = edit(CrossAttentionControl(4, 10), model, samples)
    assert 3 * 10 + 2 * 10 < nfe <= 3 * 10 + 2 * 10 + 2 * 3 * 2
    by_itself = edit(CrossAttentionControl(4, 6), model, samples[:1])[0].images[0].int()
    assert (by_itself - edit(CrossAttentionControl(4, 6), model, samples)[0].images[0].int()).abs().max() <= 1


def test_instructions_by_diffusers_own_pipeline(follower, samples, monkeypatch):
    _, model = follower
    logging.set_verbosity_error()
    sample, steps, made = samples[0], 6, SampleNoise(0, [samples[0].id])
    betas = 1 - model.alphas_cumprod[1:] / model.alphas_cumprod[:-1]
    scheduler = EulerAncestralDiscreteScheduler(trained_betas=np.r_[1 - model.alphas_cumprod[0], betas])
    pipe = StableDiffusionInstructPix2PixPipeline(
        model.vae, model.text_encoder, model.tokenizer, model.unet, scheduler, None, None, requires_safety_checker=False
    )
    pipe.set_progress_bar_config(disable=True)
    drawn = iter(range(steps))
    monkeypatch.setattr(
        "diffusers.schedulers.scheduling_euler_ancestral_discrete.randn_tensor",
        lambda shape, **_: made(f"ancestral {next(drawn)}", tuple(shape[1:])),
    )
    with torch.inference_mode():
        picture = to_float(torch.from_numpy(sample.image)[None])
        theirs = pipe(
            sample.instruction,
            picture,
            num_inference_steps=steps,
            guidance_scale=7.5,
            image_guidance_scale=1.5,
            latents=made("start", (4, 16, 16)),
            output_type="latent",
        ).images
        found = []
        monkeypatch.setattr(model, "decode", lambda z: found.append(z) or torch.zeros(1, 3, 64, 64))
        InstructPix2Pix(steps)(model, batch([sample], model), made)
    assert (found[0] - theirs).abs().max() <= 1e-3 * theirs.abs().max()


def test_noise_levels_of_the_ancestral_sampler():
    alphas = Gaussian().alphas_cumprod
    sigmas, timesteps = noise_levels(alphas, 50)
    assert timesteps[0] == 999
    assert timesteps[-1] == 0
    assert sigmas[0] == pytest.approx(((1 - alphas[-1]) / alphas[-1]) ** 0.5)
    assert sigmas[-1] == 0
    assert ancestral(2.0, 0.0) == (0, 0)
    down, up = ancestral(2.0, 1.5)
    assert down**2 + up**2 == pytest.approx(1.5**2)


def test_instructions_cost_three_evaluations_a_step_and_must_be_there(follower, samples):
    _, model = follower
    from dataclasses import replace

    assert edit(InstructPix2Pix(4), model, samples)[1] == 3 * 4
    with pytest.raises(BadSample) as error:
        edit(InstructPix2Pix(4), model, [samples[0], replace(samples[1], instruction=None)])
    assert error.value.ids == {samples[1].id: "has no instruction"}


def test_method_and_model_must_fit_each_other(follower, tmp_path, capsys):
    folder, _ = follower
    common = ["limit=1", "steps=2", "metrics=pixel", f"out={tmp_path}"]
    assert run.main(["method=instruct_pix2pix", *common]) == 2
    assert "use model=instruct_pix2pix" in capsys.readouterr().err
    here = ["model=instruct_pix2pix", f"model.path={folder}", "data.size=64"]
    assert run.main(["method=siminversion", *here, *common]) == 2
    assert "takes a picture beside the latents: use model=sd14" in capsys.readouterr().err
    assert run.main(["method=instruct_pix2pix", *here, *common]) == 0


def test_style_diffusion_costs_batches_and_retraces_the_inversion(model, samples):
    tower = JudgeTokens(ROOT / "metrics/shapes_judge")
    made = {n: StyleDiffusion(4, 3, tower=tower, inner_steps=n, keep_source=True) for n in (1, 16)}
    errors = {}
    for n, method in made.items():
        both, trace = batch(samples[:2], model), []
        with torch.inference_mode():
            levels = model.grid(3)
            source = method.invert(model, both, levels)
            generate(model, levels, source, [method.target(model, both)], trace)
        errors[n] = (trace[-1][0] - source.trajectory[0]).norm().item()
    assert errors[16] < 0.9 * errors[1]
    updates = sum(math.ceil(16 * math.exp(-0.1 * i)) for i in range(3))
    together, nfe = edit(made[16], model, samples[:2])
    assert nfe == 3 + 3 + updates + 3 + 12
    assert [note["backward"] for note in together.notes] == [updates] * 2
    alone, _ = edit(made[16], model, samples[1:2])
    assert (together.images[1].int() - alone.images[0].int()).abs().float().mean() < 0.5


def test_values_of_cross_attention_can_be_taken_from_other_states(model):
    z, words = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(0)), model.condition(["a star", None])
    with model.attend(plain):
        torch.testing.assert_close(model.eps(z, 1, words, values=words.states), model.eps(z, 1, words))
        assert (model.eps(z, 1, words, values=2 * words.states) - model.eps(z, 1, words)).abs().max() > 1e-3


def test_a_tower_of_another_width_is_refused(model, samples):
    method = StyleDiffusion(4, 2, tower=lambda images: torch.zeros(len(images), 5, 7))
    with pytest.raises(UserError, match="the image tower's tokens have 7 numbers and this model's words 128"):
        edit(method, model, samples[:1])


def test_clip_tokens_are_the_towers_last_states_normalised(tmp_path):
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel

    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    network = CLIPVisionModel(CLIPVisionConfig(**shape, image_size=32, patch_size=16)).eval()
    network.save_pretrained(tmp_path)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    images = torch.from_numpy(Shapes(64)[0].image)[None]
    tokens = ClipTokens(tmp_path)(images)
    pixels = CLIPImageProcessor.from_pretrained(tmp_path)(images, return_tensors="pt").pixel_values
    assert tokens.shape == (1, 5, 32)
    pooled = network(pixel_values=pixels).pooler_output  # the first token, normalised
    torch.testing.assert_close(tokens[:, 0], pooled, rtol=0, atol=0.05)


def test_a_towers_weights_decide_the_key_and_their_place_does_not(tmp_path):
    moved = shutil.copytree(ROOT / "metrics/shapes_judge", tmp_path / "judge")

    def key(*words):
        (point,) = plan(cli.jobs(["method=style_diffusion", f"out={tmp_path}", *words])[0])
        return point.key

    before = key()
    assert key(f"model.tower.path={moved}") == before
    (moved / "config.json").write_text((moved / "config.json").read_text() + "\n")
    assert key(f"model.tower.path={moved}") != before


def test_style_diffusion_needs_maps_of_the_size_that_it_trains_on(model, samples):
    tower = JudgeTokens(ROOT / "metrics/shapes_judge")
    method = StyleDiffusion(4, 2, tower=tower, inner_steps=1, blend_size=7)
    said = "cross-attention maps of 7 x 7 cells, and those of this model have"
    with torch.inference_mode(), pytest.raises(UserError, match=said):
        method.invert(model, batch(samples[:1], model), model.grid(2))
