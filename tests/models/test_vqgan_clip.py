"""`model=vqgan_clip`: which files it takes, and what it says of others."""

import hashlib
import json
import shutil
import subprocess
import sys

import pytest
import torch
from omegaconf import OmegaConf

from bench import prepare, run
from bench.config import cli
from bench.edits.plan import plan
from bench.errors import UserError
from bench.files.paths import ROOT
from bench.models import checkpoint as checkpoints
from bench.models.vqgan_networks import _clip
from tests.helpers import flexit
from tests.helpers.models import SHIPPED


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return flexit.tiny(tmp_path_factory.mktemp("tiny"))


def planned(*words):
    (job,) = cli.jobs(["method=flexit", "data=shapes", "data.size=32", "metrics=pixel", "limit=1", *words])
    return plan(job)[0]


def refused(*words):
    with pytest.raises(UserError) as caught:
        planned(*words)
    return str(caught.value)


def test_its_identity_is_the_content_of_every_file(tiny, tmp_path):
    first = planned(*tiny, f"out={tmp_path}")
    files = first.identity["model"]["files"]
    assert set(files) == {
        "vqgan/diffusion_pytorch_model.safetensors",
        "vqgan/config.json",
        "ViT-B-32",
        "RN50",
        "vgg16",
    }
    assert first.identity["model"]["conversion"]["kind"] == "vqgan"
    assert first.identity["model"]["clips"] == ["ViT-B-32", "RN50"]
    one = planned(*tiny, "model.clips=[RN50]", f"out={tmp_path}")
    other_way = planned(*tiny, "model.clips=[RN50,ViT-B-32]", f"out={tmp_path}")
    moved = shutil.copytree(tmp_path.parent / first.checkpoint.folder, tmp_path / "moved")
    assert planned(*tiny, f"model.path={moved}", f"out={tmp_path}").key == first.key
    config = moved / "vqgan/config.json"
    config.write_text(config.read_text() + "\n")
    assert len({first.key, one.key, other_way.key, planned(*tiny, f"model.path={moved}", f"out={tmp_path}").key}) == 4


def test_what_is_not_official_is_said_in_every_table(tiny, tmp_path):
    notice = planned(*tiny, f"out={tmp_path}").notice
    assert "ViT-B-32 is not the official file; RN50 is not the official file; vgg16 is random" in notice
    assert "random (untrained) weights" in notice


@pytest.fixture
def nothing(tmp_path, monkeypatch):
    """A home with no weights in it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path


def test_every_missing_file_is_a_sentence_with_what_to_do(nothing):
    lines = refused("model=vqgan_clip", f"out={nothing}").splitlines()
    assert len(lines) == 7
    assert lines[0] == (
        "model folder models/vqgan is not here: make it of VQGAN f16-1024's ckpts/last.ckpt "
        "(heibox.uni-heidelberg.de/d/8088892a516d4e3baf92) with "
        "`python -m bench.convert kind=vqgan <file> models/vqgan`"
    )
    for line, name in zip(lines[1:], ["ViT-B-32", "RN50x4", "RN50", "ViT-B-16", "RN50x16"], strict=False):
        assert line.startswith(
            f"{name} is missing: {name}.pt was sought in {nothing}/.cache/clip; get it with `curl -L"
        )
        assert "https://openaipublic.azureedge.net/clip/models/" in line
        assert f"model.weights.{name}.path=<local file>" in line
    assert lines[6].startswith("vgg16 is missing: vgg16-397923af.pth was sought in")


def test_each_address_names_the_hash_that_is_verified():
    (job,) = cli.jobs(["model=vqgan_clip"])
    entries = {name: entry for name, entry in job.model.weights.items() if name != "vgg16"}
    assert list(entries) == list(job.model.clips)
    for entry in entries.values():
        assert entry.source.split("/")[-2:] == [entry.sha256, entry.file]


def test_another_file_under_an_official_name_is_refused(nothing, tiny):
    (nothing / ".cache/clip").mkdir(parents=True)
    (nothing / ".cache/clip/RN50.pt").write_bytes(b"half a download")
    said = refused(*tiny, "model.weights.RN50.path=null", f"out={nothing}")
    assert "RN50.pt is not the official file: its SHA-256 does not start with afeb0e10f9e5a86d" in said


def test_the_official_file_is_found_where_it_is_kept(nothing, tiny):
    (nothing / ".cache/clip").mkdir(parents=True)
    shutil.copy(tiny[3].partition("=")[2], file := nothing / ".cache/clip/ViT-B-32.pt")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    words = ["model.weights.ViT-B-32.path=null", f"model.weights.ViT-B-32.sha256={digest}"]
    run_ = planned(*tiny, *words, f"out={nothing}")
    assert run_.identity["model"]["files"]["ViT-B-32"] == digest
    assert "ViT-B-32" not in run_.notice


def test_folders_of_another_kind_are_refused(tiny, tmp_path):
    said = refused(*tiny, f"model.path={SHIPPED}", f"out={tmp_path}")
    assert said.startswith(f"model folder {SHIPPED} is a Stable Diffusion 1 or 2 model")
    assert said.endswith("with `python -m bench.convert kind=vqgan <file> <folder>`")
    folder = shutil.copytree(tiny[1].partition("=")[2], tmp_path / "copy")
    facts = {"format_version": 1, "kind": "cin256", "sha256": ""}
    (folder / "conversion.json").write_text(json.dumps(facts))
    assert "copy is a cin256 model; expected" in refused(*tiny, f"model.path={folder}", f"out={tmp_path}")
    (folder / "conversion.json").write_text(json.dumps(facts | {"kind": "vqgan", "format_version": 0}))
    assert "was converted by version 0" in refused(*tiny, f"model.path={folder}", f"out={tmp_path}")
    (folder / "conversion.json").write_text(json.dumps(facts | {"kind": "vqgan"}))
    (folder / "vqgan/diffusion_pytorch_model.safetensors").write_bytes(b"0" * 100)
    assert "diffusion_pytorch_model.safetensors is not whole" in refused(
        *tiny, f"model.path={folder}", f"out={tmp_path}"
    )


def test_names_of_clips_are_known(tiny, tmp_path):
    said = refused(*tiny, "model.clips=[ViT-B/32]", f"out={tmp_path}")
    assert said.startswith("model.clips=ViT-B/32, did you mean ViT-B-32")
    assert "model.clips is an empty list" in refused(*tiny, "model.clips=[]", f"out={tmp_path}")
    assert "model.dtype=float16" in refused(*tiny, "model.dtype=float16", f"out={tmp_path}")


@pytest.mark.parametrize("method", ["diffedit", "siminversion", "instruct_pix2pix", "custom"])
def test_no_method_of_a_denoiser_runs_on_it(method, tiny, tmp_path, capsys):
    words = [f"method={method}", "data=shapes", "data.size=32", "metrics=pixel", f"out={tmp_path}", *tiny]
    words += ["method._target_=methods.copy.Copy"] if method == "custom" else []
    assert run.main(words) == 2
    method = "Copy" if method == "custom" else method
    word = "instruct_pix2pix" if method == "instruct_pix2pix" else "sd14"
    said = capsys.readouterr().err
    assert said.startswith(f"error: method={'Copy' if method == 'custom' else method} needs a model that ")
    assert said.endswith(f"; model=vqgan_clip is a VQGAN with CLIP encoders: use model={word}\n")


@pytest.mark.parametrize(
    ("method", "model", "word"), [("diffedit", "vqgan_clip", "sd14"), ("flexit", "sd14", "vqgan_clip")]
)
def test_the_word_to_type_is_said_where_no_file_is_here(method, model, word, nothing, capsys):
    words = [f"method={method}", f"model={model}", "model.path=no/such", "data=shapes", "metrics=pixel"]
    assert run.main([*words, f"out={nothing}"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.endswith(f": use model={word}\n")


def test_nor_does_it_generate_sources(tiny, tmp_path, capsys):
    assert prepare.main(["data=imagen", *tiny, "generate=true", f"data.root={tmp_path / 'made'}"]) == 2
    assert "error: generate=true needs a model that predicts noise" in capsys.readouterr().err


def test_flexit_runs_on_no_denoiser(tmp_path, capsys):
    assert run.main(["method=flexit", "model=sd14", f"model.path={SHIPPED}", "data=shapes", f"out={tmp_path}"]) == 2
    assert capsys.readouterr().err == (
        "error: method=flexit needs a model that is a VQGAN with CLIP encoders; model=sd14 predicts noise or velocity "
        "alone: use model=vqgan_clip\n"
    )


@pytest.mark.parametrize("typed", ["guidance=5", "guidance=1", "model.guidance=5"])
def test_typed_guidance_is_an_error(typed, tiny, tmp_path, capsys):
    assert run.main(["method=flexit", "data=shapes", "data.size=32", *tiny, typed, f"out={tmp_path}"]) == 2
    value = typed.partition("=")[2]
    assert capsys.readouterr().err == f"error: guidance={value}, but method=flexit has no guidance: leave it out\n"


def test_sizes_that_its_codes_have_no_cells_for(tiny, tmp_path, capsys):
    words = ["method=flexit", "data=shapes", "data.size=30", "limit=1", "metrics=pixel", *tiny, "method.updates=0"]
    assert run.main([*words, f"out={tmp_path}"]) != 0
    assert "pictures of 30x30 px; this model takes multiples of 4: set data.size" in capsys.readouterr().err


def test_all_of_it_is_asked_before_torch(tiny, tmp_path):
    planned = ["method=flexit", "data=shapes", "data.size=32", "metrics=pixel", f"out={tmp_path}", *tiny]
    code = (
        "import sys\nfrom bench.config import cli\nfrom bench.edits.plan import plan\n"
        f"plan(cli.jobs({planned!r})[0])\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


# --- networks ---


@pytest.fixture(scope="module")
def networks(tiny):
    (job,) = cli.jobs(["method=flexit", *tiny])
    made = checkpoints.make(OmegaConf.to_container(job.model, resolve=True))
    return made.load(torch.device("cpu"), torch.float32)


def test_everything_is_frozen(networks):
    parts = [networks.vqgan, networks.lpips, *(clip.network for clip in networks.clips.values())]
    assert not [p for part in parts for p in part.parameters() if p.requires_grad]
    assert not any(part.training for part in parts)


def test_lpips_with_kept_features_is_the_packages(networks):
    a, b = torch.rand(2, 2, 3, 32, 32)
    ours = networks.distance(networks.features(a), networks.features(b))
    torch.testing.assert_close(ours, networks.lpips(a, b, normalize=True).flatten())


def test_codes_are_not_quantised(networks):
    codes = torch.randn(1, 4, 8, 8)
    assert not torch.allclose(networks.decode(codes), networks.decode(codes.round()), atol=1e-3)
    assert not torch.allclose(networks.decode(codes), networks.vqgan.decode(codes).sample, atol=1e-3)


class Tree(torch.nn.Module):
    """Tensors by their dotted names, and nothing that computes."""

    def __init__(self, state):
        super().__init__()
        for name, tensor in state.items():
            *parents, last = name.split(".")
            place = self
            for parent in parents:
                if not hasattr(place, parent):
                    place.add_module(parent, Tree({}))
                place = getattr(place, parent)
            place.register_buffer(last, tensor)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_a_torchscript_archive_is_read_as_openais_are(networks, tmp_path):
    network = networks.clips["RN50"].network
    beside = {name: torch.tensor(1) for name in ("input_resolution", "context_length", "vocab_size")}
    torch.jit.script(Tree(network.state_dict() | beside)).save(tmp_path / "script.pt")
    again, x = _clip(tmp_path / "script.pt"), torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(again.encode_image(x), network.encode_image(x))


@pytest.mark.parametrize("content", [b"no network", None])
def test_what_is_no_clip_is_told(content, tmp_path):
    file = tmp_path / "clip.pt"
    file.write_bytes(content) if content else torch.save({"weight": torch.zeros(1)}, file)
    with pytest.raises(UserError, match=r"clip.pt is no CLIP in OpenAI's format"):
        _clip(file)


def test_half_precision_is_there_and_back(networks):
    clip, x = networks.clips["RN50"], torch.rand(1, 3, 64, 64)
    whole = clip.images(x), clip.texts(["a dog"])
    networks.encoders("float16")
    half = clip.images(x), clip.texts(["a dog"])
    assert half[0].dtype == half[1].dtype == torch.float32
    assert clip.network.visual.conv1.weight.dtype == torch.float16
    assert clip.network.ln_final.weight.dtype == torch.float32
    for a, b in zip(whole, half, strict=True):
        assert 0 < (a - b).abs().max() < 1e-2
    networks.encoders("float32")
    torch.testing.assert_close(clip.images(x), whole[0])


def test_words_beyond_the_context(networks):
    assert networks.excess("a dog") == 0
    assert networks.excess("dog " * 80) == 5
    assert networks.clips["RN50"].texts(["dog " * 80]).shape == (1, 16)
