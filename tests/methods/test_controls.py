"""Attention controls: token alignment, fused against explicit maps, hooks that leave nothing behind."""

import json

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel, UNet2DModel

from bench.data.shapes import Shapes
from bench.errors import BadSample, UserError
from bench.models import attention
from bench.models.attention import plain
from bench.models.stable_diffusion import StableDiffusion
from bench.types import EditSample
from methods import branches
from methods.controls import align, make, p2p
from methods.siminversion import SimInversion
from tests.helpers.explicit import ExplicitMutual, ExplicitP2P
from tests.helpers.models import SHIPPED, batch
from tests.helpers.shared import SHARED, needs_shared

GOLDEN = SHARED / "golden"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model():
    return StableDiffusion(str(SHIPPED)).load(CPU, torch.float32)


@pytest.fixture(scope="module")
def double():
    return StableDiffusion(str(SHIPPED)).load(CPU, torch.float64)


@pytest.fixture(scope="module")
def samples():
    data = Shapes(64)
    return [data[i] for i in (0, 1, 2, 4)]  # with and without blend words, with words added


@needs_shared
def test_alignment_is_the_original_codes():
    golden = StableDiffusion(str(GOLDEN / "model")).load(CPU, torch.float32)
    arrays = np.load(GOLDEN / "p2p/align.npz")
    pairs = json.loads((GOLDEN / "p2p/align.json").read_text())["pairs"]
    for name, pair in pairs.items():
        tokens = [golden.tokens(prompt) for prompt in pair["prompts"]]
        assert [[id_ for id_, *_ in one] for one in tokens] == pair["token_ids"]
        mapper, found = align.refinement(*tokens, 77)
        expected = arrays[f"{name}.refine_alphas"][0]
        assert np.array_equal(found, expected)
        assert np.array_equal(mapper[expected > 0], arrays[f"{name}.refine_mapper"][0][expected > 0])
        if f"{name}.replace_mapper" in arrays:
            mapper = align.replacement(*pair["prompts"], *tokens, 77, "published")
            assert np.allclose(mapper, arrays[f"{name}.replace_mapper"][0], atol=1e-7)
        else:
            with pytest.raises(BadSample, match="word by word; use method"):
                align.replacement(*pair["prompts"], *tokens, 77, "published")
        for prompt, one, side in zip(pair["prompts"], tokens, ("src", "tgt"), strict=True):
            for key, where in pair["word_inds"].items():
                if key.startswith(side):
                    assert align.positions(prompt, one, key.removeprefix(f"{side}:"), "published") == where


@needs_shared
@pytest.mark.parametrize("case", ["pub0.default", "pub0.th_0.5", "ext0.default", "ext0.th_0.5"])
def test_local_blend_mask_is_the_original_codes(case):
    """Three calls with the same maps; their sum has the same mask."""
    settings = json.loads((GOLDEN / "p2p/local_blend_unit.json").read_text())["cases"][case]
    arrays, name = np.load(GOLDEN / "p2p/local_blend_unit.npz"), case.split(".")[0]
    golden = StableDiffusion(str(GOLDEN / "model")).load(CPU, torch.float32)
    maps = [torch.from_numpy(arrays[f"{name}.{place}"]) for place in (*_DOWN, *_UP)]
    words = [
        align.positions(prompt, golden.tokens(prompt), word, "published")
        for prompt, word in zip(settings["prompts"], settings["words"], strict=True)
    ]
    totals = [sum(one[n][:, words[n]].sum(-1) for one in maps).view(16, 16) for n in (0, 1)]
    mask = p2p.blend_mask(torch.stack(totals)[None], (32, 32), settings["th"][0])
    assert torch.equal(mask[0], torch.from_numpy(arrays[f"{case}.mask"][1]).bool())
    z = torch.from_numpy(arrays[f"{name}.x_t"])
    torch.testing.assert_close(torch.where(mask[0], z[1], z[0]), torch.from_numpy(arrays[f"{case}.out"][1]))


_DOWN, _UP = ("down_cross.2", "down_cross.3"), ("up_cross.0", "up_cross.1", "up_cross.2")


def edited(model, sample, method, steering=None):
    """Final latents, steering and trace of one image, in the model's dtype."""
    made = batch([sample], model)
    with torch.inference_mode():
        x0 = model.encode(made.images.to(model.unet.dtype) / 127.5 - 1).to(model.unet.dtype)
        made.shared("clean", lambda: x0)
        target = method.target(model, made)
        target.steering, trace = steering or target.steering, []
        levels = model.grid(method.steps)
        part = branches.generate(model, levels, method.invert(model, made, levels), [target], trace)[method.knobs()]
    return *part.value, trace


@pytest.mark.parametrize("edit", ["refine", "replace"])
@pytest.mark.parametrize("number", [0, 1, 3])
def test_fused_p2p_equals_whole_maps_in_float64(double, samples, edit, number):
    sample, steps = samples[number], 5
    method = SimInversion(7.5, steps, edit=edit)
    oracle = ExplicitP2P(double, sample, 24, steps, edit=edit)
    fused, steering, _ = edited(double, sample, method)
    whole, *_ = edited(double, sample, method, oracle)
    assert fused.dtype == torch.float64
    assert (fused - whole).abs().max() < 1e-10
    assert len(oracle.masks) == len(steering.masks)
    for found, expected in zip(steering.masks, oracle.masks, strict=True):
        assert torch.equal(found, expected)


def test_fused_masactrl_equals_whole_maps_in_float64(double, samples):
    method = SimInversion(7.5, 5, control="masactrl", start_layer=3, start_step=2)
    fused, _, _ = edited(double, samples[0], method)
    whole, *_ = edited(double, samples[0], method, ExplicitMutual(5, 3, 2))
    plain_, *_ = edited(double, samples[0], SimInversion(7.5, 5, control="none"))
    assert (fused - whole).abs().max() < 1e-10
    assert (fused - plain_).abs().max() > 1e-2


def test_hooks_leave_the_denoiser_as_it_was_also_after_an_exception(model):
    z, words = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(0)), model.condition(["a star", None])
    before, processors = model.eps(z, 501, words), dict(model.unet.attn_processors)

    def broken(layer, query, key, value):
        raise ZeroDivisionError

    with model.attend(plain):
        inside = model.eps(z, 501, words)
    with pytest.raises(ZeroDivisionError), model.attend(broken):
        model.eps(z, 501, words)
    assert torch.equal(model.eps(z, 501, words), before)
    assert model.unet.attn_processors == processors
    torch.testing.assert_close(inside, before)


def test_hooks_notice_layers_that_are_passed_by(model):
    with pytest.raises(RuntimeError, match="the hook saw 0 of 14 attention layers"), model.attend(plain):
        pass


def test_attention_layers_are_listed_in_call_order(model):
    seen = []

    def note(layer, query, key, value):
        seen.append((layer, query.shape[-2]))
        return plain(layer, query, key, value)

    with model.attend(note):
        model.eps(torch.zeros(1, 4, 16, 16), 1, model.condition([None]))
    assert [layer for layer, _ in seen] == model.attention()
    assert all(cells == (16 // layer.factor) ** 2 for layer, cells in seen)
    assert [layer.place for layer in model.attention() if layer.cross] == ["down"] * 2 + ["mid"] + ["up"] * 4


def test_a_model_without_attention_that_can_be_steered_is_refused(model):
    bare = UNet2DModel(
        16,
        block_out_channels=(8, 8),
        norm_num_groups=8,
        down_block_types=("DownBlock2D",) * 2,
        up_block_types=("UpBlock2D",) * 2,
    )
    with pytest.raises(UserError, match="UNet2DModel has no transformer block with cross-attention"):
        attention.find(bare)


def sample(source, target, blend=None, id_="x"):
    return EditSample(id_, np.zeros((3, 64, 64), np.uint8), source, target, blend=blend)


def prepared(model, one, **knobs):
    with torch.inference_mode():
        return make("p2p", knobs).prepare(model, [one], model.condition([None]), 10, 16)


@pytest.mark.parametrize(
    ("blend", "note", "blended"),
    [
        (("star", "heart"), None, True),
        (("cat", "heart"), "source word 'cat' is not in 'a red star': the other word's mask alone", True),
        (("star", "hearts"), "target word 'hearts' is not in 'a red heart': the other word's mask alone", True),
        (("star", None), "target word is absent: the other word's mask alone", True),
        (
            ("cat", "dog"),
            "source word 'cat' is not in 'a red star' and target word 'dog' is not in",
            False,
        ),
        (None, None, False),
    ],
)
def test_blend_words_that_are_missing_are_named(model, blend, note, blended):
    steering = prepared(model, sample("a red star", "a red heart", blend))
    assert steering.blended.tolist() == [blended]
    assert steering.until == (10 if blended else 6)
    found = steering.notes[0].get("blend")
    assert (found is None) if note is None else found.startswith(note)


def test_empty_prompts_and_long_ones_can_be_aligned(model):
    assert prepared(model, sample("", "")).take.shape == (1, 24, 24)
    assert prepared(model, sample("", "a star")).take.shape == (1, 24, 24)
    assert prepared(model, sample("red " * 40, "a star " * 40)).take.shape == (1, 24, 24)


def test_replace_names_every_sample_whose_words_do_not_pair(model):
    control = make("p2p", {"edit": "replace"})
    ones = [sample("a star", "a heart", id_="good"), sample("a star", "a red heart", id_="bad")]
    with pytest.raises(BadSample) as error:
        control.prepare(model, ones, model.condition([None]), 10, 16)
    assert list(error.value.ids) == ["bad"]
    assert "prompts of 2 and 3 words" in error.value.ids["bad"]


def test_maps_that_local_blend_needs_must_exist(model):
    with pytest.raises(UserError, match=r"LocalBlend reads cross-attention maps of 32 x 32 .* have \[8, 16\] a side"):
        prepared(model, sample("a star", "a heart", ("star", "heart")), blend_size=32)


def test_masactrl_must_be_told_where_to_start_in_a_model_of_another_size(model):
    for knobs, sentence in (
        ({}, "this model has 7: set method.start_layer"),
        ({"start_layer": 7}, "blocks are 0 to 6"),
    ):
        with pytest.raises(UserError, match=sentence):
            make("masactrl", knobs).prepare(model, [], model.condition([None]), 10, 16)


def test_control_of_ones_own(model):
    assert make("methods.controls.none.Control", {}).donors == ()
    with pytest.raises(UserError, match="Thing cannot be imported"):
        make("my.Thing", {})


def test_windows_are_rounded_as_in_the_original(model):
    steering = prepared(model, sample("a star", "a heart"), cross_replace=0.95, self_replace=0.57)
    assert steering.cross_steps == range(10)  # int(0.95 * 11): the words' window counts one step more
    assert steering.self_steps == range(5)


def test_local_blend_reads_the_layers_that_the_original_lists():
    """Stable Diffusion 1.4 at 512 px: the last two cross-attention layers on the way down, the first three up."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768)
    layers = list(attention.find(unet))
    assert len(layers) == 32
    assert [y.index for y in layers if y.cross and y.place != "mid" and 64 // y.factor == 16] == [4, 5, 7, 8, 9]


@pytest.mark.parametrize(
    ("prompt", "word", "covered"),
    [
        ("a red star", "star", "star"),
        (" a red star", "star", "star"),
        ("a  red   star", "star", "star"),
        ("a\tred\u3000star", "star", "star"),
        ("a “red” star", "red", "red"),
        ("a “red” star", "star", "star"),
        ("a 红 star", "star", "star"),
        ("一只猫在沙发上", "猫", "猫"),
        ("a cafe\u0301 star", "star", "star"),
        ("a cafe\u0301 star", "café", "cafe"),
        ("a 👩\u200d👧 star 🐈", "star", "star"),
        ("a 👩\u200d👧 star 🐈", "🐈", "🐈"),
        ("Star, a red star.", "star", "Starstar"),
        ("a red star", "red star", "redstar"),
        ("a cat's bed", "cat", "cat"),
        ("a redstar", "star", ""),
        ("a cafe\u0301", "cafe", ""),
        ("a star", "", ""),
        ("a  star", None, ""),
    ],
)
def test_words_are_where_the_tokenizer_says(model, prompt, word, covered):
    tokens = model.tokens(prompt)
    found = align.positions(prompt, tokens, word)
    places = sorted({place for position in found for place in range(*tokens[position][2])})
    assert "".join(prompt[place] for place in places) == covered
    assert found == sorted(set(found))


def test_spaces_change_no_word_s_tokens(model):
    plain_, odd = "a green circle on the left", " a green  circle on\tthe left "
    assert [id_ for id_, *_ in model.tokens(plain_)] == [id_ for id_, *_ in model.tokens(odd)]
    for word in plain_.split():
        expected = align.positions(plain_, model.tokens(plain_), word)
        assert expected
        assert align.positions(plain_, model.tokens(plain_), word, "published") == expected  # where both rules agree
        assert align.positions(odd, model.tokens(odd), word) == expected
    pairs = [
        (source, target)
        for source in (plain_, odd)
        for target in ("a red circle on the left", "a  red circle on the left")
    ]
    maps = [align.replacement(*pair, *map(model.tokens, pair), 24) for pair in pairs]
    assert all(np.array_equal(map_, maps[0]) for map_ in maps)


def test_steering_is_the_same_whatever_the_spaces(model):
    ones = [
        sample("a red star", "a red heart", ("star", "heart")),
        sample(" a red  star", "a  red heart ", ("star", "heart")),
    ]
    first, second = (prepared(model, one) for one in ones)
    for name in ("take", "keep", "columns", "blended"):
        assert torch.equal(getattr(first, name), getattr(second, name))
    assert second.notes == [{}]


@pytest.mark.parametrize("edit", ["refine", "replace"])
def test_the_published_rule_notes_where_the_other_differs(model, edit):
    odd = sample(" a red star", " a red heart", ("star", "heart"))
    plain_ = sample("a red star", "a red heart", ("star", "heart"))
    knobs = {"words": "published", "edit": edit}
    assert prepared(model, odd, **knobs).notes[0]["words"] == "method.words=offsets finds other tokens"
    assert prepared(model, plain_, **knobs).notes == [{}]
    steerings = [prepared(model, plain_, **{**knobs, "words": rule}) for rule in ("published", "offsets")]
    assert torch.equal(steerings[0].take, steerings[1].take)
    assert torch.equal(steerings[0].columns, steerings[1].columns)


@pytest.mark.parametrize(("source", "target", "said"), [(7, "a", "source is 7"), ("a", 0, "target is 0")])
def test_what_is_no_text_is_named(model, source, target, said):
    with pytest.raises(BadSample) as error:
        prepared(model, sample(source, target))
    assert error.value.ids["x"] == f"{said}; prompt-to-prompt takes text"


def test_local_blend_that_collects_nothing_is_an_error(model, samples):
    """A layer that says to have other cells than it has."""
    steering = prepared(model, samples[0], blend_size=8)
    steering.size = 7
    with pytest.raises(UserError, match="LocalBlend found no cross-attention map of 7 x 7 cells"):
        edited(model, samples[0], SimInversion(7.5, 3, blend_size=8), steering)


def test_local_blend_without_the_target_s_words_leaves_it_alone(model, samples):
    z, steering, _ = edited(model, samples[0], SimInversion(0.0, 3, blend_size=8))
    assert steering.totals is None
    assert torch.isfinite(z).all()
