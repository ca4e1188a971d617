"""Reductions of the DiffEdit family to one another, costs, independence of batch and order; on the shipped model."""

from inspect import signature

import pytest
import torch
from omegaconf import OmegaConf

from bench.data.shapes import Shapes
from bench.diffusion import ddim
from bench.diffusion.device import to_float, to_uint8
from bench.diffusion.grid import encode_steps
from bench.diffusion.guidance import guided_eps
from bench.diffusion.noise import SampleNoise
from bench.files.paths import ROOT
from methods.copy import Copy
from methods.diffedit import DiffEdit, binarise
from methods.encode_decode import EncodeDecode
from methods.retrieve import Retrieve
from methods.sdedit import SDEdit
from tests.helpers.models import batch, shipped

STEPS, W = 6, 3.0


@pytest.fixture(scope="module")
def model():
    with torch.inference_mode():
        yield shipped()


@pytest.fixture(scope="module")
def samples():
    data = Shapes(64)
    return [data[i] for i in range(3)]


def edit(method, model, samples, seed=0):
    made = batch(samples, model)
    with torch.inference_mode():
        return method(model, made, SampleNoise(seed, [sample.id for sample in samples])), made.shared


def apart(a, b):
    """Largest difference in grey levels."""
    return (a.images.int() - b.images.int()).abs().max().item()


def test_full_mask_is_encode_decode(model, samples):
    full, _ = edit(DiffEdit(0.7, W, STEPS, mask="ones"), model, samples)
    plain, _ = edit(EncodeDecode(0.7, W, STEPS), model, samples)
    assert apart(full, plain) == 0


def test_empty_mask_is_the_autoencoder_round_trip(model, samples):
    """The last level filled in is the clean one, so nothing but the autoencoder remains."""
    empty, _ = edit(DiffEdit(0.7, W, STEPS, mask="zeros"), model, samples)
    trip, _ = edit(SDEdit(0, W, STEPS), model, samples)
    assert apart(empty, trip) == 0


@pytest.mark.parametrize("operator", ["latent", "glide"])
def test_empty_mask_keeps_the_source_under_both_operators(model, samples, operator):
    empty, _ = edit(DiffEdit(0.7, W, STEPS, mask="zeros", mask_operator=operator), model, samples)
    trip, _ = edit(SDEdit(0, W, STEPS), model, samples)
    # glide's last step leaves sqrt(1 - 0.99915) of the noise
    assert apart(empty, trip) <= (0 if operator == "latent" else 12)


@pytest.mark.parametrize("method", [SDEdit, EncodeDecode, DiffEdit])
def test_r_0_is_the_autoencoder_round_trip(model, samples, method):
    result, _ = edit(method(0, W, STEPS), model, samples)
    images = torch.stack([torch.from_numpy(s.image) for s in samples])
    with torch.inference_mode():
        expected = to_uint8(model.decode(model.encode(to_float(images))))
    assert torch.equal(result.images, expected)


def test_noise_start_without_a_mask_is_sdedit(model, samples):
    noisy, _ = edit(DiffEdit(0.7, W, STEPS, mask="ones", encode="noise"), model, samples)
    plain, _ = edit(SDEdit(0.7, W, STEPS), model, samples)
    assert apart(noisy, plain) == 0


def test_w_1_is_one_conditional_call_a_step(model, samples):
    _, shared = edit(SDEdit(1, 1, STEPS), model, samples)
    assert shared.rows == STEPS * len(samples)


@pytest.mark.parametrize("r", [0.3, 0.5, 0.9])
def test_nfe_per_image(model, samples, r):
    k, n = encode_steps(r, STEPS), 4
    costs = {
        SDEdit(r, W, STEPS): 2 * k,
        EncodeDecode(r, W, STEPS): 3 * k,
        DiffEdit(r, W, STEPS, n=n): 2 * n + 3 * k,
        DiffEdit(r, W, STEPS, n=n, encode="noise"): 2 * n + 2 * k,
    }
    for method, expected in costs.items():
        _, shared = edit(method, model, samples)
        assert shared.rows == shared.spent == expected * len(samples)


def test_operating_points_share_mask_and_encoding_and_bill_both(model, samples):
    made, noise = batch(samples, model), SampleNoise(0, [s.id for s in samples])
    spent, alone = 0, []
    with torch.inference_mode():
        for r in (0.3, 0.9, 0.5):
            made.shared.open_bill()
            together = DiffEdit(r, W, STEPS, n=4)(model, made, noise)
            spent += made.shared.spent
            alone.append(made.shared.rows)
            by_itself, _ = edit(DiffEdit(r, W, STEPS, n=4), model, samples)
            assert apart(together, by_itself) == 0
    ks = [encode_steps(r, STEPS) for r in (0.3, 0.9, 0.5)]
    assert alone == [(8 + 3 * k) * len(samples) for k in ks]
    assert spent == (8 + max(ks) + 2 * sum(ks)) * len(samples)


@pytest.mark.parametrize("method", [SDEdit(0.7, W, STEPS), DiffEdit(0.7, W, STEPS, n=4), EncodeDecode(0.7, W, STEPS)])
def test_batch_size_and_order_do_not_matter(model, samples, method):
    together, _ = edit(method, model, samples)
    backwards, _ = edit(method, model, samples[::-1])
    assert (together.images.int() - backwards.images.flip(0).int()).abs().max() <= 1
    for i, sample in enumerate(samples):
        alone, _ = edit(method, model, [sample])
        assert (together.images[i].int() - alone.images[0].int()).abs().max() <= 1


def test_seed_changes_what_is_random_and_nothing_else(model, samples):
    assert apart(edit(SDEdit(0.9, W, STEPS), model, samples)[0], edit(SDEdit(0.9, W, STEPS), model, samples, 1)[0]) > 5
    plain = EncodeDecode(0.9, W, STEPS)
    assert apart(edit(plain, model, samples)[0], edit(plain, model, samples, seed=1)[0]) == 0


def test_mask_does_not_depend_on_r_or_guidance(model, samples):
    masks = [edit(DiffEdit(r, w, STEPS, n=4), model, samples)[0].mask for r, w in ((0.3, 3.0), (0.9, 7.5))]
    assert torch.equal(*masks)


def test_reference_caption_contrasts_with_the_source(model, samples):
    masks = [edit(DiffEdit(0, W, STEPS, n=4, reference=ref), model, samples)[0].mask for ref in ("none", "caption")]
    assert not torch.equal(*masks)


def test_glide_rederives_the_noise(model, samples):
    """One step by hand: blend the predicted clean latents, then step with the noise that fits them."""
    one = DiffEdit(1 / STEPS, W, STEPS, n=4, mask_operator="glide")
    result, _ = edit(one, model, samples)
    levels = model.grid(STEPS)
    a, a0 = levels.levels[1], levels.levels[0]
    images = torch.stack([torch.from_numpy(s.image) for s in samples])
    with torch.inference_mode():
        x0 = model.encode(to_float(images))
        null, target = model.condition([None] * 3), model.condition([s.target for s in samples])
        y = ddim.invert(model, x0, levels, 1, null)[-1]
        eps = guided_eps(model, y, 1, target, null, W)
        clean = result.mask * (y - (1 - a) ** 0.5 * eps) / a**0.5 + (1 - result.mask) * x0
        eps = (y - a**0.5 * clean) / (1 - a) ** 0.5
        expected = to_uint8(model.decode(a0**0.5 * clean + (1 - a0) ** 0.5 * eps))
    assert (result.images.int() - expected.int()).abs().max() <= 1


def test_binarise_clips_each_image_by_itself():
    raw = torch.tensor([[1.0, 1, 1, 9], [10, 10, 10, 90]]).view(2, 1, 2, 2)
    masks = binarise(raw, "mean_ratio", 3, "clip", 0.5).flatten(1)
    assert masks.tolist() == [[0, 0, 0, 1], [0, 0, 0, 1]]


def test_mean_ratio_at_one_half_is_one_and_a_half_times_the_mean():
    raw = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0)) ** 3
    assert torch.equal(binarise(raw, "mean_ratio", 3.0, "clip", 0.5).bool(), raw > 1.5 * raw.mean())


@pytest.mark.parametrize(("clip", "at"), [("percentile", 75), ("none", 0)])
def test_other_clips_and_minmax(clip, at):
    raw = torch.tensor([2.0, 3, 4, 100]).view(1, 1, 2, 2)
    top = {"percentile": 28.0, "none": 100.0}[clip]
    expected = [(min(v, top) - 2) / (top - 2) > 0.05 for v in (2.0, 3, 4, 100)]
    assert binarise(raw, clip, at, "minmax", 0.05).flatten().bool().tolist() == expected


def test_maps_are_clipped_before_they_are_averaged_or_after():
    """In the order of the paper's sentence each noise's outliers are removed from its own map."""
    maps = torch.tensor([[1.0, 1, 1, 1, 1, 1, 1, 33], [0, 0, 8, 8, 8, 8, 8, 8]]).view(1, 2, 2, 4)  # means 5 and 6
    each = [(min(a, 15) + min(b, 18)) / 2 for a, b in zip(*maps[0].flatten(1).tolist(), strict=True)]
    average = [min((a + b) / 2, 16.5) for a, b in zip(*maps[0].flatten(1).tolist(), strict=True)]
    for before, found, ceiling in (("each", each, 16.5), ("average", average, 16.5)):
        low, high = min(found), max(found)
        for rescale, scaled in (
            ("minmax", [(x - low) / (high - low) for x in found]),
            ("clip", [x / ceiling for x in found]),
        ):
            for threshold in (0.25, 0.35, 0.5):
                mask = binarise(maps, "mean_ratio", 3.0, rescale, threshold, before)
                assert mask.shape == (1, 1, 2, 4)
                assert mask.flatten().bool().tolist() == [x > threshold for x in scaled], (before, rescale, threshold)


def test_the_default_is_the_papers_sentence():
    node = OmegaConf.load(ROOT / "conf/method/diffedit.yaml")
    rule = {"clip": "mean_ratio", "clip_at": 3.0, "clip_before": "each", "rescale": "minmax", "threshold": 0.5}
    assert {name: node[name] for name in rule} == rule
    told = {p.name: p.default for p in signature(DiffEdit).parameters.values()}
    assert {name: told[name] for name in rule} == rule


def test_a_flat_map_gives_an_empty_mask_not_nan():
    for rescale in ("clip", "minmax"):
        assert binarise(torch.zeros(1, 1, 4, 4), "mean_ratio", 3, rescale, 0.5).sum() == 0


def test_copy_returns_the_source(samples):
    result, shared = edit(Copy(), None, samples)
    assert torch.equal(result.images[0], torch.from_numpy(samples[0].image))
    assert shared.rows == 0


def test_retrieve_draws_by_seed(samples):
    made = batch(samples)
    made.real_image = Shapes(64).real_image
    ids = [sample.id for sample in samples]
    first, again, other = (Retrieve()(None, made, SampleNoise(seed, ids)) for seed in (0, 0, 1))
    assert apart(first, again) == 0
    assert apart(first, other) > 0
