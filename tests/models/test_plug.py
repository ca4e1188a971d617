"""A new kind of model is one module and one YAML and nothing else: everything that uses a model runs on a toy of one's
own (class-conditional, on pixels), and a distilled flow goes through the same samplers."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from bench import prepare, run
from bench.data.base import Benchmark
from bench.diffusion import ddim
from bench.diffusion.grid import Grid
from bench.diffusion.guidance import guided_eps
from bench.diffusion.noise import SampleNoise
from bench.diffusion.path import Flow
from bench.edits import generate
from bench.errors import UserError
from bench.models.base import Model
from bench.reproduce import items
from bench.reproduce.__main__ import main as reproduce
from bench.theory.__main__ import main as theory
from bench.types import Condition, EditSample
from methods.diffedit import DiffEdit
from methods.encode_decode import EncodeDecode
from methods.instruct_pix2pix import InstructPix2Pix
from methods.sdedit import SDEdit
from methods.siminversion import SimInversion
from tests.helpers.models import batch
from tests.helpers.toy import CLASSES

TOY = ["model=custom", "model._target_=tests.helpers.toy.Toy", "model.guidance=2", "device=cpu"]


@pytest.fixture(scope="module")
def greys(tmp_path_factory):
    """Pictures of classes, as a data set of one's own."""
    folder = tmp_path_factory.mktemp("greys")
    for number in range(5):
        level = int(127.5 + 127.5 * np.linspace(-0.8, 0.8, CLASSES)[number])
        Image.new("RGB", (32, 32), (level,) * 3).save(folder / f"{number}.png")
    return folder


class Greys(Benchmark):
    """`data=custom`: edits from class to class."""

    licence = "none"

    def __init__(self, size, root, bad=False):
        self.size, self.root, self.annotations = size, root, []
        self.ids = [str(number) for number in range(5 if bad else 3)]

    def __getitem__(self, index):
        with Image.open(f"{self.root}/{index}.png") as image:
            pixels = np.asarray(image).transpose(2, 0, 1)
        target = [5, 6, 7, CLASSES, "a cat"][index]
        return EditSample(self.ids[index], pixels, index, target, mask=np.ones((32, 32), bool))

    def identity(self):
        return {"count": len(self.ids)}


def data(folder, **options):
    words = ["data=custom", "data._target_=tests.models.test_plug.Greys", f"+data.root={folder}", "metrics=pixel"]
    return words + [f"+data.{name}={value}" for name, value in options.items()]


def test_a_model_and_a_data_set_of_ones_own_are_run(greys, tmp_path, capsys):
    words = [*TOY, *data(greys), "steps=10", f"out={tmp_path}"]
    assert run.main(["-m", "method=sdedit,encode_decode,diffedit", "r=0.8", *words]) == 0
    assert "3 of 3 scored" in capsys.readouterr().out
    nfe = {"sdedit": 16, "encode_decode": 24, "diffedit": 44}
    for method, rows in nfe.items():
        (folder,) = tmp_path.glob(f"*/{method}/*")
        journal = [json.loads(line) for line in next(folder.glob("edits-0of1.*.jsonl")).read_text().splitlines()]
        assert [entry["nfe"] for entry in journal] == [rows] * 3
        summary = json.loads((folder / "summary.pixel-v1.json").read_text())
        assert summary["notice"] == "a toy"
        for number in range(3):
            grey = np.asarray(Image.open(folder / f"edits/{number}.png")).mean()
            source = np.asarray(Image.open(greys / f"{number}.png")).mean()
            if method != "diffedit":  # a contrast that is alike in the whole frame leaves the mask empty
                assert grey > source + 20, "the edit goes towards the target's brighter grey"


def test_queries_that_the_model_does_not_take_fail_sample_by_sample(greys, tmp_path, capsys):
    words = [*TOY, *data(greys, bad="true"), "method=sdedit", "steps=4", f"out={tmp_path}"]
    assert run.main(words) != 0
    assert "2 of 5 samples failed" in capsys.readouterr().err
    (folder,) = tmp_path.glob("*/sdedit/*")
    journal = {e["id"]: e for e in map(json.loads, next(folder.glob("edits-0of1.*.jsonl")).read_text().splitlines())}
    assert journal["3"] == {"id": "3", "error": "target is 8; this model takes class indices from 0 to 7 and got 8"}
    assert journal["4"]["error"] == "target is 'a cat'; this model takes class indices from 0 to 7 and got 'a cat'"
    assert len(list((folder / "edits").glob("*.png"))) == 3


def test_a_class_index_for_a_text_model_fails_sample_by_sample(greys, tmp_path, capsys):
    assert run.main([*data(greys), "method=sdedit", "steps=2", f"out={tmp_path}"]) != 0
    assert "3 of 3 samples failed" in (said := capsys.readouterr().err)
    assert "target is 5; this model takes text" in said


def test_what_the_model_cannot_be_asked_is_said_in_a_sentence(greys, tmp_path, capsys):
    words = [*TOY, *data(greys), "steps=2", f"out={tmp_path}"]
    assert run.main([*words, "method=siminversion", "control=p2p"]) != 0
    assert "this model's attention cannot be steered; use control=none" in capsys.readouterr().err
    assert run.main([*words, "method=siminversion", "control=none", "w_s=0.5"]) == 0
    capsys.readouterr()
    assert run.main([*words, "method=instruct_pix2pix"]) == 2
    sentence = "method=instruct_pix2pix needs a model that takes a picture beside the latents; model=Toy predicts"
    assert sentence in capsys.readouterr().err


def test_a_data_set_that_lacks_something_is_told_what(tmp_path, capsys):
    words = ["method=copy", "data=custom", "data._target_=types.SimpleNamespace", "data.size=8", "metrics=pixel"]
    assert run.main([*words, f"out={tmp_path}"]) == 2
    assert (
        "data=SimpleNamespace: SimpleNamespace has no ids; derive it from bench.data.base.Benchmark"
        in capsys.readouterr().err
    )


def test_theory_measures_it(tmp_path, greys):
    words = [*TOY, *data(greys), "steps=4", "w_s=[0,1]", "parts=[reconstruction,scale,bounds]", f"out={tmp_path}"]
    assert theory(words) == 0
    (folder,) = (tmp_path / "theory").iterdir()
    assert pd.read_csv(folder / "reconstruction.csv").notice.unique().tolist() == ["a toy"]
    assert theory([*TOY, "limit=1", "steps=2", f"out={tmp_path}"]) == 2  # captions for a model of classes


def test_a_dry_run_counts_it(monkeypatch, tmp_path, capsys):
    paper = tmp_path / "paper/mine"
    paper.mkdir(parents=True)
    (paper / "item.yaml").write_text(
        "title: an item\nsource: nowhere\nwords: [steps=10, metrics=pixel, limit=3]\n"
        "runs: {SDEdit: [method=sdedit, r=0.8], DiffEdit: [method=diffedit, 'r=[0.5,0.8]']}\nmetrics: [psnr]\n"
    )
    monkeypatch.setattr(items, "FOLDER", tmp_path / "paper")
    assert reproduce(["mine/item", "--dry-run", *TOY, f"out={tmp_path / 'out'}"]) == 0
    said = capsys.readouterr().out
    assert "in all 3 runs, 9 images" in said
    assert "16" in said


def test_it_generates_sources(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(generate, "CHOICES", generate.CHOICES[:3])
    words = ["data=imagen", *TOY, "generate=true", "steps=2", "batch_size=2", f"data.root={tmp_path / 'made'}"]
    assert prepare.main(words) == 2
    assert "takes class indices from 0 to 7 and got" in capsys.readouterr().err
    prepare.main([*words, "+model.names=true"])  # the data set has 360 pictures, so that the rest is missing
    assert len(list((tmp_path / "made").glob("*.png"))) == 0  # made in another way than those that failed
    prepare.main([*words[:-1], "+model.names=true", f"data.root={tmp_path / 'named'}"])
    assert len(list((tmp_path / "named").glob("*.png"))) == 3


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["model._target_=tests.helpers.toy.Nothing"], "model=Nothing: .*tests.helpers.toy.Nothing"),
        (["model._target_=tests.helpers.toy.Greys"], "model=Greys: Greys needs \\+model.spread=<value>"),
        (["model._target_=builtins.dict"], "builtins.dict is no checkpoint; expected a class such as"),
        ([], "model._target_ is not set; expected a class"),
    ],
)
def test_classes_that_are_no_checkpoint_are_refused(words, sentence, tmp_path, capsys):
    given = ["model=custom", "method=sdedit", "data.size=64", "metrics=pixel", *words, f"out={tmp_path}"]
    assert run.main(given) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(sentence, error)


class Distilled(Model):
    """A flow whose guidance is an input: velocity to a point that guidance moves; counts what it was asked with."""

    distilled = True

    def __init__(self):
        super().__init__(8)
        self.scales = []

    def grid(self, steps):
        levels = tuple(j / steps for j in range(steps + 1))
        return Grid(tuple(1000 * level for level in levels[1:]), levels, Flow())

    def condition(self, queries):
        if None in queries:
            raise UserError("this model is distilled and has no unconditional half")
        return Condition(states=torch.tensor([[[float(len(q))]] for q in queries]))

    def encode(self, images):
        return images

    def decode(self, latents):
        return latents

    def eps(self, z, t, condition, values=None, picture=None):
        self.rows += len(z)
        self.scales.append(condition.guidance.tolist())
        x0 = condition.states[:, :, :, None] / 10 * condition.guidance[:, None, None, None]
        return (z - x0) / max(t / 1000, 1e-3)


@pytest.fixture
def pictures():
    pixels = np.full((3, 8, 8), 100, np.uint8)
    return [EditSample(str(i), pixels, "ab", "abcd") for i in range(2)]


def test_guidance_is_an_input_of_a_distilled_flow_and_costs_one_row(pictures):
    model = Distilled()
    made = batch(pictures, model)
    with torch.inference_mode():
        SDEdit(0.5, 3.5, 4)(model, made, SampleNoise(0, ["0", "1"]))
    assert made.shared.rows == 2 * 2
    assert model.scales == [[3.5, 3.5]] * 2
    z = torch.zeros(2, 3, 8, 8)
    words = model.condition(["ab", "abcd"])
    for w in (0, 0.5, 1, 3.5):  # 0 and 1 are scales like others
        velocity = guided_eps(model, z, 1000, words, None, w)
        assert velocity[:, 0, 0, 0].tolist() == pytest.approx([-0.2 * w, -0.4 * w])


def test_the_dual_branch_gives_each_branch_its_own_scale(pictures):
    model = Distilled()
    with torch.inference_mode():
        SimInversion(5.0, 2, control="none", w_s=0.5)(model, batch(pictures, model), SampleNoise(0, ["0", "1"]))
    assert model.scales == [[0.5, 0.5]] * 2 + [[5.0, 5.0]] * 2


@pytest.mark.parametrize("method", [EncodeDecode(0.5, 2, 4), DiffEdit(0.5, 2, 4)], ids=["encode_decode", "diffedit"])
def test_methods_that_need_the_unconditional_half_say_so(method, pictures):
    with pytest.raises(UserError, match="has no unconditional half"):
        method(Distilled(), batch(pictures), SampleNoise(0, ["0", "1"]))


def test_methods_that_need_the_training_levels_refuse_a_flow(pictures):
    ordered = [EditSample(p.id, p.image, p.source, p.target, instruction="go") for p in pictures]
    model = Distilled()
    model.picture_channels, model.distilled = 3, False
    model.condition = lambda queries: Condition(states=torch.zeros(len(queries), 1, 1))
    with pytest.raises(UserError, match="needs the table of noise levels that a diffusion model was trained on"):
        InstructPix2Pix(2)(model, batch(ordered), SampleNoise(0, ["0", "1"]))


def test_a_flow_is_inverted_by_eulers_steps():
    """Velocity noise - x0 of a straight path is constant, so that any number of steps is exact."""

    class Straight(Distilled):
        distilled = False

        def eps(self, z, t, condition, values=None, picture=None):
            return torch.full_like(z, 2.0)

    model, x0 = Straight(), torch.rand(1, 3, 4, 4)
    words = Condition(states=torch.zeros(1, 1, 1))
    levels = model.grid(4)
    trajectory = ddim.invert(model, x0, levels, 4, words)
    torch.testing.assert_close(trajectory[-1], x0 + 2)
    torch.testing.assert_close(trajectory[2], x0 + 1)
    back = ddim.sample(model, trajectory[-1], levels, 4, words, words, 1.0)
    torch.testing.assert_close(back, x0)
    path = levels.path
    torch.testing.assert_close(path.clean(trajectory[2], torch.full_like(x0, 2.0), 0.5), x0)
    torch.testing.assert_close(path.prediction(trajectory[2], x0, 0.5), torch.full_like(x0, 2.0))
    torch.testing.assert_close(path.noised(x0, x0 + 2, 0.5), trajectory[2])
