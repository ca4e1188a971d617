"""ADM on pixels: its folder, rightly and wrongly made, what it can be asked, and a whole run of ILVR on it."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from bench import run
from bench.errors import BadSample, UserError
from bench.files.paths import ROOT
from bench.models.adm import ADM
from bench.reproduce import items
from bench.reproduce.__main__ import main as reproduce
from tests.helpers import adm, trees

CPU = torch.device("cpu")
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return adm.folder(tmp_path_factory.mktemp("adm"))


@pytest.fixture
def copied(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "model")


def edit_json(file, **changes):
    kept = {name: value for name, value in (json.loads(file.read_text()) | changes).items() if value is not ...}
    file.write_text(json.dumps(kept))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (
            shutil.rmtree,
            r"is not here: make it of the official 256x256_diffusion.pt .* with `python -m .* kind=adm256 <file>",
        ),
        (
            lambda m: (m / "conversion.json").unlink(),
            r"has no conversion.json; expected a folder made of .*kind=adm256",
        ),
        (
            lambda m: edit_json(m / "conversion.json", kind="vqgan"),
            "is a vqgan model; expected one made of the official",
        ),
        (
            lambda m: edit_json(m / "conversion.json", format_version=2),
            "by version 2 of the converter; expected 1: convert",
        ),
        (lambda m: edit_json(m / "conversion.json", format_version=...), "conversion.json has no format_version"),
        (lambda m: shutil.rmtree(m / "scheduler"), "has no scheduler/; expected the folders unet, scheduler"),
        (lambda m: (m / WEIGHTS).unlink(), "has no diffusion_pytorch_model.safetensors"),
        (lambda m: (m / WEIGHTS).write_bytes((m / WEIGHTS).read_bytes()[:-9]), r"is not whole \([\d,]+ of [\d,]+"),
        (
            lambda m: edit_json(m / "unet/config.json", out_channels=3),
            "takes 3 and gives 3 channels; expected 3, and 6",
        ),
        (
            lambda m: edit_json(m / "scheduler/scheduler_config.json", beta_schedule="scaled_linear"),
            "has the beta_schedule 'scaled_linear'; expected linear",
        ),
    ],
)
def test_folders_that_are_not_whole_or_of_another_kind(copied, damage, sentence):
    damage(copied)
    with pytest.raises(UserError, match=sentence):
        ADM(str(copied))


def test_the_folder_and_the_official_file_identify_it(copied):
    before = ADM(str(copied)).identity()
    edit_json(copied / "conversion.json", sha256="1" * 64)
    assert ADM(str(copied)).identity() != before
    assert str(copied) not in json.dumps(before)


def test_missing_parameters_are_never_replaced_by_random_ones(copied):
    state = load_file(copied / WEIGHTS)
    state.pop("class_embedding.weight")
    save_file(state, copied / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"does not fit its config\.json"):
        ADM(str(copied)).load(CPU, torch.float32)


@torch.inference_mode()
def test_what_it_predicts(folder):
    model = ADM(str(folder)).load(CPU, torch.float32)
    z = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    told = model.condition([0, 10])
    eps, variance = model.eps_and_variance(z, 500, told)
    assert model.rows == 2
    expected = adm.network()(z, 500, torch.tensor([0, 10])).sample
    torch.testing.assert_close(torch.cat([eps, variance], 1), expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(model.eps(z, 500, told), eps)
    assert torch.equal(model.decode(model.encode(z)), z)
    assert (model.size, model.alphas_cumprod.dtype, len(model.alphas_cumprod)) == (32, np.float64, 1000)
    np.testing.assert_allclose(model.alphas_cumprod[[0, 999]], [0.9999, 4.0358e-5], rtol=1e-4)
    with pytest.raises(UserError, match="images of 33x32 px; this model needs multiples of 2: set"):
        model.encode(torch.zeros(1, 3, 32, 33))


@torch.inference_mode()
def test_what_it_can_be_asked(folder, tmp_path):
    model = ADM(str(folder)).load(CPU, torch.float32)
    with pytest.raises(BadSample, match="takes class ids from 0 to 10 and got 11"):
        model.condition([0, 11])
    with pytest.raises(BadSample, match=r"takes class ids and got the text 'a cat'; set data\.queries=ids"):
        model.condition(["a cat"])
    with pytest.raises(UserError, match="was trained with classes only and has no unconditional half"):
        model.condition([0, None])
    with pytest.raises(UserError, match="attention cannot be steered"):
        model.attention()


@torch.inference_mode()
def test_the_unconditional_network_takes_no_class(tmp_path):
    state = adm.original(adm.network(num_class_embeds=None))
    model = ADM(str(adm.folder(tmp_path / "free", state))).load(CPU, torch.float32)
    z = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = adm.network(num_class_embeds=None)(z, 7).sample
    found = torch.cat(model.eps_and_variance(z, 7, model.condition([None])), 1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(BadSample, match="this model was trained without classes and got 3"):
        model.condition([3])


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    """The ImageNet benchmark in miniature, with a model that has its classes."""
    root = tmp_path_factory.mktemp("benchmark")
    state = adm.original(adm.network(num_class_embeds=1000))
    images, queries = trees.class_folders(root / "val"), trees.queries_csv(root / "queries.csv")
    words = ["data=imagenet", f"data.root={images}", f"data.annotations={queries}", "data.queries=ids", "metrics=pixel"]
    return [*words, "model=adm256", "model.size=32", f"model.path={adm.folder(root / 'adm', state)}", "method.down=8"]


def test_ilvr_on_the_benchmark(miniature, tmp_path, capsys):
    words = [*miniature, "method=ilvr", "method.respacing=5", "method.range_t=[0,3]", "batch_size=2", f"out={tmp_path}"]
    assert run.main(words) == 0
    assert "3 of 3 scored" in capsys.readouterr().out
    folders = sorted((tmp_path / "imagenet/ilvr").iterdir())
    assert [folder.name.rsplit("-", 1)[0] for folder in folders] == ["N8_t0_seed0", "N8_t3_seed0"]
    pictures, spent = [], []
    for folder in folders:
        journal = [json.loads(line) for line in next(folder.glob("edits-0of1.*.jsonl")).read_text().splitlines()]
        assert [entry["nfe"] for entry in journal] == [5] * 3
        spent.append([entry["nfe_spent"] for entry in journal])
        pictures.append(np.asarray(Image.open(folder / "edits/0002.png")))
        assert pictures[-1].shape == (32, 32, 3)
    assert spent == [[5] * 3, [4] * 3]
    assert not np.array_equal(*pictures)


def test_queries_that_are_no_class_fail_sample_by_sample(folder, tmp_path, capsys):
    pairs = {"1": 3, "2": 11, "3": "a cat"}
    rows = [{"id": i, "image": "dog.jpg", "source": 0, "target": target} for i, target in pairs.items()]
    root = trees.manifest(tmp_path / "data", rows)
    words = ["method=ilvr", "method.respacing=2", "method.range_t=0", "method.down=8", "metrics=pixel"]
    words += ["data=manifest", f"data.root={root}", "model=adm256", f"model.path={folder}", "model.size=32"]
    assert run.main([*words, f"out={tmp_path / 'out'}"]) != 0
    said = capsys.readouterr().err
    assert "2 of 3 samples failed" in said
    assert "this model takes class ids from 0 to 10 and got 11" in said
    (made,) = (tmp_path / "out").glob("*/ilvr/*")
    journal = {e["id"]: e for e in map(json.loads, next(made.glob("edits-0of1.*.jsonl")).read_text().splitlines())}
    assert journal["3"] == {
        "id": "3",
        "error": "line 3: target is 'a cat'; this model takes class ids and got the text 'a cat'; set data.queries=ids",
    }
    assert journal["1"]["nfe"] == 2


LACKING = "model folder nowhere is not here: make it of the official 256x256_diffusion.pt .*kind=adm256 <file> nowhere`"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["model=shapes"], r"method=ilvr needs a model that predicts its own variance .*: use model=adm256"),
        (
            ["method=sdedit"],
            r"method=sdedit needs a model that predicts noise or velocity alone; model=adm256 .*model=sd14",
        ),
        (
            ["guidance=5"],
            "guidance=5, expected 1: model=adm256 has no unconditional half to guide by; leave guidance= out",
        ),
        (["guidance=[1,3]"], r"guidance=\[1, 3\], expected 1"),
        (["model.guidance=2"], "guidance=2, expected 1"),
        (["method.down=12"], "method.down=12, did you mean 128"),
        (["method.down=5"], "method.down=5, one of: 128, 16, 2, 32, 4, 64, 8"),
        (["method.range_t=101"], "method.range_t=101, expected a number from 0 to respacing=100"),
        (
            ["method.range_t=30", "method.respacing=[50,25]"],
            "method.range_t=30, expected a number from 0 to respacing=25",
        ),
        (["method.respacing=10"], "method.range_t=20, expected a number from 0 to respacing=10"),
        (["method.respacing=null"], "method.range_t=20, expected a number from 0 to respacing=0"),
        (["method.respacing=1"], "method.respacing=1, expected a number from 2 to 1000"),
        (["method.pairing=cod"], "method.pairing=cod, did you mean code?"),
        (["method.down=32"], "method.down=32 leaves 1 of 32 px a side; .* data.size to a multiple of 64"),
        (["model.path=nowhere"], LACKING),
    ],
)
def test_what_is_refused(words, sentence, folder, tmp_path, capsys):
    given = ["method=ilvr", "model=adm256", f"model.path={folder}", "model.size=32", "metrics=pixel", "limit=1"]
    given = [word for word in given if word.split("=")[0] not in {w.split("=")[0] for w in words}]
    if "model=shapes" in words:
        given = [word for word in given if not word.startswith("model.")]
    assert run.main([*given, *words, f"out={tmp_path}"]) != 0
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(sentence, error)


def test_it_is_refused_before_torch_is_imported(tmp_path):
    code = "import sys; from bench import run; s = run.main(sys.argv[1:]); print('torch' in sys.modules); sys.exit(s)"
    words = ["method=ilvr", "model=shapes", "metrics=pixel", f"out={tmp_path / 'out'}"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=ROOT, timeout=100)
    assert (done.returncode, done.stdout) == (2, "False\n")
    assert "use model=adm256" in done.stderr


def test_a_dry_run_counts_it_without_its_files(monkeypatch, tmp_path, capsys):
    paper = tmp_path / "paper/mine"
    paper.mkdir(parents=True)
    (paper / "item.yaml").write_text(
        "title: an item\nsource: nowhere\nwords: [model=adm256, method=ilvr, metrics=pixel, limit=3]\n"
        "runs: {ILVR: ['method.range_t=[0,40]']}\nmetrics: [psnr]\n"
    )
    monkeypatch.setattr(items, "FOLDER", tmp_path / "paper")
    assert reproduce(["mine/item", "--dry-run", f"out={tmp_path / 'out'}"]) == 0
    said = capsys.readouterr().out
    print(said)
    assert "in all 2 runs, 6 images" in said
    assert re.search(r"\b100\b.*\b41\b", said, re.DOTALL)
