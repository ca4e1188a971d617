"""Prompts that are read ahead: what they become, which networks are in memory meanwhile, where they are kept."""

import gc
import logging
import weakref

import pytest
import torch
from safetensors import safe_open

from bench.errors import BadSample
from bench.files.refused import NotWritten
from bench.models import checkpoint as checkpoints
from bench.models import encoded, flux_transformer, sd3_transformer, sdxl_unet, text_encoders
from bench.models.encoded import Encoded
from bench.models.flux import Flux
from bench.models.sd3 import StableDiffusion3
from bench.models.sdxl import StableDiffusionXL
from bench.types import Condition
from tests.helpers.flow_folders import flux_folder, sd3_folder, sdxl_folder

CPU = torch.device("cpu")
KINDS = {
    "sdxl": (StableDiffusionXL, sdxl_folder, sdxl_unet),
    "sd3": (StableDiffusion3, sd3_folder, sd3_transformer),
    "flux": (Flux, flux_folder, flux_transformer),
}
PROMPTS = ["a red cat", "the house on the river", "a dog", "seven things"]


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {name: kind(str(folder(root / name))) for name, (kind, folder, _) in KINDS.items()}


@pytest.fixture(autouse=True)
def _loaded_anew():
    checkpoints.free()
    yield
    checkpoints.free()


def load(source, queries=None, folder=None, dtype=torch.float32):
    return checkpoints.load(source, CPU, dtype, queries=queries and (lambda: queries), folder=folder)


def equal(first, second):
    return torch.equal(first.states, second.states) and torch.equal(first.pooled, second.pooled)


@pytest.fixture
def loads(monkeypatch):
    """Names of networks in the order in which they are loaded, each with the names of those that are still in memory
    then."""
    made, alive = [], {}

    def recorded(load):
        def wrapped(checkpoint, kind, part, *where):
            gc.collect()
            made.append((part, {name for name, network in alive.items() if network() is not None}))
            network = load(checkpoint, kind, part, *where)
            alive[part] = weakref.ref(network)
            return network

        return wrapped

    for module in (text_encoders, sdxl_unet, sd3_transformer, flux_transformer):
        monkeypatch.setattr(module, "network", recorded(module.network))
    return made


@pytest.mark.parametrize("name", KINDS)
def test_text_encoders_are_gone_before_the_denoiser_is_loaded(sources, loads, name):
    model = load(sources[name], PROMPTS)
    encoders = [part for part in sources[name].networks if part.startswith("text")]
    denoiser = sources[name].denoiser()
    assert [part for part, _ in loads] == [*encoders, denoiser]
    assert loads[-1] == (denoiser, set())
    model.condition([*PROMPTS, ""])
    assert len(loads) == len(encoders) + 1


@pytest.mark.parametrize("name", KINDS)
def test_a_model_that_is_not_told_its_prompts_keeps_its_encoders(sources, loads, name):
    model = load(sources[name])
    count = len(loads)
    model.condition(PROMPTS)
    model.condition(["a blue dog"])
    assert len(loads) == count


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", KINDS)
def test_what_is_read_ahead_is_what_is_read_when_it_is_asked(sources, name, dtype):
    direct = sources[name].load(CPU, dtype)
    expected, null = direct.condition(PROMPTS), None if direct.distilled else direct.condition([None, "a dog"])
    assert equal(Condition.cat([direct.condition([text]) for text in PROMPTS]), expected)  # whatever is beside it
    found = load(sources[name], PROMPTS, dtype=dtype)
    assert equal(found.condition(PROMPTS), expected)
    assert found.condition(PROMPTS).states.dtype == dtype
    assert null is None or equal(found.condition([None, "a dog"]), null)


def test_many_lie_in_a_file_without_a_name(sources, tmp_path, monkeypatch):
    expected, stored = sources["flux"].load(CPU, torch.bfloat16).condition(PROMPTS), []
    monkeypatch.setattr(encoded, "IN_MEMORY", 3 * 512 * 32 * 2)
    monkeypatch.setattr(encoded, "safe_open", lambda file, kind: stored.append(file) or safe_open(file, kind))
    model = load(sources["flux"], PROMPTS, tmp_path / "cache", torch.bfloat16)
    assert equal(model.condition(PROMPTS), expected)
    assert len(stored) == 1
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_the_file_says_of_itself_is_true(tmp_path, monkeypatch):
    monkeypatch.setattr(encoded, "IN_MEMORY", 0)
    rows = [Condition(torch.full((1, 2, 3), n, dtype=torch.float16), torch.full((1, 5), float(n))) for n in range(4)]
    seen = {}

    def look(file, kind):
        found = safe_open(file, kind)
        seen.update({part: found.get_tensor(part) for part in found.keys()})  # noqa: SIM118 (no mapping)
        return found

    monkeypatch.setattr(encoded, "safe_open", look)
    kept = Encoded()
    kept.add(list("abcd"), rows, tmp_path)
    assert torch.equal(seen["states"], torch.cat([row.states for row in rows]))
    assert torch.equal(seen["pooled"], torch.cat([row.pooled for row in rows]))
    assert equal(kept["c"], rows[2])
    assert "e" not in kept
    (tmp_path / "file").touch()
    with pytest.raises(NotWritten, match="expected a folder"):
        kept.add(["e"], rows[:1], tmp_path / "file")


def test_a_prompt_that_comes_later_loads_the_encoders_and_says_so(sources, loads, caplog):
    model, expected = load(sources["sd3"], ["a dog"]), sources["sd3"].load(CPU, torch.float32).condition(["a red cat"])
    loads.clear()
    with caplog.at_level(logging.WARNING):
        assert equal(model.condition(["a red cat"]), expected)
    (record,) = caplog.records
    assert record.getMessage() == "prompt that was not read ahead; loading the text encoders once more: 'a red cat'"
    assert [part for part, _ in loads] == ["text_encoder", "text_encoder_2", "text_encoder_3"]
    gc.collect()
    assert [encoder._network for encoder in model.prompts.encoders] == [None] * 3
    model.condition(["a red cat", "a dog"])
    assert len(loads) == 3


def test_other_prompts_are_read_without_the_denoiser_in_memory(sources, loads):
    first = weakref.ref(load(sources["flux"], PROMPTS[:2]))
    loads.clear()
    load(sources["flux"], PROMPTS[:1])
    assert loads == []
    load(sources["flux"], PROMPTS)
    gc.collect()
    assert first() is None
    assert loads[0] == ("text_encoder", set())
    assert loads[-1] == ("transformer", set())
    assert load(sources["flux"], PROMPTS).prompts.unread(PROMPTS) == []


def test_a_denoiser_that_waits_is_not_loaded_again(sources, loads):
    first = checkpoints.load(sources["flux"], CPU, torch.float32, "model", queries=lambda: PROMPTS[:1])
    loads.clear()
    assert checkpoints.load(sources["flux"], CPU, torch.float32, "model", queries=lambda: PROMPTS) is first
    assert [part for part, _ in loads] == ["text_encoder", "text_encoder_2"]
    assert first.prompts.unread(PROMPTS) == []


def test_what_is_no_text_fails_when_it_is_asked(sources):
    model = load(sources["sd3"], [7, None, "a dog"])
    with pytest.raises(BadSample, match="takes text"):
        model.condition(["a dog", 7])
    assert len(model.condition(["a dog", None])) == 2


def test_what_a_tokenizer_refuses_fails_when_it_is_asked(sources, loads):
    odd = "a cat \ud800"
    model = load(sources["flux"], ["a dog", odd])
    count = len(loads)
    with pytest.raises((UnicodeError, TypeError)):
        model.condition([odd])
    assert load(sources["flux"], ["a dog", odd]) is model
    assert len(loads) == count


def test_prompts_of_the_model_itself_are_read_ahead(tmp_path, loads):
    source = Flux(str(flux_folder(tmp_path / "flux")), negative="a blue dog", true_guidance=2.0)
    model = load(source, ["a red cat"])
    count = len(loads)
    model.eps(torch.zeros(1, 16, 8, 8), 500, model.condition(["a red cat"]).guided(1.0))
    assert len(loads) == count
