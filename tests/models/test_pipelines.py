"""What is wrong with a pipeline, its folder or its arguments, said in a sentence before anything is loaded."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from bench import run
from bench.config import cli
from bench.edits.plan import plan
from bench.errors import UserError
from bench.models.pipelines.classes import find, offered
from tests.helpers import pipeline_folders
from tests.helpers.flow_folders import made_for, sd_folder

KONTEXT = "method=flux_kontext"
LEDITS = "method=ledits_pp"
WRONG = {
    "no such class": (
        [KONTEXT, "model.pipeline=FluxKontextPipline"],
        "no pipeline FluxKontextPipline; did you mean Fl",
    ),
    "no pipeline": ([KONTEXT, "model.pipeline=AutoencoderKL"], "diffusers .* has no pipeline AutoencoderKL"),
    "code elsewhere": ([KONTEXT, "model.pipeline=my.module.Mine"], "has no pipeline my.module.Mine"),
    "no such scheduler": ([LEDITS, "model.scheduler=PNDMSchedler"], "has no PNDMSchedler; did you mean PNDMScheduler"),
    "of another class": ([KONTEXT, "model.path={ledits_pp}"], "is made for StableDiffusionPipeline; expected FluxKont"),
    "whole another": (
        [KONTEXT, "model.path={ledits_pp}", "model.folders=[StableDiffusionPipeline]"],
        "has no text_encoder_2, which FluxKontextPipeline needs",
    ),
    "of words alone": (
        ["method=pipeline", "model.path={ledits_pp}"],
        "method.call.image: StableDiffusionPipeline takes no picture there; expected a pipeline that edits one",
    ),
    "no such argument": (
        [KONTEXT, "+method.call.guidance=3"],
        "takes no 'guidance' there; did you mean guidance_scale",
    ),
    "behind **kwargs": ([LEDITS, "+method.call.prompt=x"], "takes no 'prompt' there; did you mean editing_prompt"),
    "no +": ([KONTEXT, "method.call.strength=1"], r"what is new in method.call needs a \+: \+method.call.strength=1"),
    "the run's own": ([KONTEXT, "+method.call.generator=3"], "method.call.generator is said by the run itself"),
    "no such word": ([KONTEXT, "method.call.prompt=sample.caption"], "sample.caption is nothing that a sample holds"),
    "prompt left out": ([KONTEXT, "~method.call.prompt"], "method.call.prompt is left out, which FluxKontextPipeline"),
    "needed left out": ([LEDITS, "~method.before.invert.image"], "method.before.invert.image is left out, which"),
    "no picture": (
        [KONTEXT, "~method.call.image"],
        "nothing of what FluxKontextPipeline is called with is sample.image",
    ),
    "no such function": (
        [LEDITS, "~method.before.invert", "+method.before.invrt.image=sample.image"],
        "method.before.invrt: .* has no function 'invrt'; did you mean invert",
    ),
    "a mask for a tensor": ([LEDITS, "+method.call.user_mask=sample.mask"], "takes no picture there, but torch.Tensor"),
    "no table": ([KONTEXT, "method.call=3"], "method.call=3, expected arguments such as"),
    "guidance": ([KONTEXT, "guidance=3"], "guidance=3, but that of method=flux_kontext is an argument of the pipeline"),
    "size": ([LEDITS, "data.size=48"], "pictures of 48x48 px; LEditsPPPipelineStableDiffusion takes multiples of 32"),
    "another method": (["method=ddim", "model=flux_kontext"], "model=flux_kontext is a whole pipeline of diffusers"),
    "another model": ([KONTEXT, "model=sd14"], "needs a model that is a whole pipeline of diffusers"),
    "no path": (["method=pipeline"], "model.path is not set; expected the folder or hub id of a pipeline"),
    "gated": ([KONTEXT, "model.path=a/b"], "a/b is not here.*accept the licence.*`hf auth login`.*`hf download a/b`"),
    "not downloaded": ([LEDITS, "model.path=a/b"], "a/b is not here.*get it with `hf download a/b`"),
    "not a folder": ([LEDITS, "model.path=/no/where"], "/no/where is not here.*give model.path="),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("pipelines")
    return {name: getattr(pipeline_folders, name)(root / name) for name in ("ledits_pp", "flux_kontext")}


@pytest.mark.parametrize("case", WRONG)
def test_it_is_said_in_a_sentence(case, folders, tmp_path, capsys):
    words, expected = WRONG[case]
    words = [word.format(**folders) for word in words]
    if not any(word.startswith(("model.path", "model=")) for word in words) and words != ["method=pipeline"]:
        words.append(f"model.path={folders[words[0].removeprefix('method=')]}")
    size = [] if any(word.startswith("data.size") for word in words) else ["data.size=64"]
    assert run.main([*words, *size, "metrics=pixel", f"out={tmp_path}"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert re.search(expected, said), said


def test_all_that_is_said_before_torch_is_imported(folders, tmp_path):
    """A misspelt argument costs no second of loading."""
    words = [KONTEXT, f"model.path={folders['flux_kontext']}", "data.size=64", "metrics=pixel", f"out={tmp_path}"]
    program = f"import sys\nfrom bench import run\nrun.main({[*words, '+method.call.guidance=3']})\n"
    program += "print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert "did you mean guidance_scale" in done.stderr


def checked(folder, *words):
    """The one sentence, of LEDITS++ unless words say otherwise."""
    with pytest.raises(UserError) as refused:
        plan(cli.jobs([LEDITS, f"model.path={folder}", "data.size=64", "metrics=pixel", *words])[0])
    return str(refused.value)


@pytest.fixture
def folder(folders, tmp_path):
    return shutil.copytree(folders["ledits_pp"], tmp_path / "folder")


@pytest.mark.parametrize(
    ("schedule", "dies"),
    [
        ({"_class_name": "DDIMScheduler"}, True),
        ({"_class_name": "DPMSolverMultistepScheduler"}, True),
        ({"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "sde-dpmsolver++", "solver_order": 2}, False),
    ],
)
def test_a_scheduler_with_which_invert_fails_is_refused(folder, schedule, dies):
    file = folder / "scheduler/scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | schedule))
    made_for(folder, "StableDiffusionPipeline", scheduler=["diffusers", schedule["_class_name"]])
    words = [LEDITS, f"model.path={folder}", "data.size=64", "metrics=pixel"]
    if not dies:
        assert plan(cli.jobs(words)[0])
        return
    said = checked(folder)
    assert f"cannot invert with {schedule['_class_name']}" in said
    assert plan(cli.jobs([*words, f"model.scheduler={re.search('scheduler=(.*?),', said)[1]}"])[0])


def test_the_scheduler_that_it_dies_with_does_die(folder, tmp_path):
    """If diffusers mends it, the refusal can go."""
    import diffusers
    import torch
    from PIL import Image

    scheduler = diffusers.DDIMScheduler.from_pretrained(folder / "scheduler")
    pipeline = diffusers.LEditsPPPipelineStableDiffusion.from_pretrained(folder, scheduler=scheduler)
    with pytest.raises((IndexError, TypeError)):
        pipeline.invert(Image.new("RGB", (64, 64)), num_inversion_steps=2, generator=torch.Generator().manual_seed(0))


def test_code_of_the_folder_is_never_run(folder):
    (folder / "mine.py").write_text("raise SystemExit('run')\n")
    made_for(folder, ["mine", "Mine"])
    assert "names code of its own" in checked(folder)
    made_for(folder, "StableDiffusionPipeline", unet=["mine", "UNet2DConditionModel"])
    assert "names mine.UNet2DConditionModel as unet, which is code of its own and is never run" in checked(folder)


def test_a_denoiser_of_another_class_is_refused(folder):
    made_for(folder, "StableDiffusionPipeline", unet=["diffusers", "UNet3DConditionModel"])
    assert "names UNet3DConditionModel as unet; LEditsPPPipelineStableDiffusion takes UNet2D" in checked(folder)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("unet", "has no unet/, which LEditsPPPipelineStableDiffusion needs"),
        ("unet/diffusion_pytorch_model.safetensors", "has no diffusion_pytorch_model.safetensors"),
        ("text_encoder/model.safetensors", "text_encoder has no model.safetensors"),
        ("text_encoder/config.json", "text_encoder/config.json is missing"),
        ("tokenizer/tokenizer_config.json", "tokenizer/tokenizer_config.json is missing"),
        ("scheduler/scheduler_config.json", "scheduler/scheduler_config.json is missing"),
    ],
)
def test_what_is_missing_is_said(folder, file, said):
    path = folder / file
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert said in checked(folder)


def test_half_a_file_and_a_pickle_are_refused(folder):
    weights = folder / "vae/diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    assert "vae/diffusion_pytorch_model.safetensors is not whole" in checked(folder)
    weights.rename(folder / "vae/diffusion_pytorch_model.bin")
    assert "a pickle, which can run code when loaded" in checked(folder)


def test_weights_that_lack_a_parameter_are_refused(folder):
    """diffusers would make them up."""
    import torch
    from safetensors.torch import load_file, save_file

    file = folder / "unet/diffusion_pytorch_model.safetensors"
    state = load_file(file)
    state.pop("conv_in.weight")
    save_file(state, file, metadata={"format": "pt"})
    (planned,) = plan(cli.jobs([LEDITS, f"model.path={folder}", "data.size=64", "metrics=pixel"])[0])
    with pytest.raises(UserError, match=r"does not fit its config.json: conv_in.weight"):
        planned.checkpoint.load(torch.device("cpu"), torch.float32)


def test_a_safety_checker_and_what_serves_it_need_not_be_there(folder):
    checker = {"safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"]}
    extractor = {"feature_extractor": ["transformers", "CLIPImageProcessor"]}
    made_for(folder, "StableDiffusionPipeline", requires_safety_checker=True, **checker, **extractor)
    import torch

    (planned,) = plan(cli.jobs([LEDITS, f"model.path={folder}", "data.size=64", "metrics=pixel"])[0])
    pipeline = planned.checkpoint.load(torch.device("cpu"), torch.float32).pipeline
    assert pipeline.safety_checker is None
    assert pipeline.feature_extractor is None


def test_the_smallest_variant_is_read_where_no_other_is_there(folder, tmp_path):
    import torch

    for part, stem in (("unet", "diffusion_pytorch_model"), ("text_encoder", "model")):
        (folder / part / f"{stem}.safetensors").rename(folder / part / f"{stem}.fp16.safetensors")
    (planned,) = plan(cli.jobs([LEDITS, f"model.path={folder}", "data.size=64", "metrics=pixel"])[0])
    assert planned.checkpoint.load(torch.device("cpu"), torch.float32).pipeline.unet.dtype == torch.float32


def test_what_was_never_trained_is_said(tmp_path):
    from diffusers import UNet2DConditionModel

    folder = pipeline_folders.ledits_pp(tmp_path / "folder")
    config = UNet2DConditionModel.load_config(folder / "unet")
    UNet2DConditionModel.from_config(config).save_pretrained(folder / "unet")
    (planned,) = plan(cli.jobs([LEDITS, f"model.path={folder}", "data.size=64", "metrics=pixel"])[0])
    assert "random (untrained) weights" in planned.notice
    assert "LEditsPPPipelineStableDiffusion of diffusers" in planned.notice


def test_the_size_is_the_folders_where_nobody_states_one(tmp_path):
    folder = made_for(sd_folder(tmp_path / "sd"), "StableDiffusionImg2ImgPipeline")
    (planned,) = plan(cli.jobs(["method=pipeline", f"model.path={folder}", "metrics=pixel"])[0])
    assert planned.data.size == 64
    kontext = pipeline_folders.flux_kontext(tmp_path / "flux")
    with pytest.raises(UserError, match=r"does not say at which size it edits; set data.size="):
        plan(cli.jobs(["method=pipeline", f"model.path={kontext}", "metrics=pixel"])[0])


def test_what_a_class_takes_is_what_diffusers_says_when_it_is_imported():
    """For every pipeline that edits a picture."""
    import inspect

    import diffusers

    names = ["LEditsPPPipelineStableDiffusionXL", "StableDiffusionXLInstructPix2PixPipeline", "FluxKontextPipeline"]
    names += ["QwenImageEditPipeline", "Flux2KleinPipeline", "StableDiffusionImg2ImgPipeline", "IFInpaintingPipeline"]
    assert set(names) <= offered()
    for name in names:
        kind, read = getattr(diffusers, name), find(name)
        for function in ("__init__", "__call__"):
            found = inspect.signature(getattr(kind, function)).parameters
            takes = [one for one, about in found.items() if one != "self" and about.kind != about.VAR_KEYWORD]
            assert list(read.functions[function].takes) == takes
            needs = [one for one in takes if found[one].default is inspect.Parameter.empty]
            assert list(read.functions[function].needs) == needs
        assert list(read.optional) == list(kind._optional_components)
