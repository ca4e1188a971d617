"""Processes that torchrun, accelerate or srun start: each is a shard, on a card of its own."""

import json

import pytest
import torch

from bench import run
from bench.config import ranks
from bench.diffusion import device as devices
from bench.errors import UserError
from bench.reproduce.__main__ import main as reproduce
from tests.helpers.trees import manifest

NAMES = [name for names in ranks.SOURCES for name in names]


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for name in [*NAMES, "SLURM_NTASKS", "CUDA_VISIBLE_DEVICES"]:
        monkeypatch.delenv(name, raising=False)


def start(monkeypatch, source: int, *values: int) -> None:
    for name, value in zip(ranks.SOURCES[source], values, strict=True):
        monkeypatch.setenv(name, str(value))


@pytest.mark.parametrize("source", [0, 1])
def test_a_rank_is_a_shard_with_a_card_of_its_own(source, monkeypatch, capsys):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    start(monkeypatch, source, 6, 8, 2)
    assert ranks.shared(["r=0.5"]) == ["r=0.5", "shard.index=6", "shard.count=8", "device=cuda:2"]
    assert "rank 6 of 8" in capsys.readouterr().out
    assert ranks.shared(["device=cuda"])[-1] == "device=cuda:2"
    assert ranks.shared(["device=cpu"]) == ["device=cpu", "shard.index=6", "shard.count=8"]
    assert ranks.shared(["shard.count=1"]) == ["shard.count=1", "device=cuda:2"]  # the user's own word wins
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")  # as srun --gpus-per-task=1 sets it
    assert ranks.shared([]) == ["shard.index=6", "shard.count=8"]


def test_a_process_that_is_alone_is_no_rank(monkeypatch):
    """A batch script of SLURM is one process, however many tasks were asked for; an allocation may set WORLD_SIZE."""
    for name, value in {"SLURM_PROCID": 0, "SLURM_NTASKS": 3, "SLURM_LOCALID": 0, "WORLD_SIZE": 8}.items():
        monkeypatch.setenv(name, str(value))
    assert ranks.shared(["r=0.5"]) == ["r=0.5"]
    start(monkeypatch, 1, 0, 1, 0)  # a step of one
    assert ranks.rank() is None


def test_torchruns_variables_come_before_srun_s(monkeypatch):
    start(monkeypatch, 1, 0, 2, 0)
    start(monkeypatch, 0, 3, 16, 3)
    assert ranks.rank() == (3, 16, 3)


@pytest.mark.parametrize("values", [("two", 4, 0), (4, 4, 0), (-1, 4, 0)])
def test_variables_that_make_no_sense_are_a_sentence(values, monkeypatch, capsys):
    start(monkeypatch, 0, *values)
    with pytest.raises(UserError, match=f"RANK={values[0]} WORLD_SIZE=4 LOCAL_RANK=0, expected whole numbers"):
        ranks.rank()
    assert run.main(["method=copy"]) == 2


def test_a_card_that_is_not_there_is_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices.pick("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(UserError, match="device=cuda:2, but torch sees 2 CUDA devices, cuda:0 to cuda:1"):
        devices.pick("cuda:2")
    assert run.main(["method=copy", "device=cuda:x"]) == 2
    assert "cuda:number" in capsys.readouterr().err


def test_float32_is_not_left_to_tf32(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    assert torch.backends.cudnn.allow_tf32
    devices.pick("cpu")
    assert not torch.backends.cudnn.allow_tf32


@pytest.fixture
def words(tmp_path):
    """Seven pictures, one of them broken."""
    rows = [{"id": str(i), "image": "dog.jpg", "source": "a", "target": "b"} for i in range(6)]
    data = manifest(tmp_path / "data", [*rows, {"id": "bad", "image": "bad.jpg", "source": "a", "target": "b"}])
    (tmp_path / "data/bad.jpg").write_text("no picture")
    where = ["data=manifest", f"data.root={data}", "data.size=64", "metrics=pixel", "device=cpu"]
    return [*where, f"out={tmp_path / 'out'}"]


def test_only_the_rank_that_comes_last_tells_of_failed_samples(words, tmp_path, monkeypatch, capsys):
    """torchrun kills all the others when one fails."""
    sweep = ["method=copy,sdedit", "model=shapes", "steps=2", "-m", *words]
    start(monkeypatch, 0, 0, 2, 0)  # has the broken picture
    assert run.main(sweep) == 0
    assert "1 of 7 samples failed" in capsys.readouterr().err
    start(monkeypatch, 0, 1, 2, 1)
    assert run.main(sweep) == 1
    said = capsys.readouterr()
    assert said.err.count("1 of 7 samples failed") >= 2
    assert said.out.count("6 of 7 scored") == 2
    lines = [line for file in tmp_path.glob("out/*/copy/*/edits-*.jsonl") for line in file.open()]
    assert sorted(json.loads(line)["id"] for line in lines) == sorted(["bad", *map(str, range(6))])


def test_a_rank_whose_method_cannot_work_says_so_at_once(words, tmp_path, monkeypatch):
    (tmp_path / "never.py").write_text(
        "class Never:\n    def __call__(self, *_):\n        raise RuntimeError('never')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    start(monkeypatch, 0, 1, 2, 1)
    assert run.main(["method=custom", "method._target_=never.Never", "model=shapes", *words]) == 1


def test_items_are_written_by_the_last_rank(tmp_path, monkeypatch, capsys):
    words = ["shapes/table2", "limit=2", "steps=2", "page=false", f"out={tmp_path}", "device=cpu"]
    start(monkeypatch, 1, 0, 2, 0)
    assert reproduce(words) == 0
    assert "wait for other shards" in capsys.readouterr().out
    assert not list(tmp_path.glob("tables/**/*.csv"))
    start(monkeypatch, 1, 1, 2, 1)
    assert reproduce(words) == 0
    assert list(tmp_path.glob("tables/**/*.csv"))
