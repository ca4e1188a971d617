"""Identities, costs and sharing of the inversion-based methods, on the embedded model."""

import json
from dataclasses import replace

import pytest
import torch
from PIL import Image

from bench import run
from bench.data.shapes import Shapes
from bench.models.latent_diffusion import LatentDiffusion
from bench.models.stable_diffusion import StableDiffusion
from bench.report import tables
from bench.types import EditSample
from bench.types.bill import Part, Shared
from methods import branches
from methods.ddim import DDIM
from methods.direct import Direct
from methods.encode_decode import EncodeDecode
from methods.negative_prompt import NegativePrompt
from methods.null_text import NullText
from methods.siminversion import SimInversion
from methods.tuning import tuned
from tests.helpers.models import SHIPPED, batch

STEPS, W = 5, 7.5
MASACTRL = {"control": "masactrl", "start_layer": 3, "start_step": 1}


@pytest.fixture(scope="module")
def model():
    return StableDiffusion(str(SHIPPED)).load(torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def samples():
    """Eight edit types, with and without blend words."""
    data = Shapes(64)
    return [data[i] for i in range(8)]


def edit(model, samples, *methods):
    """Results and bills of methods that share one batch."""
    made = batch(samples, model)
    made.points, results, bills = list(methods), [], []
    for method in methods:
        made.shared.open_bill()
        with torch.inference_mode():
            results.append(method(model, made, None))
        bills.append((made.shared.rows / len(samples), made.shared.spent / len(samples), made.shared.seconds))
    return results, bills


def traced(model, samples, method):
    """Inverted source, and the latents of both branches after each step."""
    made, trace = batch(samples, model), []
    with torch.inference_mode():
        levels = model.grid(method.steps)
        source = method.invert(model, made, levels)
        branches.generate(model, levels, source, [method.target(model, made)], trace)
    return source, [z for z, _ in trace], [z[0] for _, z in trace]


def apart(a, b):
    return (a.images.int() - b.images.int()).abs().max().item()


def test_directs_source_branch_is_the_inversion(model, samples):
    source, z_source, _ = traced(model, samples[:2], Direct(W, STEPS))
    for z, expected in zip(z_source, source.trajectory[-2::-1], strict=True):
        assert torch.equal(z, expected)


def test_negative_prompts_source_branch_is_siminversions_at_1(model, samples):
    source, ours, _ = traced(model, samples[:2], NegativePrompt(W, STEPS, keep_source=True))
    other, theirs, _ = traced(model, samples[:2], SimInversion(W, STEPS, w_s=1, keep_source=True))
    assert torch.equal(source.trajectory[-1], other.trajectory[-1])
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    "method",
    [
        DDIM(W, STEPS, reweight=1, keep_source=True),
        NegativePrompt(W, STEPS, reweight=1, keep_source=True),
        NullText(W, STEPS, reweight=1, keep_source=True, inner_steps=2),
        SimInversion(3, STEPS, reweight=1, w_s=3, keep_source=True),
    ],
)
def test_the_same_prompt_on_both_sides_gives_the_source_branch(model, samples, method):
    same = [replace(sample, target=sample.source, blend=None) for sample in samples[:2]]
    if isinstance(method, NegativePrompt):  # its target's guidance cancels too
        method = replace(method, w_t=2)
    _, z_source, z_target = traced(model, same, method)
    for a, b in zip(z_source, z_target, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=2e-4 * a.abs().max().item())


@pytest.mark.parametrize("w", [0, 0.5, 1])
def test_symmetric_reconstruction_error_falls_like_one_over_the_steps(model, samples, w):
    """Proposition 2 leaves the discretisation out: the error is small, not zero."""
    errors = []
    for steps in (6, 24):
        method = SimInversion(1, steps, w_s=w, keep_source=True, local_blend=False)
        source, z_source, _ = traced(model, samples[:3], method)
        errors.append((z_source[-1] - source.trajectory[0]).norm().item())
    assert 0 < errors[1] < 0.5 * errors[0]


def test_the_asymmetry_of_ddim_is_what_breaks_reconstruction(model, samples):
    errors = []
    for method in (DDIM(W, 10, keep_source=True), SimInversion(W, 10, keep_source=True)):
        source, z_source, _ = traced(model, samples[:3], method)
        errors.append((z_source[-1] - source.trajectory[0]).norm().item())
    assert errors[0] > 3 * errors[1]


S = 10
PAPER = [  # method, NFE of `methods.dual_branch`'s docstrings at 10 steps: 250, 200, 200, 250, 200, 300 at 50
    (DDIM(W, S), 5 * S),
    (NegativePrompt(W, S), 4 * S),
    (Direct(W, S), 4 * S),
    (SimInversion(W, S, w_s=1), 4 * S),
    (SimInversion(W, S, w_s=0), 5 * S),
    (SimInversion(W, S, w_s=0, donor="active"), 4 * S),
    (SimInversion(W, S, w_s=0.5), 6 * S),
    (SimInversion(W, S, w_s=-1), 6 * S),
    (SimInversion(1, S, w_s=1), 3 * S),
    (DDIM(W, S, **MASACTRL), 4 * S),
    (Direct(W, S, **MASACTRL), 4 * S),
    (SimInversion(W, S, w_s=0, **MASACTRL), 4 * S),
    (SimInversion(W, S, w_s=1, **MASACTRL), 5 * S),
    (SimInversion(W, S, w_s=1, control="none"), 3 * S),
]


@pytest.mark.parametrize(("method", "nfe"), PAPER)
def test_nfe_is_the_minimal_equivalent_and_spent_is_without_what_was_dropped(model, samples, method, nfe):
    _, ((counted, spent, _),) = edit(model, samples[2:4], method)  # no blend words, so that P2P is done at 0.6 S
    _, ((_, kept, _),) = edit(model, samples[2:4], replace(method, keep_source=True))
    assert counted == kept == nfe
    dropped = 0
    if method.control == "p2p":
        source_rows = {Direct: 1, NegativePrompt: 1, DDIM: 2}.get(type(method)) or (2 if nfe > 4 * S else 1)
        dropped = 4 * source_rows
    assert spent == nfe - dropped


def test_null_texts_cost_is_counted_with_its_early_stop(model, samples):
    never, at_once = (NullText(W, 4, inner_steps=3, epsilon=e) for e in (0, 1e9))
    (result,), ((nfe, _, _),) = edit(model, samples[:2], never)
    assert nfe == 4 * (1 + 1 + 3 + 1 + 4)
    assert [note["backward"] for note in result.notes] == [12, 12]
    (result,), ((nfe, _, _),) = edit(model, samples[:2], at_once)
    assert nfe == 4 * (1 + 1 + 1 + 1 + 4)
    assert [note["backward"] for note in result.notes] == [4, 4]


def test_points_computed_together_are_billed_as_if_alone():
    """Two of them cost 30 rows and 3 s together; the second would have dropped half of its own 20."""
    state = {"rows": 0, "time": 0.0}
    shared = Shared(lambda: state["rows"], lambda: state["time"])

    def make():
        state["rows"] += 30
        state["time"] += 3
        return {"a": Part("A", 20, 20), "b": Part("B", 20, 10)}

    bills = []
    for name in ("a", "b"):
        shared.open_bill()
        assert shared.part("key", name, make) == name.upper()
        bills.append((shared.rows, shared.spent, shared.seconds))
    assert bills == [(20, 30, pytest.approx(2)), (20, 0, pytest.approx(1))]


def test_what_the_source_branch_would_have_cost_is_not_billed_as_time(model, samples):
    made, method = batch(samples[2:4], model), SimInversion(W, S)
    with torch.inference_mode():
        levels = model.grid(S)
        source, target = method.invert(model, made, levels), method.target(model, made)
        (part,) = branches.generate(model, levels, source, [target]).values()
    assert (part.rows, part.worked) == (2 * 4 * S, 2 * (4 * S - 2 * 4))


def test_dropping_the_source_branch_changes_no_pixel(model, samples):
    (a, b), _ = edit(model, samples[2:4], SimInversion(W, STEPS), SimInversion(W, STEPS, keep_source=True))
    assert apart(a, b) <= 1


def test_several_w_t_share_inversion_and_source_branch_and_bill_both(model, samples):
    points = [SimInversion(w, S) for w in (7, 7.5, 8)] + [SimInversion(7, S, cross_replace=0.8)]
    results, bills = edit(model, samples[:3], *points)
    assert [nfe for nfe, _, _ in bills] == [6 * S] * 4
    assert [spent for _, spent, _ in bills] == [2 * S + 2 * S + 4 * 2 * S, 0, 0, 0]
    for n in (0, 3):
        (alone,), _ = edit(model, samples[:3], points[n])
        assert apart(results[n], alone) <= 1
    assert all(seconds > 0 for *_, seconds in bills)
    assert apart(results[0], results[2]) > 0


def test_controls_can_share_a_source_branch(model, samples):
    points = [SimInversion(W, STEPS, w_s=1), SimInversion(W, STEPS, w_s=1, **MASACTRL)]
    points.append(SimInversion(W, STEPS, w_s=1, control="none"))
    results, _ = edit(model, samples[:3], *points)
    for point, result in zip(points, results, strict=True):
        (alone,), _ = edit(model, samples[:3], point)
        assert apart(result, alone) <= 1


def test_no_control_at_w_1_and_0_is_encode_decode(model, samples):
    (ours,), _ = edit(model, samples[:2], SimInversion(W, STEPS, w_s=0, control="none"))
    (theirs,), _ = edit(model, samples[:2], EncodeDecode(1, W, STEPS))
    assert apart(ours, theirs) <= 1


@pytest.mark.parametrize(
    "method",
    [SimInversion(W, STEPS), DDIM(W, STEPS, **MASACTRL), NullText(W, 2, inner_steps=1)],
)
def test_a_batch_of_eight_equals_eight_singles(model, samples, method):
    (together,), _ = edit(model, samples, method)
    for i, sample in enumerate(samples):
        (alone,), _ = edit(model, [sample], method)
        difference = (together.images[i].int() - alone.images[0].int()).abs()
        # float rounding may flip a cell of LocalBlend's mask; that moves single pixels, never the picture
        assert (difference > 1).float().mean() < 0.002, sample.id


def test_a_after_b_is_a(model, samples):
    first, second = SimInversion(W, STEPS), DDIM(W, STEPS, **MASACTRL)
    images = [edit(model, samples[:2], method)[0][0].images for method in (first, second, first)]
    assert torch.equal(images[0], images[2])


def test_masactrl_leaves_the_source_prompt_out_where_its_authors_do():
    texts = [
        (DDIM(W, STEPS), "caption"),
        (DDIM(W, STEPS, **MASACTRL), "empty"),
        (DDIM(W, STEPS, source_text="caption", **MASACTRL), "caption"),
        (SimInversion(W, STEPS, w_s=0, **MASACTRL), "empty"),
        (SimInversion(W, STEPS, w_s=0.2, **MASACTRL), "caption"),
    ]
    for method, text in texts:
        assert method._text() == text


def test_steps_beyond_the_published_rate_leave_everything_as_it_is():
    start = [torch.zeros(1, 3)]
    found, updates = tuned(start, lambda active, own: pytest.fail("nothing is to be evaluated"), 100, 10, 0.0)
    assert found is start
    assert updates == [0]


def sample(source, target, **fields):
    return EditSample("x", Shapes(64)[0].image, source, target, **fields)


def test_long_and_empty_prompts_are_edited_and_noted(model):
    ones = [sample("red " * 40, "a red star"), sample("", ""), sample(None, "a star")]
    (result,), _ = edit(model, ones, SimInversion(W, 2))
    assert result.notes == [{"cut": "source prompt cut by 18 tokens"}, {}, {}]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("w_s=nan", "w_s=nan, expected a number from -1000 to 1000 or auto or auto_step"),
        ("w_s=inf", "w_s=inf, expected a number"),
        ("steps=1001", "steps=1001, expected a number from 1 to 999"),
        ("control=p2pp", "control=p2pp, did you mean p2p?"),
        ("method.edit=replaced", "method.edit=replaced, did you mean replace?"),
        ("method.start_layer=-1", "method.start_layer=-1, expected a number from 0"),
        ("cross_replace=1.5", "cross_replace=1.5, expected a number from 0 to 1"),
        ("method.local_blend=1", "method.local_blend=1, one of: false, true"),
    ],
)
def test_wrong_knobs_get_a_sentence(tmp_path, capsys, words, sentence):
    assert run.main(["method=siminversion", words, "limit=1", f"out={tmp_path}"]) != 0
    assert sentence in capsys.readouterr().err


def test_replace_records_what_it_cannot_pair_and_edits_the_rest(tmp_path, capsys):
    words = ["method=siminversion", "steps=2", "limit=4", "method.edit=replace", "metrics=pixel", f"out={tmp_path}"]
    assert run.main(words) == 1
    assert "2 of 4 samples failed" in capsys.readouterr().err  # adding and deleting change the number of words
    (folder,) = (tmp_path / "shapes/siminversion").iterdir()
    assert len(list((folder / "edits").iterdir())) == 2


def test_a_batch_that_is_refused_whole_is_recorded(tmp_path, capsys):
    words = ["method=siminversion", "steps=2", "data.types=[add]", "method.edit=replace", "metrics=pixel", "limit=2"]
    assert run.main([*words, f"out={tmp_path}"]) == 1
    assert "2 of 2 samples failed" in capsys.readouterr().err


def test_guidance_without_the_targets_words_steers_nothing(model, samples):
    (a, b), _ = edit(model, samples[:2], SimInversion(0, 3), SimInversion(0, 3, control="none"))
    assert apart(a, b) <= 1


def test_memory_that_runs_out_halves_the_batch(tmp_path, capsys, monkeypatch):
    sizes, whole = [], LatentDiffusion.eps

    def tight(self, z, *args, **kwargs):
        sizes.append(len(z))
        if len(z) > 8:
            raise torch.OutOfMemoryError("too much")
        return whole(self, z, *args, **kwargs)

    monkeypatch.setattr(LatentDiffusion, "eps", tight)
    words = ["method=siminversion", "w_s=1", "w_t=[4,7]", "steps=2", "limit=5", "metrics=pixel", "device=cpu"]
    assert run.main([*words, f"out={tmp_path}"]) == 0
    assert "out of memory on cpu with 5 images at once; going on with 2" in capsys.readouterr().err
    assert len(list(tmp_path.glob("shapes/siminversion/*/edits/*.png"))) == 10


def test_defaults_spelt_out_are_the_same_run(tmp_path):
    for words in ([], ["w_s=0.5", "control=p2p", "cross_replace=0.4"]):
        assert run.main(["method=siminversion", *words, "steps=2", "limit=1", "metrics=pixel", f"out={tmp_path}"]) == 0
    words = ["control=masactrl", "method.start_layer=3", "steps=2", "limit=1", "metrics=pixel", f"out={tmp_path}"]
    for cross in ("null", "0.1"):  # means nothing to masactrl
        assert run.main(["method=siminversion", f"cross_replace={cross}", *words]) == 0
    assert len(list((tmp_path / "shapes/siminversion").iterdir())) == 2


def test_a_point_that_refuses_samples_leaves_its_siblings_alone(tmp_path):
    words = ["method=siminversion", "steps=2", "limit=4", "method.edit=[replace,refine]", "metrics=pixel"]
    assert run.main([*words, f"out={tmp_path}"]) == 1
    counts = sorted(len(list(folder.glob("edits/*.png"))) for folder in (tmp_path / "shapes/siminversion").iterdir())
    assert counts == [2, 4]


def test_notes_on_words_reach_the_table(tmp_path):
    """A count and the first sample; here the original's rule against the tokenizer's."""
    world, rows = Shapes(64), []
    for i in (0, 1, 4):
        one = world[i]
        Image.fromarray(one.image.transpose(1, 2, 0)).save(tmp_path / f"{i}.png")
        spaces = " " if i else ""
        rows.append({"id": str(i), "image": f"{i}.png", "source": spaces + one.source, "target": one.target})
        rows[-1]["blend"] = list(one.blend)
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["data=manifest", f"data.root={tmp_path}", f"out={tmp_path / 'out'}", "model=shapes", "metrics=pixel"]
    assert run.main([*words, "method=ddim", "steps=2", "method.blend_size=8", "words=published"]) == 0
    table = tables.readable(tables.collect(tmp_path / "out")).text()
    assert "ddim, words: 2 samples, the first is '1': method.words=offsets finds other tokens" in table
