"""Every configuration composes, and names exactly what the modules offer."""

import inspect

import pytest
from hydra.utils import get_class
from omegaconf import OmegaConf

from bench.config import cli, validate
from bench.config.profile import columns, stem
from bench.data.world import scenes
from bench.files import sources
from bench.files.paths import ROOT
from bench.models.pipelines.arguments import check, of
from bench.models.pipelines.classes import find


def composed(*words):
    (job,) = cli.jobs(list(words))
    return OmegaConf.to_container(job, resolve=True)


@pytest.mark.parametrize("name", [n for n in cli.names("method") if n != "custom"])
def test_method_config_fits_its_class(name):
    node = composed(f"method={name}")["method"]
    assert node["name"] == name
    assert set(node["uses"]) <= {"model", "noise", "pictures", "results"}
    knobs = {key: value for key, value in validate.knobs(node).items() if key != "_target_"}
    method = get_class(node["_target_"])(**knobs)
    accepted = set(inspect.signature(type(method)).parameters)
    assert set(knobs) == accepted


@pytest.mark.parametrize("group", ["method", "data", "model"])
def test_what_has_no_name_is_called_after_its_class_or_as_one_says(group):
    words = [f"{group}=custom", f"{group}._target_=my.mod.Thing"]
    assert composed(*words)[group]["name"] == "Thing"
    assert composed(*words, f"{group}.name=other")[group]["name"] == "other"


def test_pictures_of_ones_own_are_called_after_their_folder_or_as_one_says(tmp_path):
    assert composed("data=manifest")["data"]["name"] == "manifest"  # which then is refused
    words = ["data=manifest", f"data.root={tmp_path}/x/../pets/"]
    assert composed(*words)["data"]["name"] == "pets"
    assert composed(*words, "data.name=other")["data"]["name"] == "other"


@pytest.mark.parametrize("name", [n for n in cli.names("method") if n != "custom"])
def test_every_method_and_what_its_knobs_name_has_a_version(name):
    node = composed(f"method={name}")["method"]
    named = [node["_target_"]] + [
        one["_target_"] for one in node.values() if isinstance(one, dict) and "_target_" in one
    ]
    for knob, spelling in node.get("classes", {}).items():
        named += [spelling.format(value) for value in composed()["valid"][knob] if value != "module.Class"]
    assert all(sources.class_version(target) >= 1 for target in named)


def test_every_method_module_has_a_config_and_the_other_way_round():
    """But for pipelines of diffusers, which are configurations of one."""
    helpers = {"__init__", "branches", "dual_branch", "latents", "tuning"}
    modules = {file.stem for file in (ROOT / "methods").glob("*.py")} - helpers
    targets = {name: composed(f"method={name}")["method"]["_target_"] for name in set(cli.names("method")) - {"custom"}}
    pipelines = {name for name, target in targets.items() if target == targets["pipeline"]} - {"pipeline"}
    assert len(pipelines) > 1
    assert modules == targets.keys() - pipelines


def test_a_pipeline_that_has_a_name_brings_its_model():
    named = set(cli.names("method")) & set(cli.names("model")) - {"custom", "instruct_pix2pix"}
    assert len(named) > 2
    for name in named:
        cfg = composed(f"method={name}", "data=pie")
        assert cfg["model"]["name"] == name
        if name != "pipeline":
            check(of(cfg["method"]), find(cfg["model"]["pipeline"]))


@pytest.mark.parametrize("name", cli.names("metrics"))
def test_metric_profile_names_real_classes_with_an_identity(name):
    profile = composed(f"metrics={name}")["metrics"]
    assert stem(profile["name"]) == name
    for metric, node in columns(profile).items():
        kind = get_class(node["_target_"])
        assert isinstance(kind.version, int), metric
        assert isinstance(kind.higher_is_better, bool), metric
        if "weights" in node:
            assert node["weights"] in profile["weights"]
    for axis in (*profile["plot"].values(), *(profile["table"] or [])):
        assert axis in columns(profile)


@pytest.mark.parametrize("group", ["data", "model"])
def test_data_and_model_configs_carry_their_own_name(group):
    for name in set(cli.names(group)) - {"custom"}:
        expected = "templated_sd14" if name == "templated" else name  # a model's pictures are named after it
        assert composed(f"{group}={name}")[group]["name"] == expected


def test_every_control_can_be_chosen_and_the_other_way_round():
    modules = {file.stem for file in (ROOT / "methods/controls").glob("*.py")} - {"__init__", "align"}
    assert modules == set(composed()["valid"]["control"]) - {"module.Class"}


def test_shapes_offers_every_edit_type_of_the_world():
    assert composed()["data"]["valid"]["types"] == list(scenes.EDITS)
