"""What every method means on models that are younger than it: the table of the docs, said before anything is loaded,
and run on tiny folders made here."""

import json
import re

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from bench import run
from bench.config import cli
from bench.diffusion.noise import SampleNoise
from bench.edits import plan
from bench.errors import UserError
from bench.files.paths import ROOT
from bench.models import checkpoint as checkpoints
from bench.models.flux import Flux
from bench.models.sd3 import StableDiffusion3
from bench.models.sdxl import StableDiffusionXL
from bench.reproduce.cost import counting
from bench.types import EditSample
from tests.helpers.flow_folders import flux_folder, sd3_folder, sdxl_folder
from tests.helpers.models import batch

FAMILIES = ("sdxl", "sd3", "flux")
SAME, APPROXIMATE, REFUSED = "\u2713", "~", "\u2013"
"""How the docs mark them."""
KINDS = {
    "sdxl": (StableDiffusionXL, sdxl_folder),
    "sd3": (StableDiffusion3, sd3_folder),
    "flux": (Flux, flux_folder),
}
FEW = {
    "null_text": ["method.inner_steps=1"],
    "style_diffusion": ["method.inner_steps=1", "method.blend_size=2"],
    "diffedit": ["method.n=1"],
    "fireflow": [],
    "rf_solver": ["method.first_block=0"],
}
"""What makes a run small, or fits it to a tiny model."""


def rows():
    """Words of a method and model, and the mark that stands in the docs."""
    lines = (ROOT / "docs/methods.md").read_text().split("## On Stable Diffusion XL, Stable Diffusion 3 and FLUX")[1]
    found = []
    for line in re.split("\n##+ ", lines)[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) >= 4 and cells[0].startswith("`"):
            for words in re.findall("`([^`]*)`", cells[0]):
                found += [(family, words, cell) for family, cell in zip(FAMILIES, cells[1:4], strict=True)]
    return found


def config(family, words, *more):
    """The resolved configuration; words of the row that begin with a family count for it alone."""
    (job,) = cli.jobs([f"model={family}", f"method={words.split()[0]}", *words.split()[1:], *more, "steps=2"])
    return job


def points(cfg):
    """What a run would say before it looks for files."""
    node, method = (OmegaConf.to_container(cfg[group], resolve=True) for group in ("model", "method"))
    wanted = (f"method={method['name']}", method.get("needs"), node["name"], cfg.guidance)
    checkpoints.check_fits(checkpoints.kind(node), *wanted)
    return plan.points(cfg)


def mark_of(cell):
    return cell.split()[0]


def needed(cell):
    """The words that a cell names, such as `model.unconditional=empty`."""
    return re.findall("`([^`]*=[^`]*)`", cell)


def test_the_docs_have_a_row_for_every_method_that_uses_a_model():
    told = {words.split()[0] for _, words, _ in rows()}
    methods = {name: cli.jobs([f"method={name}"])[0].method for name in cli.names("method") if name != "custom"}
    whole = {name for name, method in methods.items() if method.get("needs") == "pipeline"}
    uses = {name for name, method in methods.items() if "model" in method.uses}
    assert told == uses - whole - {"flexit", "ilvr", "instruct_pix2pix"}  # of models of their own
    assert len(rows()) >= 3 * len(told)


@pytest.mark.parametrize(("family", "words", "cell"), rows())
def test_the_table_is_what_is_said_before_anything_is_loaded(family, words, cell):
    mark, more = mark_of(cell), needed(cell)
    if mark == SAME:
        assert points(config(family, words, *more))[0]["model"]["notice"] is None
        return
    asked = "transfer=approximate"
    if mark == REFUSED:
        with pytest.raises(UserError, match=f"method={words.split()[0]}.* model={family}") as caught:
            points(config(family, words, *more, asked))
        assert "\n" not in str(caught.value)
        return
    assert mark == APPROXIMATE
    with pytest.raises(UserError, match=r"is not what was published: .*; to run it so, set transfer=approximate"):
        points(config(family, words, *more))
    notice = points(config(family, words, *more, asked))[0]["model"]["notice"]
    assert notice.startswith("transferred: ")
    for word in more:  # without what the cell names it is refused
        if word.startswith("model."):
            with pytest.raises(UserError, match=f"set .*{re.escape(word)}"):
                points(config(family, words, *[one for one in more if one != word], asked))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {family: make(tmp_path_factory.mktemp("models") / family) for family, (_, make) in KINDS.items()}


@pytest.fixture(scope="module")
def models(folders):
    made = {}

    def get(family, unconditional):
        key = family, unconditional
        if key not in made:
            knobs = {"unconditional": "empty"} if unconditional else {}
            made[key] = KINDS[family][0](str(folders[family]), **knobs).load(torch.device("cpu"), torch.float32)
        return made[key]

    return get


@pytest.mark.parametrize(("family", "words", "cell"), [row for row in rows() if mark_of(row[2]) != REFUSED])
def test_what_is_not_refused_runs(models, family, words, cell):
    more = [*needed(cell), *FEW.get(words.split()[0], [])]
    if "masactrl" in words:
        more.append("method.start_layer=0")
    if "p2p" in words or words.startswith("style_diffusion"):
        more.append("method.local_blend=false")
    cfg = points(config(family, words, *more, "transfer=approximate"))[0]
    model = models(family, "model.unconditional=empty" in more)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32), np.uint8)
    texts = [("a red cat", "a blue cat"), ("the green house", "the red house")]
    samples = [EditSample(str(n), one, *texts[n]) for n, one in enumerate(pixels)]
    made = batch(samples, model)
    method = counting.build(cfg["method"])
    if words.startswith("style_diffusion"):  # as wide as the first text encoder's states
        method.tower = lambda images: torch.ones(len(images), 5, 8)
    with torch.inference_mode():
        result = method(model, made, SampleNoise(0, ["0", "1"]))
    assert result.images.shape == (2, 3, 32, 32)
    assert not torch.equal(result.images, made.images)
    assert made.shared.rows > 0


def test_every_row_of_a_transferred_method_says_the_difference(folders, tmp_path, capsys):
    words = ["model=flux", f"model.path={folders['flux']}", "method=siminversion", "control=none", "steps=2"]
    words += ["model.dtype=float32", "data.size=32", "limit=1", "metrics=pixel", f"out={tmp_path}"]
    assert run.main(words) == 2
    assert "method=siminversion on model=flux is not what was published: w_s is the embedded" in capsys.readouterr().err
    assert run.main([*words, "transfer=approximate"]) == 0
    (summary,) = tmp_path.glob("*/*/*/summary.*.json")
    notice = json.loads(summary.read_text())["notice"]
    assert "transferred: w_s is the embedded guidance of inversion and source branch" in notice
    assert "flux at 32 px" in notice
    assert run.main([*words[:3], "w_s=auto", *words[3:], "transfer=approximate"]) == 2
    assert "w* is measured between words and none" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [("flux", "flowedit"), ("flux", "fireflow"), ("sd3", "uni_edit"), ("sdxl", "siminversion", "control=none")]
)
def test_they_run_in_bfloat16_as_they_are_configured(folders, tmp_path, words):
    family, method, *more = words
    given = [f"model={family}", f"model.path={folders[family]}", f"method={method}", *more, "steps=2", "data.size=32"]
    assert run.main([*given, "limit=2", "metrics=pixel", f"out={tmp_path}"]) == 0
    (file,) = tmp_path.glob("*/*/*/identity.json")
    identity = json.loads(file.read_text())
    assert identity["model"]["dtype"] == "bfloat16"
    assert "model_index.json" in identity["model"]["files"]
    assert identity["data"]["size"] == 32
