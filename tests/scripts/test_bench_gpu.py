"""That the measurement on a GPU measures, on the embedded model and the CPU."""

import re

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from bench.models import checkpoint as checkpoints
from bench.models import compiled
from scripts import bench_gpu, gpu_compiled

METHODS = ("SimInv-0", "SimInv-1", "SimInv-0.5", "DDIM", "Direct", "DiffEdit")
NAMES = [
    *("ceiling", *METHODS, "harness", "half"),
    *(f"{name}, one by one" for name in METHODS),
    *("diffusers, DiffEdit", "diffusers, DDIM"),
    *("batch by memory", "SDEdit, compiled"),
]
TINY = ("--tiny", "--batch", "2", "--steps", "2")


def rows(capsys):
    lines = [line.split(": ", 1) for line in capsys.readouterr().out.splitlines()[1:]]
    return dict(lines)


def number(pattern, text):
    return float(re.search(pattern, text)[1])


@pytest.fixture(autouse=True)
def traced(monkeypatch):
    """No kernels are made of what torch traces."""
    monkeypatch.setattr(compiled, "BACKEND", "eager")
    yield
    checkpoints.free()


def test_every_row_is_measured(capsys):
    assert bench_gpu.main(list(TINY)) == 0
    said = rows(capsys)
    assert list(said) == NAMES
    ceiling = number(r"([\d.e+]+) TFLOP/s in bfloat16", said["ceiling"])
    seconds = {name: number(r"([\d.]+) s an image at batch 2", said[name]) for name in METHODS}
    for name in METHODS:
        rate, share = number(r"; ([\d.e-]+) TFLOP/s", said[name]), number(r"([\d.]+) % of the ceiling", said[name])
        assert share == pytest.approx(100 * rate / ceiling, rel=0.05, abs=0.06)
        alone = number(r"maps ([\d.]+) s an image", said[f"{name}, one by one"])
        faster = number(rf"{re.escape(name)} ([\d.]+)", said[f"{name}, one by one"])
        assert faster == pytest.approx(alone / seconds[name], rel=0.05, abs=0.06)
    assert "8 photographs" in said["harness"]
    own, editing, whole = (number(rf"{word} ([\d.]+) s", said["harness"]) for word in ("own", "editing", "scoring"))
    assert 0 < own < editing < whole
    assert 0 < number(r"differ from float32's by ([\d.e-]+)", said["half"]) < 0.1
    assert "tried 16, settled at 16: SDEdit of 2 steps" in said["batch by memory"]  # a CPU is not measured
    compiled_, own = (number(pattern, said["SDEdit, compiled"]) for pattern in (r"([\d.]+) s an", r"fast as ([\d.]+)"))
    assert number(r"([\d.]+) times", said["SDEdit, compiled"]) == pytest.approx(own / compiled_, rel=0.2, abs=0.02)
    assert number(r"(\d+) at most", said["SDEdit, compiled"]) <= 1


def test_the_networks_work_is_that_of_their_layers():
    """Of convolutions and matrices, counted by hand; attention, which has no weights, is little of it, and by
    its plain formula counted by every torch."""
    bench = bench_gpu.Bench(torch.device("cpu"), "float32", 1, 2, tiny=True)
    by_hand = [0]

    def count(layer, args, out):
        by_hand[0] += 2 * out.numel() * layer.weight[0].numel()

    layers = [m for m in bench.model.unet.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with sdpa_kernel(SDPBackend.MATH):
        row, _ = bench.flops
    for hook in hooks:
        hook.remove()
    assert by_hand[0] < row < 1.5 * by_hand[0]


def test_a_row_that_fails_loses_no_other(capsys, monkeypatch):
    def broken(self):
        raise ValueError("no such card")

    monkeypatch.setattr(bench_gpu.Bench, "harness", broken)
    monkeypatch.setattr(bench_gpu.Bench, "one_by_one", lambda self, name: "")
    monkeypatch.setattr(bench_gpu.Bench, "diffusers", lambda self, *args: "")
    assert bench_gpu.main(list(TINY)) == 1
    said = rows(capsys)
    assert "failed: ValueError: no such card" in said["harness"]
    assert "differ from float32's" in said["half"]


def test_what_time_does_not_allow_is_named(capsys):
    said = []

    def row(name, seconds):
        clock[0] += seconds
        said.append(name)
        return "measured"

    clock = [0.0]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bench_gpu.time, "perf_counter", lambda: clock[0])
        names = {"first": 4, "long": 5, "third": 1}
        work = {name: lambda name=name, s=s: row(name, s) for name, s in names.items()}
        bench_gpu.printed(work, 13.5, 0.0)
    assert said == ["first", "long"]
    assert "not measured, since 13.5 s are not enough: third" in capsys.readouterr().out


def test_without_a_gpu_it_says_so(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert bench_gpu.main([]) == 2
    assert "sees no CUDA device" in capsys.readouterr().err


def test_graphs_are_measured_where_there_are_some():
    bench = bench_gpu.Bench(torch.device("cpu"), "float32", 1, 2, tiny=True)
    assert list(gpu_compiled.rows(bench)) == ["batch by memory", "SDEdit, compiled"]
    bench.device = torch.device("cuda")
    assert list(gpu_compiled.rows(bench))[-1] == "SDEdit, graphs"
