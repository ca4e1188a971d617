"""FlexIT against the authors' code, update by update, and what must hold of it on any model."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from open_clip.transformer import QuickGELU
from PIL import Image

from bench import run
from bench.config import cli
from bench.diffusion.noise import SampleNoise
from bench.errors import BadSample
from bench.models import checkpoint as checkpoints
from bench.models.vqgan_clip import VqganClip
from bench.types import EditBatch, EditSample
from bench.types.bill import Shared
from methods import flexit as module
from methods.flexit import Draws, FlexIT, View, picture, soft_clamp
from tests.helpers import flexit as helper
from tests.helpers.models import batch
from tests.helpers.shared import needs_shared

LOSSES, CODES, GRADIENT, PICTURES = 1e-6, 3e-4, 7e-4, 2e-5
"""Ten times what was measured: 1e-7 absolute, 3e-5 of the largest value, 7e-5 of the length, 2e-6 of the largest."""


class Case:
    """One recorded optimisation."""

    def __init__(self, name: str, networks):
        facts = json.loads((helper.GOLDEN / f"{name}.json").read_text())
        self.arrays, self.settings, self.steps = (
            np.load(helper.GOLDEN / f"{name}.npz"),
            facts["settings"],
            facts["steps"],
        )
        self.clips, self.model = facts["clips"], networks
        networks.clips = {clip: networks.clips[clip] for clip in self.clips}  # in the order of the draws
        with Image.open(helper.GOLDEN / f"{name}.png") as image:
            pixels = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
        self.batch = batch([EditSample("a", pixels, facts["source_text"], facts["target_text"])])
        self.method = FlexIT(
            updates=self.steps,
            views=self.settings["n_augment"],
            image_weight=self.settings["im0_coef"],
            source_weight=self.settings["source_coef"],
            target_weight=self.settings["target_coef"],
            perceptual=self.settings["lpips_weight"],
            latent=self.settings["znorm_weight"],
            rate=self.settings["lr"],
        )

    def __getitem__(self, name: str) -> torch.Tensor:
        return torch.from_numpy(self.arrays[name])

    def goal(self):
        """With the recorded codes in place of ours."""
        return replace(self.method.goal(self.model, self.batch), codes=self["z0"])

    def codes(self, step: int) -> torch.Tensor:
        """Before an update."""
        return self["z_after"][step - 1][None] if step else self["z0"]

    def draws(self, step: int) -> Draws:
        def view(clip: int, number: int) -> View:
            box = tuple(int(x) for x in self["crop"][step, clip, number])
            return View(float(self["angle"][step, clip, number]), box, bool(self["flip"][step, clip, number]))

        count = self.settings["n_augment"]
        views = {name: [[view(i, n)] for n in range(count)] for i, name in enumerate(self.clips)}
        return Draws(self["noise"][step][None], views)


def off(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Largest difference, of the largest value."""
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    root = tmp_path_factory.mktemp("golden")
    entries = {name: {"path": str(file)} for name, file in helper.files(root).items()}
    lpips = {"_target_": "metrics.perceptual.load", "net": "vgg"}
    checkpoint = VqganClip(str(helper.folder(root / "model")), helper.CLIPS, entries, lpips)
    return checkpoint.load(torch.device("cpu"), torch.float32)


@pytest.fixture(params=["pub0_final", "pub1_defaults"])
def case(request, networks):
    return Case(request.param, networks)


@needs_shared
@torch.no_grad()
def test_the_goal_is_the_authors(case):
    goal = case.method.goal(case.model, case.batch)
    assert off(goal.codes, case["z0"]) < 1e-4
    for name in case.clips:
        assert off(goal.points[name][0], case[f"target.{name}"]) < 1e-5


@needs_shared
@torch.no_grad()
def test_each_update_is_the_authors_from_the_same_codes(case):
    goal = case.goal()
    for step in range(case.steps):
        before, drawn = case.codes(step), case.draws(step)
        found = case.method.losses(case.model, goal, before, drawn)
        expected = [case[f"loss_{name}"][step] for name in ("clip", "lpips", "z")]
        assert [float(loss) for loss in found] == pytest.approx([float(x) for x in expected], rel=0, abs=LOSSES)
        whole = found[0] + case.method.perceptual * found[1] + case.method.latent * found[2]
        assert float(whole) == pytest.approx(float(case["loss"][step]), rel=0, abs=LOSSES)
        assert off(case.method.update(case.model, goal, before, drawn)[0], case["z_after"][step]) < CODES


@needs_shared
@torch.no_grad()
def test_pictures_are_the_authors_but_for_rounding(case):
    assert off(picture(case.model, case["z0"]), case["image_first"]) < PICTURES
    last = picture(case.model, case.codes(case.steps - 1))
    assert off(last, case["image_last"]) < PICTURES
    ours = (last[0] * 255).round().permute(1, 2, 0).int()
    higher = ours - case["image_last_saved"].int()  # theirs are cut off
    assert higher.min() >= 0
    assert higher.max() == 1
    assert 0.3 < higher.double().mean() < 0.7


def _gradient_off(case) -> float:
    with torch.no_grad():
        found = case.method.gradient(case.model, case.goal(), case["z0"], case.draws(0))[0]
    return float((found / found.norm() - case["gradient_first"]).norm())  # that is of length 1


@needs_shared
def test_the_first_gradient_is_the_authors(case):
    assert _gradient_off(case) < GRADIENT


@needs_shared
def test_antialiased_resizes_would_be_noticed(case):
    case.method.antialias = True
    assert _gradient_off(case) > 0.3  # 0.34 and 0.35


@needs_shared
def test_another_gelu_would_be_noticed(case, monkeypatch):
    monkeypatch.setattr(QuickGELU, "forward", lambda self, x: torch.nn.functional.gelu(x))
    assert _gradient_off(case) > 0.015  # 0.019 and 0.017


# --- on any model ---


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return helper.tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def model(words):
    (job,) = cli.jobs(["method=flexit", *words])
    made = checkpoints.make(OmegaConf.to_container(job.model, resolve=True))
    return made.load(torch.device("cpu"), torch.float32)


def samples(count: int) -> list[EditSample]:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, 3, 4, 4), np.uint8).repeat(8, 2).repeat(8, 3)
    return [EditSample(f"{n}", pixels[n], f"a cat and {n}", f"a dog and {n}") for n in range(count)]


def noise(made: EditBatch) -> SampleNoise:
    return SampleNoise(0, [sample.id for sample in made.samples])


def edited(model, method: FlexIT, made: EditBatch):
    with torch.inference_mode():
        return method(model, made, noise(made))


def test_soft_clamp():
    x = torch.tensor([-9.0, 0.0, 0.25, 0.5, 0.5 + 1e-9, 0.75, 1.0, 9.0], dtype=torch.float64, requires_grad=True)
    y = soft_clamp(x)
    (g,) = torch.autograd.grad(y.sum(), x)
    assert torch.isfinite(g).all()
    assert y[[0, -1]].tolist() == [0, 1]
    torch.testing.assert_close(y[2:6], x[2:6], rtol=0, atol=1e-3)
    centred = 2 * x - 1
    power = torch.tanh(centred.detach() ** 5).abs() ** 0.2
    torch.testing.assert_close(y.detach(), (1 + centred.detach().sign() * power) / 2)


@torch.no_grad()
def test_the_first_gradient_is_a_number_and_its_latent_part_points_along_xi(model):
    made, method = batch(samples(2)), FlexIT()
    goal = method.goal(model, made)
    drawn = method.draws(model, made, goal, noise(made), 0)
    assert torch.isfinite(method.gradient(model, goal, goal.codes, drawn)).all()
    latent = FlexIT(image_weight=0, source_weight=0, target_weight=0, perceptual=0, latent=1)
    found = latent.gradient(model, latent.goal(model, made), goal.codes, drawn)
    lengths = goal.codes.norm(dim=1, keepdim=True).sum((2, 3), keepdim=True)
    torch.testing.assert_close(found, drawn.xi / drawn.xi.norm(dim=1, keepdim=True) / lengths, rtol=1e-4, atol=1e-8)


@torch.no_grad()
def test_a_batch_of_four_is_four_singles(model):
    method, four = FlexIT(views=2), samples(4)
    together = batch(four)
    goal = method.goal(model, together)
    moved = goal.codes + 0.01 * torch.randn(goal.codes.shape, generator=torch.Generator().manual_seed(1))
    drawn = method.draws(model, together, goal, noise(together), 3)
    losses = torch.stack(method.losses(model, goal, moved, drawn))
    updated = method.update(model, goal, moved, drawn)
    for n, sample in enumerate(four):
        made = batch([sample])
        alone = method.goal(model, made)
        own = method.draws(model, made, alone, noise(made), 3)
        assert torch.equal(own.xi[0], drawn.xi[n])
        assert own.views == {name: [[view[n]] for view in views] for name, views in drawn.views.items()}
        torch.testing.assert_close(alone.codes[0], goal.codes[n], rtol=0, atol=1e-5)
        found = torch.stack(method.losses(model, alone, moved[n : n + 1], own))
        torch.testing.assert_close(found[:, 0], losses[:, n], rtol=0, atol=LOSSES)
        after = method.update(model, alone, moved[n : n + 1], own)[0]
        assert off(after - moved[n], updated[n] - moved[n]) < 1e-3


def test_a_list_of_updates_is_one_optimisation_and_each_point_pays_its_own(model, monkeypatch):
    done, points = [], [FlexIT(updates=n) for n in (2, 3, 0)]
    update = FlexIT.update
    monkeypatch.setattr(FlexIT, "update", lambda self, *given: done.append(1) or update(self, *given))
    made = batch(samples(2))
    made.shared, made.points = Shared(clock=lambda: len(done)), points
    shared = []
    for point in points:
        made.shared.open_bill()
        shared.append(edited(model, point, made))
        assert made.shared.seconds == point.updates  # the clock ticks with updates
        assert made.shared.rows == 0
    assert len(done) == 3
    for point, result in zip(points, shared, strict=True):
        assert result.notes == [{"backward": point.updates}] * 2
        assert torch.equal(result.images, edited(model, point, batch(samples(2))).images)
    assert not torch.equal(shared[0].images, shared[1].images)


def test_points_of_other_settings_share_nothing(model):
    points = [FlexIT(updates=1), FlexIT(updates=1, rate=0.2)]
    made = batch(samples(1))
    made.points = points
    first, second = (edited(model, point, made).images for point in points)
    assert not torch.equal(first, second)


def test_an_update_has_the_length_that_is_asked_for(model):
    with torch.no_grad():
        made, method = batch(samples(2)), FlexIT(rate=0.1)
        goal = method.goal(model, made)
        after = method.update(model, goal, goal.codes, method.draws(model, made, goal, noise(made), 0))
        lengths = (after - goal.codes).flatten(1).norm(dim=1) / goal.codes.flatten(1).norm(dim=1)
    assert lengths.tolist() == pytest.approx([0.1, 0.1], rel=1e-4)


def test_updates_lower_the_loss(model):
    with torch.no_grad():
        made, method = batch(samples(1)), FlexIT(perceptual=0, latent=0, rate=0.02)
        goal = method.goal(model, made)
        codes, drawn = goal.codes, method.draws(model, made, goal, noise(made), 0)
        before = method.losses(model, goal, codes, drawn)[0]
        for _ in range(5):
            codes = method.update(model, goal, codes, drawn)
        assert method.losses(model, goal, codes, drawn)[0] < before


def test_no_weights_at_all_move_nothing(model):
    method = FlexIT(1, image_weight=0, source_weight=0, target_weight=0, perceptual=0, latent=0)
    still = edited(model, replace(method, updates=0), batch(samples(1))).images
    assert torch.equal(edited(model, method, batch(samples(1))).images, still)


def test_views_are_drawn_as_torchvision_draws_them():
    rng = np.random.default_rng(0)
    views = [module._view(rng, 288, 288) for _ in range(2000)]
    angles, tops, _, heights, widths, flips = np.array([(v.angle, *v.box, v.flip) for v in views]).T
    areas, aspects = heights * widths / 288**2, widths / heights
    assert (angles.min(), angles.max()) == (pytest.approx(-10, abs=0.1), pytest.approx(10, abs=0.1))
    assert (areas.min(), areas.max()) == (pytest.approx(0.8, abs=0.01), pytest.approx(1, abs=0.01))
    assert (aspects.min(), aspects.max()) == (pytest.approx(0.9, abs=0.01), pytest.approx(1.1, abs=0.01))
    assert (tops + heights <= 288).all()
    assert (tops >= 0).all()
    assert 0.45 < flips.mean() < 0.55
    assert np.corrcoef(tops, 288 - heights)[0, 1] > 0.5
    assert module._view(rng, 288, 10).box == (0, 0, 288, 10)  # nothing fits


def test_samples_without_a_text_are_named(model):
    made = batch(samples(4))
    made.samples[1] = replace(made.samples[1], source=None)
    made.samples[2] = replace(made.samples[2], source=3, target=5)
    with pytest.raises(BadSample) as caught:
        FlexIT()(model, made, noise(made))
    assert caught.value.ids == {
        "1": "FlexIT needs a source and a target text, and this sample has no source text",
        "2": "FlexIT takes text and got the class index 5; set data.queries=names",
    }


def test_texts_that_are_cut_are_in_the_journal(model):
    made = batch([replace(samples(1)[0], target="dog " * 80)])
    assert edited(model, FlexIT(updates=0), made).notes == [{"backward": 0, "cut": "target prompt cut by 5 tokens"}]


def test_a_run_from_the_command_line(words, tmp_path, capsys):
    line = ["method=flexit", "method.updates=[1,3]", "data=shapes", "data.size=32", "limit=3", "batch_size=2", *words]
    assert run.main([*line, "metrics=pixel", f"out={tmp_path}"]) == 0
    capsys.readouterr()
    folders = list(tmp_path.glob("shapes/flexit/*"))
    assert len(folders) == 2
    for folder in folders:
        summary = json.loads((folder / "summary.pixel-v1.json").read_text())
        journal = [json.loads(line) for line in next(folder.glob("edits-0of1.*.jsonl")).read_text().splitlines()]
        assert [(entry["nfe"], entry["nfe_spent"]) for entry in journal] == [(0, 0)] * 3
        assert [entry["backward"] for entry in journal] == [summary["knobs"]["updates"]] * 3
        assert len(list((folder / "edits").glob("*.png"))) == 3
    single = tmp_path / "single"
    assert run.main([*line, "method.updates=3", "batch_size=1", "metrics=pixel", f"out={single}"]) == 0
    (alone,) = single.glob("shapes/flexit/*")
    (shared,) = (folder for folder in folders if folder.name == alone.name)
    for file in (alone / "edits").iterdir():
        a, b = (np.asarray(Image.open(folder / "edits" / file.name)).astype(int) for folder in (alone, shared))
        assert np.abs(a - b).max() <= 2
