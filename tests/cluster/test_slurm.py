"""Commands on a real SLURM, of this machine alone."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from bench import run
from bench.cluster import watch
from bench.files.paths import ROOT
from bench.reproduce.__main__ import main as reproduce
from tests.helpers.slurm import Slurm, missing
from tests.helpers.trees import manifest

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "-")
ON = ["hydra/launcher=slurm", "hydra.launcher.timeout_min=20", "hydra.launcher.cpus_per_task=1"]


@pytest.fixture(scope="module")
def started():
    slurm = Slurm()
    yield slurm
    slurm.stop()


@pytest.fixture
def slurm(started, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", started.env["SLURM_CONF"])
    monkeypatch.chdir(ROOT)
    return started


def edits(out: Path) -> Counter:
    """How often each sample of each run was edited."""
    lines = [(file.parent.name, line) for file in out.glob("*/*/*/edits-*.jsonl") for line in file.open()]
    return Counter((name, json.loads(line)["id"]) for name, line in lines)


def logs(out: Path) -> str:
    return "".join(file.read_text() for file in out.glob(".cluster/*/*_log.out"))


def python_of(job: str) -> int:
    """The process of a task."""
    array, index = job.split("_")
    wanted = {f"SLURM_ARRAY_JOB_ID={array}", f"SLURM_ARRAY_TASK_ID={index}", "SLURM_PROCID=0"}
    for place in Path("/proc").iterdir():
        try:
            words = (place / "cmdline").read_bytes().decode().split("\0")
            its = set((place / "environ").read_text().split("\0"))
            if words[0] == sys.executable and "submitit.core._submit" in words and wanted <= its:
                return int(place.name)
        except (OSError, UnicodeDecodeError):
            continue
    raise AssertionError(f"no process of {job}")


def test_a_table_whose_tasks_are_cancelled_and_killed_and_whose_node_dies(slurm, tmp_path, capsys):
    words = ["shapes/table2", "limit=6", "steps=4", "page=false", f"out={tmp_path}", *ON]
    before = set(slurm.jobs())
    with ThreadPoolExecutor() as pool:
        front = pool.submit(reproduce, [*words, "workers=3"])
        slurm.wait(lambda: logs(tmp_path).count("edits to make") == 3, 180)
        zero, one, two, _ = sorted(set(slurm.jobs()) - before, key=lambda id_: ("_" not in id_, id_))
        slurm.run("scancel", zero)
        os.kill(python_of(one), signal.SIGKILL)
        node = slurm.node_of(two)
        slurm.kill_node(node)
        slurm.wait(lambda: slurm.jobs()[two] == "PENDING" or front.done())
        slurm.start_node(node)
        slurm.run("scontrol", "update", f"JobId={two}", "StartTime=now")  # else it waits for two minutes
        assert front.result(timeout=300) == 1
    said = capsys.readouterr().err
    assert f"task 0 ({zero}): cancelled" in said
    assert f"task 1 ({one}): failed" in said
    assert "task 2" not in said
    assert "edits lack in" in said
    table = pd.read_csv(tmp_path / "tables/shapes/table2.csv")
    assert table.n.fillna(0).max() < 6
    assert 0 < len(edits(tmp_path)) < 36
    assert reproduce([*words, "workers=2"]) == 0
    counts = edits(tmp_path)
    assert len(counts) == 36
    assert set(counts.values()) == {1}
    table = pd.read_csv(tmp_path / "tables/shapes/table2.csv")
    assert set(table.n.dropna()) == {6}
    jobs = set(slurm.jobs())
    assert reproduce([*words, "workers=2"]) == 0  # all is there: no job, and the table all the same
    assert set(slurm.jobs()) == jobs


def test_a_front_end_that_is_stopped_goes_on_watching(slurm, tmp_path, monkeypatch, capsys):
    words = ["method=sdedit,copy", "-m", "r=0.3,0.5", "limit=4", "steps=2", "metrics=pixel", f"out={tmp_path}", *ON]
    before = set(slurm.jobs())

    def stop(seconds):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(watch.time, "sleep", stop)
        assert run.main([*words, "workers=2"]) == 130
    ids = {id_.split("_")[0] for id_ in set(slurm.jobs()) - before}
    said = capsys.readouterr().err
    assert all(id_ in said for id_ in ids)
    assert "go on; scancel" in said
    assert {slurm.jobs()[id_] for id_ in slurm.jobs() if id_ not in before} <= {"PENDING", "RUNNING", "CONFIGURING"}
    jobs = set(slurm.jobs())
    others = [word for word in words if not word.startswith("r=")]
    assert run.main([*others, "r=0.3,0.7", "workers=2"]) == 2  # another command on some of these runs
    assert "2 of these runs are being made by 2 tasks" in capsys.readouterr().err
    assert run.main([*words, "workers=2"]) == 0
    assert set(slurm.jobs()) == jobs
    said = capsys.readouterr().out
    assert said.count("4 of 4 scored") == 3
    assert set(edits(tmp_path).values()) == {1}


def test_ranks_that_srun_starts_are_shards(slurm, tmp_path):
    rows = [{"id": str(i), "image": "dog.jpg", "source": "a", "target": "b"} for i in range(5)]
    data = manifest(tmp_path / "data", rows)
    (tmp_path / "data/broken.jpg").write_text("no picture")
    with (tmp_path / "data/manifest.jsonl").open("a") as file:
        file.write(json.dumps({"id": "broken", "image": "broken.jpg", "source": "a", "target": "b"}) + "\n")
    words = ["method=copy", "data=manifest", f"data.root={data}", "data.size=32", "metrics=pixel", "device=cpu"]
    command = [sys.executable, "-m", "bench.run", *words, f"out={tmp_path / 'out'}"]
    done = subprocess.run(["srun", "-n", "2", *command], env=slurm.env, capture_output=True, text=True, cwd=ROOT)
    assert "rank 0 of 2" in done.stdout
    assert "rank 1 of 2" in done.stdout
    assert "1 of 6 samples failed" in done.stderr
    assert done.stdout.count("5 of 6 scored") >= 1
    assert set(edits(tmp_path / "out").values()) == {1}
    assert len(edits(tmp_path / "out")) == 6
