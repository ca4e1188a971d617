"""Commands on several GPUs of one machine, by processes; and what each job does, in this one."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import submitit

from bench import run, score
from bench.cluster import front, task, watch
from bench.cluster.engines import ENGINES, Slurm, State
from bench.cluster.progress import Progress
from bench.cluster.record import Record
from bench.cluster.task import Task
from bench.config import cli
from bench.edits.plan import plan
from bench.files.paths import ROOT
from bench.reproduce.__main__ import main as reproduce
from tests.helpers.trees import manifest

CARD = """
import os
from bench.types import EditResult
class Card:
    def __call__(self, model, batch, noise):
        card = os.environ.get("CUDA_VISIBLE_DEVICES")
        return EditResult(batch.images, notes=[{"card": card}] * len(batch.samples))
"""
GPUS = ["hydra/launcher=gpus", "workers=2"]
COPY = ["method=copy", "metrics=pixel", "limit=4", "device=cpu"]


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


class Inline:
    """Jobs that are done as soon as they are submitted, in this process."""

    stop = "kill"

    def __init__(self, env):
        self.env, self.seen, self.is_living = env, [], False

    def submit(self, tasks, last, folder, launcher, light):
        self.seen = [*tasks, last]
        executor = submitit.AutoExecutor(folder, cluster="debug")
        jobs = [executor.submit(one) for one in self.seen]
        if not self.is_living:
            for job in jobs:
                here = {"SUBMITIT_EXECUTOR": "debug", "SUBMITIT_DEBUG_JOB_ID": job.job_id, "SUBMITIT_FOLDER": folder}
                for name, value in here.items():
                    self.env.setenv(name, str(value))
                job.exception()  # which does it
        return [job.job_id for job in jobs]

    def states(self, ids):
        return dict.fromkeys(ids, State(self.is_living, "RUNNING" if self.is_living else "gone"))


@pytest.fixture
def inline(monkeypatch):
    monkeypatch.setattr(task, "_end_at_once", lambda: None)  # signals are pytest's here
    monkeypatch.setattr(task.signal, "signal", lambda *_: None)
    monkeypatch.setattr(watch, "SECONDS", 0.01)
    engine = Inline(monkeypatch)
    monkeypatch.setitem(ENGINES, "gpus", engine)
    return engine


def lines(out: Path) -> list[dict]:
    return [json.loads(line) for file in out.glob("*/*/*/edits-*.jsonl") for line in file.open()]


def test_each_worker_has_a_card_and_a_share(tmp_path, monkeypatch, capsys):
    (tmp_path / "own_card.py").write_text(CARD)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    words = ["method=custom", "method._target_=own_card.Card", "model=shapes", *COPY[1:], f"out={tmp_path / 'out'}"]
    assert run.main([*words, *GPUS]) == 0
    assert sorted((entry["id"], entry["card"]) for entry in lines(tmp_path / "out")) == [
        *[("00000", "0"), ("00001", "1"), ("00002", "0"), ("00003", "1")]
    ]
    said = capsys.readouterr().out
    assert "2 tasks and a last job" in said
    assert said.count("4 of 4 scored") == 1
    assert not list(tmp_path.glob("out/.cluster/*/*_submission.sh"))
    monkeypatch.setattr(front, "_submit", None)
    assert run.main([*words, *GPUS]) == 0  # all is there: done here


def test_cards_are_those_that_are_visible(inline, tmp_path, monkeypatch):
    from bench.cluster import launcher

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-5f")
    assert launcher.chosen(["hydra/launcher=gpus"]).gpus == ["2", "GPU-5f"]
    assert launcher.chosen(["hydra/launcher=gpus", "workers=3"]).gpus == ["2", "GPU-5f", "2"]
    assert launcher.chosen(["hydra/launcher=submitit_local", "workers=1"]).engine == "gpus"


def test_a_process_that_is_killed_is_named_and_the_same_command_finishes(tmp_path, capsys):
    """Its journal is whole, its work is the next one's."""
    words = ["method=sdedit", "steps=4", "limit=6", "metrics=pixel", "device=cpu", f"out={tmp_path}"]
    assert run.main([*words, *GPUS, "wait=false"]) == 0
    record = Record(**json.loads(next(tmp_path.glob(".cluster/jobs-*.json")).read_text()))
    said = capsys.readouterr().out
    assert all(id_ in said for id_ in record.ids)
    os.kill(int(record.ids[0]), signal.SIGTERM)  # as `kill` does it, after which the worker ends, too
    assert run.main([*words, *GPUS]) == 1  # watches those
    said = capsys.readouterr()
    assert f"task 0 ({record.ids[0]})" in said.err
    assert "3 of 6 edits lack in" in said.err
    assert "go on; kill" in said.out
    assert run.main([*words, "hydra/launcher=gpus", "workers=1"]) == 0
    assert sorted(entry["id"] for entry in lines(tmp_path)) == [f"0000{i}" for i in range(6)]


# --- what each job does ---


def test_a_table_is_what_one_process_writes(inline, tmp_path):
    words = ["shapes/table2", "limit=4", "steps=2", "page=false", "device=cpu", "batch_size=1"]
    assert reproduce([*words, f"out={tmp_path / 'one'}"]) == 0
    assert reproduce([*words, f"out={tmp_path / 'several'}", *GPUS]) == 0
    one, several = ((tmp_path / name / "tables/shapes/table2.csv").read_text() for name in ("one", "several"))
    assert one == several
    weights = json.loads((tmp_path / "several/.cluster/evaluations.json").read_text())
    assert len(weights) == 6
    assert all(value > 0 for value in weights.values())


def test_what_lacks_is_shared_evenly(inline, tmp_path):
    words = [*COPY, f"out={tmp_path}"]
    assert run.main([*words, "shard.index=0", "shard.count=2"]) == 0
    before = {file: len(file.read_text().splitlines()) for file in tmp_path.glob("*/*/*/edits-*.jsonl")}
    assert run.main([*words, *GPUS]) == 0
    after = {file: len(file.read_text().splitlines()) for file in tmp_path.glob("*/*/*/edits-*.jsonl")}
    assert sorted(count - before.get(file, 0) for file, count in after.items()) == [1, 1]


def test_batches_by_memory_leave_the_workers_as_many_as_asked_for(inline, tmp_path):
    assert run.main([*COPY, f"out={tmp_path}", "batch_size=auto", *GPUS]) == 0
    assert len(inline.seen) == 3  # two tasks, and the last job


def test_a_metric_that_cannot_score_stops_tasks_before_they_edit(inline, tmp_path, monkeypatch, capsys):
    (tmp_path / "my_metric.py").write_text("class Mine:\n    def __init__(self):\n        raise RuntimeError('no')\n")
    monkeypatch.syspath_prepend(tmp_path)
    words = ["method=copy", "limit=4", "device=cpu", "metrics=pixel", "+metrics.mine._target_=my_metric.Mine"]
    assert run.main([*words, f"out={tmp_path}", *GPUS]) == 1
    said = capsys.readouterr().err
    assert "task 0 (" in said
    assert "metrics.mine: RuntimeError: no" in said
    assert not lines(tmp_path)


def test_failed_samples_of_every_run_are_named(inline, tmp_path, capsys):
    rows = [{"id": str(i), "image": "dog.jpg", "source": "a", "target": "b"} for i in range(3)]
    data = manifest(tmp_path / "data", [*rows, {"id": "bad", "image": "bad.jpg", "source": "a", "target": "b"}])
    (tmp_path / "data/bad.jpg").write_text("no picture")
    words = ["method=sdedit", "model=shapes", "data=manifest", f"data.root={data}", "steps=2", *COPY[1:]]
    assert run.main([*words, "-m", "r=0.3,0.5,0.7", f"out={tmp_path / 'out'}", *GPUS]) == 1
    said = capsys.readouterr()
    assert said.err.count("1 of 4 samples failed") == 3
    assert len({line for line in said.out.splitlines() if "3 of 4 scored" in line}) == 3


def test_jobs_of_another_program_refuse(inline, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(front, "code", lambda: "an older one")
    assert run.main([*COPY, f"out={tmp_path}", *GPUS]) == 1
    assert "the program was changed since this job was submitted" in capsys.readouterr().err
    assert not lines(tmp_path)


def test_scores_alone_are_one_task_a_run(inline, tmp_path, capsys):
    assert run.main([*COPY, f"out={tmp_path}"]) == 0
    (folder,) = tmp_path.glob("*/copy/*")
    assert score.main([f"run={folder}", "metrics=shapes", "device=cpu", "hydra/launcher=gpus", "workers=8"]) == 0
    assert len(inline.seen) == 2
    assert (folder / "summary.shapes-v1.json").exists()
    assert "4 of 4 scored" in capsys.readouterr().out


def test_pictures_of_others_are_taken_over_in_shares(inline, tmp_path, capsys):
    assert run.main([*COPY, f"out={tmp_path / 'runs'}"]) == 0
    (folder,) = (tmp_path / "runs").glob("*/copy/*/edits")
    words = [f"run={folder}", "data=shapes", "limit=4", "metrics=pixel", "device=cpu", f"out={tmp_path / 'theirs'}"]
    assert score.main([*words, *GPUS]) == 0
    assert sorted(entry["id"] for entry in lines(tmp_path / "theirs")) == [f"0000{i}" for i in range(4)]
    assert "4 of 4 scored" in capsys.readouterr().out


def test_the_same_command_watches_what_lives_and_another_is_refused(inline, tmp_path, capsys):
    inline.is_living = True
    assert run.main([*COPY, f"out={tmp_path}", *GPUS, "wait=false"]) == 0
    first = inline.seen
    assert run.main([*COPY, f"out={tmp_path}", "hydra/launcher=gpus", "workers=7", "wait=false"]) == 0
    assert inline.seen is first
    assert "the same command shows them" in capsys.readouterr().out
    assert run.main([*COPY, "batch_size=2", f"out={tmp_path}", *GPUS]) == 2
    assert "1 of these runs are being made by 2 tasks and a last job" in capsys.readouterr().err


def test_progress_is_weighed_by_evaluations(tmp_path):
    cfgs = cli.jobs(["method=sdedit", "-m", "r=0.1,0.9", "steps=10", "limit=2", f"out={tmp_path}", "metrics=pixel"])
    runs = [run_ for cfg in cfgs for run_ in plan(cfg)]
    now = iter([0.0, 60.0])
    progress = Progress(runs, tmp_path / "weights.json", lambda: next(now))
    assert str(progress) == "0 of 4 edits, 0 % of the evaluations"
    (tmp_path / "weights.json").write_text(json.dumps({run_.key: n for run_, n in zip(runs, (1, 9), strict=True)}))
    (runs[1].folder / "edits").mkdir(parents=True)
    runs[1].store.edit_file("00000").write_bytes(b"")
    runs[1].store.record([{"id": "00000", "nfe_spent": 9}])
    assert str(progress) == "1 of 4 edits, 45 % of the evaluations, 1 min left"


# --- what is refused ---


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["hydra/launcher=gpus"], "no GPU is visible here; say workers="),
        (["hydra/launcher=gpus", "workers=0"], "workers=0, expected a whole number from 1 to 1000"),
        ([*GPUS, "wait=maybe"], "wait=maybe, expected true or false"),
        ([*GPUS, "shard.count=2"], "shard.count=2: hydra/launcher=gpus shares the samples by itself; say workers="),
        ([*GPUS, "hydra.launcher.nodes=2"], "a worker is one process; say workers= instead"),
        (["workers=2"], "workers= is for hydra/launcher=slurm or gpus"),
        (["hydra/launcher=slrm"], "unknown hydra/launcher 'slrm'; did you mean slurm"),
        (
            ["hydra/launcher=slurm", "hydra.launcher.partitoin=x"],
            "unknown knob 'hydra.launcher.partitoin'; did you",
        ),
    ],
)
@pytest.mark.parametrize("main", [run.main, reproduce], ids=["run", "reproduce"])
def test_bad_words_are_one_sentence(main, words, said, tmp_path, capsys):
    command = [*COPY, f"out={tmp_path}"] if main is run.main else ["shapes/table2", f"out={tmp_path}"]
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr("bench.config.ranks.visible_gpus", lambda: [])
        assert main([*command, *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert said in line


def test_without_srun_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("bench.cluster.engines.shutil.which", lambda name: None)
    assert run.main([*COPY, f"out={tmp_path}", "hydra/launcher=slurm"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "there is no srun here" in line


def test_without_submitit_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("bench.cluster.launcher.importlib.util.find_spec", lambda name: None)
    assert run.main([*COPY, f"out={tmp_path}", *GPUS]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "needs submitit; pip install 'edit-bench[cluster]'" in line


def test_a_cluster_of_ones_own_is_a_file(tmp_path, monkeypatch, capsys):
    from bench.cluster import launcher

    (tmp_path / "hydra/launcher").mkdir(parents=True)
    (tmp_path / "hydra/launcher/mine.yaml").write_text("defaults: [slurm]\npartition: a100\naccount: me\n")
    for place in (f"file://{tmp_path}", str(tmp_path)):
        monkeypatch.setenv("EDIT_BENCH_CONF", place)
        found = launcher.chosen(["hydra/launcher=mine", "r=0.5", "hydra.launcher.qos=high"])
        assert (found.engine, found.words) == ("slurm", ["r=0.5"])
        settings = {key: found.settings[key] for key in ("partition", "account", "qos", "gpus_per_node")}
        assert settings == {"partition": "a100", "account": "me", "qos": "high", "gpus_per_node": 1}
    monkeypatch.setenv("EDIT_BENCH_CONF", str(tmp_path / "nowhere"))
    assert run.main([*COPY, f"out={tmp_path}", "hydra/launcher=mine"]) == 2
    assert f"EDIT_BENCH_CONF={tmp_path / 'nowhere'} is no folder" in capsys.readouterr().err


def test_a_dry_run_says_what_would_be_submitted(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("bench.cluster.engines.shutil.which", lambda name: "/usr/bin/srun")
    monkeypatch.setattr(Slurm, "submit", None)
    words = ["shapes/table2", "limit=8", "steps=4", f"out={tmp_path}", "hydra/launcher=slurm", "workers=4"]
    assert reproduce([*words, "hydra.launcher.partition=gpu", "seconds_per_nfe=0.5", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "4 workers: " in said
    assert "#SBATCH --partition=gpu" in said
    assert "#SBATCH --array=0-3" in said
    assert not list(tmp_path.rglob("*"))


def test_a_front_end_imports_no_torch(tmp_path):
    code = (
        "import sys\nfrom bench.cluster.engines import ENGINES, Slurm\nfrom bench.reproduce.__main__ import main\n"
        "Slurm.submit = lambda *_: ['1', '2']\nSlurm.states = lambda self, ids: {}\n"
        f"words = ['shapes/table2', 'limit=2', 'out={tmp_path}', 'hydra/launcher=slurm', 'workers=1', 'wait=false']\n"
        "status = main(words)\n"
        "assert status == 0 and 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_a_task_is_the_same_again_when_its_time_is_up():
    one = Task("bench.run", ["r=0.5"], "/", "", (0, 2))
    assert one.checkpoint().function == one
