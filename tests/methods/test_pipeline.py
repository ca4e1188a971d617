"""Whole pipelines of diffusers as methods, on tiny folders of them made here."""

import json
import logging

import numpy as np
import pytest
import torch
from PIL import Image

from bench import run
from bench.config import cli, stated, validate
from bench.config.instances import instance
from bench.diffusion.noise import SampleNoise
from bench.edits.plan import plan
from bench.edits.verify import altered
from bench.errors import BadSample, NotFinite, UserError
from bench.models.pipelines.running import RunningPipeline
from bench.report import __main__ as report
from bench.reproduce.cost import counting
from bench.types import EditBatch, EditSample, Geometry
from tests.helpers import pipeline_folders
from tests.helpers.pipeline_folders import ROWS, WORDS


@pytest.fixture(scope="module")
def typed(tmp_path_factory):
    """Words that run each of them."""
    root = tmp_path_factory.mktemp("pipelines")
    return {name: pipeline_folders.words(name, root / name) for name in WORDS}


@pytest.fixture(scope="module")
def loaded(typed):
    """Model and method of each of them, made when asked for."""
    made = {}

    def get(name):
        if name not in made:
            (planned,) = plan(cli.jobs(typed[name])[0])
            model = planned.checkpoint.load(torch.device("cpu"), torch.float32)
            made[name] = model, instance(validate.knobs(planned.cfg["method"]), "method")
        return made[name]

    return get


def samples(count=3, **changed):
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (count, 3, 64, 64), dtype=np.uint8)
    mask = np.zeros((64, 64), bool)
    mask[16:48, 16:48] = True
    texts = {"mask": mask, "source": "a red house", "target": "a blue house", "instruction": "make the house blue"}
    return [EditSample(f"s{n}", picture, **texts | changed) for n, picture in enumerate(pictures)]


def edited(model, method, chosen):
    batch = EditBatch(chosen, torch.stack([torch.from_numpy(one.image) for one in chosen]))
    with torch.inference_mode():
        result = method(model, batch, SampleNoise(0, [one.id for one in chosen]))
    return {one.id: picture for one, picture in zip(chosen, result.images, strict=True)}


def journal(out):
    (file,) = out.glob("shapes/*/*/edits-*.jsonl")
    return {entry["id"]: entry for entry in map(json.loads, file.read_text().splitlines())}


@pytest.mark.parametrize("name", WORDS)
def test_it_runs_and_counts_what_its_denoiser_was_asked(name, typed, tmp_path):
    assert run.main([*typed[name], "limit=2", f"out={tmp_path}"]) == 0
    entries = journal(tmp_path)
    assert [entry["nfe"] for entry in entries.values()] == [ROWS[name]] * 2
    assert len({entry["edit_sha256"] for entry in entries.values()}) == 2


@pytest.mark.parametrize("name", WORDS)
def test_a_pictures_edit_is_its_own(name, loaded):
    """Whatever is edited beside it or before it, and whatever was drawn elsewhere."""
    model, method = loaded(name)
    first, second, third = samples()
    together = edited(model, method, [first, second, third])
    torch.manual_seed(7)
    drawn = torch.random.get_rng_state()
    assert torch.equal(edited(model, method, [third])["s2"], together["s2"])
    assert torch.equal(torch.random.get_rng_state(), drawn)
    again = edited(model, method, [third, first])
    assert all(torch.equal(again[id_], together[id_]) for id_ in again)
    assert not torch.equal(together["s0"], together["s1"])


def test_a_run_goes_on_where_it_was_left(typed, tmp_path):
    words = typed["instruct_pix2pix"]
    assert run.main([*words, "limit=1", f"out={tmp_path / 'a'}"]) == 0
    before = journal(tmp_path / "a")
    assert run.main([*words, "limit=3", f"out={tmp_path / 'a'}"]) == 0
    assert run.main([*words, "limit=3", "batch_size=2", f"out={tmp_path / 'b'}"]) == 0
    parts = journal(tmp_path / "a")
    assert before.items() <= parts.items()
    whole = journal(tmp_path / "b")
    assert {id_: one["edit_sha256"] for id_, one in parts.items()} == {
        id_: one["edit_sha256"] for id_, one in whole.items()
    }


def test_a_picture_that_breaks_the_pipeline_costs_no_other_one_its_edit(typed, tmp_path, monkeypatch):
    asked, edit = [], RunningPipeline.edit

    def breaks(self, calls, generator):
        asked.append(1)
        if len(asked) == 2:
            raise ValueError("broken")
        return edit(self, calls, generator)

    monkeypatch.setattr(RunningPipeline, "edit", breaks)
    assert run.main([*typed["instruct_pix2pix"], "limit=4", "batch_size=4", f"out={tmp_path}"]) == 1
    entries = list(journal(tmp_path).values())
    assert ["error" in entry for entry in entries] == [False, True, False, False]
    assert len(asked) == 4
    assert len({entry["seconds"] for entry in entries if "seconds" in entry}) == 3


def test_what_a_pipeline_keeps_of_a_picture_is_gone_afterwards(loaded):
    model, method = loaded("ledits_pp")
    before, unet = dict(vars(model.pipeline)), model.pipeline.unet
    processors = unet.attn_processors
    edited(model, method, samples(1))
    assert vars(model.pipeline) == before
    assert unet.attn_processors == processors
    assert model.pipeline.scheduler.num_inference_steps is None  # never asked for any


@pytest.mark.parametrize("name", ["ledits_pp", "flux_kontext"])
def test_it_is_called_with_what_the_sample_holds(name, loaded, monkeypatch):
    model, method = loaded(name)
    asked = []
    monkeypatch.setattr(model, "_ask", lambda call, taken, generator: asked.append((call, taken)) or _picture())
    (sample,) = samples(1)
    edited(model, method, [sample])
    calls = dict(asked)
    picture = calls["invert" if name == "ledits_pp" else "__call__"]["image"]
    assert np.array_equal(np.asarray(picture).transpose(2, 0, 1), sample.image)
    if name == "ledits_pp":
        assert [call for call, _ in asked] == ["invert", "__call__"]
        assert calls["__call__"]["editing_prompt"] == ["a blue house"]
        assert type(calls["__call__"]["editing_prompt"]) is list
    else:
        assert calls["__call__"]["prompt"] == "make the house blue"
        assert (calls["__call__"]["width"], calls["__call__"]["height"]) == (64, 64)


def _picture():
    class Result:
        images = np.zeros((1, 64, 64, 3), np.float32)

    return Result


def test_a_mask_is_handed_over_as_a_picture(loaded):
    model, _ = loaded("instruct_pix2pix")
    (sample,) = samples(1)
    handed = model.fill({"mask_image": "sample.mask", "image": "sample.image"}, {}, sample)["__call__"]
    assert handed["mask_image"] is sample.mask
    with pytest.raises(BadSample, match=r"has no mask, which method.call.mask_image takes"):
        model.fill({"mask_image": "sample.mask"}, {}, samples(1, mask=None)[0])


def test_a_sample_without_what_is_asked_for_fails_alone(loaded):
    model, method = loaded("instruct_pix2pix")
    chosen = [*samples(1), *samples(2, instruction=None)[1:]]
    with pytest.raises(BadSample) as failed:
        edited(model, method, chosen)
    assert failed.value.ids == {"s1": "has no instruction, which method.call.prompt takes"}


def test_a_class_index_is_no_text(loaded):
    model, method = loaded("ledits_pp")
    with pytest.raises(BadSample, match=r"takes text and got the class index 3; set data.queries=names"):
        edited(model, method, samples(1, target=3))


def test_a_picture_of_another_multiple_fails_alone(loaded):
    model, method = loaded("ledits_pp")
    wide = EditSample("wide", np.zeros((3, 64, 80), np.uint8), "a house", "a red house")
    with pytest.raises(BadSample) as failed:
        edited(model, method, [wide])
    assert "80x64 px; LEditsPPPipelineStableDiffusion takes multiples of 32" in failed.value.ids["wide"]


def test_answers_that_are_no_numbers_fail_and_are_not_shown_as_white(loaded, monkeypatch):
    """A pipeline clamps its pixels, so that infinity would be a grey level."""
    model, method = loaded("flux_kontext")
    weight = model.pipeline.transformer.proj_out.weight
    monkeypatch.setattr(weight, "data", torch.full_like(weight, float("inf")))
    with pytest.raises(NotFinite):
        edited(model, method, samples(1))


def test_what_the_library_warns_of_is_noted_and_not_printed(loaded, capsys):
    model, method = loaded("instruct_pix2pix")
    (long,) = samples(1, instruction="a house " * 100)
    batch = EditBatch([long], torch.from_numpy(long.image)[None])
    logger = logging.getLogger("diffusers")
    before = logger.level
    logger.setLevel(logging.ERROR)  # as some programs choose
    try:
        with torch.inference_mode():
            (note,) = method(model, batch, SampleNoise(0, ["s0"])).notes
        assert logger.level == logging.ERROR
    finally:
        logger.setLevel(before)
    assert "truncated because CLIP can only handle sequences up to 24 tokens" in note["said"]
    assert capsys.readouterr().err == ""


def test_no_watermark_is_drawn(typed, monkeypatch):
    """Also where the package that draws it is there."""
    from diffusers.pipelines.stable_diffusion_xl import pipeline_stable_diffusion_xl_instruct_pix2pix as module

    monkeypatch.setattr(module, "is_invisible_watermark_available", lambda: True)
    (planned,) = plan(cli.jobs(typed["instruct_pix2pix_xl"])[0])
    assert planned.checkpoint.load(torch.device("cpu"), torch.float32).pipeline.watermark is None


def test_networks_have_the_dtype_that_is_asked_for(typed):
    (planned,) = plan(cli.jobs([*typed["instruct_pix2pix_xl"], "model.dtype=bfloat16"])[0])
    model = planned.checkpoint.load(torch.device("cpu"), torch.bfloat16)
    parts = ("unet", "vae", "text_encoder", "text_encoder_2")
    assert {getattr(model.pipeline, part).dtype for part in parts} == {torch.bfloat16}


def test_what_a_run_is_depends_on_class_version_files_and_arguments(typed, tmp_path, monkeypatch):
    words = typed["flux_kontext"]
    (first,) = plan(cli.jobs(words)[0])
    model = first.identity["model"]
    assert model["pipeline"] == "FluxKontextPipeline"
    assert {"model_index.json", "vae/config.json", "tokenizer_2/tokenizer.json"} <= model["files"].keys()
    elsewhere = pipeline_folders.flux_kontext(tmp_path / "other")
    (same,) = plan(cli.jobs([*words, f"model.path={elsewhere}"])[0])
    assert same.key == first.key
    (other,) = plan(cli.jobs([*words, "method.call.guidance_scale=2.5"])[0])
    monkeypatch.setattr("bench.models.pipelines.classes.version", lambda: "0.99")
    (newer,) = plan(cli.jobs(words)[0])
    assert len({first.key, other.key, newer.key}) == 3


def test_a_picture_that_comes_back_at_another_size_is_brought_to_its_sources(typed, tmp_path):
    assert run.main([*typed["flux_kontext"], "method.call.max_area=16384", "limit=1", f"out={tmp_path}"]) == 0
    (entry,) = journal(tmp_path).values()
    assert entry["returned"] == "128x128"
    with Image.open(next(tmp_path.glob("shapes/*/*/edits/*.png"))) as picture:
        assert picture.size == (64, 64)


def test_runs_are_told_apart_by_the_arguments_in_which_they_differ(typed, tmp_path, capsys):
    words = [*typed["instruct_pix2pix"], "limit=1", f"out={tmp_path}"]
    assert run.main(["-m", *words, "+method.call.image_guidance_scale=1,2,3"]) == 0
    capsys.readouterr()
    assert report.main([f"out={tmp_path}", "page=false"]) == 0
    printed = capsys.readouterr().out
    assert all(f"pipeline call.image_guidance_scale={scale} " in printed for scale in (1, 2, 3))


def test_an_argument_that_was_changed_by_hand_is_found(typed, tmp_path):
    assert run.main([*typed["instruct_pix2pix"], "limit=1", f"out={tmp_path}"]) == 0
    (file,) = tmp_path.glob("shapes/*/*/config.yaml")
    file.write_text(file.read_text().replace("num_inference_steps: 2", "num_inference_steps: 20"))
    assert "method.call differ" in altered(file.parent)[0]


def test_tables_say_what_a_pipeline_is_told(typed):
    told = {name: stated.given(*_named(typed[name])) for name in ("ledits_pp", "flux_kontext", "instruct_pix2pix")}
    assert told == {"ledits_pp": ["query"], "flux_kontext": ["instruction"], "instruct_pix2pix": ["instruction"]}
    words = [*typed["ledits_pp"], "method.before.invert.source_prompt=sample.source"]
    assert stated.given(*_named(words)) == ["query", "caption"]


def _named(words):
    (planned,) = plan(cli.jobs(words)[0])
    return planned.cfg["method"]["name"], planned.knobs


def test_before_it_has_run_nobody_knows_what_it_costs():
    (cfg,) = cli.jobs(["method=flux_kontext"])
    from omegaconf import OmegaConf

    with pytest.raises(UserError, match="only the pipeline itself can tell"):
        counting.count([OmegaConf.to_container(cfg, resolve=True)["method"]], Geometry(8))


def test_it_edits_at_the_models_size_and_is_scored_at_the_datas(typed, tmp_path):
    words = [word for word in typed["instruct_pix2pix"] if not word.startswith(("data.size", "model.size"))]
    assert run.main([*words, "data.size=32", "model.size=64", "limit=1", f"out={tmp_path}"]) == 0
    (entry,) = journal(tmp_path).values()
    assert entry["returned"] == "64x64"
